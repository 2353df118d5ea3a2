// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {BurnAuth, IERC5192, IERC5484, IStanding, Tally} from "./IStanding.sol";

/// @title What completed jobs showed of a party
/// @notice The rules are in `IStanding`; the Python package computes the same integers in `market.standing`.
contract Standing is IStanding, ERC721 {
    uint256 private constant UNIT = 1e6;
    /// @dev What is left of evidence after a day, in parts of 2**64: half after 365 days, half after 1,095.
    uint256 private constant GOOD_KEPT = 18411746332576898952;
    uint256 private constant BAD_KEPT = 18435070774566917781;

    /// @inheritdoc IStanding
    address public immutable recorder;

    mapping(uint256 tokenId => Tally) private _tallies;

    /// @param recorder_ The jobs' contract, which is deployed afterwards at an address that is known before; nobody can
    /// change it later.
    constructor(address recorder_) ERC721("Caduceus standing", "STANDING") {
        // Where no contract ever is, nobody observes: such standing is of no use and does no harm.
        // slither-disable-next-line missing-zero-check
        recorder = recorder_;
    }

    /// @inheritdoc IStanding
    function observe(address account, address attester, bytes32 entity, uint256 good, uint256 bad) external {
        if (msg.sender != recorder) revert NotRecorder(msg.sender, recorder);
        if (good > UNIT || bad > UNIT) revert ObservationOutOfRange(good, bad);
        uint256 id = idOf(account, attester, entity);
        Tally memory known = _faded(id);
        known.good += uint64(good);
        known.bad += uint64(bad);
        _tallies[id] = known;
        emit Observed(id, good, bad, known.good, known.bad);
        _issue(id, account, attester);
    }

    /// @dev An entity's token is where the entity last took part.
    function _issue(uint256 id, address account, address attester) private {
        address owner = _ownerOf(id);
        if (owner == account) return;
        if (owner != address(0)) _burn(id);
        _mint(account, id);
        emit Issued(attester == address(0) ? address(this) : attester, account, id, _burnAuth(id));
        emit Locked(id);
    }

    /// @inheritdoc IStanding
    function burn(bytes32 entity) external {
        // Nobody can be the attester of an account's own standing: that has another kind of id.
        uint256 id = _idOfEntity(msg.sender, entity);
        _requireOwned(id);
        Tally memory known = _faded(id);
        known.good = 0;
        _tallies[id] = known;
        emit StandingRevoked(id, msg.sender, entity);
        _burn(id);
    }

    // ------------------------------------------------------------------ reading

    /// @inheritdoc IStanding
    function idOf(address account, address attester, bytes32 entity) public pure returns (uint256) {
        return attester == address(0) ? uint256(uint160(account)) : _idOfEntity(attester, entity);
    }

    /// @inheritdoc IStanding
    function tally(uint256 tokenId) external view returns (Tally memory) {
        return _tallies[tokenId];
    }

    /// @inheritdoc IStanding
    function expected(uint256 tokenId) external view returns (uint256) {
        (uint256 good, uint256 bad) = _beta(tokenId);
        return (good * UNIT) / (good + bad);
    }

    /// @inheritdoc IStanding
    function lowerBound(uint256 tokenId) external view returns (uint256) {
        (uint256 good, uint256 bad) = _beta(tokenId);
        uint256 sum = good + bad;
        uint256 mean = (good * UNIT) / sum;
        // Twice the standard deviation is the root of four times good * bad / (sum**2 * (sum + 1)), rounded up.
        uint256 spread = Math.sqrt((4 * good * bad * UNIT ** 3) / (sum * sum * (sum + UNIT))) + 1;
        return Math.saturatingSub(mean, spread);
    }

    /// @inheritdoc IERC5484
    function burnAuth(uint256 tokenId) external view returns (BurnAuth) {
        _requireOwned(tokenId);
        return _burnAuth(tokenId);
    }

    /// @inheritdoc IERC5192
    function locked(uint256 tokenId) external view returns (bool) {
        _requireOwned(tokenId);
        return true;
    }

    /// @notice ERC-165: besides those of ERC-721, ERC-5484 and ERC-5192.
    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return interfaceId == type(IERC5484).interfaceId || interfaceId == type(IERC5192).interfaceId
            || super.supportsInterface(interfaceId);
    }

    // ------------------------------------------------------------------ bound to its holder

    /// @dev Holders act through their own authority; issuing and burning need none.
    function _update(address to, uint256 tokenId, address auth) internal override returns (address) {
        if (auth != address(0)) revert Bound();
        return super._update(to, tokenId, auth);
    }

    /// @notice Reverts: nobody may act for the holder of what does not move.
    function approve(address, uint256) public pure override {
        revert Bound();
    }

    /// @notice Reverts: nobody may act for the holder of what does not move.
    function setApprovalForAll(address, bool) public pure override {
        revert Bound();
    }

    // ------------------------------------------------------------------ the arithmetic

    function _idOfEntity(address attester, bytes32 entity) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(attester, entity)));
    }

    /// @dev An account's own token is its address: 160 bits. It has no issuer who could know better.
    function _burnAuth(uint256 tokenId) private pure returns (BurnAuth) {
        return tokenId >> 160 == 0 ? BurnAuth.Neither : BurnAuth.IssuerOnly;
    }

    /// @dev The parameters of the distribution today, in millionths.
    function _beta(uint256 tokenId) private view returns (uint256 good, uint256 bad) {
        Tally memory known = _faded(tokenId);
        return (known.good + UNIT, known.bad + UNIT);
    }

    /// @dev A day is the unit, so that it does not matter how often a standing is written: only whole days fade.
    function _faded(uint256 tokenId) private view returns (Tally memory known) {
        known = _tallies[tokenId];
        uint64 day = uint64(block.timestamp / 1 days);
        uint256 passed = day - known.day;
        known.good = uint64((known.good * _power(GOOD_KEPT, passed)) >> 64);
        known.bad = uint64((known.bad * _power(BAD_KEPT, passed)) >> 64);
        known.day = day;
    }

    // Days are what is counted: the seconds by which a validator can shift a block decide at most whether it is one more.
    // slither-disable-start timestamp

    /// @dev `kept` to the power of `exponent`, in parts of 2**64, by squaring; every product is rounded down.
    function _power(uint256 kept, uint256 exponent) private pure returns (uint256 result) {
        result = 1 << 64;
        for (; exponent != 0; exponent >>= 1) {
            if ((exponent & 1) != 0) result = (result * kept) >> 64;
            kept = (kept * kept) >> 64;
        }
    }

    // slither-disable-end timestamp
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What is known of a party, in millionths of an observation, as of a day; it fades from then on.
struct Tally {
    uint64 good;
    uint64 bad;
    /// Days since 1970.
    uint64 day;
}

/// @notice Who may burn a token, by ERC-5484.
enum BurnAuth {
    IssuerOnly,
    OwnerOnly,
    Both,
    Neither
}

/// @title ERC-5484: tokens that are issued by agreement and bound to their holder
interface IERC5484 {
    /// @notice A token was issued.
    event Issued(address indexed from, address indexed to, uint256 indexed tokenId, BurnAuth burnAuth);

    /// @notice Who may burn the token; reverts if there is none.
    function burnAuth(uint256 tokenId) external view returns (BurnAuth);
}

/// @title ERC-5192: tokens that say that they are locked
interface IERC5192 {
    /// @notice The token cannot be transferred, from its beginning.
    event Locked(uint256 tokenId);
    /// @notice Never emitted here.
    event Unlocked(uint256 tokenId);

    /// @notice Always true; reverts if there is no such token.
    function locked(uint256 tokenId) external view returns (bool);
}

/// @title What completed jobs showed of a party
/// @notice A Beta distribution over "what this party does is good": one good and one bad observation to begin with, to
/// which jobs add at most one of each. Evidence fades: half of the good is forgotten in a year, half of the bad in three.
/// A standing is an account's own, or a legal entity's in the word of the attester that a job trusts; then every account
/// of the entity has the same one, and a new account does not shed it.
interface IStanding is IERC5484, IERC5192 {
    /// @notice A job showed something of the party; `totalGood` and `totalBad` are all that is known now.
    event Observed(uint256 indexed tokenId, uint256 good, uint256 bad, uint256 totalGood, uint256 totalBad);
    /// @notice The attester burnt the token: the good is forgotten, the bad is not.
    event StandingRevoked(uint256 indexed tokenId, address indexed attester, bytes32 entity);

    /// @notice Only the jobs' contract observes.
    error NotRecorder(address caller, address recorder);
    /// @notice A job gives at most one good and one bad observation.
    error ObservationOutOfRange(uint256 good, uint256 bad);
    /// @notice Standing is bound to its holder.
    error Bound();

    /// @notice Add what a job showed; the recorder. Issues the token if the account does not hold it.
    /// @param account  The account that took part.
    /// @param attester Whose word for the entity the job trusted; zero if the standing is the account's own.
    /// @param entity   The vouched legal entity; zero likewise.
    /// @param good     In millionths, at most one million.
    /// @param bad      The same.
    function observe(address account, address attester, bytes32 entity, uint256 good, uint256 bad) external;

    /// @notice Burn the token of an entity that the caller vouched for, as its issuer. It is issued again, with what is
    /// bad of its past, if the entity takes part again.
    function burn(bytes32 entity) external;

    /// @notice The one contract that may observe, for ever.
    function recorder() external view returns (address);

    /// @notice The token of an account's own standing, or of an entity's in an attester's word.
    function idOf(address account, address attester, bytes32 entity) external pure returns (uint256);

    /// @notice What is known, as of the day on which it was last written; all zero if nothing is.
    function tally(uint256 tokenId) external view returns (Tally memory);

    /// @notice The expected value today, in millionths; half a million if nothing is known.
    function expected(uint256 tokenId) external view returns (uint256);

    /// @notice Two standard deviations below the expected value, in millionths, and at least 0: what to match by.
    function lowerBound(uint256 tokenId) external view returns (uint256);
}

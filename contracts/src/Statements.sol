// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title What parties sign off chain, and how a signature is judged
/// @dev Two kinds of signature are told apart. Evidence (an upload, a receipt) may be shown long after it was made, so
/// only a secp256k1 key can give it: a contract wallet (ERC-1271) can change its mind, and a signature that its own
/// signer may revoke could frame the party that relied on it. Consent (a settlement) is judged once, in the
/// transaction that acts on it, so a site whose account is a contract wallet may give it through ERC-1271.
abstract contract Statements is EIP712 {
    bytes32 private constant UPLOAD = keccak256("Upload(bytes32 job,uint32 round,uint32 seat,bytes32 body)");
    bytes32 private constant RECEIPT = keccak256("Receipt(bytes32 job,uint32 round,uint32 seat,bytes32 leaf)");
    bytes32 private constant SETTLEMENT =
        keccak256("Settlement(bytes32 job,bytes32 head,bytes32 claims,uint256 payout,uint256[] slashed)");

    constructor() EIP712("Caduceus", "1") {}

    /// @notice The EIP-712 domain separator under which everything here is signed.
    function domainSeparator() external view returns (bytes32) {
        return _domainSeparatorV4();
    }

    function _upload(bytes32 job, uint256 round, uint256 seat, bytes32 body) internal view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(UPLOAD, job, round, seat, body)));
    }

    function _receipt(bytes32 job, uint256 round, uint256 seat, bytes32 leaf) internal view returns (bytes32) {
        return _hashTypedDataV4(keccak256(abi.encode(RECEIPT, job, round, seat, leaf)));
    }

    function _settlement(
        bytes32 job,
        bytes32 head,
        bytes32 claims,
        uint256 payout,
        uint256[] calldata slashed
    ) internal view returns (bytes32) {
        bytes32 list = keccak256(abi.encodePacked(slashed));
        return _hashTypedDataV4(keccak256(abi.encode(SETTLEMENT, job, head, claims, payout, list)));
    }

    /// @dev True if `signer`'s key made the signature: 65 bytes, v of 27 or 28, low s.
    function _isEvidence(address signer, bytes32 digest, bytes calldata signature) internal pure returns (bool) {
        // The value left out only details the problem.
        // slither-disable-next-line unused-return
        (address recovered, ECDSA.RecoverError problem,) = ECDSA.tryRecoverCalldata(digest, signature);
        return problem == ECDSA.RecoverError.NoError && recovered == signer;
    }

    /// @dev True if the signer's key made the signature, or if `account` is a contract that vouches for it now.
    function _isConsent(address signer, address account, bytes32 digest, bytes calldata signature)
        internal
        view
        returns (bool)
    {
        return _isEvidence(signer, digest, signature)
            || (account.code.length != 0
                && SignatureChecker.isValidERC1271SignatureNowCalldata(account, digest, signature));
    }
}

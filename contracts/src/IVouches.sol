// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Which legal entity stands behind an account, in whose word
/// @notice Anyone with the attester's role vouches, in its own name; a vouch counts only where somebody trusts that very
/// attester. Entities are bytes32: a digest of a public registry's identifier. Several accounts may be the same entity's.
interface IVouches {
    /// @notice `attester` says that `account` is `entity`'s.
    event Vouched(address indexed attester, address indexed account, bytes32 indexed entity);
    /// @notice `attester` says so no longer; seats taken earlier stay.
    event VouchRevoked(address indexed attester, address indexed account, bytes32 indexed entity);

    /// @notice An entity of zero is nobody.
    error EntityMissing();
    /// @notice The attester vouches for the account already; it revokes that first.
    error AlreadyVouched(address account, bytes32 entity);
    /// @notice The attester does not vouch for the account.
    error VouchMissing(address attester, address account);

    /// @notice Say that an account is a legal entity's; a member with the attester's role.
    function vouch(address account, bytes32 entity) external;

    /// @notice Take back what the caller said of an account.
    function revoke(address account) external;

    /// @notice Whose the account is in the attester's word; zero if it says nothing.
    function entityOf(address attester, address account) external view returns (bytes32);
}

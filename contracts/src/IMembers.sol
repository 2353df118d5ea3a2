// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A registered party. `roles` is zero for an account that is no member.
struct Member {
    /// Bit flags, see `Roles`.
    uint8 roles;
    /// Address of the key that signs protocol messages; apart from the account that holds money.
    address signer;
    /// SHA-256 of the ML-DSA-65 public key that vouches for the keys to which shares are sealed.
    bytes32 agreementKey;
}

/// @notice What a member may do; one account may hold several.
library Roles {
    uint8 internal constant STEWARD = 1;
    uint8 internal constant BUYER = 2;
    uint8 internal constant COORDINATOR = 4;
    uint8 internal constant ATTESTER = 8;
    uint8 internal constant AGGREGATOR = 16;
    uint8 internal constant EVALUATOR = 32;
    uint8 internal constant ALL = 63;
}

/// @title Who takes part, and with which keys
interface IMembers {
    /// @notice `account` joined. `profile` is the digest of what it says of itself, kept elsewhere.
    event MemberRegistered(
        address indexed account, uint8 roles, address signer, bytes32 agreementKey, bytes32 profile
    );
    /// @notice `account` replaced its keys; seats taken earlier keep the old ones.
    event MemberRekeyed(address indexed account, address signer, bytes32 agreementKey);
    /// @notice `account` changed what it may do.
    event MemberRolesSet(address indexed account, uint8 roles);
    /// @notice `account` is a member no more; its seats and its money stay.
    event MemberResigned(address indexed account);

    /// @notice The account is registered already; use `rekey` or `setRoles`.
    error AlreadyMember(address account);
    /// @notice The account has not registered.
    error NotMember(address account);
    /// @notice The member does not hold the role that this needs.
    error RoleMissing(address account, uint8 role);
    /// @notice No role at all, or flags that mean nothing.
    error RolesUnknown(uint8 roles);
    /// @notice A signer or agreement key of zero could never be used.
    error KeyMissing();

    /// @notice Join with at least one role. Anyone may: vouching for identity is the attesters' work.
    /// @param roles        Bit flags, see `Roles`.
    /// @param signer       Address of the key that will sign protocol messages.
    /// @param agreementKey SHA-256 of the ML-DSA-65 public key that vouches for the member's agreement keys.
    /// @param profile      Digest of the member's own description; only the event keeps it.
    function register(uint8 roles, address signer, bytes32 agreementKey, bytes32 profile) external;

    /// @notice Replace both keys, from the next seat on.
    function rekey(address signer, bytes32 agreementKey) external;

    /// @notice Replace the caller's roles.
    function setRoles(uint8 roles) external;

    /// @notice Stop being a member.
    function resign() external;

    /// @notice The member at `account`; all zero for an account that is none.
    function member(address account) external view returns (Member memory);

    /// @notice The member at `account`, which must hold `role`; reverts with the reason otherwise.
    function memberWith(address account, uint8 role) external view returns (Member memory);

    /// @notice Revert unless `account` holds `role`.
    function requireRole(address account, uint8 role) external view;
}

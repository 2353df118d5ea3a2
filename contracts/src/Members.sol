// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMembers, Member, Roles} from "./IMembers.sol";

/// @title Who takes part, and with which keys
/// @notice Each account writes its own entry and nobody else's; there is no administrator.
contract Members is IMembers {
    mapping(address account => Member) private _members;

    /// @inheritdoc IMembers
    function register(uint8 roles, address signer, bytes32 agreementKey, bytes32 profile) external {
        if (_members[msg.sender].roles != 0) revert AlreadyMember(msg.sender);
        _checkRoles(roles);
        _checkKeys(signer, agreementKey);
        _members[msg.sender] = Member(roles, signer, agreementKey);
        emit MemberRegistered(msg.sender, roles, signer, agreementKey, profile);
    }

    /// @inheritdoc IMembers
    function rekey(address signer, bytes32 agreementKey) external {
        Member storage entry = _own();
        _checkKeys(signer, agreementKey);
        entry.signer = signer;
        entry.agreementKey = agreementKey;
        emit MemberRekeyed(msg.sender, signer, agreementKey);
    }

    /// @inheritdoc IMembers
    function setRoles(uint8 roles) external {
        Member storage entry = _own();
        _checkRoles(roles);
        entry.roles = roles;
        emit MemberRolesSet(msg.sender, roles);
    }

    /// @inheritdoc IMembers
    function resign() external {
        _own();
        delete _members[msg.sender];
        emit MemberResigned(msg.sender);
    }

    /// @inheritdoc IMembers
    function member(address account) external view returns (Member memory) {
        return _members[account];
    }

    /// @inheritdoc IMembers
    function memberWith(address account, uint8 role) external view returns (Member memory entry) {
        entry = _members[account];
        _checkHolds(account, entry.roles, role);
    }

    /// @inheritdoc IMembers
    function requireRole(address account, uint8 role) external view {
        _checkHolds(account, _members[account].roles, role);
    }

    function _own() private view returns (Member storage entry) {
        entry = _members[msg.sender];
        if (entry.roles == 0) revert NotMember(msg.sender);
    }

    function _checkHolds(address account, uint8 roles, uint8 role) private pure {
        if (roles == 0) revert NotMember(account);
        if (roles & role != role) revert RoleMissing(account, role);
    }

    function _checkRoles(uint8 roles) private pure {
        if (roles == 0 || roles > Roles.ALL) revert RolesUnknown(roles);
    }

    function _checkKeys(address signer, bytes32 agreementKey) private pure {
        if (signer == address(0) || agreementKey == 0) revert KeyMissing();
    }
}

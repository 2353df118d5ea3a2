// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMembers, Roles} from "./IMembers.sol";
import {IVouches} from "./IVouches.sol";

/// @title Which legal entity stands behind an account, in whose word
/// @notice Each attester writes its own list and nobody else's.
contract Vouches is IVouches {
    /// @notice Where attesters are registered.
    IMembers public immutable members;

    mapping(address attester => mapping(address account => bytes32)) private _entities;

    /// @param members_ Where attesters are registered.
    constructor(IMembers members_) {
        members = members_;
    }

    /// @inheritdoc IVouches
    function vouch(address account, bytes32 entity) external {
        members.requireRole(msg.sender, Roles.ATTESTER);
        if (entity == 0) revert EntityMissing();
        bytes32 before = _entities[msg.sender][account];
        if (before != 0) revert AlreadyVouched(account, before);
        _entities[msg.sender][account] = entity;
        emit Vouched(msg.sender, account, entity);
    }

    /// @inheritdoc IVouches
    function revoke(address account) external {
        bytes32 entity = _entities[msg.sender][account];
        if (entity == 0) revert VouchMissing(msg.sender, account);
        delete _entities[msg.sender][account];
        emit VouchRevoked(msg.sender, account, entity);
    }

    /// @inheritdoc IVouches
    function entityOf(address attester, address account) external view returns (bytes32) {
        return _entities[attester][account];
    }
}

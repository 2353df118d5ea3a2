// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Dataset, IDatasets} from "./IDatasets.sol";
import {IMembers, Roles} from "./IMembers.sol";

/// @title Which data sets exist, under which terms
/// @notice One storage slot per data set: the id commits to the digests, and the event carries them.
contract Datasets is IDatasets {
    /// @notice Where stewards are registered.
    IMembers public immutable members;

    mapping(bytes32 id => Dataset) private _datasets;

    /// @param members_ Where stewards are registered.
    constructor(IMembers members_) {
        members = members_;
    }

    /// @inheritdoc IDatasets
    function register(bytes32 commitment, bytes32 card, bytes32 terms, uint64 budgetMicro)
        external
        returns (bytes32 id)
    {
        members.requireRole(msg.sender, Roles.STEWARD);
        if (commitment == 0) revert CommitmentMissing();
        id = idOf(msg.sender, commitment, card, terms, budgetMicro);
        if (_datasets[id].steward != address(0)) revert DatasetKnown(id);
        _datasets[id] = Dataset(msg.sender, budgetMicro, true);
        emit DatasetRegistered(id, msg.sender, commitment, card, terms, budgetMicro);
    }

    /// @inheritdoc IDatasets
    function withdraw(bytes32 id) external {
        requireOffered(id, msg.sender);
        _datasets[id].active = false;
        emit DatasetWithdrawn(id, msg.sender);
    }

    /// @inheritdoc IDatasets
    function idOf(address steward, bytes32 commitment, bytes32 card, bytes32 terms, uint64 budgetMicro)
        public
        pure
        returns (bytes32)
    {
        return keccak256(abi.encode(steward, commitment, card, terms, budgetMicro));
    }

    /// @inheritdoc IDatasets
    function dataset(bytes32 id) external view returns (Dataset memory) {
        return _datasets[id];
    }

    /// @inheritdoc IDatasets
    function isActive(bytes32 id) external view returns (bool) {
        return _datasets[id].active;
    }

    /// @inheritdoc IDatasets
    function stewardOf(bytes32 id) external view returns (address) {
        return _datasets[id].steward;
    }

    /// @inheritdoc IDatasets
    function requireOffered(bytes32 id, address steward) public view {
        Dataset memory entry = _datasets[id];
        if (!entry.active) revert DatasetInactive(id);
        if (entry.steward != steward) revert NotSteward(id, steward);
    }
}

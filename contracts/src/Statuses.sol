// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IStatuses} from "./IStatuses.sol";

/// @title Which status list of an issuer of credentials is the newest
/// @notice Each issuer writes its own entry and nobody else's.
contract Statuses is IStatuses {
    /// @dev The newest list's digest, and how many came up to it.
    struct Entry {
        bytes32 root;
        uint64 sequence;
    }

    mapping(address issuer => Entry) private _entries;

    /// @inheritdoc IStatuses
    function publish(bytes32 root) external returns (uint64 sequence) {
        if (root == 0) revert RootMissing();
        Entry storage entry = _entries[msg.sender];
        sequence = entry.sequence + 1;
        entry.root = root;
        entry.sequence = sequence;
        emit StatusPublished(msg.sender, sequence, root);
    }

    /// @inheritdoc IStatuses
    function rootOf(address issuer) external view returns (bytes32) {
        return _entries[issuer].root;
    }

    /// @inheritdoc IStatuses
    function sequenceOf(address issuer) external view returns (uint64) {
        return _entries[issuer].sequence;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice What the chain records of one round.
struct Entry {
    /// Merkle root over the seats' upload leaves.
    bytes32 root;
    /// Digest of the state after the round.
    bytes32 model;
    /// Digest of the round's record: the list of blobs from which the round can be replayed.
    bytes32 record;
}

/// @notice Shows that an entry is in a job's history: the head before it, the entry, and all later ones.
struct RoundProof {
    /// The head as it stood before the round; its low 16 bits are the round's number.
    bytes32 before;
    /// The round's entry, then every later round's, in order.
    Entry[] entries;
}

/// @title A job's history in one word
/// @notice The low 16 bits count the rounds anchored so far; the upper 240 bits are a hash chain over their entries.
/// Truncation leaves 120 bits against collisions, and a forger needs a second preimage.
library RollingHead {
    /// @notice The proof names no entry.
    error ProofEmpty();
    /// @notice The entries do not lead to the job's head.
    error ProofMismatch(bytes32 reached, bytes32 head);

    uint256 private constant COUNT = 0xffff;

    /// @notice The head of a job in which nothing has been anchored.
    function start(bytes32 job, uint256 sites) internal pure returns (bytes32) {
        return bytes32(uint256(keccak256(abi.encode(job, sites))) & ~COUNT);
    }

    /// @notice How many rounds a head covers.
    function count(bytes32 head) internal pure returns (uint256) {
        return uint256(head) & COUNT;
    }

    /// @notice The head after one more round. The caller keeps the count below 2**16 - 1.
    function push(bytes32 head, bytes32 root, bytes32 model, bytes32 record) internal pure returns (bytes32) {
        uint256 link = uint256(keccak256(abi.encode(head, root, model, record))) & ~COUNT;
        return bytes32(link | (count(head) + 1));
    }

    /// @notice The proven round's number and Merkle root; reverts unless the proof leads to `head`.
    function open(bytes32 head, RoundProof calldata proof) internal pure returns (uint256 round, bytes32 root) {
        uint256 length = proof.entries.length;
        if (length == 0) revert ProofEmpty();
        bytes32 reached = proof.before;
        for (uint256 i = 0; i < length; ++i) {
            Entry calldata entry = proof.entries[i];
            reached = push(reached, entry.root, entry.model, entry.record);
        }
        if (reached != head) revert ProofMismatch(reached, head);
        return (count(proof.before), proof.entries[0].root);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Merkle trees over SHA-256 with a fixed position per leaf
/// @notice leaf = sha256(0x00 || data), node = sha256(0x01 || left || right), padded on the right to a power of two with
/// 32 zero bytes. The prefixes keep a leaf from passing for a node. The same bytes as the Python package's trees.
library MerkleSha256 {
    /// @notice The position needs more levels than the proof has siblings.
    error PositionOutsideTree(uint256 position, uint256 depth);

    /// @notice Digest of a leaf's data.
    function leafOf(bytes memory data) internal pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x00), data));
    }

    /// @notice The root of the tree that holds `leaf` at `position` beside the given siblings, bottom up.
    function rootOf(bytes32 leaf, uint256 position, bytes32[] calldata siblings) internal pure returns (bytes32 node) {
        if (position >> siblings.length != 0) revert PositionOutsideTree(position, siblings.length);
        node = leaf;
        for (uint256 level = 0; level < siblings.length; ++level) {
            node = (position >> level) & 1 == 0
                ? sha256(abi.encodePacked(bytes1(0x01), node, siblings[level]))
                : sha256(abi.encodePacked(bytes1(0x01), siblings[level], node));
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Which status list of an issuer of credentials is the newest
/// @notice Anyone may be an issuer, in its own name; an issuer counts only where somebody trusts that very account. The
/// list itself is kept elsewhere, and so is everything about those to whom credentials were given.
interface IStatuses {
    /// @notice `issuer`'s newest list has this digest; the first one's `sequence` is 1.
    event StatusPublished(address indexed issuer, uint64 indexed sequence, bytes32 root);

    /// @notice A digest of zero stands for an issuer that published nothing.
    error RootMissing();

    /// @notice Say which status list of the caller's counts from now on; the same one again says that it still does.
    /// @param root      Digest of the list.
    /// @return sequence How many the caller has published.
    function publish(bytes32 root) external returns (uint64 sequence);

    /// @notice Digest of an issuer's newest list; zero if it published none.
    function rootOf(address issuer) external view returns (bytes32);

    /// @notice How many lists an issuer has published.
    function sequenceOf(address issuer) external view returns (uint64);
}

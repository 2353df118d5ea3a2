// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A data set as the state keeps it; the rest is in its event, and its id commits to all of it.
struct Dataset {
    /// Who answers for the data; zero for an id that was never registered.
    address steward;
    /// Lifetime privacy budget in millionths of epsilon; 0 means that none was set.
    uint64 budgetMicro;
    /// False once withdrawn, for ever.
    bool active;
}

/// @title Which data sets exist, under which terms
interface IDatasets {
    /// @notice `steward` offered a data set; digests and a commitment, nothing made from a patient.
    event DatasetRegistered(
        bytes32 indexed dataset,
        address indexed steward,
        bytes32 commitment,
        bytes32 card,
        bytes32 terms,
        uint64 budgetMicro
    );
    /// @notice The steward took the data set off the market; jobs it already sits in go on.
    event DatasetWithdrawn(bytes32 indexed dataset, address indexed steward);

    /// @notice The same steward registered exactly this before.
    error DatasetKnown(bytes32 dataset);
    /// @notice The data set was withdrawn, or never registered.
    error DatasetInactive(bytes32 dataset);
    /// @notice The data set is another steward's.
    error NotSteward(bytes32 dataset, address caller);
    /// @notice A commitment of zero commits to nothing.
    error CommitmentMissing();

    /// @notice Offer a data set; the caller must be a member with the steward's role.
    /// @param commitment  Merkle root over salted record commitments.
    /// @param card        Digest of the data card.
    /// @param terms       Digest of the data-use terms.
    /// @param budgetMicro Lifetime privacy budget in millionths of epsilon; 0 sets none.
    /// @return id         See `idOf`.
    function register(bytes32 commitment, bytes32 card, bytes32 terms, uint64 budgetMicro)
        external
        returns (bytes32 id);

    /// @notice Take a data set off the market, for ever.
    function withdraw(bytes32 id) external;

    /// @notice The id that `register` gives: a digest of everything that was registered, so that whoever holds the
    /// event, from any source, can check it against the id.
    function idOf(address steward, bytes32 commitment, bytes32 card, bytes32 terms, uint64 budgetMicro)
        external
        pure
        returns (bytes32 id);

    /// @notice The data set as it stands; all zero for an unknown id.
    function dataset(bytes32 id) external view returns (Dataset memory);

    /// @notice True if registered and not withdrawn.
    function isActive(bytes32 id) external view returns (bool);

    /// @notice Who answers for the data set; zero for an unknown id.
    function stewardOf(bytes32 id) external view returns (address);

    /// @notice Revert with the reason unless the data set is active and `steward`'s.
    function requireOffered(bytes32 id, address steward) external view;
}

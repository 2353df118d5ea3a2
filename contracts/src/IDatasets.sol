// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @notice A data set as the state keeps it; the rest is in its event, and its id commits to all that was registered.
/// Epsilon is counted in millionths, delta in millionths of a millionth.
struct Dataset {
    /// Who answers for the data; zero for an id that was never registered.
    address steward;
    /// Lifetime privacy budget in epsilon; 0 means that none was set.
    uint64 epsilonMicro;
    /// False once withdrawn or superseded, for ever.
    bool active;
    /// True once a newer version was registered.
    bool superseded;
    /// The newest verdict that the steward stated of it, see `Readiness`.
    uint8 readiness;
    /// Lifetime privacy budget in delta; 0 means that none was set.
    uint64 deltaPico;
    /// What jobs have spent of the epsilon, or have reserved and not given back.
    uint64 epsilonSpent;
    /// The same of delta.
    uint64 deltaSpent;
}

/// @notice Whether a data set is fit to be lent, as its steward states with the digest of a report.
library Readiness {
    /// No report was published.
    uint8 internal constant UNSTATED = 0;
    uint8 internal constant BLOCKED = 1;
    uint8 internal constant CONDITIONAL = 2;
    uint8 internal constant READY = 3;
}

/// @title Which data sets exist, under which terms, and what is left of their privacy budgets
/// @notice A budget is for life: what jobs spend adds up (basic composition) and nothing resets it, neither other terms
/// nor another card for the same records, nor a newer version of them. A data set without
/// a budget takes part in jobs that open exact sums only, one with a budget in jobs that spend privacy only: an exact
/// sum has no finite epsilon, so it would make any budget meaningless.
interface IDatasets {
    /// @notice `steward` offered a data set; digests and a commitment, nothing made from a patient.
    event DatasetRegistered(
        bytes32 indexed dataset,
        address indexed steward,
        bytes32 commitment,
        bytes32 card,
        bytes32 terms,
        uint64 epsilonMicro,
        uint64 deltaPico
    );
    /// @notice The steward took the data set off the market; jobs it already sits in go on.
    event DatasetWithdrawn(bytes32 indexed dataset, address indexed steward);
    /// @notice The data set is the next version of `previous` and has its budget; `DatasetRegistered` says the rest.
    event DatasetSuperseded(bytes32 indexed dataset, address indexed steward, bytes32 indexed previous);
    /// @notice The steward stated whether the data set is ready to be lent; the report itself is kept elsewhere.
    event ReadinessStated(bytes32 indexed dataset, address indexed steward, bytes32 report, uint8 verdict);
    /// @notice A job may now spend this much of the data set's budget.
    event BudgetReserved(bytes32 indexed dataset, bytes32 indexed job, uint64 epsilonMicro, uint64 deltaPico);
    /// @notice A job gave back what it had reserved and not spent.
    event BudgetReleased(bytes32 indexed dataset, bytes32 indexed job, uint64 epsilonMicro, uint64 deltaPico);

    /// @notice The same steward registered exactly this before.
    error DatasetKnown(bytes32 dataset);
    /// @notice The data set was withdrawn, or never registered.
    error DatasetInactive(bytes32 dataset);
    /// @notice The data set is another steward's.
    error NotSteward(bytes32 dataset, address caller);
    /// @notice A commitment of zero commits to nothing.
    error CommitmentMissing();
    /// @notice The same records have another budget, for life: their steward registered it before.
    error BudgetDiffers(uint64 epsilonMicro, uint64 deltaPico);
    /// @notice The records have a privacy budget of their own already, so they can't share the previous version's.
    error BudgetApart(bytes32 commitment);
    /// @notice The data set has a newer version already; that one can be superseded.
    error AlreadySuperseded(bytes32 dataset);
    /// @notice A verdict stands on a report.
    error ReportMissing();
    /// @notice A verdict is blocked, conditional or ready.
    error VerdictUnknown(uint8 verdict);
    /// @notice The job asks for a better verdict than was stated of the data set.
    error ReadinessBelow(bytes32 dataset, uint8 readiness, uint8 asked);
    /// @notice A budget names both epsilon and delta, or neither.
    error BudgetIncomplete(uint64 epsilonMicro, uint64 deltaPico);
    /// @notice The job opens exact sums, and the data set has a privacy budget.
    error ExactSumsRefused(bytes32 dataset);
    /// @notice The job asks for more than is left of the budget; nothing is left where none was set.
    error BudgetExceeded(
        bytes32 dataset, uint64 epsilonMicro, uint64 epsilonLeft, uint64 deltaPico, uint64 deltaLeft
    );
    /// @notice Only the jobs' contract reserves and releases.
    error NotSpender(address caller, address spender);

    /// @notice Offer a data set; the caller must be a member with the steward's role.
    /// @param commitment   Merkle root over salted record commitments.
    /// @param card         Digest of the data card.
    /// @param terms        Digest of the data-use terms.
    /// @param epsilonMicro Lifetime privacy budget in millionths of epsilon.
    /// @param deltaPico    Lifetime privacy budget in millionths of a millionth of delta; both 0 set none.
    /// @return id          See `idOf`.
    function register(bytes32 commitment, bytes32 card, bytes32 terms, uint64 epsilonMicro, uint64 deltaPico)
        external
        returns (bytes32 id);

    /// @notice Offer a newer version of a data set, such as with a patient less; its steward, once. The privacy budget is
    /// the previous version's, with what was spent of it, and is that of the new records from now on, whoever of the
    /// steward's data sets they are registered in. Nothing is stated of its readiness. The previous version is withdrawn, if
    /// it was not before; jobs that it sits in go on.
    /// @param previous     The version that is superseded.
    /// @param commitment   As in `register`; may be the previous version's.
    /// @param card         As in `register`.
    /// @param terms        As in `register`.
    /// @return id          See `idOf`.
    function supersede(bytes32 previous, bytes32 commitment, bytes32 card, bytes32 terms)
        external
        returns (bytes32 id);

    /// @notice State whether a data set is ready to be lent; its steward, as often as it likes: the newest verdict counts.
    /// @param report  Digest of the report on which the verdict stands.
    /// @param verdict See `Readiness`; UNSTATED is none.
    function stateReadiness(bytes32 id, bytes32 report, uint8 verdict) external;

    /// @notice Take a data set off the market, for ever; nothing is reserved of its budget afterwards.
    function withdraw(bytes32 id) external;

    /// @notice Let a job take part with a data set and spend of its budget; the spender.
    /// @param steward      Who must answer for the data set.
    /// @param epsilonMicro What the job may spend at most; 0 if it opens exact sums, and then nothing is reserved.
    /// @param deltaPico    The same of delta.
    /// @param asked        The least verdict with which the data set may take part; 0 asks for none.
    /// @return readiness   The verdict that was stated of the data set.
    function reserve(
        bytes32 id,
        address steward,
        bytes32 job,
        uint64 epsilonMicro,
        uint64 deltaPico,
        uint8 asked
    ) external returns (uint8 readiness);

    /// @notice Give back a part of what `job` reserved and has not spent; the spender. Withdrawn data sets too.
    function release(bytes32 id, bytes32 job, uint64 epsilonMicro, uint64 deltaPico) external;

    /// @notice The one contract that may reserve and release, for ever.
    function spender() external view returns (address);

    /// @notice The id that `register` and `supersede` give: a digest of everything that was registered, so that whoever
    /// holds the event, from any source, can check it against the id.
    /// @param previous The version that it supersedes; zero for a first one.
    function idOf(
        address steward,
        bytes32 commitment,
        bytes32 card,
        bytes32 terms,
        uint64 epsilonMicro,
        uint64 deltaPico,
        bytes32 previous
    ) external pure returns (bytes32 id);

    /// @notice The data set as it stands; all zero for an unknown id.
    function dataset(bytes32 id) external view returns (Dataset memory);

    /// @notice What is neither spent nor reserved of the budget; zero where none was set.
    function left(bytes32 id) external view returns (uint64 epsilonMicro, uint64 deltaPico);

    /// @notice True if registered and not withdrawn.
    function isActive(bytes32 id) external view returns (bool);

    /// @notice Who answers for the data set; zero for an unknown id.
    function stewardOf(bytes32 id) external view returns (address);
}

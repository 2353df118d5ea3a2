// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Dataset, IDatasets, Readiness} from "./IDatasets.sol";
import {IMembers, Roles} from "./IMembers.sol";

/// @title Which data sets exist, under which terms, and what is left of their privacy budgets
/// @notice Two storage slots per data set: the id commits to the digests, and the event carries them. Data sets of the
/// same steward and records have one budget, and so have all versions of a data set.
contract Datasets is IDatasets {
    /// @dev `records` says under which key the privacy budget is, `limited` whether the data set has a part in it. What
    /// enrolling asks first is in one slot.
    struct Entry {
        address steward;
        bool active;
        bool superseded;
        bool limited;
        uint8 readiness;
        bytes32 records;
    }

    struct Budget {
        uint64 epsilonMicro;
        uint64 deltaPico;
        uint64 epsilonSpent;
        uint64 deltaSpent;
    }

    /// @notice Where stewards are registered.
    IMembers public immutable members;
    /// @inheritdoc IDatasets
    address public immutable spender;

    mapping(bytes32 id => Entry) private _datasets;
    mapping(bytes32 records => Budget) private _budgets;
    /// @dev Records that share the budget of others, since a version of a data set is made of each; zero for those that
    /// stand for themselves. Records with a budget of their own always do, so no budget is ever left behind.
    mapping(bytes32 records => bytes32) private _joined;

    /// @param members_ Where stewards are registered.
    /// @param spender_ The jobs' contract, which is deployed afterwards at an address that is known before; nobody can
    /// change it later.
    constructor(IMembers members_, address spender_) {
        members = members_;
        // Where no contract ever is, nobody can spend: such data sets are of no use and do no harm.
        // slither-disable-next-line missing-zero-check
        spender = spender_;
    }

    /// @inheritdoc IDatasets
    function register(bytes32 commitment, bytes32 card, bytes32 terms, uint64 epsilonMicro, uint64 deltaPico)
        external
        returns (bytes32 id)
    {
        members.requireRole(msg.sender, Roles.STEWARD);
        if (commitment == 0) revert CommitmentMissing();
        if ((epsilonMicro == 0) != (deltaPico == 0)) revert BudgetIncomplete(epsilonMicro, deltaPico);
        id = idOf(msg.sender, commitment, card, terms, epsilonMicro, deltaPico, 0);
        _offer(id, _budgetKey(_records(commitment)), epsilonMicro, deltaPico);
        emit DatasetRegistered(id, msg.sender, commitment, card, terms, epsilonMicro, deltaPico);
    }

    /// @inheritdoc IDatasets
    function supersede(bytes32 previous, bytes32 commitment, bytes32 card, bytes32 terms)
        external
        returns (bytes32 id)
    {
        members.requireRole(msg.sender, Roles.STEWARD);
        if (commitment == 0) revert CommitmentMissing();
        Entry storage entry = _datasets[previous];
        if (entry.steward != msg.sender) revert NotSteward(previous, msg.sender);
        if (entry.superseded) revert AlreadySuperseded(previous);
        bytes32 key = _budgetKey(entry.records);
        _join(commitment, key);
        Budget storage budget = _budgetOf(entry);
        (uint64 epsilonMicro, uint64 deltaPico) = (budget.epsilonMicro, budget.deltaPico);
        entry.superseded = true;
        if (entry.active) {
            entry.active = false;
            emit DatasetWithdrawn(previous, msg.sender);
        }
        id = idOf(msg.sender, commitment, card, terms, epsilonMicro, deltaPico, previous);
        _offer(id, key, epsilonMicro, deltaPico);
        emit DatasetRegistered(id, msg.sender, commitment, card, terms, epsilonMicro, deltaPico);
        emit DatasetSuperseded(id, msg.sender, previous);
    }

    /// @dev Other terms or another card do not give the same records another budget, nor none.
    function _offer(bytes32 id, bytes32 records, uint64 epsilonMicro, uint64 deltaPico) private {
        Entry storage entry = _datasets[id];
        if (entry.steward != address(0)) revert DatasetKnown(id);
        entry.steward = msg.sender;
        entry.active = true;
        entry.limited = epsilonMicro != 0;
        entry.records = records;
        Budget storage budget = _budgets[records];
        if (budget.epsilonMicro != 0) {
            if (budget.epsilonMicro != epsilonMicro || budget.deltaPico != deltaPico) {
                revert BudgetDiffers(budget.epsilonMicro, budget.deltaPico);
            }
        } else if (epsilonMicro != 0) {
            budget.epsilonMicro = epsilonMicro;
            budget.deltaPico = deltaPico;
        }
    }

    /// @dev The caller's records of this commitment share the budget under `key` from now on.
    function _join(bytes32 commitment, bytes32 key) private {
        bytes32 own = _budgetKey(_records(commitment));
        if (own == key) return;
        if (_budgets[own].epsilonMicro != 0) revert BudgetApart(commitment);
        _joined[own] = key;
    }

    /// @inheritdoc IDatasets
    function stateReadiness(bytes32 id, bytes32 report, uint8 verdict) external {
        if (report == 0) revert ReportMissing();
        if (verdict == Readiness.UNSTATED || verdict > Readiness.READY) revert VerdictUnknown(verdict);
        _offered(id, msg.sender).readiness = verdict;
        emit ReadinessStated(id, msg.sender, report, verdict);
    }

    /// @inheritdoc IDatasets
    function withdraw(bytes32 id) external {
        _offered(id, msg.sender).active = false;
        emit DatasetWithdrawn(id, msg.sender);
    }

    // ------------------------------------------------------------------ the privacy budget

    /// @inheritdoc IDatasets
    function reserve(
        bytes32 id,
        address steward,
        bytes32 job,
        uint64 epsilonMicro,
        uint64 deltaPico,
        uint8 asked
    ) external returns (uint8 readiness) {
        _onlySpender();
        Entry storage entry = _offered(id, steward);
        readiness = entry.readiness;
        if (readiness < asked) revert ReadinessBelow(id, readiness, asked);
        if (epsilonMicro == 0) {
            if (entry.limited) revert ExactSumsRefused(id);
            return readiness;
        }
        (uint64 epsilonLeft, uint64 deltaLeft) = left(id);
        if (epsilonMicro > epsilonLeft || deltaPico > deltaLeft) {
            revert BudgetExceeded(id, epsilonMicro, epsilonLeft, deltaPico, deltaLeft);
        }
        Budget storage budget = _budgetOf(entry);
        budget.epsilonSpent += epsilonMicro;
        budget.deltaSpent += deltaPico;
        emit BudgetReserved(id, job, epsilonMicro, deltaPico);
    }

    /// @inheritdoc IDatasets
    function release(bytes32 id, bytes32 job, uint64 epsilonMicro, uint64 deltaPico) external {
        _onlySpender();
        Budget storage budget = _budgets[_datasets[id].records]; // only of a data set with a budget is anything reserved
        budget.epsilonSpent -= epsilonMicro;
        budget.deltaSpent -= deltaPico;
        emit BudgetReleased(id, job, epsilonMicro, deltaPico);
    }

    // ------------------------------------------------------------------ reading

    /// @inheritdoc IDatasets
    function idOf(
        address steward,
        bytes32 commitment,
        bytes32 card,
        bytes32 terms,
        uint64 epsilonMicro,
        uint64 deltaPico,
        bytes32 previous
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(steward, commitment, card, terms, epsilonMicro, deltaPico, previous));
    }

    /// @inheritdoc IDatasets
    function dataset(bytes32 id) external view returns (Dataset memory) {
        Entry storage entry = _datasets[id];
        Budget storage budget = _budgetOf(entry);
        return Dataset({
            steward: entry.steward,
            epsilonMicro: budget.epsilonMicro,
            active: entry.active,
            superseded: entry.superseded,
            readiness: entry.readiness,
            deltaPico: budget.deltaPico,
            epsilonSpent: budget.epsilonSpent,
            deltaSpent: budget.deltaSpent
        });
    }

    /// @inheritdoc IDatasets
    function left(bytes32 id) public view returns (uint64 epsilonMicro, uint64 deltaPico) {
        Budget storage budget = _budgetOf(_datasets[id]);
        return (budget.epsilonMicro - budget.epsilonSpent, budget.deltaPico - budget.deltaSpent);
    }

    /// @inheritdoc IDatasets
    function isActive(bytes32 id) external view returns (bool) {
        return _datasets[id].active;
    }

    /// @inheritdoc IDatasets
    function stewardOf(bytes32 id) external view returns (address) {
        return _datasets[id].steward;
    }

    // ------------------------------------------------------------------ where budgets are

    /// @dev Which records of the caller's a commitment is made of.
    function _records(bytes32 commitment) private view returns (bytes32) {
        return keccak256(abi.encode(msg.sender, commitment));
    }

    /// @dev Where the budget of records is. More than a step is taken only where a steward made a version of records that
    /// it had offered before without a budget; there is no circle, for only keys that lead nowhere are joined.
    function _budgetKey(bytes32 records) private view returns (bytes32 key) {
        key = records;
        for (bytes32 next = _joined[key]; next != 0; next = _joined[key]) {
            key = next;
        }
    }

    /// @dev All zero for a data set without a budget: nothing is ever kept under the key zero.
    function _budgetOf(Entry storage entry) private view returns (Budget storage) {
        return _budgets[entry.limited ? entry.records : bytes32(0)];
    }

    // ------------------------------------------------------------------ guards

    function _onlySpender() private view {
        if (msg.sender != spender) revert NotSpender(msg.sender, spender);
    }

    /// @dev Reverts with the reason unless the data set is active and `steward`'s.
    function _offered(bytes32 id, address steward) private view returns (Entry storage entry) {
        entry = _datasets[id];
        if (!entry.active) revert DatasetInactive(id);
        if (entry.steward != steward) revert NotSteward(id, steward);
    }
}

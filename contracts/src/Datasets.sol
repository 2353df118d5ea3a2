// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Dataset, IDatasets} from "./IDatasets.sol";
import {IMembers, Roles} from "./IMembers.sol";

/// @title Which data sets exist, under which terms, and what is left of their privacy budgets
/// @notice One storage slot per data set, and a second where there is a budget: the id commits to the digests, and the
/// event carries them. Data sets of the same steward and records have one budget.
contract Datasets is IDatasets {
    /// @dev `budget` is where the privacy budget is kept; zero for a data set without one.
    struct Entry {
        address steward;
        bool active;
        bytes32 budget;
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
        id = idOf(msg.sender, commitment, card, terms, epsilonMicro, deltaPico);
        Entry storage entry = _datasets[id];
        if (entry.steward != address(0)) revert DatasetKnown(id);
        entry.steward = msg.sender;
        entry.active = true;
        _share(entry, keccak256(abi.encode(msg.sender, commitment)), epsilonMicro, deltaPico);
        emit DatasetRegistered(id, msg.sender, commitment, card, terms, epsilonMicro, deltaPico);
    }

    /// @dev Other terms or another card do not give the same records another budget, nor none.
    function _share(Entry storage entry, bytes32 records, uint64 epsilonMicro, uint64 deltaPico) private {
        Budget storage budget = _budgets[records];
        if (budget.epsilonMicro != 0) {
            if (budget.epsilonMicro != epsilonMicro || budget.deltaPico != deltaPico) {
                revert BudgetDiffers(budget.epsilonMicro, budget.deltaPico);
            }
        } else if (epsilonMicro != 0) {
            budget.epsilonMicro = epsilonMicro;
            budget.deltaPico = deltaPico;
        }
        if (epsilonMicro != 0) entry.budget = records;
    }

    /// @inheritdoc IDatasets
    function withdraw(bytes32 id) external {
        _offered(id, msg.sender).active = false;
        emit DatasetWithdrawn(id, msg.sender);
    }

    // ------------------------------------------------------------------ the privacy budget

    /// @inheritdoc IDatasets
    function reserve(bytes32 id, address steward, bytes32 job, uint64 epsilonMicro, uint64 deltaPico) external {
        _onlySpender();
        bytes32 records = _offered(id, steward).budget;
        if (epsilonMicro == 0) {
            if (records != 0) revert ExactSumsRefused(id);
            return;
        }
        (uint64 epsilonLeft, uint64 deltaLeft) = left(id);
        if (epsilonMicro > epsilonLeft || deltaPico > deltaLeft) {
            revert BudgetExceeded(id, epsilonMicro, epsilonLeft, deltaPico, deltaLeft);
        }
        Budget storage budget = _budgets[records];
        budget.epsilonSpent += epsilonMicro;
        budget.deltaSpent += deltaPico;
        emit BudgetReserved(id, job, epsilonMicro, deltaPico);
    }

    /// @inheritdoc IDatasets
    function release(bytes32 id, bytes32 job, uint64 epsilonMicro, uint64 deltaPico) external {
        _onlySpender();
        Budget storage budget = _budgets[_datasets[id].budget];
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
        uint64 deltaPico
    ) public pure returns (bytes32) {
        return keccak256(abi.encode(steward, commitment, card, terms, epsilonMicro, deltaPico));
    }

    /// @inheritdoc IDatasets
    function dataset(bytes32 id) external view returns (Dataset memory) {
        Entry storage entry = _datasets[id];
        Budget storage budget = _budgets[entry.budget];
        return Dataset({
            steward: entry.steward,
            epsilonMicro: budget.epsilonMicro,
            active: entry.active,
            deltaPico: budget.deltaPico,
            epsilonSpent: budget.epsilonSpent,
            deltaSpent: budget.deltaSpent
        });
    }

    /// @inheritdoc IDatasets
    function left(bytes32 id) public view returns (uint64 epsilonMicro, uint64 deltaPico) {
        Budget storage budget = _budgets[_datasets[id].budget];
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

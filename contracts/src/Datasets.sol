// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Dataset, IDatasets} from "./IDatasets.sol";
import {IMembers, Roles} from "./IMembers.sol";

/// @title Which data sets exist, under which terms, and what is left of their privacy budgets
/// @notice One storage slot per data set, and a second where there is a budget: the id commits to the digests, and the
/// event carries them.
contract Datasets is IDatasets {
    /// @notice Where stewards are registered.
    IMembers public immutable members;
    /// @inheritdoc IDatasets
    address public immutable spender;

    mapping(bytes32 id => Dataset) private _datasets;

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
        Dataset storage entry = _datasets[id];
        if (entry.steward != address(0)) revert DatasetKnown(id);
        entry.steward = msg.sender;
        entry.epsilonMicro = epsilonMicro;
        entry.active = true;
        if (deltaPico != 0) entry.deltaPico = deltaPico;
        emit DatasetRegistered(id, msg.sender, commitment, card, terms, epsilonMicro, deltaPico);
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
        Dataset storage entry = _offered(id, steward);
        if (epsilonMicro == 0) {
            if (entry.epsilonMicro != 0) revert ExactSumsRefused(id);
            return;
        }
        (uint64 epsilonLeft, uint64 deltaLeft) = left(id);
        if (epsilonMicro > epsilonLeft || deltaPico > deltaLeft) {
            revert BudgetExceeded(id, epsilonMicro, epsilonLeft, deltaPico, deltaLeft);
        }
        entry.epsilonSpent += epsilonMicro;
        entry.deltaSpent += deltaPico;
        emit BudgetReserved(id, job, epsilonMicro, deltaPico);
    }

    /// @inheritdoc IDatasets
    function release(bytes32 id, bytes32 job, uint64 epsilonMicro, uint64 deltaPico) external {
        _onlySpender();
        Dataset storage entry = _datasets[id];
        entry.epsilonSpent -= epsilonMicro;
        entry.deltaSpent -= deltaPico;
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
        return _datasets[id];
    }

    /// @inheritdoc IDatasets
    function left(bytes32 id) public view returns (uint64 epsilonMicro, uint64 deltaPico) {
        Dataset storage entry = _datasets[id];
        return (entry.epsilonMicro - entry.epsilonSpent, entry.deltaPico - entry.deltaSpent);
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
    function _offered(bytes32 id, address steward) private view returns (Dataset storage entry) {
        entry = _datasets[id];
        if (!entry.active) revert DatasetInactive(id);
        if (entry.steward != steward) revert NotSteward(id, steward);
    }
}

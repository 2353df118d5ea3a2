"""Running transactions and calls on the Ethereum virtual machine: py-evm's Prague rules on our own values.

Transactions come here only after `admission` has checked them against the same state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from eth.abc import AtomicDatabaseAPI, ComputationAPI
from eth.typing import JournalDBCheckpoint
from eth.vm.execution_context import ExecutionContext
from eth.vm.forks.prague.state import PragueState, PragueTransactionExecutor
from eth.vm.message import Message
from eth_typing import Address, BlockNumber, Hash32

from caduceus.edges.evm_embedded import blocks
from caduceus.edges.evm_embedded.accounts import NO_CODE, Accounts
from caduceus.edges.evm_embedded.admission import Account
from caduceus.edges.evm_embedded.blocks import Header, Log, Receipt
from caduceus.edges.evm_embedded.nodes import Nodes
from caduceus.edges.evm_embedded.transactions import Call, Transaction, contract_address

CREATE = Address(b"")


class Executor(PragueTransactionExecutor):
    """py-evm's transaction executor, without the checks that admission has made already."""

    def validate_transaction(self, transaction: Any) -> None:
        """Nothing: `admission` did it."""

    def build_evm_message(self, transaction: Any) -> Message:
        """Take the gas, count the nonce, and say what runs (Yellow Paper, section 6.2)."""
        call: Call = transaction
        state = self.vm_state
        state.delta_balance(call.sender, -call.gas * state.get_gas_price(transaction))
        state.increment_nonce(call.sender)
        gas = call.gas - call.intrinsic_gas
        if call.to == CREATE:
            created = contract_address(call.sender, call.nonce)
            return Message(gas, call.to, call.sender, call.value, b"", call.data, create_address=created)
        code, delegate = self.get_code_at_address(call.to)
        return Message(gas, call.to, call.sender, call.value, call.data, code, is_delegation=delegate is not None)


class State(PragueState):
    """py-evm's Prague state on a genesis that deploys no system contracts."""

    transaction_executor_class = Executor
    account_db_class = Accounts
    _account_db: Accounts

    def set_system_contracts(self) -> None:
        """Nothing to set: this chain has no beacon chain whose roots a contract could serve."""

    # Transient storage shares the accounts' undo, instead of a journal of its own.

    def snapshot(self) -> tuple[Hash32, JournalDBCheckpoint]:
        """Mark a point to which `revert` can go back."""
        return self._account_db.state_root, self._account_db.record()

    def revert(self, snapshot: tuple[Hash32, JournalDBCheckpoint]) -> None:
        """Undo every change since the mark."""
        self._account_db.discard(snapshot[1])

    def commit(self, snapshot: tuple[Hash32, JournalDBCheckpoint]) -> None:
        """Keep every change since the mark."""
        self._account_db.commit(snapshot[1])

    def get_transient_storage(self, address: Address, slot: int) -> bytes:
        """A value that lives as long as the transaction."""
        return self._account_db.get_transient(address, slot)

    def set_transient_storage(self, address: Address, slot: int, value: bytes) -> None:
        """Set a value that lives as long as the transaction."""
        self._account_db.set_transient(address, slot, value)

    def clear_transient_storage(self) -> None:
        """The transaction is over."""
        self._account_db.clear_transient()


@dataclass(frozen=True, slots=True)
class Network:
    """What execution needs to know besides headers and state."""

    chain_id: int
    nodes: Nodes


def state_at(network: Network, header: Header, root: bytes, ancestors: Iterable[bytes]) -> State:
    """The state with the given root, seen from inside the block of `header`."""
    context = ExecutionContext(
        coinbase=header.coinbase,
        timestamp=header.timestamp,
        block_number=BlockNumber(header.number),
        difficulty=0,
        mix_hash=Hash32(bytes(32)),
        gas_limit=header.gas_limit,
        prev_hashes=(Hash32(block) for block in ancestors),
        chain_id=network.chain_id,
        base_fee_per_gas=header.base_fee,
        excess_blob_gas=0,
    )
    return State(cast(AtomicDatabaseAPI, network.nodes), context, Hash32(root))


def account(state: State, address: Address) -> Account:
    """An account as admission needs to know it."""
    code = state.get_code_hash(address)
    return Account(
        nonce=state.get_nonce(address),
        balance=state.get_balance(address),
        has_code=code != NO_CODE,
    )


def apply(state: State, transaction: Transaction, gas_before: int) -> Receipt:
    """Run an admitted transaction on `state`, which it changes.

    gas_before  gas used in the block so far
    """
    state.lock_changes()
    computation = state.apply_transaction(transaction.call)  # type: ignore[arg-type]  # named as py-evm reads it
    logs = tuple(
        Log(address, tuple(topic.to_bytes(32, "big") for topic in topics), data)
        for address, topics, data in computation.get_log_entries()
    )
    used = gas_used(transaction.call, computation)
    return Receipt(
        kind=transaction.call.type_id,
        succeeded=computation.is_success,
        cumulative_gas=gas_before + used,
        logs=logs,
        bloom=blocks.bloom_of(logs),
    )


def gas_used(call: Call, computation: ComputationAPI) -> int:
    """What a call is charged: consumption less refunds, at least the floor (EIP-3529, EIP-7623)."""
    consumed = call.gas - computation.get_gas_remaining()
    refund = min(computation.get_gas_refund(), consumed // 5)
    return max(consumed - refund, call.floor_gas)


def close(state: State, draft: Header, transactions: Sequence[Transaction], receipts: Sequence[Receipt]) -> Header:
    """The header of a block whose transactions have run on `state`; the state's nodes become pending."""
    state.persist()
    return replace(
        draft,
        state_root=state.state_root,
        transaction_root=blocks.list_root([transaction.raw for transaction in transactions]),
        receipt_root=blocks.list_root([receipt.encode() for receipt in receipts]),
        bloom=blocks.merge_blooms(receipt.bloom for receipt in receipts),
        gas_used=receipts[-1].cumulative_gas if receipts else 0,
    )

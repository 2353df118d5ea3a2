"""JSON-RPC over an embedded chain: the methods that web3.py, a wallet and the gateway need.

Results and errors are those that a node sends, so that a client cannot tell the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from eth_hash.auto import keccak

from caduceus import __version__
from caduceus.edges.evm_embedded import blocks, calls, machine, params, render
from caduceus.edges.evm_embedded.blocks import Header, Sealed
from caduceus.edges.evm_embedded.chain import Chain
from caduceus.edges.evm_embedded.fees import SUGGESTED_TIP, fee_history
from caduceus.edges.evm_embedded.filters import Filter, Filters, Kind
from caduceus.edges.evm_embedded.history import Included, LogQuery
from caduceus.edges.evm_embedded.transactions import Call, read
from caduceus.edges.rpc import INVALID_PARAMS, METHOD_NOT_FOUND, REJECTED, RpcError
from caduceus.errors import Refused

Json = Any
_Method = Callable[..., Json]


class Node:
    """A chain that answers as a node does.

    chain  an open chain; closing it is its opener's business
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self._filters = Filters()
        self._methods = self._table()

    def request(self, method: str, params: Sequence[Any] = ()) -> Json:
        """Answer one request.

        method   such as "eth_blockNumber"
        params   JSON values, in the order of the method's parameters
        returns  the JSON value of the result

        Raises RpcError, with the code and the words of a node; Unavailable if the disk refuses, in which
        case nothing happened.
        """
        entry = self._methods.get(method)
        if entry is None:
            raise RpcError(METHOD_NOT_FOUND, f"the method {method} does not exist/is not available")
        answer, least, most = entry
        if not least <= len(params) <= most:
            raise RpcError(INVALID_PARAMS, f"{method} takes {least} to {most} parameters, got {len(params)}")
        try:
            with self.chain.lock:
                return answer(*params)
        except RpcError:
            raise
        except Refused as refusal:
            raise RpcError(REJECTED, str(refusal)) from None

    def _table(self) -> Mapping[str, tuple[_Method, int, int]]:
        return {
            "web3_clientVersion": (lambda: f"caduceus/{__version__}/py-evm", 0, 0),
            "web3_sha3": (lambda data: render.hexed(keccak(params.data(data, "data"))), 1, 1),
            "net_version": (lambda: str(self.chain.chain_id), 0, 0),
            "net_listening": (lambda: True, 0, 0),
            "eth_chainId": (lambda: hex(self.chain.chain_id), 0, 0),
            "eth_accounts": (list, 0, 0),
            "eth_syncing": (lambda: False, 0, 0),
            "eth_blockNumber": (lambda: hex(self.chain.head.header.number), 0, 0),
            "eth_gasPrice": (lambda: hex(self.chain.upcoming().base_fee + SUGGESTED_TIP), 0, 0),
            "eth_maxPriorityFeePerGas": (lambda: hex(SUGGESTED_TIP), 0, 0),
            "eth_feeHistory": (self._fee_history, 2, 3),
            "eth_getBalance": (self._balance, 1, 2),
            "eth_getCode": (self._code, 1, 2),
            "eth_getStorageAt": (self._storage, 2, 3),
            "eth_getTransactionCount": (self._transaction_count, 1, 2),
            "eth_call": (self._call, 1, 2),
            "eth_estimateGas": (self._estimate, 1, 2),
            "eth_sendRawTransaction": (self._send, 1, 1),
            "eth_getBlockByNumber": (self._block, 1, 2),
            "eth_getBlockByHash": (self._block, 1, 2),
            "eth_getBlockTransactionCountByNumber": (self._block_size, 1, 1),
            "eth_getBlockTransactionCountByHash": (self._block_size, 1, 1),
            "eth_getTransactionByHash": (self._transaction, 1, 1),
            "eth_getTransactionByBlockNumberAndIndex": (self._transaction_at, 2, 2),
            "eth_getTransactionByBlockHashAndIndex": (self._transaction_at, 2, 2),
            "eth_getTransactionReceipt": (self._receipt, 1, 1),
            "eth_getBlockReceipts": (self._block_receipts, 1, 1),
            "eth_getLogs": (lambda wanted: self._logs(self._query(wanted)), 1, 1),
            "eth_newFilter": (self._new_log_filter, 1, 1),
            "eth_newBlockFilter": (lambda: self._install(Kind.BLOCKS), 0, 0),
            "eth_newPendingTransactionFilter": (lambda: self._install(Kind.TRANSACTIONS), 0, 0),
            "eth_getFilterChanges": (self._filter_changes, 1, 1),
            "eth_getFilterLogs": (self._filter_logs, 1, 1),
            "eth_uninstallFilter": (lambda number: self._filters.remove(params.quantity(number, "filter")), 1, 1),
            "evm_increaseTime": (lambda seconds: self.chain.advance(params.quantity(seconds, "seconds")), 1, 1),
            "evm_setNextBlockTimestamp": (self._set_time, 1, 1),
            "evm_setAutomine": (self._set_automine, 1, 1),
            "evm_mine": (self._mine, 0, 1),
        }

    # ------------------------------------------------------------ accounts and state

    def _balance(self, address: Json, block: Json = "latest") -> Json:
        at = self._header(block)
        return hex(self.chain.account(params.address(address, "address"), at).balance)

    def _code(self, address: Json, block: Json = "latest") -> Json:
        state = self.chain.state(self._header(block))
        return render.hexed(state.get_code(params.address(address, "address")))

    def _storage(self, address: Json, slot: Json, block: Json = "latest") -> Json:
        state = self.chain.state(self._header(block))
        place = params.address(address, "address")
        value = state.get_storage(place, params.quantity(slot, "slot"))
        return render.hexed(value.to_bytes(32, "big"))

    def _transaction_count(self, address: Json, block: Json = "latest") -> Json:
        sender = params.address(address, "address")
        nonce = self.chain.account(sender, self._header(block)).nonce
        return hex(self.chain.pool.count_from(sender, nonce) if block == "pending" else nonce)

    # ------------------------------------------------------------ calls and sending

    def _call(self, wanted: Json, block: Json = "latest") -> Json:
        at = self._header(block)
        return render.hexed(calls.run(self.chain, self._as_call(wanted, at), at))

    def _estimate(self, wanted: Json, block: Json = "pending") -> Json:
        at = self._header(block)
        call = self._as_call(wanted, at)
        if call.max_fee_per_gas:
            spare = self.chain.account(call.sender, at).balance - call.value
            call = replace(call, gas=min(call.gas, max(spare, 0) // call.max_fee_per_gas))
        return hex(calls.estimate(self.chain, call, at))

    def _send(self, raw: Json) -> Json:
        return render.hexed(self.chain.send(params.data(raw, "transaction")))

    def _as_call(self, wanted: Json, at: Header) -> Call:
        fields = params.record(wanted, "transaction")
        given = fields.get("input", fields.get("data"))
        price = fields.get("gasPrice")
        fee = params.quantity(fields.get("maxFeePerGas", price if price is not None else 0), "maxFeePerGas")
        tip = params.quantity(
            fields.get("maxPriorityFeePerGas", fee if price is not None else 0), "maxPriorityFeePerGas"
        )
        gas = params.quantity(fields["gas"], "gas") if fields.get("gas") is not None else at.gas_limit
        return Call(
            sender=params.address(fields.get("from") or render.hexed(blocks.NO_ADDRESS), "from"),
            to=params.address(fields["to"], "to") if fields.get("to") else machine.CREATE,
            gas=min(gas, at.gas_limit),
            value=params.quantity(fields.get("value") or 0, "value"),
            data=params.data(given, "input") if given is not None else b"",
            nonce=0,  # filled in from the state
            max_fee_per_gas=fee,
            max_priority_fee_per_gas=min(tip, fee),
            access_list=tuple(
                (
                    params.address(params.record(entry, "accessList").get("address"), "accessList.address"),
                    tuple(params.quantity(slot, "storageKeys") for slot in entry.get("storageKeys") or ()),
                )
                for entry in fields.get("accessList") or ()
            ),
        )

    # ------------------------------------------------------------ blocks and transactions

    def _block(self, block: Json, full: Json = False) -> Json:
        if block == "pending":
            upcoming = blocks.seal(self.chain.upcoming())
            return render.block(upcoming, [], full=False) | {"hash": None, "nonce": None}
        sealed = self._sealed(block)
        if sealed is None:
            return None
        return render.block(sealed, self.chain.history.included(sealed.header.number), full=bool(full))

    def _block_size(self, block: Json) -> Json:
        sealed = self._sealed(block)
        return None if sealed is None else hex(len(self.chain.history.included(sealed.header.number)))

    def _transaction(self, wanted: Json) -> Json:
        key = params.data(wanted, "transaction hash", 32)
        found = self.chain.history.find(key)
        if found is not None:
            return self._render_transaction(found)
        waiting = self.chain.pool.find(key)
        return None if waiting is None else render.transaction(waiting, None, None)

    def _transaction_at(self, block: Json, position: Json) -> Json:
        sealed, index = self._sealed(block), params.quantity(position, "index")
        included = [] if sealed is None else self.chain.history.included(sealed.header.number)
        return self._render_transaction(included[index]) if index < len(included) else None

    def _render_transaction(self, item: Included) -> Json:
        return render.transaction(read(item.raw, item.sender), item, self.chain.history.known(item.block))

    def _receipt(self, wanted: Json) -> Json:
        found = self.chain.history.find(params.data(wanted, "transaction hash", 32))
        if found is None:
            return None
        return self._receipts(self.chain.history.known(found.block), found.position)[0]

    def _block_receipts(self, block: Json) -> Json:
        sealed = self._sealed(block)
        return None if sealed is None else self._receipts(sealed)

    def _receipts(self, sealed: Sealed, only: int | None = None) -> list[Json]:
        rendered: list[Json] = []
        gas = logs = 0
        for item in self.chain.history.included(sealed.header.number):
            if only is None or item.position == only:
                rendered.append(render.receipt(item, sealed, gas_before=gas, logs_before=logs))
            gas, logs = item.receipt.cumulative_gas, logs + len(item.receipt.logs)
        return rendered

    # ------------------------------------------------------------ logs and filters

    def _query(self, wanted: Json) -> LogQuery:
        fields = params.record(wanted, "filter")
        if fields.get("blockHash") is not None:
            sealed = self._sealed(fields["blockHash"])
            if sealed is None:
                raise RpcError(REJECTED, "unknown block")
            first = last = sealed.header.number
        else:
            first = self._bound(fields.get("fromBlock"))
            last = self._bound(fields.get("toBlock"))
        if first > last:
            raise params.invalid("fromBlock is after toBlock")
        places = params.one_or_many(fields.get("address"), "address")
        addresses = tuple(params.address(address, "address") for address in places)
        return LogQuery(first, last, addresses, params.topics(fields.get("topics")))

    def _bound(self, block: Json) -> int:
        place = params.block(block if block is not None else "latest", "block")
        if place == "earliest":
            return 0
        return place if isinstance(place, int) else self.chain.head.header.number

    def _logs(self, query: LogQuery) -> list[Json]:
        return [render.log(said) for said in self.chain.history.logs(query)]

    def _new_log_filter(self, wanted: Json) -> Json:
        fields = params.record(wanted, "filter")
        query = self._query({**fields, "fromBlock": None, "toBlock": None})
        first = self._bound(fields.get("fromBlock"))
        open_ended = fields.get("toBlock") in (None, "latest", "pending", "safe", "finalized")
        last = 2**63 - 1 if open_ended else self._bound(fields["toBlock"])
        seen = self.chain.head.header.number
        return hex(self._filters.install(Filter(Kind.LOGS, seen, replace(query, first=first, last=last))))

    def _install(self, kind: Kind) -> Json:
        return hex(self._filters.install(Filter(kind, self.chain.head.header.number)))

    def _filter_changes(self, number: Json) -> Json:
        wanted = self._filters.get(params.quantity(number, "filter"))
        first, last = wanted.seen + 1, self.chain.head.header.number
        wanted.seen = last
        if wanted.query is not None:
            query = replace(wanted.query, first=max(first, wanted.query.first), last=min(last, wanted.query.last))
            return self._logs(query)
        if wanted.kind is Kind.BLOCKS:
            return [render.hexed(self.chain.history.known(block).hash) for block in range(first, last + 1)]
        numbers = range(first, last + 1)
        return [render.hexed(item.hash) for block in numbers for item in self.chain.history.included(block)]

    def _filter_logs(self, number: Json) -> Json:
        wanted = self._filters.get(params.quantity(number, "filter"))
        if wanted.query is None:
            raise RpcError(REJECTED, "filter not found")
        return self._logs(wanted.query)

    # ------------------------------------------------------------ time and mining

    def _fee_history(self, count: Json, newest: Json, percentiles: Json = None) -> Json:
        wanted = percentiles if percentiles is not None else []
        return fee_history(self.chain, params.quantity(count, "blockCount"), self._header(newest).number, wanted)

    def _set_time(self, timestamp: Json) -> Json:
        self.chain.set_next_timestamp(params.quantity(timestamp, "timestamp"))

    def _set_automine(self, on: Json) -> Json:
        self.chain.automine = bool(on)

    def _mine(self, timestamp: Json = None) -> Json:
        if timestamp is not None:
            self._set_time(timestamp)
        self.chain.mine()
        return "0x0"

    # ------------------------------------------------------------ finding blocks

    def _sealed(self, block: Json) -> Sealed | None:
        place = params.block(block, "block")
        if place == "earliest":
            return self.chain.history.header(0)
        if isinstance(place, str):
            return self.chain.head
        number = self.chain.history.number_of(place) if isinstance(place, bytes) else place
        return None if number is None else self.chain.history.header(number)

    def _header(self, block: Json) -> Header:
        if block == "pending":
            return self.chain.upcoming()
        sealed = self._sealed(block)
        if sealed is None:
            raise RpcError(REJECTED, "header not found")
        return sealed.header

"""Reading JSON-RPC parameters: quantities, data, blocks, calls, log filters.

Every function raises RpcError with INVALID_PARAMS, naming the parameter, if it cannot be read.
*Source*: Ethereum execution API specification (quantities without leading zeros are not insisted on).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eth_typing import Address

from caduceus.edges.rpc import INVALID_PARAMS, RpcError

_TAGS = ("latest", "safe", "finalized", "pending", "earliest")


def invalid(text: str) -> RpcError:
    """The error for a parameter that cannot be read."""
    return RpcError(INVALID_PARAMS, f"invalid argument: {text}")


def quantity(value: Any, name: str) -> int:
    """A number as 0x-prefixed hex, or as a JSON integer."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            return int(value[2:] or "x", 16)
        except ValueError:
            pass
    raise invalid(f"{name} is not a quantity")


def data(value: Any, name: str, size: int | None = None) -> bytes:
    """Bytes as 0x-prefixed hex, of exactly `size` bytes if given."""
    if isinstance(value, (bytes, bytearray)):
        found = bytes(value)
    elif isinstance(value, str) and value[:2] in ("0x", "0X"):
        try:
            found = bytes.fromhex(value[2:])
        except ValueError:
            raise invalid(f"{name} is not hexadecimal") from None
    else:
        raise invalid(f"{name} is not 0x-prefixed data")
    if size is not None and len(found) != size:
        raise invalid(f"{name} has {len(found)} bytes, expected {size}")
    return found


def address(value: Any, name: str) -> Address:
    """An address: data of 20 bytes."""
    return Address(data(value, name, 20))


def block(value: Any, name: str) -> int | str | bytes:
    """A block as a number, a tag ("latest", ...), or a hash (EIP-1898)."""
    if isinstance(value, Mapping):
        if "blockHash" in value:
            return data(value["blockHash"], f"{name}.blockHash", 32)
        value = value.get("blockNumber")
    if isinstance(value, str) and value in _TAGS:
        return value
    if isinstance(value, str) and len(value) == 66:
        return data(value, name, 32)
    return quantity(value, name)


def record(value: Any, name: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise invalid(f"{name} is not an object")
    return value


def one_or_many(value: Any, name: str) -> Sequence[Any]:
    """A single item or a list of alternatives; null is no restriction and gives an empty list."""
    if value is None:
        return ()
    return value if isinstance(value, (list, tuple)) else (value,)


def topics(value: Any) -> tuple[tuple[bytes, ...], ...]:
    """A log filter's topics: alternatives by position, empty for any."""
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)) or len(value) > 4:
        raise invalid("topics is not a list of at most 4")
    options = [
        tuple(data(topic, f"topics[{i}]", 32) for topic in one_or_many(item, f"topics[{i}]"))
        for i, item in enumerate(value)
    ]
    while options and not options[-1]:  # a trailing null asks for nothing
        options.pop()
    return tuple(options)

"""Small contracts in assembly: exact opcodes, so that gas can be compared to the unit, and no compiler."""

from __future__ import annotations

from eth.vm import opcode_values

OPCODES = {name: value for name, value in vars(opcode_values).items() if name.isupper() and isinstance(value, int)} | {
    "INVALID": 0xFE
}


def assemble(text: str) -> bytes:
    """Bytes of a program: opcode names, numbers (pushed with the shortest push), `0x..` data (pushed whole)."""
    code = bytearray()
    for word in text.split():
        if word.startswith("0x"):
            code += _push(bytes.fromhex(word[2:]))
        elif word.isdigit():
            value = int(word)
            code += _push(value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))
        else:
            code.append(OPCODES[word])
    return bytes(code)


def deployment(runtime: bytes) -> bytes:
    """Creation code that returns `runtime`."""
    size = len(runtime).to_bytes(2, "big")
    head = b"\x61" + size + b"\x80\x60\x0b\x5f\x39\x5f\xf3"
    return head.ljust(11, b"\x00") + runtime


def _push(data: bytes) -> bytes:
    return bytes((0x5F + len(data),)) + data


ARGUMENT = "0 CALLDATALOAD"

STORE = assemble(f"{ARGUMENT} 32 CALLDATALOAD SSTORE")
"""Storage slot at calldata[32:64] becomes calldata[0:32]."""

SAY = assemble(
    "32 CALLDATASIZE SUB 32 0 CALLDATACOPY 4 3 2 1 32 CALLDATASIZE SUB 0 LOG4 "
    "3 2 1 8 0 LOG3 2 1 8 8 LOG2 1 0 0 LOG1 0 0 LOG0"
)
"""Five logs with four to no topics; the first holds the calldata after its first word."""

REFUSE = assemble("CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 REVERT")
"""Reverts with its calldata."""

BURN = assemble("JUMPDEST 1 0 SSTORE 0 JUMP")
"""Runs until the gas is gone."""

ECHO_SHA256 = assemble("CALLDATASIZE 0 0 CALLDATACOPY 32 0 CALLDATASIZE 0 2 GAS STATICCALL POP 32 0 RETURN")
"""SHA-256 of the calldata, by the precompile."""

SPAWN = assemble("CALLDATASIZE 32 SWAP1 SUB DUP1 32 0 CALLDATACOPY 0 CALLDATALOAD SWAP1 0 0 CREATE2 0 SSTORE")
"""CREATE2 with the salt calldata[0:32] and init code calldata[32:]; keeps the address in slot 0."""

FORWARD = assemble(
    "32 CALLDATASIZE SUB 32 0 CALLDATACOPY 0 0 32 CALLDATASIZE SUB 0 CALLVALUE 0 CALLDATALOAD GAS CALL 0 SSTORE"
)
"""Calls the address calldata[0:32] with the rest of the calldata and all value; keeps the outcome in slot 0."""

KILL = assemble("0 CALLDATALOAD SELFDESTRUCT")
"""Selfdestructs in favour of calldata[0:32]."""

LOOK = assemble(
    "CHAINID 0 SSTORE CALLER 1 SSTORE ORIGIN 2 SSTORE SELFBALANCE 3 SSTORE ADDRESS EXTCODEHASH 4 SSTORE "
    "GASLIMIT 5 SSTORE GASPRICE 6 SSTORE COINBASE 7 SSTORE CALLVALUE 8 SSTORE ADDRESS EXTCODESIZE 9 SSTORE"
)
"""Writes down what it sees of the world."""

FLEETING = assemble("7 1 TSTORE 1 TLOAD 0 SSTORE 64 1 0 MCOPY MSIZE 1 SSTORE")
"""Transient storage and memory copy, results kept in storage."""

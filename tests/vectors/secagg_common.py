"""Small things that the cases have in common."""

from __future__ import annotations

from secagg_again import digest

Json = dict[str, object]


def word(what: str) -> bytes:
    """32 bytes that look random and are the same every time."""
    return digest(f"{what} of vectors".encode())


def hexes(parts: list[bytes]) -> list[str]:
    return [part.hex() for part in parts]


def flip(data: bytes, at: int) -> bytes:
    """Bytes in which one bit is another."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


_WINDOW = 24


def like(name: str, good: bytes, message: bytes) -> Json:
    """A message told by a good one, which the file has under a name.

    Its pieces in order: [start, end] is what the good one has there, and hexadecimal is what it has not.
    """
    places = {good[at : at + _WINDOW]: at for at in reversed(range(len(good) - _WINDOW + 1))}
    pieces: list[list[int] | str] = []
    at = fresh = 0
    while at < len(message):
        start = places.get(message[at : at + _WINDOW])
        if start is None:
            at += 1
            continue
        size = _WINDOW
        while good[start + size : start + size + 1] == message[at + size : at + size + 1] != b"":
            size += 1
        pieces += [message[fresh:at].hex()] if at > fresh else []
        pieces.append([start, start + size])
        at = fresh = at + size
    return {"like": name, "pieces": [*pieces, message[fresh:].hex()] if len(message) > fresh else pieces}

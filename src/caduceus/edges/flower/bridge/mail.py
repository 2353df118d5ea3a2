"""Letters and answers as Flower messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from .exchange import Arrival
from .letters import Answer, Letter, join, split

KIND = "query.caduceus"
_TTL = 900.0  # seconds after which the SuperLink forgets a letter
_SMALL = 1 << 20  # bytes that travel with the numbers; more goes as an array, which Flower cuts into chunks


def _with_frames(numbers: dict[str, Any], frames: tuple[bytes, ...]) -> Any:
    blob = join(frames)
    if len(blob) <= _SMALL:
        return RecordDict({"visit": ConfigRecord({**numbers, "blob": blob})})
    array = Array(dtype="uint8", shape=(len(blob),), stype="raw", data=blob)
    return RecordDict({"visit": ConfigRecord(numbers), "frames": ArrayRecord({"blob": array})})


def _frames(content: Any) -> tuple[bytes, ...]:
    if "frames" in content:
        return split(content["frames"]["blob"].data)
    return split(content["visit"]["blob"])


def letter_message(node: int, letter: Letter) -> Any:
    """A letter, addressed to a node."""
    numbers = {"nonce": letter.nonce, "wait": letter.wait, "limit": letter.limit}
    return Message(_with_frames(numbers, letter.frames), dst_node_id=node, message_type=KIND, ttl=_TTL)


def letter_in(message: Any) -> Letter:
    """The letter that a message carries. Raises KeyError or ValueError if it carries none."""
    numbers = message.content["visit"]
    return Letter(
        bytes(numbers["nonce"]), float(numbers["wait"]), int(numbers["limit"]), frames=_frames(message.content)
    )


def answer_message(answer: Answer, message: Any) -> Any:
    """The reply to the letter in `message`."""
    numbers = {"nonce": answer.nonce, "attached": answer.attached}
    return Message(_with_frames(numbers, answer.frames), reply_to=message)


def answer_in(message: Any) -> Answer | None:
    """The answer that a reply carries; None if it carries an error or anything else."""
    if message.has_error():
        return None
    try:
        numbers = message.content["visit"]
        return Answer(bytes(numbers["nonce"]), bool(numbers["attached"]), _frames(message.content))
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


class GridPost:
    """Flower's Grid as the exchange's post."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def nodes(self) -> Iterable[int]:
        """The nodes of the federation that are online."""
        return [int(node) for node in self._grid.get_node_ids()]

    def push(self, node: int, letter: Letter) -> str | None:
        """Send; gives the message's name, or None if Flower took none for that node."""
        names = list(self._grid.push_messages([letter_message(node, letter)]))
        return names[0] or None if names else None

    def pull(self, messages: set[str]) -> Iterable[Arrival]:
        """The replies that are there, each once."""
        for reply in self._grid.pull_messages(messages):
            yield Arrival(reply.metadata.reply_to_message_id, int(reply.metadata.src_node_id), answer_in(reply))

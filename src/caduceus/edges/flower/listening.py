"""A Unix socket on which a party's process waits for its bridge."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from caduceus.edges.flower.bridge.wire import Line
from caduceus.errors import Refused

LONGEST_PATH = 100
"""Bytes of a socket's path; the system allows 107."""


class Listener:
    """Accepts bridges, each in a thread of its own, until it is closed."""

    def __init__(self, path: Path, serve: Callable[[Line], None], *, group: int | None = None) -> None:
        """Listen at once.

        path   of the socket; its folder must exist. A socket that a dead process left there is replaced
        serve  called with each new line, in a thread of that line; the line is closed when it returns
        group  None: only this user may connect (mode 0600). A group's id: its members may too (mode 0660), so
               that Flower runs as another user, who cannot read this process's files

        Raises Refused if the path is too long, or if another process listens there.
        """
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise Refused(f"{path}: longer than {LONGEST_PATH} bytes; choose a shorter path for the socket")
        if not path.parent.is_dir():
            raise Refused(f"{path}: its folder does not exist; create it, owned by this user")
        if _answers(path):
            raise Refused(f"{path}: another process listens here; stop it, or choose another path")
        self.path = path
        self._serve = serve
        self._lines: set[Line] = set()
        self._guard = threading.Lock()
        self._closed = False
        self._socket = _bound(path, group)
        self._thread = threading.Thread(target=self._accept, name=f"flower {path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening, end every line, remove the socket."""
        with self._guard:
            if self._closed:
                return
            self._closed = True
            lines = list(self._lines)
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        for line in lines:
            line.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._socket.accept()
            except OSError:
                return
            line = Line(link)
            with self._guard:
                if self._closed:
                    line.close()
                    return
                self._lines.add(line)
            threading.Thread(target=self._attend, args=(line,), name="flower line", daemon=True).start()

    def _attend(self, line: Line) -> None:
        try:
            with contextlib.suppress(OSError):
                self._serve(line)
        finally:
            line.close()
            with self._guard:
                self._lines.discard(line)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _bound(path: Path, group: int | None) -> socket.socket:
    """Bind in a folder that only we can enter, set the rights, then move the socket into place."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as private:
        hidden = Path(private) / "s"
        link.bind(str(hidden))
        if group is not None:
            os.chown(hidden, -1, group)
        hidden.chmod(0o600 if group is None else 0o660)
        link.listen(16)
        hidden.replace(path)
    return link

"""Become another program that ends when the process that started this one does; run as a script, on its own.

The kernel's word (Linux only): it holds across exec, and also where the parent is killed without a word.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before we asked
            sys.exit(1)
    os.execvp(program[0], program)  # noqa: S606  (the supervisor's own command, no shell)

"""The command line; `main` is the command `caduceus`."""

from __future__ import annotations

import os

# Before anything imports numpy: a job multiplies many small matrices, and a second BLAS thread then only doubles the
# processor time. Whoever knows better sets these in the environment.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

from caduceus.cli.app import app  # noqa: E402  (after the environment is set)

__all__ = ["app", "main"]


def main() -> None:
    """Do what the command line says; exits with the codes that `caduceus --help` lists."""
    app()

"""Maths on bytes and residues. Nothing here reads a clock, a file or the system's entropy."""

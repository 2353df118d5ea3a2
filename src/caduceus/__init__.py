"""Caduceus: private, paid, audited learning between hospitals."""

__version__ = "0.1.0"

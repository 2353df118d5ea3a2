"""What may be learnt of one patient: bounds, noise and budget. Nothing here reads a clock, a file or entropy."""

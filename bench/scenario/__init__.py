"""Twenty hospitals, one of them unlike the others: the world in which rules and attacks meet."""

"""One party as a process of its own, between organisations: what `site start` and `coordinator start` run."""

"""Records that were not drawn by us, dealt out to workers: the worlds in which published results are repeated."""

"""Files as sheets: what readiness rules look at, read as they lie on disk and not as a schema would have them."""

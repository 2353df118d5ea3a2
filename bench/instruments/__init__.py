"""What the benchmarks are taken with."""

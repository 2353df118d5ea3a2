"""The same learning from sums that carry noise."""

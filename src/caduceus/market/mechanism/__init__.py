"""Judging updates that nobody sees: evidence in, weights and pay out; a pure function of public values."""

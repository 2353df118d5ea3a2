"""The whole system in one process, on virtual time, with faults drawn from one seed.

Whoever runs here is the product's own code behind the same ports: a chain, a channel, journals and a store that
fail on purpose. Nothing waits and nothing is random but by the seed, so a seed that found a bug finds it again.
"""

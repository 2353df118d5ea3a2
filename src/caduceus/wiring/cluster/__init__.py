"""A whole network on one machine, each party a process of its own: for trying out, and for measuring."""

"""What the contracts allow, refuse and change, in plain Python: a second implementation of `contracts/src`.

Every function takes the tables and who calls, and either changes the tables or raises `Reverted` with the custom
error that the contract raises in its place. Checks come in the contract's order, because the first one that fails
names the reason.
"""

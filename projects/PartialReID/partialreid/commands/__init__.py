"""The command line `partialreid`: one file for each command, and what they share.

`dispatch` knows their names; `configuration`, `job` and `output` are what they share.
"""

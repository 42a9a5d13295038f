"""The command line `partialreid`, one file for each command."""

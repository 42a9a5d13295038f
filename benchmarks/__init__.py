"""Benchmarks, one program for each question; `make bench` runs them all."""

import partialreid  # noqa: F401  (cures FastReID, before a benchmark imports it)

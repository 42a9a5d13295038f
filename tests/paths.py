"""Where things lie in the repository, whatever folder a test is in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Recorded inputs and outputs of the original code; its README says what each file fixes.
CONFORMANCE = ROOT / "tests" / "conformance"

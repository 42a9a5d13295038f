"""What a type checker says to a user of the package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

# mypy does not see what `pip install -e` puts on the path by an import hook.
ENVIRONMENT = {**os.environ, "MYPYPATH": str(ROOT / "projects" / "PartialReID")}
USE = """
import numpy as np
import torch
from partialreid.dsr_distance import compute_dsr_dist
reveal_type(compute_dsr_dist(torch.zeros(1, 2, 3), torch.zeros(1, 2, 3), torch.zeros(1, 1), None))
reveal_type(compute_dsr_dist(np.zeros((1, 2, 3)), np.zeros((1, 2, 3)), np.zeros((1, 1)), None))
compute_dsr_dist(torch.zeros(1, 2, 3), "nonsense", banana=1)
"""


@pytest.mark.slow(minutes=0.3)
def test_a_wrong_call_is_refused_before_it_runs(tmp_path: Path) -> None:
    (tmp_path / "use.py").write_text(USE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"),
         "--cache-dir", str(ROOT / ".mypy_cache"), str(tmp_path / "use.py")],
        capture_output=True, text=True, timeout=300, cwd=ROOT, check=False, env=ENVIRONMENT,
    )  # fmt: skip
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    said = [line for line in done.stdout.splitlines() if ": note: Revealed" in line]
    assert {line.split(":")[1] for line in errors} == {"7"}, done.stdout + done.stderr
    assert "Tensor" in said[0] and "ndarray" in said[1], done.stdout

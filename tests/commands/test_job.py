"""A job on a disk without room: one line that names the folder, and nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import tiny
from tests.paths import ROOT

PYTHONPATH = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
# Files of the process grow up to a bound: writing beyond it fails, as on a full disk.
FROM_THE_START = """
import resource, sys
import partialreid
from partialreid.commands.train import main
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:])
"""
AFTER_THE_CHECKS = """
import resource, sys
import partialreid
from partialreid.commands import job
from partialreid.commands.train import main
limit = int(sys.argv[1])
job.share_seed = lambda cfg: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
main(sys.argv[2:])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for the size of a file")
@pytest.mark.slow
@pytest.mark.parametrize("limit", [200, 3000])
@pytest.mark.parametrize(
    ("script", "said", "left"),
    [
        (
            FROM_THE_START,
            'error: OUTPUT_DIR "{}" cannot be written (File too large): choose another folder.',
            [],
        ),
        (
            AFTER_THE_CHECKS,
            "error: a file cannot be written (File too large): make room in OUTPUT_DIR "
            '"{}", or choose another folder.',
            ["log.txt"],
        ),
    ],
    ids=["from the start", "after the checks"],
)
def test_no_room_for_the_log(
    tmp_path: Path, limit: int, script: str, said: str, left: list[str]
) -> None:
    argv = ["--config-file", tiny.CONFIG, *tiny.options(tmp_path / "data", tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", script, str(limit), *argv],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith(("error", "Traceback"))]
    assert lines == [said.format(tmp_path / "out")], done.stderr
    assert "Logging error" not in done.stderr
    assert sorted(os.listdir(tmp_path / "out")) == left

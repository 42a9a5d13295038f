"""Freed memory is kept: large blocks come back without page faults."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from partialreid.engine import inference
from partialreid.runtime import freed_memory

# The module alone: the whole package takes seconds to import.
FILE = Path(freed_memory.__file__)
PROGRAM = f"""
import resource, sys
import torch
from {FILE.stem} import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(77)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(40):
    torch.ones(8 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(mode: str) -> int:
    pytest.importorskip("resource")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, mode],
        capture_output=True,
        text=True,
        cwd=FILE.parent,
    )
    if done.returncode == 77:
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
def test_large_blocks_are_used_again() -> None:
    kept, plain = faults("keep"), faults("plain")
    # Small objects that land between two large ones cost some new pages at first.
    assert plain > 0
    assert kept < plain / 2


def test_what_is_free_goes_back_on_request() -> None:
    program = PROGRAM.split("before")[0] + (
        f"from {FILE.stem} import release_freed_memory\n"
        "pages = lambda: int(open('/proc/self/statm').read().split()[1])\n"
        "kept = [torch.ones(2**18) for _ in range(200)]\n"
        "del kept[::2]\n"
        "held = pages()\n"
        "release_freed_memory()\n"
        "print(held - pages())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "keep"],
        capture_output=True,
        text=True,
        cwd=FILE.parent,
    )
    if done.returncode == 77 or not sys.platform.startswith("linux"):
        pytest.skip("the C library has no mallopt")
    assert done.returncode == 0, done.stderr
    # A hundred megabytes between as many that are in use, in pages of at most 64 kB.
    assert int(done.stdout) > 1000


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    """Windows has no C library under no name; musl, on Linux, has no such functions."""

    def library(name: str | None) -> Any:
        assert platform == "linux", "the C library was asked for"
        return SimpleNamespace()

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert freed_memory.keep_freed_memory() is False
    freed_memory.release_freed_memory()


def test_evaluation_tries_no_algorithms(monkeypatch: pytest.MonkeyPatch) -> None:
    """CUDNN_BENCHMARK holds for the training alone, and is on again after an evaluation."""
    seen = []

    class Model(torch.nn.Module):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            seen.append(torch.backends.cudnn.benchmark)
            if len(seen) == 3:
                raise KeyError("an image")
            return inputs

    evaluator = SimpleNamespace(reset=list, process=lambda *_: None, evaluate=dict)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    inference.evaluate_model(Model(), [torch.zeros(1, 2)] * 2, evaluator)
    assert seen == [False, False]
    assert torch.backends.cudnn.benchmark
    with pytest.raises(KeyError):
        inference.evaluate_model(Model(), [torch.zeros(1, 2)], evaluator)
    assert torch.backends.cudnn.benchmark

"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("PARTIALREID_SHARED") or ROOT.parent / "shared")

torch.set_num_threads(int(os.environ.get("PARTIALREID_TEST_THREADS", "2")))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of conformance vectors, weights and real data beside the repository."""
    if not (SHARED / "conformance").is_dir():
        pytest.skip(f"no conformance vectors at {SHARED} (set PARTIALREID_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def market(shared: Path) -> Path:
    """The data root that holds Market-1501."""
    root = Path(os.environ.get("FASTREID_DATASETS") or shared / "datasets")
    if not (root / "Market-1501-v15.09.15" / "query").is_dir():
        pytest.skip(f"no Market-1501 under {root} (set FASTREID_DATASETS)")
    return root

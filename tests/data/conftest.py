"""Fixtures of the tests of data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.small_training import small_training


@pytest.fixture
def root(tmp_path: Path, make_market) -> Path:
    """A data root with a small Market-1501."""
    return make_market(tmp_path / "data")


@pytest.fixture
def cfg(root: Path, make_config) -> Any:
    """The config of a small training on it."""
    return small_training(make_config, root)

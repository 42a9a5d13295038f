"""Fixtures of the tests of derived sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.drawn_set import make_set


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with a drawn set of a few images."""
    return make_set(tmp_path / "data")


@pytest.fixture
def cfg(root: Path, make_config) -> Any:
    """The default config with this data root."""
    return make_config("DATASETS.ROOT", str(root))

"""Fixtures of the tests of metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture
def settings(make_config: Callable[..., Any]) -> Callable[..., Any]:
    def make(**changes: Any) -> Any:
        dsr = make_config().TEST.DSR
        for key, value in changes.items():
            setattr(dsr, key, value)
        return dsr

    return make

"""What long work says meanwhile."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from partialreid.runtime import progress as progress_module
from partialreid.runtime.progress import progress


class Clock:
    """Time that passes only with the work."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def work(self, items: int, seconds: float) -> Any:
        for item in range(items):
            yield item
            self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_module, "time", clock)
    caplog.set_level(logging.INFO)
    return clock


def test_progress_yields_everything_and_estimates(clock: Clock, caplog, capsys) -> None:
    done = []
    for item in progress(clock.work(10, 0.0), 10, "drawing", "images"):
        done.append(item)
        clock.now += 15.0
    assert done == list(range(10))
    # A line after 30, 60, 90 and 120 of 150 seconds, none when all is done.
    assert caplog.messages == [
        "drawing: 2 of 10 images, about 0:02:00 left",
        "drawing: 4 of 10 images, about 0:01:30 left",
        "drawing: 6 of 10 images, about 0:01:00 left",
        "drawing: 8 of 10 images, about 0:00:30 left",
    ]
    assert capsys.readouterr().err == ""


def test_short_work_says_nothing(clock: Clock, caplog) -> None:
    assert list(progress(clock.work(100, 0.1), 100, "drawing")) == list(range(100))
    assert caplog.messages == []


def test_bar_in_a_terminal(clock: Clock, caplog, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(progress(clock.work(3, 60.0), 3, "drawing", "images")) == [0, 1, 2]
    assert "drawing" in capsys.readouterr().err
    assert caplog.messages == []

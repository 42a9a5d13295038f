"""Which error a trace ends with, and the line that raised it."""

from __future__ import annotations

import traceback

import pytest

from partialreid.runtime.traces import origin_of


def chained() -> None:
    try:
        raise ValueError("first")
    except ValueError as error:
        raise TypeError("then") from error


def test_last_trace_of_a_text() -> None:
    with pytest.raises(TypeError) as caught:
        chained()
    trace = "".join(traceback.format_exception(caught.value))
    origin = origin_of(f"Caught it.\nOriginal {trace}")
    assert origin is not None
    assert origin[1:] == ('raise TypeError("then") from error', "TypeError", "then")
    assert origin.path == __file__


def test_a_text_without_a_trace_has_no_origin() -> None:
    assert origin_of("ValueError: x") is None

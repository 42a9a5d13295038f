"""What a command says, whatever its terminal can show."""

from __future__ import annotations

import io
import sys

import pytest

from partialreid.commands.output import say


@pytest.mark.parametrize(
    ("encoding", "errors", "text", "said"),
    [
        ("utf-8", "strict", "q\udcff.png", b"q\\udcff.png"),
        ("utf-8", "surrogateescape", "q\udcff.png", b"q\xff.png"),
        ("utf-8", "strict", "Zo\u00e9.png", b"Zo\xc3\xa9.png"),
        ("cp1252", "strict", "\u5f20\u00e9.png", b"\\u5f20\xe9.png"),
        ("ascii", "strict", "Zo\u00e9.png", b"Zo\\xe9.png"),
    ],
)
def test_names_that_the_terminal_has_no_letters_for(
    encoding: str, errors: str, text: str, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding=encoding, errors=errors, newline="\n")
    monkeypatch.setattr(sys, "stdout", terminal)
    say(text)
    terminal.flush()
    assert written.getvalue() == said + b"\n"

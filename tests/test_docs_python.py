"""The examples of docs/python.md: the first one runs and prints what it says, all import."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import re

import pytest

import partialreid
from tests.paths import ROOT

TEXT = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_first_example_prints_what_it_says() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(BLOCKS[0], {})
    wanted = [line[2:] for line in BLOCKS[0].splitlines() if line.startswith("# ")]
    assert len(wanted) == 2
    assert said.getvalue().splitlines() == wanted


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_what_an_example_imports_is_there(number: int) -> None:
    tree = ast.parse(BLOCKS[number])
    names = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    assert any(module and module.startswith("partialreid") for module, _ in names)
    for module, name in names:
        assert module and hasattr(importlib.import_module(module), name), f"{module}.{name}"


def test_the_table_of_functions_names_public_ones() -> None:
    functions = re.findall(r"^\| `(\w+)` \|", TEXT, re.M)
    assert "reconstruction_distance" in functions
    assert set(functions) <= set(partialreid.__all__)

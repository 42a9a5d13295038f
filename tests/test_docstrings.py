"""Files and modules that docstrings and comments of the package name are there."""

from __future__ import annotations

import re

import pytest

from tests.test_rooms import MODULES, PACKAGE

# Beginnings of dotted names that are no modules of the package, and a file that is none of its.
ELSEWHERE = ("collections", "conv", "fastreid", "manifest", "numpy", "torch", "traceback")
FILES_ELSEWHERE = ("resource_sharer.py",)
FILE = re.compile(r"[a-z_0-9/]+\.py\b")
DOTTED = re.compile(r"`((?:[a-z_0-9]+\.)+[A-Za-z_0-9]+)`")


def is_named(dotted: str) -> bool:
    """Whether a name such as `ranking.rank_metrics` is a module, or a word of one."""
    module, _, word = dotted.rpartition(".")
    if dotted in MODULES:
        return True
    homes = [path for name, path in MODULES.items() if f".{name}".endswith(f".{module}")]
    return any(re.search(rf"\b{word}\b", path.read_text(encoding="utf-8")) for path in homes)


@pytest.mark.parametrize("name", MODULES)
def test_what_is_named_is_there(name: str) -> None:
    text = MODULES[name].read_text(encoding="utf-8")
    for file in FILE.findall(text):
        if file not in FILES_ELSEWHERE:
            # The commands name train_net.py, which lies beside the package.
            places = (PACKAGE / file, PACKAGE.parent / file.lstrip("/"))
            assert any(place.is_file() for place in places), f"{name} names {file}"
    for dotted in DOTTED.findall(text):
        if not dotted.startswith(ELSEWHERE) and not FILE.fullmatch(dotted):
            assert is_named(dotted), f"{name} names `{dotted}`"


def test_names_that_are_gone_are_noticed() -> None:
    assert is_named("ranking.rank_metrics") and is_named("derived.hidden.DRAWING_VERSION")
    assert not is_named("derived_images.DRAWING_VERSION")
    assert not is_named("ranking.no_such_name")

"""docs/keys.md lists the keys that the project adds, with their defaults."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest
from fastreid.config import get_cfg

from partialreid import add_partialreid_config
from partialreid.config import CHOICES
from partialreid.keys.unread_keys import leaves
from tests.paths import ROOT

ROW = re.compile(r"^\| `([A-Z0-9_.]+)` \| `(.*?)` \| (.*) \|$", re.M)
TEXT = (ROOT / "docs" / "keys.md").read_text(encoding="utf-8")
ROWS = {key: (default, said) for key, default, said in ROW.findall(TEXT)}


def added() -> dict[str, Any]:
    cfg = get_cfg()
    before = dict(leaves(cfg))
    add_partialreid_config(cfg)
    return {key: value for key, value in leaves(cfg) if key not in before}


def test_every_key_has_a_row_and_every_row_a_key() -> None:
    # FastReID has the key, this project another default.
    assert set(ROWS) == {*added(), "MODEL.DEVICE"}


@pytest.mark.parametrize("key", sorted(added()))
def test_defaults(key: str) -> None:
    default, value = ROWS[key][0], added()[key]
    if isinstance(value, str):
        assert default == (value or '""')
    else:
        assert ast.literal_eval(default) == value


@pytest.mark.parametrize("key", sorted(set(CHOICES) & set(added())))
def test_choices_are_named(key: str) -> None:
    default, said = ROWS[key]
    for choice in CHOICES[key]:
        assert f"`{choice}`" in said or choice == default, choice

"""FastReID on current Python and torch: what is put in place, and that it is taken away again."""

from __future__ import annotations

import collections
import importlib.metadata
import re
import subprocess
import sys
import types

import pytest
import torch
from fastreid.evaluation import ReidEvaluator, reid_evaluation

from partialreid import compat
from partialreid.dsr_evaluation import DsrEvaluator


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.slow
@pytest.mark.skipif(hasattr(collections, "Mapping"), reason="this Python still has Mapping")
def test_stock_fastreid_cannot_be_imported() -> None:
    """The reason for the cure."""
    done = python("import fastreid.data")
    assert done.returncode == 1
    assert re.search(r"ModuleNotFoundError: No module named 'torch\._six'|ImportError", done.stderr)


def test_nothing_of_the_shims_remains() -> None:
    assert "torch._six" not in sys.modules
    assert not hasattr(torch, "_six")
    assert not hasattr(collections, "Mapping")
    assert "fastreid.data.build" in sys.modules


def test_shims_are_there_inside_and_gone_after_an_error() -> None:
    with pytest.raises(RuntimeError, match="inside"), compat.import_shims():
        assert sys.modules["torch._six"].string_classes == (str, bytes)
        assert collections.Mapping is collections.abc.Mapping
        raise RuntimeError("inside")
    test_nothing_of_the_shims_remains()


def test_shims_leave_what_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    own = types.ModuleType("torch._six")
    monkeypatch.setitem(sys.modules, "torch._six", own)
    monkeypatch.setattr(collections, "Mapping", dict, raising=False)
    with compat.import_shims():
        assert sys.modules["torch._six"] is own
    assert sys.modules["torch._six"] is own
    assert collections.Mapping is dict


@pytest.mark.parametrize("installed", [None, "1.3.0"])
def test_missing_or_other_fastreid(monkeypatch: pytest.MonkeyPatch, installed: str | None) -> None:
    def version(name: str) -> str:
        assert name == "fastreid"
        if installed is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(importlib.metadata, "version", version)
    with pytest.raises(ImportError) as caught:
        compat.check_fastreid()
    message = str(caught.value)
    assert "pip install --no-deps fastreid==1.4.0" in message
    assert installed is None or installed in message
    # One sentence: a single full stop that ends it, besides those of version numbers.
    assert len(re.findall(r"\.(?!\d)", message)) == 1
    assert message.endswith(".")


def test_right_fastreid_passes() -> None:
    compat.check_fastreid()
    assert importlib.metadata.version("fastreid") == compat.FASTREID_VERSION


def test_evaluator_compiles_nothing(make_config, monkeypatch: pytest.MonkeyPatch) -> None:
    def make() -> None:
        raise AssertionError("make would run inside site-packages")

    monkeypatch.setattr(reid_evaluation, "compile_helper", make)
    with pytest.raises(AssertionError, match="make would run"):
        ReidEvaluator(make_config(), 1)
    DsrEvaluator(make_config(), 1)

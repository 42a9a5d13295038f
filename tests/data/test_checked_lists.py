"""A test set that TEST cannot evaluate is refused before an image is read, by its name."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from partialreid.data.catalogue import load_dataset
from partialreid.data.checked_lists import checked_lists
from partialreid.data.loaders import build_test_loader
from partialreid.engine.checks import check_test_sets
from partialreid.images import reading

FOLDER = "Market-1501-v15.09.15"


@pytest.fixture
def cfg(tmp_path: Path, make_market, make_config, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One query of one identity, and a gallery image under its camera beside two others."""
    root = make_market(tmp_path / "data")
    for path in (root / FOLDER).glob("*/0040*"):
        path.unlink()
    monkeypatch.setattr(reading.Image, "open", None)
    cfg = make_config("DATASETS.ROOT", str(root), "DATASETS.TESTS", ("Market1501",))
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    return cfg


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("TEST.DSR.LAMBDA_SELECTION", "crossfit", r'TEST\.DSR\.LAMBDA_SELECTION to "fixed"'),
        ("TEST.DSR.PROTOCOL", "single-shot", r'TEST\.DSR\.PROTOCOL to "full"'),
        ("TEST.ROC.ENABLED", True, r"TEST\.ROC\.ENABLED to False"),
        ("TEST.RERANK.ENABLED", True, r"TEST\.RERANK\.K1"),
    ],
)
def test_refused_by_name(cfg: Any, key: str, value: Any, said: str) -> None:
    assert [len(part) for part in checked_lists(cfg, "Market1501")[1:]] == [1, 3]
    cfg.merge_from_list([key, value])
    for refuses in (check_test_sets, lambda cfg: build_test_loader(cfg, "Market1501")):
        with pytest.raises(ValueError, match=rf"^Market1501: .*{said}"):
            refuses(cfg)


def test_images_that_count_twice_are_said(cfg: Any, monkeypatch, caplog) -> None:
    data = load_dataset(cfg, "Market1501")
    data.gallery.append(data.gallery[0])
    monkeypatch.setattr("partialreid.data.checked_lists.load_dataset", lambda *_: data)
    with caplog.at_level(logging.WARNING, "partialreid"):
        assert len(checked_lists(cfg, "Market1501")[2]) == 4
    assert "Market1501: 1 images of the gallery are listed again" in caplog.text
    assert "query" not in caplog.text

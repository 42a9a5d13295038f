"""The set of TEST.PRECISE_BN is found out before the training, not after its last epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partialreid.commands import train
from partialreid.engine.checks import check_config
from partialreid.engine.precise_set import check_precise_set
from tests import tiny
from tests.whole_config import whole_config

KEY = "TEST.PRECISE_BN.DATASET"
ITEMS = [(f"{pid}_{shot}.jpg", f"id{pid}", "c") for pid in range(4) for shot in range(4)]


@pytest.fixture
def config(make_config: Callable[..., Any], make_market, tmp_path: Path) -> Callable[..., Any]:
    """A training on another set, which takes statistics from a Market-1501 of 4 people."""
    root = make_market(tmp_path / "data")

    def make(*options: Any) -> Any:
        usual = ("DATASETS.NAMES", ("SyntheticPartial",), "DATASETS.ROOT", str(root))
        usual += ("TEST.PRECISE_BN.ENABLED", True, "SOLVER.IMS_PER_BATCH", 8)
        return whole_config(make_config, *usual, "DATALOADER.NUM_INSTANCE", 2, *options)

    return make


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Market1510", f"{KEY} is 'Market1510': there is no data set 'Market1510'"),
        ("Market1501HeldOut", f"{KEY} is 'Market1501HeldOut', which is there to test with"),
    ],
)
def test_a_name_is_refused_before_data_are_read(make_config, name: str, said: str) -> None:
    cfg = whole_config(make_config, KEY, name)
    check_config(cfg, 1, eval_only=False)  # It is off, so that nothing reads the name.
    cfg.TEST.PRECISE_BN.ENABLED = True
    check_config(cfg, 1, eval_only=True)
    with pytest.raises(ValueError) as caught:
        check_config(cfg, 1, eval_only=False)
    assert str(caught.value).startswith(said)


def test_a_set_that_fits(config) -> None:
    check_precise_set(config(), ITEMS, 1)
    check_precise_set(config("TEST.PRECISE_BN.ENABLED", False, KEY, "absent"), ITEMS, 1)
    # That of the training is checked with it.
    check_precise_set(config("DATASETS.NAMES", (KEY,), KEY, KEY), ITEMS, 1)


@pytest.mark.parametrize(
    ("options", "people", "said"),
    [
        (["SOLVER.IMS_PER_BATCH", 16], 4, ", of which no batch can be made: NaiveIdentitySampler "
         "needs 8 identities for a batch"),
        (["SOLVER.IMS_PER_BATCH", 32], 4, ", of which no batch can be made: there are 16 training "
         "images, fewer than one batch"),
        ([], 3, ", which shows 4 people to a network that is trained to tell 3 apart"),
        (["MODEL.HEADS.NUM_CLASSES", 2], 4, "trained to tell 2 apart"),
    ],
)  # fmt: skip
def test_a_set_that_does_not_fit(config, options: list[Any], people: int, said: str) -> None:
    """A sampler would search for ever, when the training is over."""
    with pytest.raises(ValueError) as caught:
        check_precise_set(config(*options), ITEMS[: 4 * people], 1)
    assert str(caught.value).startswith(f"{KEY} is 'Market1501', ")
    assert said in str(caught.value)


def test_an_absent_set_is_named_with_its_key(config, tmp_path: Path) -> None:
    cfg = config("DATASETS.ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(FileNotFoundError, match=rf"{KEY} is 'Market1501': .*Market-1501"):
        check_precise_set(cfg, ITEMS, 1)


def test_the_command_line_refuses_a_set_to_test_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_data_sets(tmp_path / "data")
    keys = {"TEST__PRECISE_BN__ENABLED": True, "TEST__PRECISE_BN__DATASET": "PartialREID"}
    options = tiny.options(tmp_path / "data", tmp_path / "out", **keys)
    with pytest.raises(SystemExit):
        train.main(["--config-file", tiny.CONFIG, *options])
    said = capsys.readouterr().err
    assert f"error: {KEY} is 'PartialREID', which has no training images: name a set" in said

"""Who may choose lambda, or teach a calibration: people whom the network has never seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from partialreid.engine import unseen_people
from partialreid.engine.unseen_people import check_unseen


@pytest.fixture
def trained(make_config: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """The config of an evaluation of a checkpoint that was trained without some identities."""

    def of(held_out: int, classes: int) -> Any:
        keys = ["DATASETS.NAMES", ("Market1501",), "DATASETS.HELD_OUT", held_out]
        text = make_config(*keys).dump()
        state = {"heads.weight": torch.zeros(classes, 2)}
        path = tmp_path / f"{held_out}.pth"
        torch.save({"model": state, "config": text}, path)
        return make_config(*keys, "MODEL.WEIGHTS", str(path))

    return of


@pytest.fixture(autouse=True)
def eight_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of eight people in Market-1501 those that DATASETS.HELD_OUT leaves are trained on."""

    def items(cfg: Any) -> list[tuple[str, int, int]]:
        return [("", person, 0) for person in range(8 - cfg.DATASETS.HELD_OUT)]

    monkeypatch.setattr(unseen_people, "train_items", items)


@pytest.mark.parametrize("made", ("", "Partial", "Occluded", "Small"))
def test_people_of_the_training_are_refused_under_every_name(
    trained: Callable[..., Any], made: str
) -> None:
    with pytest.raises(ValueError, match=f"was trained on Market1501{made}: take another set"):
        check_unseen(trained(2, 6), [f"Market1501{made}"])


@pytest.mark.parametrize("made", ("", "Partial", "Occluded"))
def test_held_out_people_are_unseen_if_the_training_kept_them(
    trained: Callable[..., Any], made: str
) -> None:
    name = f"Market1501HeldOut{made}"
    check_unseen(trained(2, 6), [name])
    with pytest.raises(ValueError, match=r"trained on 8 identities, but without .* there are 6"):
        check_unseen(trained(2, 8), [name])


def test_other_people_are_unseen(trained: Callable[..., Any]) -> None:
    check_unseen(trained(0, 8), ["PartialREID", "DukeMTMCPartial"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("DukeMTMC", "DukeMTMC"),
        ("DukeMTMC", "DukeMTMCPartial"),
        ("DukeMTMCOccluded", "DukeMTMCPartial"),
        ("folder:~/people", "folder:~/others/../peopleSmall"),
    ],
)
def test_nobody_counts_twice(
    trained: Callable[..., Any],
    one: str,
    other: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("people", "others"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError) as caught:
        check_unseen(trained(0, 8), [one, "PartialREID", other])
    assert f"{one} and {other} show the same people" in str(caught.value)

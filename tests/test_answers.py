"""What docs/choosing.md answers of each ingredient is what the records say."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from benchmarks import evaluated_ways, fusion, gallery_windows, validation
from tests.paths import ROOT
from tests.validation_pages import (
    CUT_THREE,
    FILES,
    KEPT_THREE,
    MEAN_THREE,
    PAGE,
    VALIDATION,
    read,
    tables,
)


def test_what_was_chosen_is_what_the_records_say() -> None:
    """Rows of the page's table of answers: differences over all queries, and of halves."""
    (rows,) = [x[1:] for x in tables(PAGE) if x[0] == ["ingredient", "kept?", "by which figure"]]
    for begins, (one, other) in CHOSEN.items():
        (row,) = [row for row in rows if row[0].startswith(begins)]
        lines = next(tables(validation.table([one, other])))
        found = {title: difference for title, _, difference in lines[1:]}
        listed = " ".join(found.values())
        checked = 0
        for part in " ".join(row[1:]).replace("**", "").split(";"):
            people = [key for key in PEOPLE if key in part]
            if not people:
                continue
            sets = "half" if part.lstrip().startswith("halves") else "all"
            cells = found[f"{PEOPLE[people[0]]}, {sets}"].split("; ")[1].split(" / ")
            figures = re.findall(r"([+-]\d+\.\d) (\([^)]*\))", part)
            for cell, (value, interval) in zip(cells, figures[:2], strict=bool(figures)):
                assert cell == f"{value} {interval}", (begins, part)
            # What else a part says is of some people among them.
            for value, interval in re.findall(r"[^+-](\d+\.\d) (\([+-][^)]*\))", part):
                assert f"{value} {interval}" in listed, (begins, value, interval)
            for value, interval in figures[2:]:
                assert f"{value} {interval}" in listed, (begins, value, interval)
            checked += bool(figures)
        assert checked >= 2, begins


def answer(begins: str) -> str:
    """What the page's table of answers says by which figure, of the row that begins so."""
    (rows,) = [x[1:] for x in tables(PAGE) if x[0] == ["ingredient", "kept?", "by which figure"]]
    (found,) = [row[2] for row in rows if row[0].startswith(begins)]
    return found


def gains(lines: list[list[str]], column: int, sets: str = "") -> dict[str, list[Gain]]:
    """Gains of Rank-1 and mAP on each set, without the rows of all queries."""
    found: dict[str, list[Gain]] = {"Rank-1": [], "mAP": []}
    for title, *cells in lines[1:]:
        if title.startswith(sets) and not title.endswith(", all") and cells[column]:
            for name, part in zip(found, cells[column].split("; ")[1].split(" / "), strict=True):
                found[name].append(Gain(*map(float, re.findall(r"[+-]\d+\.\d", part))))
    return found


class Gain(NamedTuple):
    """A difference and the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Beyond the interval. An end at 0.0 is not, whichever sign rounding left it."""
        return self.low > 0 or self.high < 0


COUNTS = ("none", "one", "two", "three", "four", "five", "six", "seven")


def span(found: list[Gain], sign: str = "+") -> str:
    """From the difference next to zero to the one farthest from it, or from lowest to highest."""
    values = sorted((x.value for x in found), key=abs)
    if min(values) < 0 < max(values):
        values.sort()
    return f"{values[0]:{sign}.1f} to {values[-1]:{sign}.1f}"


def test_mirror_images_are_what_their_row_says() -> None:
    found = gains(next(tables(validation.table(["softmax", "flip"]))), 1)
    whole, first = found["mAP"], found["Rank-1"]
    assert min(x.value for x in whole) > 0
    sure, firsts = (COUNTS[sum(x.sure for x in some)] for some in (whole, first))
    assert answer("mirror images").startswith(
        f"mAP rises on all {COUNTS[len(whole)]} sets, by {span(whole, '')}, on {sure} of them "
        f"beyond the interval; Rank-1 by {span(first)}, on {firsts}. "
    )


def test_a_larger_ridge_is_what_its_row_says() -> None:
    found = gains(next(tables(validation.table(["softmax", "kappa_0.01"]))), 1)
    wanted = f"mAP moves by {span(found['mAP'])}, Rank-1 by {span(found['Rank-1'])} with both signs"
    assert answer("a larger ridge") == f"{wanted}, on no set beyond the noise"
    assert not any(x.sure for some in found.values() for x in some)


@pytest.mark.parametrize(
    ("begins", "name"), [("windows of two", "levels_2_4"), ("windows of three", "levels_4_6_8")]
)
def test_fewer_windows_are_what_their_rows_say(begins: str, name: str) -> None:
    lines = next(tables(validation.table(["softmax", name])))
    found = gains(lines, 1, "CUHK03-val")["mAP"]
    assert all(x.sure for x in found)
    said = answer(begins)
    count = COUNTS[len(found)]
    assert said.startswith(f"mAP on CUHK03-val {span(found)} on all {count} sets, beyond the noise")
    for value, interval in re.findall(r"gain (\d+\.\d) (\([^)]*\))", said):
        (cut,) = [cells[1] for title, *cells in lines if title == "held out, cut"]
        assert cut.endswith(f" / +{value} {interval}")


def test_learnt_fusions_are_what_their_row_says() -> None:
    lines = next(tables(fusion.table(read(VALIDATION / "fusion.json"))))
    places = {kind: next(i for i, x in enumerate(lines[0]) if kind in x) - 1 for kind in LEARNT}
    found = {kind: gains(lines, place, "CUHK03-val")["mAP"] for kind, place in places.items()}
    assert all(x.value < 0 for some in found.values() for x in some)
    assert all(x.sure for x in found["isotonic"])
    count = COUNTS[sum(x.sure for x in found["logistic"])]
    lines = next(tables(fusion.table(read(VALIDATION / "fusion_held_out.json"))))
    by_others = {kind: gains(lines, place, "CUHK03-val") for kind, place in places.items()}
    assert not any(x.sure for both in by_others.values() for some in both.values() for x in some)
    others = {kind: both["Rank-1"] for kind, both in by_others.items()}
    assert all(x.value < 0 for some in others.values() for x in some)
    assert answer("a fusion learnt") == (
        f"both are behind on all sets of CUHK03-val: isotonic mAP {span(found['isotonic'])}, "
        f"beyond the noise on each, logistic {span(found['logistic'])}, on {count}. "
        "Learnt on people of Market-1501 held out, [they are behind by "
        f"Rank-1](ingredients.md#a-fusion-that-is-learnt), isotonic {span(others['isotonic'])}, "
        f"logistic {span(others['logistic'])}, within the noise"
    )


def test_small_windows_of_the_gallery_are_what_their_row_says() -> None:
    ways, both = tuple(gallery_windows.WAYS), ("CUHK03-val", "same camera")
    record = read(VALIDATION / "gallery_windows.json")
    lines = {title: cells for title, *cells in next(tables(evaluated_ways.table(record, ways)))[1:]}
    found = {
        (people, way): lines[f"{people}, all"][ways.index(way)].split("; ")[1].split(" / ")
        for people in both
        for way in ("of 2 and 4", "of 6 and 8")
    }
    of_cuhk, of_one = (", ".join(found[people, "of 2 and 4"]) for people in both)
    large = [found[people, "of 6 and 8"][0].split()[0] for people in both]
    assert answer("the gallery's windows") == (
        f"all queries of CUHK03-val {of_cuhk}; of one camera {of_one}. Those of 6 and 8 alone lose "
        f"{large[0][1:]} and {large[1][1:]} of Rank-1"
    )
    assert max(map(float, large)) < 0


LEARNT = ("isotonic", "logistic")


def test_bfloat16_is_what_its_row_says() -> None:
    seeds = ["+".join(f"float32_seed{i}" for i in range(3)), FILES["softmax, three seeds"]]
    lines = next(tables(validation.table(seeds[::-1])))
    found = {title: difference.split(" / ")[2] for title, _, difference in lines[1:]}
    first = {title: cell.split("; ")[1].split(" / ")[0] for title, _, cell in lines[1:]}
    assert answer("the network in bfloat16").startswith(
        f"three seeds each: all queries held out mAP {found['held out, all']} for float32, of "
        f"CUHK03-val {found['CUHK03-val, all']}. Rank-1 {first['held out, all']} and "
        f"{first['CUHK03-val, all']}, of its whole queries {first['CUHK03-val']}: "
    )
    in_time = " ".join((ROOT / "docs" / "time.md").read_text(encoding="utf-8").split())
    (whole, all_queries) = (first[title].lstrip("+") for title in ("CUHK03-val", "CUHK03-val, all"))
    assert f"three seeds these are {whole}, and of all its queries {all_queries}:" in in_time


PEOPLE = {"of CUHK03-val": "CUHK03-val", "held out": "held out", "of one camera": "same camera"}
KEPT = "shrink_no_cut_seed1+shrink_no_cut_seed2"
WITH_NORM = "shrink_instance_norm_seed1+shrink_instance_norm_seed2"
# How a row begins, and the networks that it compares.
CHOSEN = {
    "the mean of two trainings' weights": (KEPT_THREE, MEAN_THREE),
    "cut queries in 70": (KEPT_THREE, CUT_THREE),
    "six trainings in that mean": (MEAN_THREE, "mean_six"),
    "a third training in that mean, with drawn": ("mean_two", "mean_with_shapes"),
    "a third training in that mean, without": (KEPT, "mean_three"),
    "the mean of two trainings by the kept": ("mean_three", "mean_seeds"),
    "training images made small": ("no_cut", "shrink_no_cut"),
    "the triplet loss beside": (KEPT, "triplet"),
    "the same from the second half": (KEPT, "triplet_later"),
    "the loss on the reconstruction distance, left out": (KEPT, "no_reconstruction_loss"),
    "cut queries that are normalised": ("shrink_no_cut", "shrink_running"),
    "softmax over cosines": ("softmax+softmax_seed1+softmax_seed2", "cosine"),
    "instance norm (`MODEL": (KEPT, WITH_NORM),
    "the same in the mean of three": ("mean_three", "mean_instance_norm"),
    "a triplet loss with a soft margin": (KEPT, "soft_margin"),
    "columns of a part of each": (WITH_NORM, "ibn_part"),
    "nothing before people in training": (KEPT, "no_objects"),
    "drawn objects alone": (KEPT, "shapes"),
    "outlines of other people": (KEPT, "people"),
    "the same, both with instance norm": (WITH_NORM, "ibn_shapes"),
    "no colour jitter": (KEPT, "no_jitter"),
    "random erasing": (KEPT, "erasing"),
    "objects before people without their masks": (KEPT, "no_masks"),
    "no label smoothing": (KEPT, "no_smoothing"),
    "temperature 0.05": (KEPT, "temperature"),
    "temperature 0.01": (KEPT, "temperature_low"),
    "24 columns of a query": (KEPT, "columns_24"),
    "larger images in training": (KEPT, "size_320"),
    "larger images at test time": ("shrink_no_cut_seed1", "test_320"),
    "a smaller weight of the loss": (WITH_NORM, "ibn_small_loss"),
}

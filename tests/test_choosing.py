"""docs/choosing.md and ingredients.md: tables are the records, networks are as the pages say."""

from __future__ import annotations

import argparse
import ast
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from benchmarks import fusion, query_weights, validation
from partialreid.engine.configuration import setup_config
from partialreid.engine.weight_average import FREE
from partialreid.keys.config_files import flat_config, is_below
from tests.paths import ROOT
from tests.test_results_table import at

PAGE = "\n".join(
    (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("choosing", "ingredients")
)
VALIDATION = ROOT / "docs" / "results" / "validation"
LAMBDA = ROOT / "docs" / "results" / "lambda"
CUHK03 = "folder:datasets/CUHK03-val"
# Rows of the tables of lambda, by their files.
NETWORKS = {
    "ours": "ours",
    "ours, one training": "ours_one",
    "ours, first recipe": "ours_first",
    "ours, first recipe, 24 epochs": "ours_first_24",
    "ours, first recipe, last three epochs averaged": "ours_first_averaged",
    "FastReID-DSR": "fastreid_dsr",
    "FPR": "fpr",
    "DSR": "dsr",
    "DSR (which ranks by lambda 1)": "dsr",
}
# Seed 0 as it was trained a second time, see the page.
KEPT_THREE = "shrink_no_cut_again+shrink_no_cut_seed1+shrink_no_cut_seed2"
CUT_THREE = "shrink_again+shrink_seed1+shrink_seed2"
MEAN_THREE = "mean_two+mean_two_other+mean_two_third"
# Titles of columns that are no file's name.
FILES = {
    "shrink_no_cut, three seeds": KEPT_THREE,
    "shrink, three seeds": CUT_THREE,
    "shrink_no_cut, seeds 1 and 2": "shrink_no_cut_seed1+shrink_no_cut_seed2",
    "shrink_instance_norm, seeds 1 and 2": "shrink_instance_norm_seed1+shrink_instance_norm_seed2",
    "mean_two, three pairs": MEAN_THREE,
    "softmax, three seeds": "softmax+softmax_seed1+softmax_seed2",
    "instance norm, two seeds": "instance_norm+instance_norm_seed1",
    "windows of 2 and 4": "levels_2_4",
    "windows of 4, 6 and 8": "levels_4_6_8",
}


def tables(text: str) -> Iterator[list[list[str]]]:
    """The tables of a page, as rows of cells, without the line below the titles."""
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.split("|")[1:-1]])
        elif rows:
            yield [row for row in rows if set("".join(row)) - set(":-")]
            rows = []


def read(path: Any) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_validation_tables_are_the_records() -> None:
    others = {"isotonic", "as they are"}
    found = [x for x in tables(PAGE) if x[0][0] == "set" and not others & set(x[0])]
    assert len(found) >= 7
    for titles, *rows in found:
        (_, *written), *rest = next(
            tables(validation.table([FILES.get(name, name) for name in titles[1:]]))
        )
        assert written and rows == rest, titles


def test_the_fusion_is_its_record() -> None:
    (found,) = [x for x in tables(PAGE) if "isotonic" in x[0]]
    assert found == next(tables(fusion.table(read(VALIDATION / "fusion.json"))))


def test_the_weights_of_a_query_are_their_record() -> None:
    (found,) = [x for x in tables(PAGE) if "as they are" in x[0]]
    record = read(VALIDATION / "query_weights.json")
    assert found == next(tables(query_weights.table(record)))
    # Of the network that the page names: the same training, seed and number of epochs.
    one = read(ROOT / "docs" / "results" / "table.json")["ours, one training"]["run"]["config"]
    for key in ("SEED", "SOLVER.MAX_EPOCH", "INPUT.SHRINK", "INPUT.CUT", "MODEL.LOSSES"):
        assert at(record["run"]["config"], key) == at(one, key), key


def test_what_is_left_of_a_small_image_is_its_record() -> None:
    (rows,) = [x[1:] for x in tables(PAGE) if "0.35 of each side" in x[0]]
    found = read(ROOT / "docs" / "results" / "sharpness.json")["rows"]
    assert sorted(rows) == sorted(list(row.values()) for row in found)


def test_lambdas_are_their_curves() -> None:
    """Of the mean of CUHK03-val's sets that a lambda was chosen by, and of small queries."""
    chosen, small = [x[1:] for x in tables(PAGE) if x[0][0] == "network" and "at lambda 0" in x[0]]
    assert {row[0] for row in chosen} >= {row[0] for row in small} - {"DSR"}
    for name, value, *cells in chosen:
        record = read(LAMBDA / f"{NETWORKS[name]}.json")
        assert value == f"{record['lambda']:.2f}"
        of_cuhk = [curve for key, curve in record["curves"].items() if CUHK03 in key]
        assert len(of_cuhk) == (4 if name in ("ours", "ours, one training") else 3), name
        mean = {m: np.mean([curve[m] for curve in of_cuhk], axis=0) for m in validation.METRICS}
        assert cells == along(mean, record["lambda"]), name
    for name, *cells in small:
        file = LAMBDA / f"{NETWORKS[name]}_small.json"
        record = read(LAMBDA / f"{NETWORKS[name]}.json")
        curves = (read(file) if file.exists() else record)["curves"]
        (curve,) = [value for key, value in curves.items() if key.endswith(f"{CUHK03}Small")]
        assert cells == along(curve, record["lambda"]), name


def test_what_other_queries_would_make_of_our_lambda() -> None:
    """The three that all other networks chose by; and people of one camera among them."""
    ours = read(LAMBDA / "ours.json")["curves"]
    four = np.mean([c["Rank-1"] for key, c in ours.items() if CUHK03 in key], axis=0)
    assert len(ours) == 9 and four.argmax() == 88
    assert f"of the four kinds, 0.88 would be chosen ({four[88]:.2f}, 0.93 {four[93]:.2f})." in PAGE
    record = read(LAMBDA / "ours_one.json")
    three = [c for key, c in record["curves"].items() if key != "mean" and "Small" not in key]
    assert len(three) == 3
    rank1, m_ap = (np.mean([curve[name] for curve in three], axis=0) for name in ("Rank-1", "mAP"))
    found = [f"{rank1[place]:.1f} / {m_ap[place]:.1f}" for place in (93, 82)]
    assert rank1.argmax() == 93
    assert f"would have 0.93 ({found[0]}), where 0.82 finds {found[1]};" in " ".join(PAGE.split())
    both = read(LAMBDA / "ours_one_both.json")
    mean = both["curves"]["mean"]["Rank-1"]
    assert len(both["curves"]) == 9 and round(both["lambda"], 2) == 0.93
    assert f"0.93 as well ({mean[93]:.1f}, 0.82 {mean[82]:.1f}:" in PAGE


def along(curve: dict[str, Any], chosen: float) -> list[str]:
    """Rank-1 / mAP at a lambda, at 0 and at 1."""
    places = [round(chosen * 100), 0, 100]
    return [f"{curve['Rank-1'][i]:.1f} / {curve['mAP'][i]:.1f}" for i in places]


# Networks of ten epochs, and by which file each has its lambda of both kinds of people.
TEN_EPOCHS = {
    "the recipe that is kept": "ours_one_both",
    "without the loss": "ten_no_loss",
    "with cut queries": "ten_cut",
    "with drawn objects alone": "ten_shapes",
    "the mean of the first three": "ten_mean_three",
    "the mean of kept recipe, cut queries and drawn objects": "ten_mean_with_shapes",
    "the mean of kept recipe and cut queries": "ours",
}


def test_means_of_ten_epochs_are_their_curves() -> None:
    (rows,) = [x[1:] for x in tables(PAGE) if x[0][:2] == ["network", "its lambda"]]
    assert [row[0] for row in rows] == list(TEN_EPOCHS)
    for name, *cells in rows:
        record = read(LAMBDA / f"{TEN_EPOCHS[name]}.json")
        curves = [curve for key, curve in record["curves"].items() if key != "mean"]
        assert len(curves) == 8
        place = round(record["lambda"] * 100)
        found = [f"{record['lambda']:.2f}"]
        for part in (curves[:4], curves[4:]):
            rank1, m_ap = (np.mean([c[m][place] for c in part]) for m in validation.METRICS)
            found.append(f"{rank1:.1f} / {m_ap:.1f}")
        assert cells == found, name
    assert read(LAMBDA / "ten_mean_three.json")["run"]["trainings"][1:] == [
        {"MODEL.LOSSES.RECONSTRUCTION.SCALE": 0.0, "SEED": 1},
        {"INPUT.CUT.PROB": 0.7, "SEED": 2},
    ]
    assert read(LAMBDA / "ten_mean_with_shapes.json")["run"]["trainings"][1:] == [
        {"INPUT.CUT.PROB": 0.7, "SEED": 2},
        {"INPUT.OCCLUSION.KINDS": ["shapes"], "SEED": 3},
    ]
    assert read(LAMBDA / "ours.json")["run"]["trainings"][1:] == [
        {"INPUT.CUT.PROB": 0.7, "SEED": 2}
    ]


def test_other_lambdas_by_small_queries_too() -> None:
    """What the page says of the lambdas that were chosen without them."""
    best = {}
    for name in ("dsr", "fpr", "fastreid_dsr", "ours_first", "ours_first_24"):
        curves = read(LAMBDA / f"{name}.json")["curves"]
        curves |= read(LAMBDA / f"{name}_small.json")["curves"]
        found = np.mean([c["Rank-1"] for key, c in curves.items() if key != "mean"], axis=0)
        best[name] = int(found.argmax())
    assert best == {
        "dsr": 93, "fpr": 92, "fastreid_dsr": 94, "ours_first": 99, "ours_first_24": 89
    }  # fmt: skip
    assert "FPR would have 0.92" in PAGE and "DSR 0.93" in PAGE


def test_networks_are_trained_with_the_keys_of_the_page() -> None:
    (rows,) = [x[1:] for x in tables(PAGE) if x[0] == ["network", "keys"]]
    given = {}
    for name, keys in rows:
        parts = keys.split("`")[1].split() if "`" in keys else []
        given[name.strip("`")] = dict(zip(parts[::2], parts[1::2], strict=True))
    shipped = setup_config(_arguments())
    for name, keys in given.items():
        config = read(VALIDATION / f"{name}.json")["run"]["config"]
        for key in {key for some in given.values() for key in some}:
            wanted = _written(keys[key]) if key in keys else at(shipped, key)
            assert _trained_with(config, key, shipped) == _plain(wanted), (name, key)


def test_means_are_of_the_networks_of_the_page() -> None:
    """A record of a mean says by which keys its trainings differed; the page names them."""
    (rows,) = [x[1:] for x in tables(PAGE) if x[0] == ["mean", "of"]]
    assert {f"{name}.json" for name, _ in _unquoted(rows)} == {
        path.name for path in VALIDATION.glob("mean_*.json")
    }
    for name, members in _unquoted(rows):
        run = read(VALIDATION / f"{name}.json")["run"]
        first, *others = (
            flat_config(read(VALIDATION / f"{member}.json")["run"]["config"])
            for member in members.split(", ")
        )
        assert {k: v for k, v in flat_config(run["config"]).items() if first.get(k, v) != v} == {}
        nothing, *differing = run["trainings"]
        assert nothing == {} and len(differing) == len(others) >= 1
        for keys, config in zip(differing, others, strict=True):
            assert {k: v for k, v in config.items() if first.get(k, v) != v} == keys, name


def _unquoted(rows: list[list[str]]) -> list[list[str]]:
    return [[cell.replace("`", "") for cell in row] for row in rows]


def _trained_with(config: dict[str, Any], key: str, shipped: Any) -> Any:
    """A value of a record; keys that there were not yet had no effect."""
    try:
        return at(config, key)
    except KeyError:
        return False if key == "INPUT.SHRINK.ENABLED" else _plain(at(shipped, key))


def _written(text: str) -> Any:
    """The value of a key as a command line has it: a literal, or a word."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def _arguments() -> argparse.Namespace:
    keys = ["MODEL.BACKBONE.PRETRAIN", "False", "MODEL.DEVICE", "cpu", "SEED", "0"]
    return argparse.Namespace(config_file="reconstruction.yml", opts=keys)


SEED = re.compile(r"_seed[012]$")


def of_several_seeds() -> dict[str, list[str]]:
    """Records of one recipe by its name; that of seed 0 may have none at its end."""
    found: dict[str, list[str]] = {}
    for path in sorted(VALIDATION.glob("*.json")):
        found.setdefault(SEED.sub("", path.stem), []).append(path.stem)
    return {name: files for name, files in found.items() if len(files) > 1}


@pytest.mark.parametrize("recipe", of_several_seeds())
def test_seeds_differ_in_the_seed_alone(recipe: str) -> None:
    """But for keys that one of them did not know yet, and those that no weight depends on."""
    first, *others = of_several_seeds()[recipe]
    one = flat_config(read(VALIDATION / f"{first}.json")["run"]["config"])
    seeds = [one["SEED"]]
    for other in others:
        found = flat_config(read(VALIDATION / f"{other}.json")["run"]["config"])
        differing = {k for k in one.keys() & found.keys() if one[k] != found[k] and not _is_free(k)}
        assert differing == {"SEED"}, other
        seeds.append(found["SEED"])
    named = [int(name[-1]) if SEED.search(name) else 0 for name in (first, *others)]
    assert seeds == named and len(set(seeds)) == len(seeds)


def _is_free(key: str) -> bool:
    return any(is_below(key, free) for free in FREE)


def test_how_far_a_seed_moves_what_is_found() -> None:
    """The most by which two trainings of one recipe differ, on a set and on all of CUHK03-val."""
    most = {key: [0.0, 0.0] for key in ("set", "all")}
    for files in of_several_seeds().values():
        records = [read(VALIDATION / f"{name}.json") for name in files]
        of_all = [title for title in WHOLE if all(title in record for record in records)]
        for titles, key in [([each.title], "set") for each in validation.SETS] + [(of_all, "all")]:
            held = [r for r in records if all(title in r for title in titles)]
            for place, metric in enumerate(validation.METRICS):
                means = [
                    np.mean([x for title in titles for x in r[title]["queries"][metric]])
                    for r in held
                ]
                if len(means) > 1:
                    most[key][place] = max(most[key][place], float(np.ptp(means)))
    (rank1, m_ap), (all_rank1, all_map) = most["set"], most["all"]
    words = " ".join(PAGE.split())
    assert f"to {rank1:.1f} points and its mAP by up to {m_ap:.1f}, all queries of" in words
    assert f"CUHK03-val by {all_rank1:.1f} and {all_map:.1f}, at times" in words


# The sets that make "all queries of CUHK03-val", of networks that have them.
WHOLE = [
    each.title
    for each in validation.SETS
    if each.title.startswith("CUHK03-val") and not each.title.endswith(validation.APART)
]


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
    assert answer("a fusion learnt") == (
        f"both are behind on all sets of CUHK03-val: isotonic mAP {span(found['isotonic'])}, "
        f"beyond the noise on each, logistic {span(found['logistic'])}, on {count}"
    )


LEARNT = ("isotonic", "logistic")


def test_bfloat16_is_what_its_row_says() -> None:
    seeds = ["+".join(f"float32_seed{i}" for i in range(3)), FILES["softmax, three seeds"]]
    lines = next(tables(validation.table(seeds[::-1])))
    found = {title: difference.split(" / ")[2] for title, _, difference in lines[1:]}
    assert answer("the network in bfloat16").startswith(
        f"three seeds each: all queries held out mAP {found['held out, all']} for float32, of "
        f"CUHK03-val {found['CUHK03-val, all']}: "
    )


PEOPLE = {"of CUHK03-val": "CUHK03-val", "held out": "held out", "of one camera": "same camera"}
KEPT = "shrink_no_cut_seed1+shrink_no_cut_seed2"
WITH_NORM = "shrink_instance_norm_seed1+shrink_instance_norm_seed2"
# How a row begins, and the networks that it compares.
CHOSEN = {
    "the mean of two trainings' weights": (KEPT_THREE, MEAN_THREE),
    "cut queries in 70": (KEPT_THREE, CUT_THREE),
    "a third training in that mean, with drawn": ("mean_two", "mean_with_shapes"),
    "a third training in that mean, without": (KEPT, "mean_three"),
    "the mean of two trainings by the kept": ("mean_three", "mean_seeds"),
    "training images made small": ("no_cut", "shrink_no_cut"),
    "the triplet loss beside": (KEPT, "triplet"),
    "the loss on the reconstruction distance, left out": (KEPT, "no_reconstruction_loss"),
    "cut queries that are normalised": ("shrink_no_cut", "shrink_running"),
    "softmax over cosines": ("softmax+softmax_seed1+softmax_seed2", "cosine"),
    "instance norm (`MODEL": (KEPT, WITH_NORM),
    "the same in the mean of three": ("mean_three", "mean_instance_norm"),
    "columns of a part of each": (WITH_NORM, "ibn_part"),
    "drawn objects alone": (KEPT, "shapes"),
    "the same, both with instance norm": (WITH_NORM, "ibn_shapes"),
    "no colour jitter": (KEPT, "no_jitter"),
    "no label smoothing": (KEPT, "no_smoothing"),
    "temperature 0.05": (KEPT, "temperature"),
    "temperature 0.01": (KEPT, "temperature_low"),
    "larger images at test time": ("shrink_no_cut_seed1", "test_320"),
    "a smaller weight of the loss": (WITH_NORM, "ibn_small_loss"),
}


def test_each_pair_of_trainings_gives_what_the_page_says() -> None:
    """Rank-1 of the three means beside three seeds of the kept recipe."""
    pairs = MEAN_THREE.split("+")
    lines = next(tables(validation.table([KEPT_THREE, *pairs])))
    found = {
        title: [cell.split("; ")[1].split()[0] for cell in cells] for title, _, *cells in lines[1:]
    }
    between, within = found["CUHK03-val, all"], found["same camera, all"]
    halves = found["same camera, half"]
    bare = [[cell.lstrip("+") for cell in row] for row in (between, within, halves)]
    first, second, third = bare[0]
    words = " ".join(PAGE.split())
    assert f"finds {first} of Rank-1 more of all queries of CUHK03-val than three seeds" in words
    assert f"the second one {second}, and the third nothing ({third})" in words
    assert "within one camera they find {}, {} and {} more".format(*bare[1]) in words
    assert "of halves there {}, {} and {}.".format(*bare[2]) in words


def test_the_second_training_of_seed_0_is_another_network() -> None:
    """By how much more of all queries of CUHK03-val it finds; the keys are the same."""
    found = []
    for name in ("shrink_no_cut", "shrink"):
        lines = next(tables(validation.table([name, f"{name}_again"])))
        (cell,) = [cells[-1] for title, *cells in lines[1:] if title == "CUHK03-val, all"]
        found.append(cell.split("; ")[1].split()[0].lstrip("+"))
    assert f"it finds {found[0]} and {found[1]} points more" in " ".join(PAGE.split())

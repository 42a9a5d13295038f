"""Networks were trained as docs/choosing.md and ingredients.md say, and differ by as much."""

from __future__ import annotations

import argparse
import ast
import re
from typing import Any

import numpy as np
import pytest

from benchmarks import validation
from partialreid.engine.configuration import setup_config
from partialreid.engine.mean_checks import FREE
from partialreid.keys.config_files import flat_config, is_below
from partialreid.reporting.query_record import METRICS
from tests.results_rows import at
from tests.validation_pages import KEPT_THREE, MEAN_THREE, PAGE, VALIDATION, read, tables


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
            for place, metric in enumerate(METRICS):
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

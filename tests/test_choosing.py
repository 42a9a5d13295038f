"""Tables of docs/choosing.md and ingredients.md are the records."""

from __future__ import annotations

from benchmarks import fusion, query_weights, validation
from tests.paths import ROOT
from tests.test_results_table import at
from tests.validation_pages import FILES, PAGE, VALIDATION, read, tables


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
    assert found == next(tables(query_weights.table(record, tuple(query_weights.WAYS))))
    # Of the network that the page names: the same training, seed and number of epochs.
    one = read(ROOT / "docs" / "results" / "table.json")["ours, one training"]["run"]["config"]
    for key in ("SEED", "SOLVER.MAX_EPOCH", "INPUT.SHRINK", "INPUT.CUT", "MODEL.LOSSES"):
        assert at(record["run"]["config"], key) == at(one, key), key


def test_what_is_left_of_a_small_image_is_its_record() -> None:
    (rows,) = [x[1:] for x in tables(PAGE) if "0.35 of each side" in x[0]]
    found = read(ROOT / "docs" / "results" / "sharpness.json")["rows"]
    assert sorted(rows) == sorted(list(row.values()) for row in found)

"""Tables of docs/choosing.md and ingredients.md are the records."""

from __future__ import annotations

from benchmarks import evaluated_ways, fusion, gallery_windows, query_weights, validation
from benchmarks.results_table import TO_FIT_RESULTS, TWO
from partialreid.matching.windows import column_windows
from tests.paths import ROOT
from tests.results_rows import at
from tests.validation_pages import FILES, PAGE, VALIDATION, read, tables


def test_validation_tables_are_the_records() -> None:
    others = {"isotonic", "as they are", "all windows"}
    found = [x for x in tables(PAGE) if x[0][0] == "set" and not others & set(x[0])]
    assert len(found) >= 7
    for titles, *rows in found:
        (_, *written), *rest = next(
            tables(validation.table([FILES.get(name, name) for name in titles[1:]]))
        )
        assert written and rows == rest, titles


def test_the_fusions_are_their_records() -> None:
    found = [x for x in tables(PAGE) if "isotonic" in x[0]]
    records = [read(VALIDATION / f"{name}.json") for name in ("fusion", "fusion_held_out")]
    assert found == [next(tables(fusion.table(record))) for record in records]
    learnt = records[1]["run"]["learnt"]
    assert learnt["on"] == list(fusion.TAUGHT_BY)
    assert f"(one lambda: {learnt['lambda']:.2f}, that of the best" in PAGE


def test_the_weights_of_a_query_are_their_record() -> None:
    (found,) = [x for x in tables(PAGE) if "as they are" in x[0]]
    record = read(VALIDATION / "query_weights.json")
    assert found == next(tables(evaluated_ways.table(record, tuple(query_weights.WAYS))))
    # Of the network that the page names: the same training, seed and number of epochs.
    one = read(TO_FIT_RESULTS)["ours, one training"]["run"]["config"]
    for key in ("SEED", "SOLVER.MAX_EPOCH", "INPUT.SHRINK", "INPUT.CUT", "MODEL.LOSSES"):
        assert at(record["run"]["config"], key) == at(one, key), key


def test_the_windows_of_the_gallery_are_their_record() -> None:
    """Of the model that was released then: the same trainings."""
    (found,) = [x for x in tables(PAGE) if "all windows" in x[0]]
    record, ways = read(VALIDATION / "gallery_windows.json"), tuple(gallery_windows.WAYS)
    assert found == next(tables(evaluated_ways.table(record, ways)))
    two = read(TO_FIT_RESULTS)[TWO]["run"]
    assert record["run"]["trainings"] == two["trainings"]
    counts = [len(column_windows(16, 8, (side,))) for side in (2, 4, 6, 8)]
    assert counts == [32, 21, 12, 5]
    assert f"{counts[0] + counts[1]} of an image's {sum(counts)} columns" in PAGE


def test_what_is_left_of_a_small_image_is_its_record() -> None:
    (rows,) = [x[1:] for x in tables(PAGE) if "0.35 of each side" in x[0]]
    found = read(ROOT / "docs" / "results" / "sharpness.json")["rows"]
    assert sorted(rows) == sorted(list(row.values()) for row in found)

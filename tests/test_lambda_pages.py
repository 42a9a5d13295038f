"""Lambda as docs/choosing.md and ingredients.md say is what the curves say."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import chosen_lambdas
from benchmarks.results_table import GALLERY, LAMBDAS
from partialreid.reporting.query_record import METRICS
from tests.validation_pages import LAMBDA, PAGE, read, tables

CUHK03 = "folder:datasets/CUHK03-val"
# Rows of the tables of lambda, by their files.
NETWORKS = {
    "ours": "ours",
    "ours, two trainings": "ours_two",
    "ours, one training": "ours_one",
    "ours, first recipe": "ours_first",
    "ours, first recipe, 24 epochs": "ours_first_24",
    "ours, first recipe, last three epochs averaged": "ours_first_averaged",
    "FastReID-DSR": "fastreid_dsr",
    "FPR": "fpr",
    "DSR": "dsr",
    "DSR (which ranks by lambda 1)": "dsr",
}

# Those whose lambda was chosen by small queries, too.
WITH_SMALL = ("ours", "ours, two trainings", "ours, one training")


def test_lambdas_are_their_curves() -> None:
    """Of the mean of CUHK03-val's sets that a lambda was chosen by, and of small queries."""
    chosen, small = [x[1:] for x in tables(PAGE) if x[0][0] == "network" and "at lambda 0" in x[0]]
    assert {row[0] for row in chosen} >= {row[0] for row in small} - {"DSR"}
    for name, *cells in chosen:
        record = read(LAMBDA / f"{NETWORKS[name]}.json")
        assert cells == cells_of(record, 4 if name in WITH_SMALL else 3), name
    for name, *cells in small:
        file = LAMBDA / f"{NETWORKS[name]}_small.json"
        record = read(LAMBDA / f"{NETWORKS[name]}.json")
        curves = (read(file) if file.exists() else record)["curves"]
        (curve,) = [value for key, value in curves.items() if key.endswith(f"{CUHK03}Small")]
        assert cells == along(curve, record["lambda"]), name


def test_lambdas_by_the_gallery_are_their_curves() -> None:
    (rows,) = [x[1:] for x in tables(PAGE) if x[0][0] == "by the gallery"]
    assert [row[0] for row in rows] == list(LAMBDAS)
    for name, *cells in rows:
        assert cells == cells_of(read(LAMBDA / f"{LAMBDAS[name]}{GALLERY}.json"), 4), name


def test_what_other_queries_would_make_of_our_lambda() -> None:
    """The three that all other networks chose by; and people of one camera among them."""
    four = {}
    for name, best, chosen in (("ours", 97, 97), ("ours_two", 88, 93)):
        record = read(LAMBDA / f"{name}.json")
        curves = record["curves"]
        four[name] = np.mean([c["Rank-1"] for key, c in curves.items() if CUHK03 in key], axis=0)
        assert len(curves) == 9 and four[name].argmax() == best
        assert round(100 * record["lambda"]) == chosen
    two = four["ours_two"]
    assert f"0.88 would be chosen ({two[88]:.2f}, 0.93 {two[93]:.2f})." in PAGE
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


def cells_of(record: dict[str, Any], sets: int) -> list[str]:
    """Lambda, and the mean of CUHK03-val's sets, as many as these, along it."""
    of_cuhk = [curve for key, curve in record["curves"].items() if CUHK03 in key]
    assert len(of_cuhk) == sets
    mean = {m: np.mean([curve[m] for curve in of_cuhk], axis=0) for m in METRICS}
    return [f"{record['lambda']:.2f}", *along(mean, record["lambda"])]


def along(curve: dict[str, Any], chosen: float) -> list[str]:
    """Rank-1 / mAP at a lambda, at 0 and at 1."""
    places = [round(chosen * 100), 0, 100]
    return [f"{curve['Rank-1'][i]:.1f} / {curve['mAP'][i]:.1f}" for i in places]


MEANS = ("ours_two", "ten_mean_three", "ten_mean_with_shapes")
# Networks of ten epochs, and by which file each has its lambda of both kinds of people.
TEN_EPOCHS = {
    "the recipe that is kept": "ours_one_both",
    "without the loss": "ten_no_loss",
    "with cut queries": "ten_cut",
    "with drawn objects alone": "ten_shapes",
    "the mean of the first three": "ten_mean_three",
    "the mean of kept recipe, cut queries and drawn objects": "ten_mean_with_shapes",
    "the mean of kept recipe and cut queries": "ours_two",
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
            rank1, m_ap = (np.mean([c[m][place] for c in part]) for m in METRICS)
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
    assert read(LAMBDA / "ours_two.json")["run"]["trainings"][1:] == [
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


def test_single_trainings_of_ten_epochs_are_those_that_the_means_are_of() -> None:
    """Their own records do not hold their keys: the page does, as the records of means do."""
    means = [read(LAMBDA / f"{name}.json")["run"]["trainings"] for name in MEANS]
    trained = [keys for trainings in means for keys in trainings[1:]]
    text = " ".join(PAGE.split())
    found = re.search(
        r"Without the loss it was `([^`]*)`, .* `([^`]*)`, .* alone `([^`]*)`, as", text
    )
    assert found
    for written in found.groups():
        words = written.split()
        keys = dict(zip(words[::2], map(ast.literal_eval, words[1::2]), strict=True))
        plain = {key: list(x) if isinstance(x, tuple) else x for key, x in keys.items()}
        assert plain in trained, written


# Of these it is known what each query found: columns of the page's table, by their files.
PAIRED = {
    "the mean of two": "ours_two_queries",
    "the recipe that is kept, seed 1": "ten_kept_again",
    "the mean of two and seed 1": "ten_mean_kept_twice",
}
# Rows of the table of answers, by which of these columns they are.
ANSWERS = {
    "one training by the kept recipe, seed 1, in place": 2,
    "a third training in that mean, by the kept recipe, seed 1": 3,
}


# The same of a longer training, and with it.
LONGER = {
    "the mean of two": "ours_two_queries",
    "the recipe that is kept, 24 epochs": "kept_24",
    "the mean of all three": "ours",
}
ANSWERS_LONGER = {
    "24 epochs of the kept recipe": 2,
    "a third training in that mean, of 24 epochs": 3,
}


def paired_rows(networks: dict[str, str], answers: dict[str, int]) -> list[list[str]]:
    """The rows of a table of the page, once they and its answers are what the records say."""
    (rows,) = [x for x in tables(PAGE) if x[0][1:] == list(networks)]
    files = [str(LAMBDA / f"{name}.json") for name in networks.values()]
    (found,) = tables(chosen_lambdas.table(files))
    assert [row[1:] for row in rows[1:]] == [row[1:] for row in found[1:]]
    assert len(rows) == 11 and [row[0] for row in rows[-2:]] == [
        "CUHK03-val, all",
        "same camera, all",
    ]
    assert [title.split(", lambda ")[-1] for title in found[0][1:]] == [
        f"{read(Path(file))['lambda']:.2f}" for file in files
    ]
    (said_of,) = [x[1:] for x in tables(PAGE) if x[0] == ["ingredient", "kept?", "by which figure"]]
    for begins, column in answers.items():
        (said,) = [row[2] for row in said_of if row[0].startswith(begins)]
        gains = [row[column].split("; ")[1].split(" / ") for row in rows[-2:]]
        assert said.startswith(
            f"all queries of CUHK03-val: Rank-1 {gains[0][0]}, mAP {gains[0][1]}; "
            f"of one camera {gains[1][0]}, {gains[1][1]}: "
        ), begins
    return rows


def test_differences_after_ten_epochs_are_those_of_the_queries() -> None:
    rows = paired_rows(PAIRED, ANSWERS)
    # That of the third column: the two trainings of the first column's, and the second column's.
    runs = {name: read(LAMBDA / f"{file}.json")["run"] for name, file in PAIRED.items()}
    mean, two = runs["the mean of two and seed 1"], runs["the mean of two"]
    assert mean["averaged"] == 3 and mean["trainings"] == [*two["trainings"], {"SEED": 1}]
    assert runs["the recipe that is kept, seed 1"]["trained_with"]["SEED"] == 1
    # What a seed moves after ten epochs, by Rank-1.
    (ten,) = [x[1:] for x in tables(PAGE) if x[0][:2] == ["network", "its lambda"]]
    first = {row[0]: [float(cell.split(" / ")[0]) for cell in row[2:]] for row in ten}
    second = [float(row[2].split(" / ")[0]) for row in rows[-2:]]
    moved = np.subtract(first["the recipe that is kept"], second)
    assert [f"{x:.1f}" for x in moved] == ["2.7", "1.3"]
    assert "finds 2.7 of Rank-1 more between two cameras" in PAGE


# How test images are made, each column by its file: the same network, and for each answer of the
# page the column that it is of.
WAYS: tuple[tuple[dict[str, str], dict[str, int]], ...] = (
    (
        {
            "ours": "ours",
            "ours, INPUT.DETAIL 0.7": "ours_detail_0.7",
            "ours, INPUT.DETAIL 0.5": "ours_detail_0.5",
        },
        {
            "no more detail than 0.7 of 256 x 128, ours": 2,
            "test images with no more detail than those of Market-1501": 3,
        },
    ),
    (
        {
            "the original's": "original",
            "the original's, INPUT.DETAIL 0.7": "original_detail_0.7",
            "the original's, INPUT.DETAIL 0.5": "original_detail_0.5",
        },
        {"the same for the original's checkpoint": 3},
    ),
    (
        {
            "ours": "ours",
            "by nine tenths": "ours_gallery",
            "by the median": "ours_gallery_median",
            "by nine tenths, and INPUT.DETAIL 0.5": "ours_gallery_detail",
        },
        {
            "test images scaled by the proportions of the gallery": 2,
            "the same by the gallery's median": 3,
            "both of these": 4,
        },
    ),
)


@pytest.mark.parametrize(("networks", "answers"), WAYS)
def test_ways_to_make_test_images_are_those_of_the_queries(
    networks: dict[str, str], answers: dict[str, int]
) -> None:
    paired_rows(networks, answers)
    runs = [read(LAMBDA / f"{file}.json")["run"] for file in networks.values()]
    for title, run in zip(networks, runs, strict=True):
        made = run["protocol"]
        assert made.get("detail", 1.0) == float(title.partition("DETAIL ")[2] or 1)
        assert made["keep_ratio"] == ("gallery" if "by " in title else "fit")
        assert made.get("keep_ratio_whole", 0.0) == 0
        assert run.get("trainings") == runs[0].get("trainings")
        # The one version whose "gallery" was the median.
        assert (run["commit"][:7] == "9625070") == (title == "by the median")


def test_objects_and_masks_for_fastreid_dsr_are_those_of_the_queries() -> None:
    files = {
        "FastReID-DSR": "fastreid_dsr_again_gallery_detail",
        "with objects and masks": "fastreid_dsr_masks_gallery_detail",
    }
    rows = paired_rows(files, {"objects with masks for FastReID-DSR": 2})
    one, other = (read(LAMBDA / f"{name}.json")["run"] for name in files.values())
    # By one distance: what differs is the training.
    assert one["protocol"] == other["protocol"]
    assert other["trained_with"] == {
        "MODEL.META_ARCHITECTURE": "FPRBaseline", "INPUT.OCCLUSION.ENABLED": True
    }  # fmt: skip
    gain = {row[0]: row[2].split("; ")[1].split(" (")[0].lstrip("+-") for row in rows[1:]}
    hidden, whole, small = (
        [gain[f"{people}{kind}"] for people in ("same camera", "CUHK03-val")]
        for kind in (", hidden", "", ", small")
    )
    said = (
        f"gain most, {hidden[0]} points of Rank-1 within one camera and {hidden[1]} between two; "
        f"whole ones gain {whole[0]} and {whole[1]}. Small ones lose {small[0]} and {small[1]}:"
    )
    assert said in " ".join(PAGE.split())


def test_a_training_of_fpr_in_the_mean_is_that_of_the_queries() -> None:
    files = {"ours": "ours_gallery_detail", "ours and FPR": "ours_with_fpr_gallery_detail"}
    paired_rows(files, {"a fourth training in that mean, FPR's": 2})
    ours, more = (read(LAMBDA / f"{name}.json")["run"] for name in files.values())
    assert more["protocol"] == {**ours["protocol"], "lambda": more["protocol"]["lambda"]}
    assert more["averaged"] == 4 and more["trainings"][:3] == ours["trainings"]
    (fprs,) = more["trainings"][3:]
    assert fprs["MODEL.META_ARCHITECTURE"] == "FPRBaseline"


def test_instance_norm_after_ten_epochs_is_that_of_the_queries() -> None:
    files = {
        "ours, one training": "ours_one_again_gallery_detail",
        "with instance norm": "ten_instance_norm_gallery_detail",
    }
    paired_rows(files, {"instance norm after ten epochs": 2})
    without, norm = (read(LAMBDA / f"{name}.json")["run"] for name in files.values())
    assert norm["protocol"] == {**without["protocol"], "lambda": norm["protocol"]["lambda"]}
    assert [run["config"]["MODEL"]["BACKBONE"]["WITH_IBN"] for run in (without, norm)] == [
        False,
        True,
    ]


def test_halves_by_the_proportions_of_the_gallery() -> None:
    networks = {
        "to fit": "half_fit",
        "by nine tenths": "half_gallery",
        "by the median": "half_gallery_median",
        "by nine tenths, and INPUT.DETAIL 0.5": "half_gallery_detail",
    }
    (rows,) = [x for x in tables(PAGE) if x[0][1:] == list(networks)]
    files = [str(LAMBDA / f"{name}.json") for name in networks.values()]
    (found,) = tables(chosen_lambdas.table(files))
    assert [row[1:] for row in rows[1:]] == [row[1:] for row in found[1:]]
    for file in files:
        made = read(Path(file))["run"]["protocol"]["derived"]
        assert (made["SIDES"], made["PERCENT"]) == ("any", [35, 65])
    (said,) = [
        row[2]
        for answers in tables(PAGE)
        for row in answers
        if row[0].startswith("test images scaled by the proportions of the gallery")
    ]
    gain = rows[2][2].split("; ")[1].split(" / ")
    assert f"halves of one camera {gain[0]}, {gain[1]}: [all sets]" in said


def chosen_mean(record: dict[str, Any], people: str, kind: str) -> np.ndarray:
    """Rank-1 and mAP by the lambda of a record, in the mean over these people's queries."""
    place = round(100 * record["lambda"])
    curves = [c for key, c in record["curves"].items() if people in key and key.endswith(kind)]
    assert len(curves) == (1 if kind else 4)
    return np.mean([[curve[metric][place] for metric in METRICS] for curve in curves], axis=0)


def test_differences_after_24_epochs_are_those_of_the_queries() -> None:
    paired_rows(LONGER, ANSWERS_LONGER)
    trained = read(LAMBDA / "kept_24.json")["run"]["trained_with"]
    assert (trained["SOLVER.MAX_EPOCH"], trained["SOLVER.DELAY_EPOCHS"]) == (24, 7)
    runs = [read(LAMBDA / f"{name}.json")["run"] for name in ("ours_two_queries", "ours")]
    two, three = (run["trainings"] for run in runs)
    assert [run["averaged"] for run in runs] == [2, 3]
    assert three == [*two, {"SOLVER.DELAY_EPOCHS": 7, "SOLVER.MAX_EPOCH": 24}]
    # Against one training of ten epochs, and with its parts against it alone.
    for pair, words in (
        (
            ("ten_kept_again", "kept_24"),
            "of 24 gains between two cameras {} of Rank-1 and {} of mAP, within one {} and {}:",
        ),
        (
            ("kept_24", "ours"),
            "between two cameras by Rank-1 {}, mAP {}, within one by {} and {}:",
        ),
    ):
        (rows,) = tables(chosen_lambdas.table([str(LAMBDA / f"{name}.json") for name in pair]))
        gains = [gain for row in rows[-2:] for gain in row[2].split("; ")[1].split(" / ")]
        assert words.format(*gains) in " ".join(PAGE.split()), pair
    # Against that with its own seed, by the curves: of all queries, and of small ones.
    before, after = (read(LAMBDA / f"{name}.json") for name in ("ours_one_both", "kept_24"))
    gains = [
        f"{gain:+.1f}"
        for kind in ("", "Small")
        for people in (CUHK03, "same_camera.csv")
        for gain in chosen_mean(after, people, kind) - chosen_mean(before, people, kind)
    ]
    two, two_ap, one, one_ap, small, small_ap, small_one, small_one_ap = gains
    assert (
        f"gain between two cameras {two} of Rank-1 and {two_ap} of mAP, within one {one} and "
        f"{one_ap}; of small queries alone {small} and {small_ap}, {small_one} and {small_one_ap}."
    ) in " ".join(PAGE.split())

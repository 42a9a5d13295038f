"""One network, evaluated in several ways on the people of CUHK03-val.

Programs of one question each differ in what they do to the network's columns or weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from torch import nn

from benchmarks.same_camera import write_list
from benchmarks.side_by_side import compared
from benchmarks.validation import (
    APART,
    DISTANCE,
    PEOPLE,
    SAME_CAMERA_FILE,
    SETS,
    TOGETHER,
    add_network,
    config_of,
    record_of,
)
from partialreid import DsrEvaluator
from partialreid.data.catalogue import data_root
from partialreid.data.loaders import build_test_loader
from partialreid.engine.checked_evaluation import checked_model
from partialreid.engine.inference import evaluate_model
from partialreid.engine.remembered_outputs import RememberedOutputs
from partialreid.reporting.query_record import queries_of
from partialreid.runtime.errors import user_errors
from partialreid.runtime.files import write_json

# Pixels of an image's side for each cell of its map.
STRIDE = 16
# Takes the network, one of the ways, the config and the paths of a set's gallery images; gives the
# network that is to be evaluated.
Changed: TypeAlias = Callable[[nn.Module, str, Any, set[str]], nn.Module]


def ways_of_command_line(
    argv: Sequence[str] | None,
    doc: str,
    ways: Sequence[str],
    changed: Changed,
    path: Path,
) -> int:
    """The whole of a program: `evaluated_ways` of a command line, and its table.

    Args:
        argv: as of any command, a config, a checkpoint and keys; None: that of the process.
        doc: of the program, whose first line says what it asks.
        ways, changed, path: as in `evaluated_ways`.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    add_network(parser)
    args = parser.parse_args(argv)
    with user_errors():
        print(table(evaluated_ways(args, ways, changed, path), ways))
    return 0


def evaluated_ways(
    args: argparse.Namespace,
    ways: Sequence[str],
    changed: Changed,
    path: Path,
) -> dict[str, Any]:
    """Evaluate one network in several ways on CUHK03-val, whole, cut and hidden; write the record.

    Args:
        args: what `add_network` reads.
        ways: names.
        changed: what makes the network of one of them.
        path: of the record.
    """
    wanted = [x for x in SETS if x.title.startswith(PEOPLE[1:])]
    wanted = [x for x in wanted if not x.title.endswith((APART, "small"))]
    configs = [config_of(args, x) for x in wanted]
    write_list(f"{data_root(configs[0])}/CUHK03-val", str(SAME_CAMERA_FILE))
    record: dict[str, Any] = {"run": record_of(configs[0], args.weights)}
    model = RememberedOutputs(checked_model(configs[0]), 4e9, configs[0].OUTPUT_DIR)
    for one, cfg in zip(wanted, configs, strict=True):
        record[one.title] = {}
        for way in ways:
            loader, queries = build_test_loader(cfg, *cfg.DATASETS.TESTS)
            evaluator = DsrEvaluator(cfg, queries, keep_distances=True)
            images = [image for image, *_ in loader.dataset.img_items]
            network = changed(model, way, cfg, set(images[queries:]))
            evaluate_model(network.eval(), loader, evaluator)
            record[one.title][way] = queries_of(evaluator.distances[DISTANCE], evaluator.ids)
        write_json(str(path), record)
    return record


def table(record: dict[str, Any], ways: Sequence[str]) -> str:
    """Rank-1 / mAP of each way, and its difference from the first."""
    titles = [x.title for x in SETS if x.title in record]
    networks = [[{title: {"queries": record[title][way]} for title in titles}] for way in ways]
    return compared(ways, networks, titles, TOGETHER)

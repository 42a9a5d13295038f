"""Compare systems: several configs with their checkpoints on several test sets, in one table.

    partialreid compare --output logs/keep_ratio \
        --system stretched market_mobilenetv2.yml logs/market_mobilenetv2/model_final.pth \
            INPUT.KEEP_RATIO off \
        --system unstretched market_mobilenetv2.yml logs/market_mobilenetv2/model_final.pth \
        --tests Market1501Partial
    partialreid compare --output logs/all --add logs/compare/compare.json logs/dsr/compare.json \
        --tests Market1501 Market1501Partial Market1501Occluded

Images that test sets share are extracted once. Writes compare.md with 95 % intervals and
milliseconds per query (of the matching, after the network), and by how much each system differs
from the first; compare.json with the same, in seconds, and what each query found; and cmc.png with
the CMC curve of each system on each test set. Config keys and values after --opts hold for all.
compare.json grows by every system that is ready; after an interruption, --add takes up what it
holds, as it takes systems that were compared on another machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Sequence
from typing import Any

from fastreid.utils import comm
from torch import nn

from ..engine.checked_evaluation import checked_model, evaluated, evaluation_record
from ..engine.checks import check_output_dir
from ..engine.configuration import model_config, setup_config
from ..engine.inference import load_for_evaluation
from ..engine.launching import launch, processes_here
from ..engine.remembered_outputs import RememberedOutputs
from ..engine.saved_model import brings_config
from ..engine.training_record import training_of
from ..images.lists import name_some
from ..metrics.report import Distance, cmc_curve
from ..reporting.comparison import (
    RUN,
    Compared,
    Systems,
    cmc_panels,
    comparison_table,
    earlier_systems,
)
from ..reporting.comparison_differences import difference_table
from ..reporting.curve_pictures import draw_panels
from ..reporting.query_record import queries_of
from ..runtime.collectives import rank, world_size
from ..runtime.errors import user_errors
from ..runtime.files import write_json, write_text
from ..runtime.memory_budget import memory_budget
from .output import log_to_stderr, say

logger = logging.getLogger("partialreid.compare")
CURVE = 20  # ranks
RESULTS = "compare.json"


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument(
        "--system",
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME CONFIG WEIGHTS", "KEY VALUE"),
        help="name in the table, config file and checkpoint (or one model file in place of both), "
        "then config keys and values of its own; once for each system",
    )
    parser.add_argument(
        "--add",
        type=os.path.expanduser,
        nargs="+",
        default=[],
        metavar="COMPARE.JSON",
        help="results of earlier comparisons, whose systems come first",
    )
    parser.add_argument("--tests", nargs="+", required=True, help="test sets")
    parser.add_argument(
        "--output", type=os.path.expanduser, required=True, help="folder of the results"
    )
    parser.add_argument("--opts", nargs="*", default=[], help="config keys and values for all")
    parser.add_argument(
        "--num-gpus",
        type=int,
        default=None,
        help="processes (default: all visible GPUs; one on a CPU)",
    )
    args = parser.parse_args(argv)
    log_to_stderr()
    with user_errors():
        check_output_dir(args.output)
        names = [system[0] for system in args.system]
        record = earlier_systems(args.add, args.tests, names)
        if not args.system and not record:
            raise ValueError("nothing to compare: give a --system, or results to --add.")
        refuse_to_drop(args.output, [*record, *names], args.tests)
        configs = [config_of(args, system) for system in args.system]
        if not configs:
            write_comparison(args.output, record)
            return 0
        device = configs[0].MODEL.DEVICE
        processes = processes_here(device, args.num_gpus)
        for cfg in configs:
            # Everything that can be wrong is found before the first long work.
            checked_model(cfg, processes)
        launch(compare, device, processes, args=(args, configs, record))
    return 0


def refuse_to_drop(folder: str, names: Sequence[str], tests: Sequence[str]) -> None:
    """Refuse a folder whose results hold systems, or test sets, that the new ones lack.

    Args:
        folder: of the results.
        names: of all systems that are to be in it.
        tests: of all test sets.

    Raises:
        ValueError: there are others.
    """
    path = os.path.join(folder, RESULTS)
    try:
        with open(path, encoding="utf-8") as file:
            held = json.load(file)
    except (OSError, ValueError):  # there is none, or none that could be added
        return
    if not isinstance(held, dict):
        return
    lost = [name for name in held if name not in names]
    kept = f"keep its systems by --add {path}"
    if not lost:
        sets = {name for parts in held.values() if isinstance(parts, dict) for name in parts}
        lost, kept = sorted(sets - {RUN, *tests}), "name them in --tests"
    if lost:
        raise ValueError(
            f'"{path}" holds {name_some(lost)} as well, which would be lost: {kept}, or give '
            "another --output."
        )


def compare(
    args: argparse.Namespace, configs: list[Any], record: dict[str, dict[str, object]]
) -> None:
    """Evaluate all systems on all test sets; the main process adds them to `record`."""
    if rank() == 0:
        # Anew in a process of its own.
        log_to_stderr()
    model: RememberedOutputs | None = None
    loaded = None
    for (name, *_), cfg in zip(args.system, configs, strict=True):
        # Systems one after another that differ in their evaluation alone share one network.
        network = outputs_depend_on(cfg)
        if model is None or network != loaded:
            model = None  # its memory goes before the next one's comes
            # In the memory of the machine, wherever the network runs.
            budget = memory_budget(cfg.TEST.DSR.MEMORY_GB, "cpu", comm.get_local_size())
            fast = load_for_evaluation(cfg, cfg.MODEL.WEIGHTS)
            model = RememberedOutputs(fast, budget.columns, args.output)
            loaded = network
        of_model = training_of(cfg.MODEL.WEIGHTS, cfg)
        parts: dict[str, object] = {}
        for test in args.tests:
            logger.info(f"{name} on {test}")
            parts[test] = evaluate(cfg, model, test)
        speed = {"images_per_second": model.images / model.seconds}
        parts[RUN] = {**evaluation_record(cfg, model, of_model, world_size()), **speed}
        record[name] = parts
        if rank() == 0:
            write_comparison(args.output, record)
    if rank() == 0:
        say(f"written to {args.output}: compare.md, compare.json, cmc.png")


def outputs_depend_on(cfg: Any) -> tuple[str, ...]:
    """What two systems must have in common to share remembered outputs, known by path and size."""
    # What is cut out of an image has one size, whatever that of the image was.
    before = str(cfg.INPUT.SIZE_TEST) if cfg.INPUT.CROP.ENABLED else ""
    images = (str(cfg.INPUT.CROP), before, str(cfg.INPUT.DETAIL))
    return cfg.MODEL.dump(), str(cfg.TEST.FLIP), *images


def write_comparison(folder: str, record: Systems) -> None:
    """Write the results, table and picture of the systems that are ready, and print the table."""
    table = "\n\n".join(filter(None, (comparison_table(record), difference_table(record))))
    path = os.path.join(folder, "cmc.png")
    draw_panels(cmc_panels(record), path, "rank", "matching rate, %", "dotted: global")
    # After what can fail, so that they are of the same systems.
    write_json(os.path.join(folder, RESULTS), record)
    write_text(os.path.join(folder, "compare.md"), table + "\n")
    say(table)


def config_of(args: argparse.Namespace, system: list[str]) -> Any:
    """The config of one system, with the test sets and options of the command line.

    Raises:
        ValueError: a part of `--system` is missing, or the config is wrong.
    """
    results = ["OUTPUT_DIR", args.output, "DATASETS.TESTS", repr(args.tests)]
    if len(system) > 1 and brings_config(system[1]):
        _, model, *own = system
        return model_config(model, [*args.opts, *own, *results])
    if len(system) < 3:
        raise ValueError(
            f"--system {' '.join(system)}: a name, a config file and a checkpoint are needed, or a "
            "name and a model file."
        )
    _, config, weights, *own = system
    opts = [*args.opts, *own, "MODEL.WEIGHTS", weights, *results]
    return setup_config(argparse.Namespace(config_file=config, opts=opts))


def evaluate(cfg: Any, model: nn.Module, test: str) -> Compared:
    """What compare.json holds of a system on a test set: on the main process, on others nothing."""
    _, evaluator = evaluated(cfg, model, test)
    if rank() != 0:
        return {}
    curves = {
        name: cmc_curve(distance, evaluator.ids, cfg.TEST.DSR, CURVE)
        for name, distance in evaluator.distances.items()
    }
    queries = len(evaluator.distances["global"])
    selected: Distance = cfg.TEST.DSR.DISTANCE if cfg.TEST.DSR.ENABLED else "global"
    found: Compared = {
        **evaluator.report,
        "cmc": curves,
        "selected": selected,
        "seconds_per_query": {"matching": evaluator.matching_seconds / queries},
    }
    if cfg.TEST.DSR.PROTOCOL == "full":
        found["queries"] = queries_of(evaluator.distances[selected], evaluator.ids)
    evaluator.distances = {}
    return found

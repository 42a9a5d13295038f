"""On which network do the validation sets say yes? What docs/choosing.md chooses by.

    python -m benchmarks.validation run NAME CONFIG CHECKPOINT [KEY VALUE ...] [--only SET]
    python -m benchmarks.validation table NAME NAME ...
    python -m benchmarks.validation table NAME+NAME_seed1 OTHER+OTHER_seed1

`run` evaluates a network on sets that none of the published rows is measured on, and writes
docs/results/validation/NAME.json: identities of Market-1501 that it was not trained on
(DATASETS.HELD_OUT), and CUHK03-val, whose cameras are others, from one camera to another and within
one (`benchmarks.same_camera`); whole, cut, hidden, small, and cut to about a half. `--only` adds a
set to what is known of a network, or begins with it. CHECKPOINT may be a model file, such as the
mean of several trainings that `partialreid export --average` writes.

`table` sets networks beside the first that is named, with 95 % intervals of the differences: the
same persons are drawn for both, so that what is hard about a person cancels out. Its last rows are
of all queries of one kind of set, but for the halves, which came later: what was said of all
queries before stays what it was. Names with a + between them are one network that was trained with
several seeds, of which the mean is taken.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import yaml

from benchmarks.bench import ROOT, refuse
from benchmarks.same_camera import write_list
from benchmarks.side_by_side import compared
from partialreid.data.catalogue import data_root, is_held_out, with_suffix
from partialreid.data.folder_set import PREFIX
from partialreid.engine.checked_evaluation import check_evaluation, evaluated
from partialreid.engine.checkpoint import read_checkpoint
from partialreid.engine.checks import check_output_dir
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import load_model
from partialreid.engine.model_header import OF_A_MACHINE, without_machine
from partialreid.engine.remembered_outputs import RememberedOutputs
from partialreid.engine.resumption import saved_config
from partialreid.engine.training_record import training_of
from partialreid.engine.unseen_people import check_trained_without
from partialreid.keys.config_files import flat_config
from partialreid.reporting.query_record import queries_of
from partialreid.reporting.run_record import protocol, run_record
from partialreid.reporting.same_queries import other_protocol
from partialreid.runtime.errors import user_errors
from partialreid.runtime.files import write_json

logger = logging.getLogger(__name__)
RESULTS = ROOT / "docs" / "results" / "validation"
WINDOW = ("DATASETS.DERIVED.SIDES", "window")
ANY = ("DATASETS.DERIVED.SIDES", "any")
HALF = (*ANY, "DATASETS.DERIVED.PERCENT", "(35,65)")
DISTANCE = "reconstruction"
# Keys that an evaluation of given weights reads. Those of DATASETS are named beside each set.
EVALUATED_BY = ("MODEL.HEADS.DSR.", "MODEL.INFERENCE_DTYPE", "INPUT.", "TEST.")
# What a record says that differs for every other network, and every other evaluation of it.
OF_A_NETWORK = ("config", "trainings", "evaluated_with")
# Which sets, by how titles begin, are taken together.
PEOPLE = ("held out", "CUHK03-val", "same camera")
# How the titles of sets end that are not among them.
APART = ", half"
# 300 people, named <identity>_c<camera>_<number>.jpg in query/ and gallery/.
CUHK03 = f"{PREFIX}{{root}}/CUHK03-val"
# The same people, whose images by one camera are on both sides.
SAME_CAMERA_FILE = ROOT / "logs" / "same_camera.csv"
SAME_CAMERA = f"{PREFIX}{SAME_CAMERA_FILE}"


class ValidationSet(NamedTuple):
    """A column of the table.

    Attributes:
        title: above the column.
        name: of the data set; {root} in it stands for the data root.
        options: config keys and values that make it.
    """

    title: str
    name: str
    options: tuple[str, ...] = ()


SETS = (
    ValidationSet("held out", "Market1501HeldOut"),
    ValidationSet("held out, cut", "Market1501HeldOutPartial", ANY),
    ValidationSet("held out, half", "Market1501HeldOutPartial", HALF),
    ValidationSet("held out, hidden", "Market1501HeldOutOccluded"),
    ValidationSet("held out, small", "Market1501HeldOutSmall"),
    ValidationSet("CUHK03-val", CUHK03),
    ValidationSet("CUHK03-val, window", with_suffix(CUHK03, "Partial"), WINDOW),
    ValidationSet("CUHK03-val, cut", with_suffix(CUHK03, "Partial"), ANY),
    ValidationSet("CUHK03-val, half", with_suffix(CUHK03, "Partial"), HALF),
    ValidationSet("CUHK03-val, hidden", with_suffix(CUHK03, "Occluded")),
    ValidationSet("CUHK03-val, small", with_suffix(CUHK03, "Small")),
    ValidationSet("same camera", SAME_CAMERA),
    ValidationSet("same camera, window", with_suffix(SAME_CAMERA, "Partial"), WINDOW),
    ValidationSet("same camera, cut", with_suffix(SAME_CAMERA, "Partial"), ANY),
    ValidationSet("same camera, half", with_suffix(SAME_CAMERA, "Partial"), HALF),
    ValidationSet("same camera, hidden", with_suffix(SAME_CAMERA, "Occluded")),
    ValidationSet("same camera, small", with_suffix(SAME_CAMERA, "Small")),
)


TITLES = tuple(wanted.title for wanted in SETS)
TOGETHER = {
    f"{people}, all": [x for x in TITLES if x.startswith(people) and not x.endswith(APART)]
    for people in PEOPLE
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("run", help="evaluate a network")
    one.add_argument("name")
    add_network(one)
    one.add_argument("--only", action="append", choices=[wanted.title for wanted in SETS])
    several = commands.add_parser("table", help="compare networks with the first")
    several.add_argument("names", nargs="+")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with user_errors():
        if args.command == "run":
            run(args)
            args.names = [args.name]
        print(table(args.names))
    return 0


def add_network(parser: argparse.ArgumentParser) -> None:
    """The arguments of a program that evaluates a network, which `config_of` reads."""
    parser.add_argument("config_file")
    parser.add_argument("weights")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE")


def run(args: argparse.Namespace) -> None:
    """Evaluate a network, and write what each query found, set by set.

    All sets make a new record; `--only` adds to that which is there, or makes one of some sets: a
    network that was trained on all people has no held-out ones.
    """
    check_output_dir(str(RESULTS))
    if not re.fullmatch(r"[\w.-]+", args.name):
        refuse(f'a network is named by letters, digits, ".", "_" and "-": "{args.name}" is not.')
    # Also where all is evaluated anew: the record of another program is refused.
    known = _read(args.name) if (RESULTS / f"{args.name}.json").exists() else None
    sets = [wanted for wanted in SETS if not args.only or wanted.title in args.only]
    configs = [config_of(args, wanted) for wanted in sets]
    if any(SAME_CAMERA in wanted.name for wanted in sets):
        write_list(f"{data_root(configs[0])}/CUHK03-val", str(SAME_CAMERA_FILE))
    check_all(configs)
    of_run = record_of(configs[0], args.weights)
    record = known if args.only and known else {"run": of_run}
    same = all((record["run"].get(key) or {}) == (of_run.get(key) or {}) for key in OF_A_NETWORK)
    if not same or averaged(record["run"]) != averaged(of_run):
        refuse(f"{args.name} is a network of another training: give what is added its own name.")
    model = RememberedOutputs(load_model(configs[0], args.weights), 4e9, configs[0].OUTPUT_DIR)
    for wanted, cfg in zip(sets, configs, strict=True):
        logger.info(wanted.title)
        _, evaluator = evaluated(cfg, model, *cfg.DATASETS.TESTS)
        record[wanted.title] = {
            "protocol": protocol(cfg),
            "report": evaluator.report,
            "queries": queries_of(evaluator.distances[DISTANCE], evaluator.ids),
        }
        if args.only:
            record[wanted.title]["run"] = {k: v for k, v in of_run.items() if k != "config"}
        write_json(str(RESULTS / f"{args.name}.json"), record)


def check_all(configs: Iterable[Any]) -> None:
    """Check everything that can be checked before the first of several evaluations of a network.

    Raises:
        ValueError, OSError, RuntimeError: as `check_evaluation`, or as `check_trained_without`
            where identities are to be held out.
    """
    for cfg in configs:
        check_evaluation(cfg, 1)
        if is_held_out(*cfg.DATASETS.TESTS):
            check_trained_without(cfg)


def averaged(run: Mapping[str, Any]) -> int:
    """Of how many checkpoints a network is the mean; records of means did not say it at first."""
    return int(run.get("averaged", len(run.get("trainings", [{}]))))


def record_of(cfg: Any, weights: str) -> dict[str, Any]:
    """What is said of a network: its training, versions and commit, and nothing of a machine."""
    record: dict[str, Any] = run_record(cfg, 1)
    del record["protocol"]
    record |= training_of(weights, cfg)
    # In full, in place of what differs from the config of this command.
    record.pop("trained_with", None)
    trained = saved_config(read_checkpoint(weights)) or record["config"]
    record["config"] = without_machine(trained)
    record["evaluated_with"] = evaluated_with(cfg, trained)
    return record


def evaluated_with(cfg: Any, trained: Mapping[str, Any]) -> dict[str, Any]:
    """By which keys of network, images and matching an evaluation differs from the training.

    Windows, for example: the config of the training does not say that others were looked at.
    """
    now, before = flat_config(yaml.safe_load(cfg.dump())), flat_config(trained)
    return {
        key: value
        for key, value in now.items()
        if key.startswith(EVALUATED_BY) and key not in OF_A_MACHINE and before.get(key) != value
    }


def config_of(args: argparse.Namespace, wanted: ValidationSet) -> Any:
    """The config that a network is evaluated by on one set."""
    own = [*args.opts, *wanted.options, "MODEL.WEIGHTS", args.weights]
    cfg = setup_config(argparse.Namespace(config_file=args.config_file, opts=own))
    cfg.defrost()
    cfg.DATASETS.TESTS = (wanted.name.format(root=data_root(cfg)),)
    cfg.freeze()
    return cfg


def table(names: list[str]) -> str:
    """Rank-1 / mAP by reconstruction of each network, and its difference from the first.

    A cell is empty where a network was evaluated before there was the set; a set that none was
    evaluated on has no row.

    Raises:
        SystemExit: a record is not there, or one was asked other queries than the first.
    """
    networks = [[_read(name) for name in seeds.split("+")] for seeds in names]
    _refuse_other_queries(names, networks)
    return compared(names, networks, TITLES, TOGETHER)


def _refuse_other_queries(names: list[str], networks: list[list[dict[str, Any]]]) -> None:
    """Refuse records of a set whose queries were cut, hidden or drawn otherwise than the first's.

    The same people are asked for, so that nothing else would tell.
    """
    records = [
        (name, record)
        for seeds, of_seeds in zip(names, networks, strict=True)
        for name, record in zip(seeds.split("+"), of_seeds, strict=True)
    ]
    for wanted in SETS:
        found = [
            (name, record[wanted.title].get("protocol", {}))
            for name, record in records
            if wanted.title in record
        ]
        for name, theirs in found[1:]:
            first, ours = found[0]
            if key := other_protocol(wanted.name, ours, theirs):
                refuse(
                    f"{wanted.title}: {name} was asked other queries than {first} ({key}): "
                    "evaluate both by the same keys."
                )


def _read(name: str) -> dict[str, Any]:
    """What `run` wrote of a network."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        refuse(f'"{path}" is not there: evaluate {name} with `run` first.')
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if not any("queries" in record.get(wanted.title, {}) for wanted in SETS):
        refuse(f'"{path}" is of another program: it holds none of the sets of `run`.')
    return record


if __name__ == "__main__":
    sys.exit(main())

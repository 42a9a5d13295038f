"""Learn what a model's distances mean, on identities that were not trained on.

    partialreid calibrate model.safetensors --people folder:/data/people
    partialreid calibrate model.safetensors --twin logs/held_out/model_final.pth

Known people in other images teach it best: those that it will be used on, or any that the model was
not trained on. Where there are none, a twin stands in: a checkpoint of the same recipe, trained by
DATASETS.HELD_OUT, with its held-out identities. All are asked whole, cut and hidden, each with and
without its images in the gallery; from distance and margin of the first answers the probabilities
are learnt that a verdict comes from. They are written into the model file, and how far they can be
trusted into OUTPUT_DIR/calibration.json.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.catalogue import with_suffix
from ..data.folder_set import without_folders_above
from ..derived.held_out import SUFFIX as HELD_OUT
from ..engine.checked_evaluation import checked_model, evaluated, evaluation_record
from ..engine.checkpoint import read_checkpoint
from ..engine.configuration import model_config
from ..engine.model_file import SUFFIX, is_model_file, write_calibration
from ..engine.resumption import saved_config
from ..engine.training_record import training_of
from ..engine.unseen_people import check_unseen
from ..keys.released_model import find_model
from ..runtime.errors import user_errors
from ..runtime.files import write_json
from ..search.distance_settings import differing, distance_settings, require_unrefined
from ..search.first_answers import first_answers, together
from ..search.verdict_report import calibrated, cross_report
from .output import log_to_stderr, say

KINDS = ("", "Partial", "Occluded")  # whole, cut, hidden


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("model", type=os.path.expanduser, help="the model file, *.safetensors")
    teacher = parser.add_mutually_exclusive_group(required=True)
    teacher.add_argument(
        "--people",
        action="append",
        metavar="NAME",
        help="a set of people not trained on; once for each",
    )
    teacher.add_argument(
        "--twin",
        type=os.path.expanduser,
        metavar="CHECKPOINT",
        help="of the same recipe, trained with DATASETS.HELD_OUT",
    )
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    args = parser.parse_intermixed_args(argv)
    log_to_stderr()
    with user_errors():
        args.model = file_to_teach(args.model)
        cfg = config_of(args)
        check_unseen(cfg, args.people)
        model = checked_model(cfg)
        of_model = training_of(cfg.MODEL.WEIGHTS, cfg)
        kind = cfg.TEST.DSR.DISTANCE
        parts = []
        for name in cfg.DATASETS.TESTS:
            _, evaluator = evaluated(cfg, model, name)
            parts.append(first_answers(evaluator.distances[kind].numpy(), evaluator.ids))
        # Whole, cut and hidden people of one set are the same ones.
        sets = [parts[start : start + len(KINDS)] for start in range(0, len(parts), len(KINDS))]
        answers = together(sets)
        report = cross_report(answers, kind)
        people = len(np.unique(answers.identity))
        names = ", ".join(map(without_folders_above, args.people or cfg.DATASETS.NAMES))
        learnt_on = (
            f"{people} {'' if args.people else 'held-out '}identities of {names}, "
            f"{len(answers.right) // 2} queries whole, cut and hidden"
        )
        found = calibrated(answers, kind, learnt_on, distance_settings(cfg))
        run = evaluation_record(cfg, model, of_model)
        # First, so that what took so long is there whatever becomes of the model file.
        write_json(
            os.path.join(cfg.OUTPUT_DIR, "calibration.json"),
            {"calibration": found.as_plain(), "report": report, "run": run},
        )
        write_calibration(args.model, found.as_plain())
        for name, value in report.items():
            say(f"{name}: {value:.4f}")
        say(f"written into {args.model}; figures: {cfg.OUTPUT_DIR}/calibration.json")
    return 0


def file_to_teach(name: str) -> str:
    """The model file that a calibration is written into.

    Raises:
        OSError: nothing can be written into its folder.
        ValueError: there is none of this name, or it is of a kind that holds no calibration.
    """
    path = find_model(name)
    if not is_model_file(path):
        raise ValueError(
            f'a calibration is written into a model file, and "{path}" is none: make one of the '
            f"training by `partialreid export CHECKPOINT model{SUFFIX}`, and calibrate that."
        )
    try:
        tempfile.TemporaryFile(dir=os.path.dirname(path) or ".").close()
    except OSError as error:
        raise OSError(
            f'a calibration is written into the model file, and the folder of "{path}" cannot be '
            f"written ({error.strerror}): copy the file into another one, and calibrate the copy."
        ) from error
    return path


def config_of(args: argparse.Namespace) -> Any:
    """The config of the model file, with what teaches as its test sets.

    Those are the sets of `args`, or else the held-out identities of the twin, with its weights.

    Raises:
        ValueError: a file is absent, a key would change the distances or asks for one that no
            search computes, or the twin does not say what it was trained without.
    """
    cfg = model_config(args.model, list(args.opts or []))
    require_unrefined(cfg)
    own = distance_settings(model_config(args.model, []))
    if others := differing(own, distance_settings(cfg)):
        raise ValueError(
            f'a calibration is of the distances of its model file, and "{args.model}" has '
            f"{'; '.join(others)}: leave that out, or write it into another model file by "
            "`partialreid export` and calibrate that."
        )
    cfg.defrost()
    stems = args.people
    if args.twin:
        trained = saved_config(read_checkpoint(args.twin))
        cfg.MODEL.WEIGHTS = args.twin
        cfg.DATASETS.HELD_OUT = (trained or {}).get("DATASETS", {}).get("HELD_OUT", 0)
        stems = [with_suffix(name, HELD_OUT) for name in cfg.DATASETS.NAMES]
    cfg.DATASETS.TESTS = tuple(
        with_suffix(name, kind) if kind else name for name in stems for kind in KINDS
    )
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    cfg.TEST.DSR.BOOTSTRAP_ROUNDS = 0
    # As every search has it.
    cfg.TEST.DSR.ENABLED = True
    cfg.freeze()
    return cfg

"""Learn what a model's distances mean, on identities that were kept from training.

    partialreid calibrate model.safetensors --twin logs/held_out/model_final.pth

A model file that was trained on all identities knows nobody whom it has not seen. A twin does: a
checkpoint of the same recipe, trained with DATASETS.HELD_OUT. Its held-out identities are asked
whole, cut and hidden, each with and without its images in the gallery; from distance and margin of
the first answers the probabilities are learnt that a verdict comes from. They are written into the
model file, and how far they can be trusted into OUTPUT_DIR/calibration.json.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..derived.dataset import SUFFIXES
from ..derived.held_out import SUFFIX
from ..engine.checked_evaluation import checked_model, evaluated
from ..engine.checkpoint import read_checkpoint
from ..engine.configuration import model_config
from ..engine.model_file import write_calibration
from ..engine.resumption import saved_config
from ..reporting.run_record import run_record
from ..runtime.errors import user_errors
from ..runtime.files import write_json
from ..search.first_answers import FirstAnswers, first_answers
from ..search.verdict_report import calibrated, cross_report
from .output import log_to_stderr, say
from .select_lambda import check_trained_without

KINDS = ("", *SUFFIXES)  # whole, cut, hidden


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("model", type=os.path.expanduser, help="the model file, *.safetensors")
    parser.add_argument(
        "--twin",
        required=True,
        type=os.path.expanduser,
        metavar="CHECKPOINT",
        help="of the same recipe, trained with DATASETS.HELD_OUT",
    )
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    args = parser.parse_intermixed_args(argv)
    log_to_stderr()
    with user_errors():
        cfg = config_of(args)
        check_trained_without(cfg)
        model = checked_model(cfg)
        kind = cfg.TEST.DSR.DISTANCE
        parts = []
        for name in cfg.DATASETS.TESTS:
            _, evaluator = evaluated(cfg, model, name)
            parts.append(first_answers(evaluator.distances[kind].numpy(), evaluator.ids))
        answers = FirstAnswers(*(np.concatenate(values) for values in zip(*parts, strict=True)))
        report = cross_report(answers, kind)
        learnt_on = (
            f"{cfg.DATASETS.HELD_OUT} held-out identities of {', '.join(cfg.DATASETS.NAMES)}, "
            f"{len(answers.right) // 2} queries whole, cut and hidden"
        )
        found = calibrated(answers, kind, learnt_on)
        write_calibration(args.model, found.as_plain())
        write_json(
            os.path.join(cfg.OUTPUT_DIR, "calibration.json"),
            {"calibration": found.as_plain(), "report": report, "run": run_record(cfg, 1)},
        )
        for name, value in report.items():
            say(f"{name}: {value:.4f}")
        say(f"written into {args.model}; figures: {cfg.OUTPUT_DIR}/calibration.json")
    return 0


def config_of(args: argparse.Namespace) -> Any:
    """The config of the model file with the weights, and the held-out identities, of its twin.

    Raises:
        ValueError: a file is absent, or the twin does not say what it was trained without.
    """
    cfg = model_config(args.model, list(args.opts or []))
    trained = saved_config(read_checkpoint(args.twin))
    held_out = (trained or {}).get("DATASETS", {}).get("HELD_OUT", 0)
    cfg.defrost()
    cfg.MODEL.WEIGHTS = args.twin
    cfg.DATASETS.HELD_OUT = held_out
    cfg.DATASETS.TESTS = tuple(
        name + SUFFIX + kind for name in cfg.DATASETS.NAMES for kind in KINDS
    )
    cfg.TEST.DSR.LAMBDA_SELECTION = "fixed"
    cfg.TEST.DSR.BOOTSTRAP_ROUNDS = 0
    cfg.freeze()
    return cfg

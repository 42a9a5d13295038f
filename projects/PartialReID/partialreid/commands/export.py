"""Write a checkpoint and its config into one model file, which is all that an evaluation needs.

    partialreid export logs/demo/model_final.pth demo.safetensors
    partialreid evaluate --model demo.safetensors

Into a file that ends with .onnx it writes the network itself, which runs without torch:

    partialreid export logs/demo/model_final.pth demo.onnx

--average takes a further checkpoint of the same training, such as that of the epoch before: the
mean of all weights is written. One of another training is refused, but with --other-trainings,
which takes trainings of the same network that began with the same weights:

    partialreid export a/model_final.pth mean.safetensors \\
        --average b/model_final.pth --other-trainings

A file that is such a mean already counts as the trainings that it is of, so that a further one can
be added to it.

The config is the one that the checkpoint was trained with, which it holds; of a checkpoint without
it, that of the file config.yaml beside it, or of --config-file. KEY VALUE pairs go over it.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import Any

import yaml

from ..data.folder_set import without_folders_above
from ..engine.checkpoint import classes_in, load_weights, read_checkpoint
from ..engine.checks import check_values
from ..engine.configuration import setup_config, tree_config
from ..engine.inference import load_model
from ..engine.mean_checks import (
    check_as_first,
    check_one_network,
    check_one_training,
    trainings_in,
)
from ..engine.model_file import (
    LEFT_OUT,
    ONNX,
    SUFFIX,
    check_place,
    is_model_file,
    is_onnx_file,
    read_header,
    write_model_file,
)
from ..engine.model_header import config_tree
from ..engine.onnx_export import check_onnx_export, write_onnx_file
from ..engine.resumption import saved_config
from ..engine.saved_model import config_of_checkpoint
from ..engine.weight_average import average_of
from ..keys.network_check import check_network
from ..runtime.errors import user_errors
from ..search.distance_settings import distance_settings
from .output import log_to_stderr, say

logger = logging.getLogger(__name__)
# What --format can be, with the ending that the file then has.
FORMATS = {"safetensors": SUFFIX, "onnx": ONNX}


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=os.path.expanduser, help="model_final.pth of a training")
    parser.add_argument(
        "output", type=os.path.expanduser, help="the file to be, *.safetensors or *.onnx"
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="of the file (default: what its ending says)"
    )
    parser.add_argument(
        "--config-file", default="", metavar="FILE", help="in place of the config of the training"
    )
    parser.add_argument(
        "--half", action="store_true", help="store most weights in two bytes each, in half the room"
    )
    parser.add_argument(
        "--average",
        action="append",
        default=[],
        type=os.path.expanduser,
        metavar="CHECKPOINT",
        help="write the mean of the weights of this one and of the first; once for each. A mean of "
        "trainings counts as all of them",
    )
    parser.add_argument(
        "--other-trainings",
        action="store_true",
        help="--average may name other trainings of the same network, from the same weights",
    )
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="config keys and values")
    # The options may stand behind the files.
    args = parser.parse_intermixed_args(argv)
    log_to_stderr()
    with user_errors():
        check_output(args)
        if args.other_trainings and not args.average:
            raise ValueError("--other-trainings is for --average, which names them.")
        paths = (args.checkpoint, *args.average)
        for path in paths:
            if not os.path.isfile(path):
                raise ValueError(f'the checkpoint "{path}" is not there.')
        data = read_checkpoint(args.checkpoint)
        cfg = config_of(args, data)
        check_values(cfg, eval_only=True)
        check_network(cfg, eval_only=True)
        model = load_model(cfg, args.checkpoint)  # says what does not fit
        record, calibration = training_record(data, cfg), kept_calibration(args, cfg)
        state = data["model"]
        if args.average:
            averaged = to_average(paths, args.other_trainings)
            if args.other_trainings:
                check_as_first(cfg, data)
                record["trainings"] = check_one_network(averaged)
            else:
                check_one_training(averaged)
            counts = {path: len(trainings_in(each)) for path, each in averaged.items()}
            state = average_of({path: each["model"] for path, each in averaged.items()}, counts)
            record["averaged"] = sum(counts.values())
        if is_onnx_file(args.output):
            if args.average:
                state = {**data["model"], **state}
                load_weights(model, state, args.checkpoint, allow_partial=False)
            write_onnx_file(args.output, model, cfg, record, calibration)
        else:
            write_model_file(args.output, state, cfg, record, args.half, calibration)
        say(f"written to {args.output}: {os.path.getsize(args.output) / 1e6:.1f} MB")
    return 0


def to_average(paths: Sequence[str], other_trainings: bool) -> dict[str, dict[str, Any]]:
    """Read the checkpoints whose mean is asked for.

    Args:
        paths: of the files.
        other_trainings: whether a mean of trainings may be among them, which counts as many.

    Raises:
        ValueError: as `read_checkpoint`; one is named twice, and would count twice; or one is a
            mean of epochs already, whose parts would count less than the others and be forgotten.
    """
    found: dict[str, dict[str, Any]] = {}
    files: dict[str, str] = {}
    for path in paths:
        file = os.path.realpath(path)
        if file in files:
            raise ValueError(f'"{path}" and "{files[file]}" are one file: name each once.')
        files[file] = path
        found[path] = read_checkpoint(path)
        found[path].pop("optimizer", None)  # twice as large as the network
        # Classifiers are in no file that is written, and a model file has none.
        state = found[path]["model"]
        found[path]["model"] = {k: v for k, v in state.items() if k not in LEFT_OUT}
        record = found[path].get("record", {})
        if "averaged" in record and not (other_trainings and "trainings" in record):
            also = " Or add --other-trainings." if "trainings" in record else ""
            raise ValueError(
                f'"{path}" is the mean of several checkpoints already: name those, so that all '
                f"count alike.{also}"
            )
    return found


def check_output(args: argparse.Namespace) -> None:
    """Check what the command line says of the file to be, before there is one.

    Raises:
        ValueError: its name does not end as that of its kind, or it cannot be written here.
    """
    kind = args.format or ("onnx" if is_onnx_file(args.output) else "safetensors")
    check_place(args.output, FORMATS[kind])
    if kind != "onnx":
        return
    if args.half:
        raise ValueError("--half is for *.safetensors: the weights of a file of ONNX are float32.")
    check_onnx_export()


def config_of(args: argparse.Namespace, data: dict[str, Any]) -> Any:
    """The config that a checkpoint goes with.

    Raises:
        ValueError: there is none, or it has a wrong key or value.
    """
    if args.config_file:
        return setup_config(args)
    tree, source = config_of_checkpoint(args.checkpoint, data)
    return tree_config(tree, source, args.opts)


def kept_calibration(args: argparse.Namespace, cfg: Any) -> dict[str, Any] | None:
    """What the distances of a model file mean, where the new file's are the same.

    Args:
        args: of the command line.
        cfg: config of the new file.
    """
    if not is_model_file(args.checkpoint):
        return None
    header = read_header(args.checkpoint)
    # As this version reads it, which may know more keys than the one that wrote it.
    own = tree_config(header.config, args.checkpoint, [])
    network = config_tree(cfg)["MODEL"] == config_tree(own)["MODEL"]
    same = network and distance_settings(cfg) == distance_settings(own)
    if header.calibration and (args.average or not same):
        logger.warning(
            f'the calibration of "{args.checkpoint}" is left out, as it holds for its own weights '
            "and settings: learn it anew by `partialreid calibrate`"
        )
        return None
    return header.calibration


def training_record(data: dict[str, Any], cfg: Any) -> dict[str, Any]:
    """What is known of the training: of a model file what it says, else of the checkpoint.

    Args:
        data: what `read_checkpoint` returns.
        cfg: config that the checkpoint goes with, for one that does not hold its own.
    """
    if "record" in data:
        return dict(data["record"])
    config = saved_config(data) or yaml.safe_load(cfg.dump())
    sets = config["DATASETS"]
    return {
        **{name: data[name] for name in ("epoch", "iteration") if name in data},
        "classes": classes_in(data["model"]),
        "data_sets": [without_folders_above(name) for name in sets["NAMES"]],
        "held_out": sets.get("HELD_OUT", 0),
        "seed": config.get("SEED"),
    }

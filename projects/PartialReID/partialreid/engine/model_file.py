"""A model in one file: the weights that an evaluation needs, with the config that they go with.

The file is one of safetensors. What belongs to it besides the weights lies in its header as one
JSON text: config, training record, versions. Nothing in it tells of the machine that wrote it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
import torch
import yaml
from torch import Tensor

from ..data.folder_set import without_folders_above
from ..keys.config_files import PATHS
from ..runtime.files import whole_file
from ..runtime.finite import name_first, not_finite
from ..runtime.source_version import commit_of_source, version_of_source
from ..unreached_parameters import CLASSIFIERS

SUFFIX = ".safetensors"
FORMAT = 1  # a higher one cannot be read by this version
HEADER = "partialreid"  # the name of the JSON text among the metadata of safetensors
# Tensors up to this size keep their precision. Of a MobileNetV2 they are a tenth of the numbers:
# batch norm and depthwise convolutions, whose rounding would do nine tenths of the harm.
SMALL = 10_000
# What training alone reads: a weight for each of its identities.
LEFT_OUT = tuple(f"heads.{name}" for name in CLASSIFIERS)
# Keys that hold for one machine: its files and folders, and which device it has.
OF_A_MACHINE = (*PATHS, "MODEL.DEVICE")
# Keys that name data sets, of which a user's own lie somewhere on a machine.
OF_DATA_SETS = ("DATASETS.NAMES", "DATASETS.TESTS")


class Header(NamedTuple):
    """What a model file holds besides the weights.

    Attributes:
        config: nodes and values as in a YAML file, without `OF_A_MACHINE`.
        record: of the training: plain values by their names.
        version: of the package that wrote the file.
        commit: of its source, None for an installed copy.
        calibration: what its distances mean, plain values by their names; None where nobody has
            found that out.
    """

    config: dict[str, Any]
    record: dict[str, Any]
    version: str
    commit: str | None
    calibration: dict[str, Any] | None = None


def is_model_file(path: str) -> bool:
    """Whether a path is that of a model file, by its ending."""
    return path.endswith(SUFFIX)


def write_model_file(
    path: str,
    state: Mapping[str, Tensor],
    cfg: Any,
    record: Mapping[str, Any],
    half: bool = False,
    calibration: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file, whole or not at all.

    Args:
        path: it takes the place of a file that is there.
        state: weights by their names. The classifiers are left out.
        cfg: config. Keys that name files, folders or the device are left out.
        record: of the training, plain values.
        half: store what has more than `SMALL` numbers in float16.
        calibration: what its distances mean, plain values.

    Raises:
        ValueError: as `check_place`, or a weight is too large for float16.
        OSError: it cannot be written; an earlier file stays as it is.
    """
    check_place(path)
    kept = {
        # A clone of its own in plain order: safetensors knows neither views nor memory formats.
        name: (value.half() if half and _shrinks(value) else value)
        .detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
        if name not in LEFT_OUT
    }
    if names := not_finite(kept):
        raise ValueError(
            f'"{path}" cannot hold {name_first(names, len(kept))}: a number in it is infinite or '
            "too large for float16. Export without --half."
        )
    header = {
        "format": FORMAT,
        "version": version_of_source(),
        "commit": commit_of_source(),
        "config": yaml.safe_dump(without_machine(yaml.safe_load(cfg.dump()))),
        "record": dict(record),
        "calibration": None if calibration is None else dict(calibration),
    }
    data = safetensors.torch.save(kept, {HEADER: json.dumps(header)})
    with whole_file(path) as file:
        file.write(data)


def write_calibration(path: str, calibration: Mapping[str, Any]) -> None:
    """Put a calibration into a model file, whose weights and other parts stay bit by bit.

    Args:
        path: of the file.
        calibration: plain values.

    Raises:
        ValueError: as `read_header`.
        OSError: it cannot be written; the file stays as it is.
    """
    with _opened(path) as file:
        _header(path, file.metadata())  # refuses what is no model file
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        header = {**json.loads(file.metadata()[HEADER]), "calibration": dict(calibration)}
    data = safetensors.torch.save(state, {HEADER: json.dumps(header)})
    with whole_file(path) as target:
        target.write(data)


def check_place(path: str) -> None:
    """Check that a path can be that of a model file, before there is one.

    Raises:
        ValueError: it has another ending, or its folder is not there.
    """
    if not is_model_file(path):
        raise ValueError(f'"{path}" is not the name of a model file: let it end with {SUFFIX}.')
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ValueError(f'the folder of "{path}" is not there: make it, or choose another.')


def read_header(path: str) -> Header:
    """What a model file holds besides the weights.

    Raises:
        ValueError: the file is no model file, is damaged, or comes from a newer version.
    """
    with _opened(path) as file:
        return _header(path, file.metadata())


def read_model_file(path: str) -> tuple[dict[str, Tensor], Header]:
    """The weights of a model file on the CPU, none in float16, and what else it holds.

    Raises:
        ValueError: as `read_header`.
    """
    with _opened(path) as file:
        header = _header(path, file.metadata())
        # Clones, as the tensors of safetensors are the file itself, which may be replaced.
        state = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    return {k: v.float() if v.dtype == torch.float16 else v for k, v in state.items()}, header


def without_machine(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config, as nodes and values, without the keys and folders that hold for one machine."""

    def kept(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in node.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict):
                yield name, dict(kept(value, f"{key}."))
            elif key in OF_DATA_SETS:
                yield name, [without_folders_above(data_set) for data_set in value]
            elif key not in OF_A_MACHINE:
                yield name, value

    return dict(kept(config, ""))


def _shrinks(value: Tensor) -> bool:
    return value.is_floating_point() and value.numel() > SMALL


def _opened(path: str) -> Any:
    """The file, open for reading, in a context that closes it."""
    try:
        return safetensors.safe_open(path, framework="pt")
    except Exception as error:  # SafetensorError, and whatever the system raises
        raise ValueError(
            f'"{path}" is no file of safetensors, or it is cut short or damaged '
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): fetch or "
            "write it again."
        ) from error


def _header(path: str, metadata: Mapping[str, str] | None) -> Header:
    try:
        header = json.loads((metadata or {})[HEADER])
        found, version = int(header["format"]), str(header["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise _no_model_file(path) from error
    if found > FORMAT:
        raise ValueError(
            f'"{path}" is a model file of format {found}, written by partialreid {version}; this '
            f"is {version_of_source()}, which reads format {FORMAT}: install a newer one."
        )
    try:
        config, record = yaml.safe_load(header["config"]), header["record"]
    except (KeyError, AttributeError, yaml.YAMLError) as error:
        raise _no_model_file(path) from error
    learnt = header.get("calibration")
    kinds = ((config, dict), (record, dict), (learnt, (dict, type(None))))
    if not all(isinstance(value, kind) for value, kind in kinds):
        raise _no_model_file(path)
    return Header(config, record, version, header.get("commit"), learnt)


def _no_model_file(path: str) -> ValueError:
    return ValueError(
        f'"{path}" holds no config of partialreid, so that it is no model file: '
        "`partialreid export` writes one from a checkpoint."
    )

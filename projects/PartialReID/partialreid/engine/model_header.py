"""What a file holds besides its network, be it one of safetensors or of ONNX: one JSON text.

It is config, training record, versions and calibration. Nothing in it tells of the machine that
wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

from ..data.folder_set import without_folders_above
from ..keys.config_files import PATHS
from ..runtime.source_version import commit_of_source, version_of_source

# A higher one cannot be read by this version. In format 1 two bytes were float16, see `two_bytes`.
FORMAT = 2
HEADER = "partialreid"  # the name of the JSON text among the metadata of a file
# Keys that hold for one machine: its files and folders, and which device it has.
OF_A_MACHINE = (*PATHS, "MODEL.DEVICE")
# Keys that name data sets, of which a user's own lie somewhere on a machine.
OF_DATA_SETS = ("DATASETS.NAMES", "DATASETS.TESTS")
# Keys of MODEL that say how a network is run or what its training began with, not which one it is.
FREE = (
    *("MODEL.DEVICE", "MODEL.CHANNELS_LAST", "MODEL.INFERENCE_DTYPE"),
    *("MODEL.BACKBONE.PRETRAIN", "MODEL.BACKBONE.PRETRAIN_PATH"),
)


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


def header_text(
    cfg: Any, record: Mapping[str, Any], calibration: Mapping[str, Any] | None = None
) -> str:
    """What a file holds besides the network, as the JSON text that `read_metadata` reads.

    Args:
        cfg: config. Keys that name files, folders or the device are left out.
        record: of the training, plain values.
        calibration: what its distances mean, plain values.
    """
    header = {
        "format": FORMAT,
        "version": version_of_source(),
        "commit": commit_of_source(),
        "config": yaml.safe_dump(config_tree(cfg)),
        "record": dict(record),
        "calibration": None if calibration is None else dict(calibration),
    }
    return json.dumps(header)


def config_tree(cfg: Any) -> dict[str, Any]:
    """A config as a file holds it: nodes and values, without `OF_A_MACHINE`."""
    return without_machine(yaml.safe_load(cfg.dump()))


def without_machine(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config, as nodes and values, without the keys and folders that hold for one machine."""

    def kept(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for name, value in node.items():
            key = f"{prefix}{name}"
            if isinstance(value, dict):
                yield name, dict(kept(value, f"{key}."))
            elif key in OF_DATA_SETS and isinstance(value, list | tuple):
                yield name, [without_folders_above(data_set) for data_set in value]
            elif key not in OF_A_MACHINE:
                yield name, value

    return dict(kept(config, ""))


def read_metadata(path: str, metadata: Mapping[str, str] | None) -> Header:
    """The header among the metadata of a file.

    Args:
        path: of the file, for the message.
        metadata: texts by their names; None if it has none.

    Raises:
        ValueError: as `read_header`.
    """
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

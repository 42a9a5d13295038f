"""Checks before any long work. Each raises one ValueError that names the key to change.

What would otherwise hang, divide by zero or fail after an hour is found here.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ..config import CHOICES, config_value
from ..data.catalogue import is_data_set, is_held_out, unknown_name
from ..data.checked_lists import checked_lists
from ..data.keep_ratio import keep_ratio_resize
from ..derived.dataset import derivation_of
from ..evaluation.refinement import check_refinement
from ..images.reading import check_images
from ..keys.network_check import check_network, check_registered
from ..keys.ranges import check_ranges
from ..keys.unread_keys import check_unread
from .precise_set import check_precise_name
from .training_checks import check_training

# Test sets up to this size are decoded before long work, which takes some seconds.
DECODED_FIRST = 3000
# About what the config and the log take before the first image is read.
FIRST_BYTES = 64 * 1024
# Meta-architectures that take test images of several sizes.
ANY_SIZE = ("PartialBaseline", "DSR2018", "FPRBaseline", "ReconstructionBaseline")


def check_config(cfg: Any, world_size: int, eval_only: bool) -> None:
    """Check the values of the config against each other, and whether its data sets are known.

    Args:
        cfg: config, MODEL.DEVICE resolved.
        world_size: processes of the whole job.
        eval_only: whether there will be no training, so that nothing reads DATASETS.NAMES.

    Raises:
        ValueError: see the module's docstring.
    """
    check_values(cfg, eval_only)
    for group in ("TESTS",) if eval_only else ("NAMES", "TESTS"):
        for name in cfg.DATASETS[group]:
            if not is_data_set(name):
                raise ValueError(f"DATASETS.{group} holds {name!r}: {unknown_name(name)}")
    for name in cfg.DATASETS.NAMES:
        if is_held_out(name):
            raise ValueError(
                f"DATASETS.NAMES holds {name!r}, which is there to test with: name the whole set, "
                "and set DATASETS.HELD_OUT."
            )
    if not cfg.DATASETS.TESTS:
        raise ValueError("DATASETS.TESTS is empty: name at least one test set.")
    check_registered(cfg)
    if not eval_only:
        check_training(cfg, world_size)
        check_precise_name(cfg)
    check_network(cfg, eval_only)


def check_values(cfg: Any, eval_only: bool) -> None:
    """Check the values of the config against each other, whatever data sets there are.

    Args:
        cfg: config, MODEL.DEVICE resolved.
        eval_only: whether there will be no training.

    Raises:
        ValueError: see the module's docstring.
    """
    for key, allowed in CHOICES.items():
        value = config_value(cfg, key)
        if value not in allowed:
            raise ValueError(f"{key} is {value!r}; it can be {', '.join(allowed)}.")
    check_unread(cfg)
    check_refinement(cfg.TEST)
    check_ranges(cfg, eval_only)
    derivation_of(cfg)
    if cfg.DATASETS.HELD_OUT < 0 or (cfg.DATASETS.HELD_OUT and cfg.DATASETS.COMBINEALL):
        raise ValueError(
            f"DATASETS.HELD_OUT is {cfg.DATASETS.HELD_OUT}; it starts at 0 and cannot be combined "
            "with DATASETS.COMBINEALL, which trains on test identities."
        )
    if cfg.INPUT.KEEP_RATIO != "off":
        _check_keep_ratio(cfg)


def _check_keep_ratio(cfg: Any) -> None:
    asked = f"INPUT.KEEP_RATIO is {cfg.INPUT.KEEP_RATIO!r}"
    if cfg.MODEL.META_ARCHITECTURE not in ANY_SIZE:
        raise ValueError(
            f"{asked}, but MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE} is not made for "
            f'images of several sizes: set the first to "off" or the second to one of {ANY_SIZE}.'
        )
    size = cfg.INPUT.SIZE_TEST
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"{asked}, which needs INPUT.SIZE_TEST [height, width], not {size}.")
    if cfg.INPUT.CROP.ENABLED:
        raise ValueError(
            f"{asked}, but INPUT.CROP.ENABLED cuts all test images to one size: turn one of them "
            "off."
        )


def check_test_sets(cfg: Any) -> None:
    """Find what is wrong with the test sets before long work.

    Raises:
        FileNotFoundError: a folder is absent.
        OSError: images of a small set cannot be read.
        ValueError: a protocol cannot be evaluated, or the pyramid has no room in the map.
        RuntimeError: a made set cannot be written, or its folder holds something else.
    """
    keep_ratio_resize(cfg)
    for name in cfg.DATASETS.TESTS:
        _, query, gallery = checked_lists(cfg, name)
        if len(query) + len(gallery) <= DECODED_FIRST:
            check_images(query + gallery)


def check_output_dir(path: str) -> None:
    """Create OUTPUT_DIR and check that files can be written there, and that there is some room.

    Raises:
        ValueError: they cannot.
    """
    if not path:
        raise ValueError("OUTPUT_DIR is empty: name the folder for logs and results.")
    try:
        os.makedirs(path, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(bytes(FIRST_BYTES))
            # Some disks refuse no earlier.
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ValueError(
            f'OUTPUT_DIR "{path}" cannot be written ({error.strerror}): choose another folder.'
        ) from error

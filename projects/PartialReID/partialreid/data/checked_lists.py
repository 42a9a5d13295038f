"""Query and gallery of a test set, after all checks that need no image."""

from __future__ import annotations

import logging
import os
from typing import Any

from fastreid.utils import comm

from ..evaluation.refinement import check_refinement
from ..images.labels import evaluation_lists
from ..images.lists import Item
from ..images.protocol_check import check_protocol
from ..metrics.label_check import check_labels
from .catalogue import load_dataset

logger = logging.getLogger(__name__)


def checked_lists(cfg: Any, name: str) -> tuple[Any, list[Item], list[Item]]:
    """A test set, its query and its gallery, if they allow what the config node TEST asks for.

    Args:
        cfg: config.
        name: of the set.

    Raises:
        KeyError, FileNotFoundError, RuntimeError: as `load_dataset`.
        ValueError: a list is empty, a query has no valid match, or labels or numbers of images do
            not allow what TEST asks for.
    """
    data = load_dataset(cfg, name)
    query, gallery = evaluation_lists(name, data)
    check_protocol(name, query, gallery)
    for part, items in (("query", query), ("gallery", gallery)):
        twice = len(items) - len({os.path.realpath(path) for path, *_ in items})
        if twice and comm.is_main_process():
            logger.warning(
                f"{name}: {twice} images of the {part} are listed again and count twice."
            )
    try:
        check_refinement(cfg.TEST, len(query) + len(gallery))
        (_, q_pids, q_camids), (_, g_pids, g_camids) = (
            zip(*x, strict=True) for x in (query, gallery)
        )
        ids, test = (q_pids, g_pids, q_camids, g_camids), cfg.TEST
        check_labels(ids, test.DSR, fused=test.DSR.ENABLED, roc=test.ROC.ENABLED)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return data, query, gallery

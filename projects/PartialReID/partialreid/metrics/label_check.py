"""Whether the labels of a test set allow its protocol: known before any distance is computed.

Shapes: Q queries, G galleries.
"""

from __future__ import annotations

import numpy as np

from .fusion import LambdaSettings
from .lambda_selection import halves_of_identities, no_match_in
from .ranking import Ids, as_array, matched_queries, require_match
from .single_shot import drawn_galleries, too_few_queries


def check_labels(ids: Ids, settings: LambdaSettings, *, fused: bool, roc: bool) -> None:
    """Find what the metrics of a test set would fail on, whatever its distances are.

    Args:
        ids: query and gallery identities, (Q,) and (G,), query and gallery cameras.
        settings: the config node TEST.DSR.
        fused: whether there will be a fused distance, for which lambda is chosen.
        roc: whether there will be a ROC curve.

    Raises:
        ValueError: no query has a match, or none in a half from which lambda is chosen, or in a
            round of the single-shot protocol; a ROC curve has pairs of one kind alone.
    """
    queries, gallery, q_cameras, g_cameras = (as_array(x) for x in ids)
    matched = matched_queries(queries, gallery, q_cameras, g_cameras)
    require_match(matched)
    seed = settings.PROTOCOL_SEED
    if fused and settings.LAMBDA_SELECTION == "crossfit":
        half = halves_of_identities(queries, seed)
        for number in (0, 1):
            if not matched[half == number].any():
                raise no_match_in(number)
    if settings.PROTOCOL == "single-shot":
        galleries = drawn_galleries(gallery, queries, seed, settings.SINGLE_SHOT_ROUNDS)
        for number, drawn in enumerate(galleries):
            if not matched_queries(queries, gallery[drawn], q_cameras, g_cameras[drawn]).any():
                raise too_few_queries(number)
    if roc and len(np.unique(np.concatenate([queries, gallery]))) < 2:
        raise ValueError(
            "all images show one person, and a ROC curve needs pairs of two: set TEST.ROC.ENABLED "
            "to False"
        )

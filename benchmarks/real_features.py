"""Columns of real pedestrians: part of Market-1501 through the original code's checkpoint."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from fastreid.data.build import fast_batch_collator
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.bench import ROOT
from partialreid.commands.train import build_parser
from partialreid.data.catalogue import load_dataset
from partialreid.data.loaders import ImageItems
from partialreid.data.transforms import build_transforms
from partialreid.engine.configuration import setup_config
from partialreid.engine.inference import load_model
from partialreid.images.labels import evaluation_lists
from partialreid.matching.column_store import ColumnPart, ColumnStore
from partialreid.runtime.progress import progress

CONFIG = ROOT / "projects/PartialReID/configs/market_mobilenetv2.yml"
SHARED = Path(os.environ.get("PARTIALREID_SHARED") or ROOT)
WEIGHTS = SHARED / "weights" / "market_mobilenetv2_original.pth"


class Real(NamedTuple):
    """What a test set looks like to the matching.

    Attributes:
        query, gallery: columns in float16.
        features: global features of queries, then gallery.
        weights: of the queries' columns.
    """

    query: ColumnPart
    gallery: ColumnPart
    features: Tensor
    weights: list[Tensor]


def extract(test_set: str, queries: int, folder: str) -> Real:
    """Evenly spaced queries of a test set, and its whole gallery.

    Exits with a sentence where the checkpoint or the data set is absent.
    """
    data = os.environ.get("FASTREID_DATASETS") or str(ROOT / "datasets")
    for needed in (WEIGHTS, Path(data) / "Market-1501-v15.09.15"):
        if not needed.exists():
            print(f'skipped: "{needed}" is not there (PARTIALREID_SHARED, FASTREID_DATASETS)')
            sys.exit(0)
    arguments = ["--config-file", str(CONFIG), "MODEL.DEVICE", "cpu", "DATASETS.ROOT", data]
    cfg = setup_config(build_parser().parse_args([*arguments, "MODEL.WEIGHTS", str(WEIGHTS)]))
    model = load_model(cfg, cfg.MODEL.WEIGHTS).eval()
    data_set = load_dataset(cfg, test_set)
    query, gallery = evaluation_lists(test_set, data_set)
    chosen = np.linspace(0, len(query) - 1, min(queries, len(query))).round().astype(int)
    images = ImageItems([query[i] for i in chosen] + gallery, build_transforms(cfg, is_train=False))
    loader = DataLoader(images, 32, num_workers=1, collate_fn=fast_batch_collator)
    store = ColumnStore(1e9, folder, "cpu")
    features, weights = [], []
    with torch.inference_mode():
        for batch in progress(loader, len(loader), "extracting features"):
            vectors, columns, scores = model(batch)
            store.append(F.normalize(columns, dim=1).half())
            features.append(F.normalize(vectors, dim=1))
            weights.extend(scores)
    split = len(chosen)
    return Real(
        store.part(0, split),
        store.part(split, len(store)),
        torch.cat(features),
        weights[:split],
    )

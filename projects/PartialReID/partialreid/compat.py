"""FastReID 1.4.0 on current Python and torch. Imported before everything else.

FastReID stays as PyPI ships it. What it needs at import time is put in place for the moment of the
import and taken away again; what it does wrong later is cured where this package uses it:

| what breaks                                         | where the cure is            |
|-----------------------------------------------------|------------------------------|
| imports of `torch._six`, `collections.Mapping`      | `import_shims`, here         |
| run-time `make` of the ranking extension            | `DsrEvaluator`               |
| RandomAffine with arguments that are gone           | `build_transforms`, here     |
| deprecated TypedStorage for every image             | `ToTensor`, here             |
| gdown for pretrained weights                        | `pretrained.py`              |
| flat parameter buffers: nothing trains              | `engine.py`                  |
| losses read before they are there; AMP on CUDA only | `training_steps.py`          |
| loader threads that swallow errors, fixed workers   | `loaders.py`                 |
| CUDA and NCCL assumed, fixed port                   | `launching.py`               |
| unsafe or silent checkpoint loading                 | `checkpoint.py`              |
| `model_best` never written, division by zero        | `hooks.py`, `checks.py`      |
| TEST.FLIP on a tuple                                | `partialbaseline.py`         |
| losses in half precision under autocast             | `float32_losses.py`          |
| pretrained weights that do not fit, in silence      | `pretrained_files.py`        |
"""

from __future__ import annotations

import collections
import collections.abc
import contextlib
import importlib
import importlib.metadata
import sys
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

FASTREID_VERSION = "1.4.0"
INSTALL = f"pip install --no-deps fastreid=={FASTREID_VERSION}"


def check_fastreid() -> None:
    """Raise ImportError, with the command that cures it, if fastreid is missing or another one."""
    try:
        # `fastreid.__version__` of 1.4.0 says 1.3, so the distribution's metadata is asked.
        version = importlib.metadata.version("fastreid")
    except importlib.metadata.PackageNotFoundError:
        raise ImportError(f"fastreid is not installed: run `{INSTALL}`.") from None
    if version != FASTREID_VERSION:
        raise ImportError(
            f"fastreid {version} is installed but partialreid needs {FASTREID_VERSION}: "
            f"run `{INSTALL}`."
        )


@contextlib.contextmanager
def import_shims() -> Iterator[None]:
    """Provide `torch._six` and `collections.Mapping` while FastReID is imported, then remove them.

    Modules bind both names at import, so they need not stay; leaving them would make other
    libraries believe that they run on an old Python or torch.
    """
    six = types.ModuleType("torch._six")
    six.string_classes = (str, bytes)  # type: ignore[attr-defined]
    added_six = "torch._six" not in sys.modules
    added_mapping = not hasattr(collections, "Mapping")
    if added_six:
        sys.modules["torch._six"] = six
    if added_mapping:
        collections.Mapping = collections.abc.Mapping  # type: ignore[attr-defined]
    try:
        with warnings.catch_warnings():
            # The Cython ranking is compiled inside site-packages; ranking.py replaces it.
            warnings.filterwarnings("ignore", message="Cython rank evaluation")
            yield
    finally:
        if added_six:
            sys.modules.pop("torch._six", None)
        if added_mapping:
            del collections.Mapping  # type: ignore[attr-defined]


def import_fastreid() -> None:
    """Import every part of FastReID that this package uses, with the shims in place."""
    check_fastreid()
    with import_shims():
        for name in ("data", "evaluation", "modeling", "solver", "engine", "engine.defaults"):
            importlib.import_module(f"fastreid.{name}")


class ToTensor:
    """An image as a float tensor (3, H, W) in 0..255, bit for bit as FastReID converts it.

    FastReID goes through torch's TypedStorage. It is deprecated, so that each worker of each epoch
    warns, and a later torch will not have it.
    """

    def __call__(self, image: Any) -> torch.Tensor:
        """Convert a PIL image or, as AugMix leaves it, an array (H, W, 3)."""
        array = np.asarray(image).transpose(2, 0, 1)
        return torch.from_numpy(array.astype(np.float32, order="C"))


def build_transforms(cfg: Any, is_train: bool) -> Any:
    """FastReID's transforms, with INPUT.AFFINE as torchvision spells its arguments today.

    FastReID passes `resample` and `fillcolor`, which torchvision has renamed, and a TypeError
    follows. The transform is therefore built here, with the same values, and put where FastReID
    puts it: after the colour jitter, before AugMix and the conversion to a tensor.
    """
    import torchvision.transforms as T
    from fastreid.data import transforms as fastreid_transforms

    affine = is_train and cfg.INPUT.AFFINE.ENABLED
    if affine:
        cfg = cfg.clone()
        cfg.defrost()
        cfg.INPUT.AFFINE.ENABLED = False
    steps = list(fastreid_transforms.build_transforms(cfg, is_train=is_train).transforms)
    if affine:
        place = next(i for i, t in enumerate(steps) if type(t).__name__ in ("AugMix", "ToTensor"))
        steps.insert(place, T.RandomAffine(degrees=10, scale=(0.9, 1.1), shear=0.1, fill=0))
    return T.Compose(
        [ToTensor() if isinstance(t, fastreid_transforms.ToTensor) else t for t in steps]
    )


import_fastreid()

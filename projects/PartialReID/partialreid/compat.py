"""FastReID 1.4.0 on current Python and torch. Imported before everything else.

FastReID stays as PyPI ships it. What it needs at import time is put in place for the moment of the
import and taken away again; what it does wrong later is cured where this package uses it:

| what breaks                                         | where the cure is               |
|-----------------------------------------------------|---------------------------------|
| imports of `torch._six`, `collections.Mapping`      | `import_shims`, here            |
| run-time `make` of the ranking extension            | `dsr_evaluation.py`             |
| RandomAffine with arguments that are gone           | `data/transforms.py`            |
| deprecated TypedStorage for every image             | `data/transforms.py`            |
| loader threads that swallow errors, fixed workers   | `data/loaders.py`               |
| gdown for pretrained weights                        | `backbones/pretrained.py`       |
| pretrained weights that do not fit, in silence      | `backbones/pretrained_files.py` |
| TEST.FLIP and DefaultPredictor on a tuple           | `partialbaseline.py`            |
| losses in half precision under autocast             | `float32_losses.py`             |
| the same of its own architectures                   | `baseline_cures.py`             |
| parameters without a gradient: DDP fails            | `unreached_parameters.py`       |
| flat parameter buffers: nothing trains              | `engine/trainer_parts.py`       |
| architectures that leave batches where they are     | `runtime/device_batches.py`     |
| losses read before they are there; AMP on CUDA only | `engine/training_steps.py`      |
| CUDA and NCCL assumed                               | `engine/launching.py`           |
| a fixed port, at which two jobs collide             | `engine/meeting.py`             |
| unsafe or silent checkpoint loading                 | `engine/checkpoint.py`          |
| resumed runs that keep the old schedule             | `engine/resumption.py`          |
| `model_best` never written, division by zero        | `engine/hooks.py`               |
| samplers that search for ever                       | `engine/training_checks.py`     |
| orders of images that a resumed run does not share  | `data/epoch_sampler.py`         |
| FREEZE_LAYERS counted anew, misspelt in silence     | `engine/layer_freezing.py`      |
| images left out, folders read as identities         | `data/stock_checks.py`          |
| absent folders, bad names: assertions, wrong paths  | `data/stock_sets.py`            |
| equal numbers of two training sets: one identity    | `images/labels.py`              |
| 16-bit grey images read as white                    | `images/reading.py`             |
| re-ranking on CUDA alone, memory without a bound    | `evaluation/refinement.py`      |
| MobileNetV2 without LAST_STRIDE                     | `backbones/mobilenetv2.py`      |
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
            # The Cython ranking is compiled inside site-packages; `metrics.ranking` replaces it.
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


import_fastreid()

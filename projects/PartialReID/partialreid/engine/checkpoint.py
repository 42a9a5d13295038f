"""Checkpoints: read safely, matched strictly, written whole or not at all."""

from __future__ import annotations

import logging
import os
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import yaml
from fastreid.utils.checkpoint import Checkpointer
from torch import Tensor

from ..runtime.checkpoint_age import age_of
from ..runtime.files import whole_file, write_text
from ..runtime.finite import name_first, not_finite
from .model_file import LEFT_OUT, is_model_file, is_onnx_file, read_model_file

logger = logging.getLogger(__name__)


def read_checkpoint(path: str) -> dict[str, Any]:
    """Load a checkpoint, or a model file, onto the CPU without running code that it may carry.

    Returns:
        The dict in the file; `model` is a state dict without the prefix of DDP. Of a model file
        `model`, `config` as YAML text, as a checkpoint holds it, and `record`.

    Raises:
        ValueError: no file is named, or it is absent, truncated, not a checkpoint, holds Python
            objects that cannot be loaded safely, or weights that are no numbers. The message names
            the file and what to do.
    """
    if not path:
        raise ValueError("a checkpoint is needed: add MODEL.WEIGHTS path/to/model.pth.")
    path = os.path.expanduser(path)
    if not os.path.isfile(path):
        raise ValueError(
            f'the checkpoint "{path}" is not there: correct MODEL.WEIGHTS or, for --resume, the '
            "name in the file last_checkpoint."
        )
    if is_model_file(path):
        return _read_model_file(path)
    if is_onnx_file(path):
        raise ValueError(
            f'"{path}" is a file of ONNX, which can be run and nothing else: name the checkpoint '
            "or the model file that it was written from."
        )
    try:
        data = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if zipfile.is_zipfile(path):
            raise ValueError(
                f'the checkpoint "{path}" holds Python objects besides tensors and plain values, '
                "which could run code when loaded, so it is refused. If you trust it, store its "
                "weights alone: torch.save({'model': torch.load(path, weights_only=False)"
                "['model']}, new_path)."
            ) from error
        raise ValueError(
            f'"{path}" is not a checkpoint of torch, or it is damaged: fetch or write it again.'
        ) from error
    except Exception as error:  # torch raises RuntimeError, EOFError, OSError and others
        raise ValueError(
            f'the checkpoint "{path}" cannot be read; it may be truncated or of another kind '
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}). "
            "Fetch or write it again."
        ) from error
    state = data.get("model") if isinstance(data, dict) else None
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(
            f'"{path}" is a file of torch but not a FastReID checkpoint: it has no state dict '
            "under the key 'model'. A bare state dict can be stored as {'model': state_dict}."
        )
    _check_finite(path, data)
    if state and all(key.startswith("module.") for key in state):
        data["model"] = {key[len("module.") :]: value for key, value in state.items()}
    return data


def _read_model_file(path: str) -> dict[str, Any]:
    state, header = read_model_file(path)
    text = yaml.safe_dump(header.config)
    data = {"model": state, "config": text, "record": header.record}
    _check_finite(path, data)
    return data


def _check_finite(path: str, data: Mapping[str, Any]) -> None:
    state = data["model"]
    if names := not_finite(state):
        raise ValueError(
            f'the checkpoint "{path}"{age_of(data)} holds NaN or infinite numbers in '
            f"{name_first(names, len(state))}: its training diverged. Take an earlier one."
        )


def last_checkpoint(folder: str) -> str:
    """The checkpoint that a resumed run continues from.

    Raises:
        ValueError: the folder has none.
    """
    tag = os.path.join(folder, "last_checkpoint")
    if not os.path.isfile(tag):
        raise ValueError(
            f'--resume: "{folder}" has no last_checkpoint to continue from. Correct OUTPUT_DIR, or '
            "start without --resume."
        )
    with open(tag, encoding="utf-8") as file:
        return os.path.join(folder, file.read().strip())


def classes_in(state: dict[str, Tensor]) -> int:
    """How many identities the classifier of a state dict has; 0 if it has none."""
    return len(state["heads.weight"]) if "heads.weight" in state else 0


def load_weights(
    model: torch.nn.Module, state: dict[str, Tensor], path: str, allow_partial: bool
) -> None:
    """Load a state dict, refusing what does not match unless `allow_partial`.

    What holds no number in the model, as a classifier of no identities, may be absent.

    Raises:
        ValueError: parameters are missing, unexpected or of another shape; lists them all.
    """
    own = model.state_dict()
    shapes = [k for k in state if k in own and state[k].shape != own[k].shape]
    unmatched = {
        "in the model only": sorted(k for k in own.keys() - state.keys() if own[k].numel()),
        "in the checkpoint only": sorted(state.keys() - own.keys()),
        "of another shape": [
            f"{k} {tuple(state[k].shape)}, the model has {tuple(own[k].shape)}" for k in shapes
        ],
    }
    unmatched = {kind: keys for kind, keys in unmatched.items() if keys}
    if unmatched:
        absent = unmatched.get("in the model only", [])
        classifiers_alone = len(unmatched) == 1 and absent and set(absent) <= set(LEFT_OUT)
        text = "".join(f"\n  {kind}: {_join(keys)}" for kind, keys in unmatched.items())
        if not allow_partial and classifiers_alone:
            raise ValueError(
                f'"{path}" holds no classifiers ({_join(absent)}), which a training needs: '
                "--allow-partial starts them anew."
            )
        if not allow_partial:
            raise ValueError(
                f'the checkpoint "{path}" does not fit the model of this config:{text}\n'
                "Use the config that it was trained with, or --allow-partial to load the rest."
            )
        logger.warning(f'loading "{path}" in part (--allow-partial):{text}')
    kept = {k: v for k, v in state.items() if k in own and k not in shapes}
    if not kept:
        raise ValueError(f'the checkpoint "{path}" shares no parameter with the model.')
    model.load_state_dict(kept, strict=False)


def _join(keys: Iterable[str]) -> str:
    return ", ".join(keys)


class SafeCheckpointer(Checkpointer):
    """FastReID's Checkpointer with safe reading, strict matching and atomic writing.

    Args:
        allow_partial: load checkpoints whose keys match in part.
        always: plain values to store in every checkpoint.
        (others as FastReID's Checkpointer.)
    """

    def __init__(
        self,
        *args: Any,
        allow_partial: bool = False,
        always: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.allow_partial = allow_partial
        self.always = dict(always or {})

    def save(self, name: str, *, tag: bool = True, **extra: Any) -> None:
        """Write `name`.pth in one step, then point `last_checkpoint` to it.

        Args:
            name: file name without its ending.
            tag: whether this is the checkpoint that a resumed run continues from.
            **extra: plain values to store besides.

        Raises:
            OSError: there is no room; the last checkpoint stays as it is.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        data = {"model": self.model.state_dict(), **self.always, **extra}
        data.update({key: obj.state_dict() for key, obj in self.checkpointables.items()})
        target = os.path.join(self.save_dir, f"{name}.pth")
        logger.info(f"Saving checkpoint to {target}")
        with whole_file(target) as file:
            torch.save(data, file)
        if tag:
            write_text(os.path.join(self.save_dir, "last_checkpoint"), os.path.basename(target))

    def load(self, path: str, checkpointables: list[str] | None = None) -> dict[str, Any]:
        """Load the model and, unless `checkpointables` says which, every other state.

        Returns:
            What else the file holds, such as the epoch.

        Raises:
            ValueError: as `read_checkpoint` and `load_weights`.
        """
        if not path:
            logger.info("No checkpoint given: training from the backbone's initial weights")
            return {}
        logger.info(f"Loading checkpoint from {path}")
        data = read_checkpoint(path)
        load_weights(self.model, data.pop("model"), path, self.allow_partial)
        for key in self.checkpointables if checkpointables is None else checkpointables:
            if key in data:
                self.checkpointables[key].load_state_dict(data.pop(key))
        return data

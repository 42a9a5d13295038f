"""ImageNet weights: found in the cache of torch hub or downloaded by it, never through gdown."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

logger = logging.getLogger(__name__)

# FastReID's modules that call `init_pretrained_weights(key)` and gdown inside it.
GDOWN_MODULES = tuple(
    f"fastreid.modeling.backbones.{name}"
    for name in ("resnet", "osnet", "resnext", "regnet.regnet", "regnet.effnet")
)


def cached_path(name: str) -> str:
    """Where torch hub keeps a file of this name."""
    return os.path.join(torch.hub.get_dir(), "checkpoints", name)


@contextlib.contextmanager
def one_at_a_time(cached: str) -> Iterator[None]:
    """Let one process of this machine download a file; the others then find it."""
    os.makedirs(os.path.dirname(cached), exist_ok=True)
    lock = f"{cached}.lock"
    try:
        with FileLock(lock):
            yield
    finally:
        # Who waits for it now has it open, and finds the file or tries by itself.
        with contextlib.suppress(OSError):
            os.remove(lock)


def readable_weights(path: str) -> dict[str, Tensor]:
    """The weights in a file of the cache.

    Raises:
        RuntimeError: it is damaged; the message names the file and the way out.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # as below
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> RuntimeError:
    return RuntimeError(
        f'the ImageNet weights "{path}" cannot be read ({type(error).__name__}): the file is '
        "damaged or of another kind. Remove it, so that it is downloaded again."
    )


def hub_weights(url: str, name: str = "") -> dict[str, Tensor]:
    """The state dict at a URL, from torch hub's cache if it is there.

    Args:
        url: where it is published.
        name: of the file in the cache, by default as in the URL.

    Raises:
        RuntimeError: it is not in the cache and cannot be downloaded, or it is damaged; the message
            names the file and the ways out.
    """
    name = name or url.split("/")[-1]
    cached = cached_path(name)
    try:
        with contextlib.nullcontext() if os.path.isfile(cached) else one_at_a_time(cached):
            if "drive.google.com" in url and not os.path.isfile(cached):
                raise OSError("torch hub cannot fetch from Google Drive")
            state = torch.hub.load_state_dict_from_url(
                url,
                map_location="cpu",
                progress=sys.stderr.isatty(),
                file_name=name,
                weights_only=True,
            )
    except Exception as error:  # a damaged file raises at least four types
        if os.path.isfile(cached):
            raise _damaged(cached, error) from error
        raise RuntimeError(
            f"the ImageNet weights {name} could not be downloaded ({error}). Put the file at "
            f'"{cached}", or set MODEL.BACKBONE.PRETRAIN_PATH to a file of your own, or '
            "MODEL.BACKBONE.PRETRAIN False to start from random weights."
        ) from error
    logger.info(f"ImageNet weights: {cached}")
    return state


def _weights_of_module(module: Any) -> Any:
    def init_pretrained_weights(*arguments: Any) -> dict[str, Tensor]:
        """Replacement of FastReID's function of this name: the last argument is the key.

        OSNet's takes the model before it and keeps the file under a name of its own.
        """
        key = arguments[-1]
        if key not in module.model_urls:
            raise ValueError(
                f"FastReID knows no ImageNet weights for the backbone {key}: set "
                "MODEL.BACKBONE.PRETRAIN_PATH, or MODEL.BACKBONE.PRETRAIN False."
            )
        name = f"{key}_imagenet.pth" if len(arguments) > 1 else ""
        return hub_weights(module.model_urls[key], name)

    return init_pretrained_weights


def install() -> None:
    """Put hub downloads in the place of FastReID's gdown downloads, without touching its files."""
    for name in GDOWN_MODULES:
        module = sys.modules[name]
        module.init_pretrained_weights = _weights_of_module(module)  # type: ignore[attr-defined]


install()

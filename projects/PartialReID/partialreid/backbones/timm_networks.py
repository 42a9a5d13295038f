"""Networks of timm by their names: made for images of any size, with their weights.

timm is needed by those alone who name one of its networks, and is imported when one is made.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any

from torch import Tensor

from ..runtime.finite import name_first, not_finite
from .pretrained_files import check_is_file

BUILDER = "build_timm_backbone"
# Ways to tell a network that was made for one size of images to take others, best first. Patches
# that stick out of an image are filled up with zeros, as convolutions do it.
ANY_SIZE: tuple[dict[str, Any], ...] = (
    {"dynamic_img_size": True, "dynamic_img_pad": True},
    {"dynamic_img_size": True},
    {},
)
RANDOM = "MODEL.BACKBONE.PRETRAIN False to start from random weights"


def published(name: str) -> Any:
    """What timm has published about a network and its weights, its `PretrainedCfg`.

    Args:
        name: such as resnet50.a1_in1k, or without the part that names the weights.

    Raises:
        ValueError: timm is not installed, or has no network or no weights of this name.
    """
    timm = _timm()
    network, _, weights = name.partition(".")
    if not timm.is_model(network):
        near = difflib.get_close_matches(network, timm.list_models()) or ["resnet50.a1_in1k"]
        raise ValueError(
            f"MODEL.BACKBONE.TIMM is {name!r}, which is no network of timm {timm.__version__}: "
            f"name one, such as {' or '.join(near)}."
        )
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        known = ", ".join(timm.list_pretrained(f"{network}.*")) or "none"
        raise ValueError(
            f"MODEL.BACKBONE.TIMM is {name!r}, but timm {timm.__version__} knows no weights "
            f"{weights!r} of {network}: name {network} alone or with those that it knows ({known})."
        ) from error
    return found or importlib.import_module("timm.models").PretrainedCfg()


def create(name: str, **options: Any) -> Any:
    """A network without its classifier, for images of three channels and, if it can, of any size.

    Raises:
        ValueError: as `published`.
        Exception: what timm raises on options that the network does not know.
    """
    *ways, last = ANY_SIZE if published(name).fixed_input_size else ({},)
    for way in ways:
        try:
            return _made(name, **way, **options)
        except TypeError as error:  # a class that does not know the argument
            if not any(argument in str(error) for argument in way):
                raise
    return _made(name, **last, **options)


def pretrained(name: str, path: str, **options: Any) -> Any:
    """A network, as `create` makes it, with its published weights or those of a file.

    Args:
        name: as in `published`.
        path: a file of weights under timm's names, safetensors or what `torch.save` wrote, with a
            classifier or without. Empty: timm downloads them, or finds them in its cache.
        **options: as in `create`.

    Raises:
        FileNotFoundError: the path is no file.
        ValueError: the file cannot be read, lacks weights of this network, or holds others.
        RuntimeError: there is nothing published, or it cannot be downloaded.
    """
    if path:
        return _from_file(name, path, options)
    try:
        return create(name, pretrained=True, **options)
    except Exception as error:  # of timm, of its hub, of the connection
        raise RuntimeError(
            f"the pretrained weights of timm's {name} could not be downloaded ({_first(error)}): "
            f"set MODEL.BACKBONE.PRETRAIN_PATH to a file of them, or {RANDOM}."
        ) from error


def _from_file(name: str, path: str, options: dict[str, Any]) -> Any:
    key = f'MODEL.BACKBONE.PRETRAIN_PATH "{path}"'
    ways_out = f'Set it to the weights of timm\'s {name}, to "" for a download, or {RANDOM}.'
    check_is_file(path, ways_out)
    try:
        state = importlib.import_module("timm.models").load_state_dict(path)
        tensors = {part: value for part, value in state.items() if isinstance(value, Tensor)}
    except Exception as error:  # a damaged file raises at least five types
        raise ValueError(f"{key} cannot be read ({type(error).__name__}). {ways_out}") from error
    if names := not_finite(tensors):
        raise ValueError(
            f"{key} holds NaN or infinite numbers in {name_first(names, len(tensors))}. {ways_out}"
        )
    classifiers = published(name).classifier or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else classifiers
    kept = {part: v for part, v in tensors.items() if part.rpartition(".")[0] not in classifiers}
    # Without classes on either side timm insists that each tensor has its place and each place its
    # tensor; otherwise it starts from random weights where a name is missing, as FastReID does.
    source = {"state_dict": kept, "num_classes": 0, "label_offset": 0}
    try:
        network = create(name, pretrained=True, pretrained_cfg_overlay=source, **options)
    except Exception as error:  # torch's of names and shapes, timm's of what it renames
        raise ValueError(
            f"{key} holds other weights than those of timm's {name} ({_first(error)}). {ways_out}"
        ) from error
    # timm keeps its source with the network: twice the memory, and copied with it.
    network.pretrained_cfg.pop("state_dict", None)
    return network


def _made(name: str, **options: Any) -> Any:
    return _timm().create_model(name, num_classes=0, in_chans=3, **options)


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ImportError as error:
        raise ValueError(
            f"MODEL.BACKBONE.NAME is {BUILDER}, which needs timm: install it by `python -m pip "
            "install timm`."
        ) from error


def _first(error: Exception) -> str:
    """What comes first in a message. torch's of a state dict has a heading before it."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[:2]).rstrip(".") or type(error).__name__
    return said if len(said) <= 200 else f"{said[:200]}..."

"""Files of pretrained weights: whether one holds weights of the config's backbone.

FastReID loads what fits by name and says in its log what does not: a file of another network starts
a training from random weights.
"""

from __future__ import annotations

import os
from typing import Any

import torch
from fastreid.modeling.backbones import build_backbone
from torch import Tensor

from ..runtime.finite import name_first, not_finite
from ..runtime.quiet import quiet

# Tensors of a file that a network fits to its input: a vision transformer's positions and patches.
RESIZED = 2


def check_is_file(path: str, ways_out: str) -> None:
    """Check that PRETRAIN_PATH is a file.

    Args:
        path: its value, not empty.
        ways_out: what to do instead, as a sentence.

    Raises:
        FileNotFoundError: it is none.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'MODEL.BACKBONE.PRETRAIN_PATH "{path}" is not a file. {ways_out}')


def check_pretrain_path(path: str) -> dict[str, Any]:
    """Check that PRETRAIN_PATH, if it is set, is a file of weights.

    FastReID loads a file without any matching key in silence and starts from random weights.

    Returns:
        What is in the file, an empty dict for an empty path.

    Raises:
        FileNotFoundError: no file is there.
        ValueError: the file cannot be read, has no tensors where FastReID looks for them, or holds
            some that are no numbers.
    """
    if not path:
        return {}
    ways_out = (
        'Set it to the ImageNet weights, to "" for a download, or MODEL.BACKBONE.PRETRAIN False '
        "for random weights."
    )
    key = f'MODEL.BACKBONE.PRETRAIN_PATH "{path}"'
    check_is_file(path, ways_out)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises at least four types
        raise ValueError(f"{key} cannot be read ({type(error).__name__}). {ways_out}") from error
    # Some backbones of FastReID look one level below.
    for level in ("model_state", "state_dict"):
        state = state.get(level, state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{key} is no state dict of a backbone. {ways_out}")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if names := not_finite(tensors):
        raise ValueError(
            f"{key} holds NaN or infinite numbers in {name_first(names, len(tensors))}. {ways_out}"
        )
    return state


def check_pretrained(cfg: Any) -> None:
    """Check that the weights from which a training starts are there and fit the config's backbone.

    With PRETRAIN_PATH they are in that file. Without, they are downloaded here, once for all
    processes that this one starts later.

    Raises:
        FileNotFoundError, ValueError: as `check_pretrain_path`.
        ValueError: the weights are those of another network, or none are published.
        RuntimeError: they cannot be downloaded.
    """
    if not cfg.MODEL.BACKBONE.PRETRAIN:
        return
    cfg = cfg.clone()
    cfg.defrost()
    path = cfg.MODEL.BACKBONE.PRETRAIN_PATH
    # A network of timm compares all names of a file itself when it loads them.
    if not path or cfg.MODEL.BACKBONE.NAME == "build_timm_backbone":
        _fetch(cfg)
        return
    state = check_pretrain_path(path)
    problem = _not_loaded(cfg, state)
    if problem:
        raise ValueError(
            f'MODEL.BACKBONE.PRETRAIN_PATH "{path}" does not hold the weights of '
            f"{cfg.MODEL.BACKBONE.NAME} of MODEL.BACKBONE.DEPTH {cfg.MODEL.BACKBONE.DEPTH} as this "
            f'network reads them ({problem}). Set it to the right ones, or to "" for a download.'
        )


def _not_loaded(cfg: Any, state: dict[str, Any]) -> str:
    """Why the backbone does not start from the weights of a file, empty if it does.

    Of what FastReID's backbones do with a file each does something else: some look one level
    below, some cut prefixes off, most load what fits by name. So the network is built as a training
    builds it, and compared with the file and with a network that has not read it.
    """
    fresh, loaded, error = _fresh_and_loaded(cfg)
    # Files of some networks have a prefix, such as "module.encoder.", that is cut off.
    cut = ({_without(name, parts): name for name in state} for parts in range(3))
    names = max(cut, key=lambda names: len(fresh.keys() & names.keys()))
    stored = {name: state[names[name]] for name in fresh.keys() & names.keys()}
    stored = {name: value for name, value in stored.items() if isinstance(value, Tensor)}
    if not stored:
        return "no name is one of its"
    differing = [n for n in fresh if n in stored and stored[n].shape != fresh[n].shape]
    if len(differing) > RESIZED or (error and differing):
        name = differing[0]
        return f"{name} is {tuple(stored[name].shape)}, not {tuple(fresh[name].shape)}"
    if error:
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    wanted = [name for name in fresh if not name.endswith("num_batches_tracked")]
    if 2 * len(stored.keys() & set(wanted)) < len(wanted):
        return f"of its {len(wanted)} tensors it has {len(stored.keys() & set(wanted))}"
    # What a fresh network has as well, such as ones in batch norm, tells nothing.
    told = [n for n in stored if n not in differing and not _equal(stored[n], fresh[n])]
    read = [name for name in told if _equal(stored[name], loaded[name])]
    if 2 * len(read) < len(told):
        name = next(name for name in told if name not in read)
        prefix = names[name].removesuffix(name)
        if prefix:
            return f'its names begin with "{prefix}", which this network does not take off'
        return "they lie a level below, where this network does not look"
    return ""


def _fresh_and_loaded(cfg: Any) -> tuple[dict[str, Tensor], dict[str, Tensor], Exception | None]:
    """The backbone's tensors without the file and with it, and what building it with it raises."""
    random = cfg.clone()
    random.defrost()
    random.MODEL.BACKBONE.PRETRAIN = False
    with torch.random.fork_rng(devices=[]):
        fresh = build_backbone(random).state_dict()
    # From the same random numbers, so that what has not been read stays equal.
    with torch.random.fork_rng(devices=[]), quiet():
        try:
            return fresh, build_backbone(cfg).state_dict(), None
        except Exception as error:  # what FastReID's files and load_state_dict raise
            if "MODEL.BACKBONE.PRETRAIN" in str(error):
                raise
            return fresh, {}, error


def _equal(stored: Tensor, own: Tensor) -> bool:
    return torch.equal(stored.to(own.dtype), own)


def _fetch(cfg: Any) -> None:
    """Have the backbone fetch its published weights, as it does when it is built."""
    with torch.random.fork_rng(devices=[]):
        try:
            build_backbone(cfg)
        except Exception as error:  # what FastReID's files raise, of which some fetch by themselves
            if "MODEL.BACKBONE.PRETRAIN" in str(error):
                raise
            keys = cfg.MODEL.BACKBONE
            raise ValueError(
                f"MODEL.BACKBONE.PRETRAIN is True, but there are no ImageNet weights to be had for "
                f"{keys.NAME} of MODEL.BACKBONE.DEPTH {keys.DEPTH} ({error}): set "
                "MODEL.BACKBONE.PRETRAIN_PATH to a file of them, or MODEL.BACKBONE.PRETRAIN False "
                "to start from random weights."
            ) from error


def _without(name: str, parts: int) -> str:
    """A dotted name without its first parts."""
    return name.split(".", parts)[-1]

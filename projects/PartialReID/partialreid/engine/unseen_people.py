"""Whether a network has never seen the people that something is chosen, or learnt, by.

Who chooses by people of the training is flattered: a network knows those.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..data.catalogue import file_name, people_of, train_items
from ..data.folder_set import PREFIX, folder_path, without_folders_above
from .checkpoint import classes_in, read_checkpoint
from .model_file import is_model_file
from .resumption import saved_config


def check_unseen(cfg: Any, names: Sequence[str] | None) -> None:
    """Check the sets that are named or, where none is, the held-out identities.

    Raises:
        ValueError: two names show the same people, who would count twice; or as
            `check_not_trained_on` and `check_trained_without`.
    """
    if names:
        known: dict[str, str] = {}
        for name in names:
            people = _people_at(name)
            if people in known:
                raise ValueError(
                    f"{known[people]} and {name} show the same people, who would count twice: name "
                    "each set once, without what is made of it."
                )
            known[people] = name
        check_not_trained_on(cfg, names)
    else:
        check_trained_without(cfg)


def _people_at(name: str) -> str:
    """The set whose people another shows; a folder or table by its file, however it is reached."""
    whole, _ = people_of(name)
    return os.path.realpath(folder_path(whole)) if whole.startswith(PREFIX) else whole


def check_not_trained_on(cfg: Any, names: Sequence[str]) -> None:
    """Refuse a set that a network was trained on: what is chosen or learnt by it flatters.

    What is made of a set shows the same people: `Market1501Partial` those of `Market1501`. Of one
    that was trained on, the held-out identities are unseen if the training kept them. A model file
    names the folders that it was trained on without those above them.

    Raises:
        ValueError: the config or the checkpoint names it as a training set; or as
            `check_trained_without`.
    """
    saved = saved_config(read_checkpoint(cfg.MODEL.WEIGHTS)) or {}
    trained = {*cfg.DATASETS.NAMES, *saved.get("DATASETS", {}).get("NAMES", ())}
    short = without_folders_above if is_model_file(cfg.MODEL.WEIGHTS) else file_name
    for name in names:
        whole, held_out = people_of(name)
        if short(whole) not in map(short, trained):
            continue
        if held_out:
            check_trained_without(cfg)
        else:
            raise ValueError(
                f"{cfg.MODEL.WEIGHTS} was trained on {name}: take another set, or keep identities "
                "from training by DATASETS.HELD_OUT and leave out --people."
            )


def check_trained_without(cfg: Any) -> None:
    """Refuse a checkpoint that has seen the held-out identities: its lambda would be an oracle's.

    Raises:
        ValueError: its classes are not the identities that are left, or it does not hold them.
    """
    data = read_checkpoint(cfg.MODEL.WEIGHTS)
    # A model file has left them out, and says how many there were.
    classes = classes_in(data["model"]) or data.get("record", {}).get("classes")
    if not classes:
        raise ValueError(
            f"{cfg.MODEL.WEIGHTS} holds no classifiers, which show on how many identities it was "
            "trained: take the checkpoint of the training, or a model file of it."
        )
    trained = len({pid for _, pid, _ in train_items(cfg)})
    if classes != trained:
        raise ValueError(
            f"{cfg.MODEL.WEIGHTS} was trained on {classes} identities, but without "
            f"DATASETS.HELD_OUT {cfg.DATASETS.HELD_OUT} there are {trained}: train with the same "
            "DATASETS.NAMES and DATASETS.HELD_OUT, above 0."
        )

"""What do weights in two bytes change?

    python -m benchmarks.two_bytes MODEL FOLDER --keys MODEL.DEVICE cpu

Columns of pictures with the weights as they are, and rounded: all of them to float16, the large
ones to float16, to whole numbers with one scale for a tensor, and with one for each output channel,
as `partialreid export --half` does it. No label is read, and nothing is trained.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from benchmarks.bench import commit, report
from partialreid.engine.configuration import model_config
from partialreid.engine.inference import load_model
from partialreid.engine.model_file import SMALL
from partialreid.engine.two_bytes import packed, unpacked
from partialreid.runtime.device_batches import device_of
from partialreid.runtime.errors import user_errors
from partialreid.search.partial_reid import PartialReID
from partialreid.search.sources import pictures_of


def float16(value: Tensor) -> Tensor:
    return value.half().float()


def one_scale(value: Tensor) -> Tensor:
    return by_channel(value.reshape(1, -1)).reshape(value.shape)


def by_channel(value: Tensor) -> Tensor:
    return unpacked(packed("a", value))["a"]


# How, and of tensors of more than how many numbers.
ROUNDINGS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "all in float16": (float16, 0),
    "in float16": (float16, SMALL),
    "whole numbers, one scale for a tensor": (one_scale, SMALL),
    "whole numbers, one scale for each output channel": (by_channel, SMALL),
}


def rounded(
    state: Mapping[str, Tensor], rounding: Callable[[Tensor], Tensor], beyond: int
) -> dict[str, Tensor]:
    """Weights by their names, those of tensors of more than `beyond` numbers rounded."""
    return {
        name: rounding(value) if value.is_floating_point() and value.numel() > beyond else value
        for name, value in state.items()
    }


def moved(found: Tensor, wanted: Tensor) -> int:
    """How far columns are from what they were, in millionths of their length."""
    return round(1e6 * float((found - wanted).norm() / wanted.norm()))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a checkpoint or a model file whose weights are not rounded")
    parser.add_argument("pictures", help="a folder or a table of them")
    parser.add_argument("--images", type=int, default=64, help="so many, evenly spread (default)")
    parser.add_argument("--keys", nargs="*", default=[], metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    with user_errors():
        cfg = model_config(args.model, args.keys)
        network = load_model(cfg, cfg.MODEL.WEIGHTS).eval()
        state = {name: value.clone() for name, value in network.state_dict().items()}
        pictures = pictures_of(args.pictures).pictures
        chosen = pictures[:: max(1, len(pictures) // args.images)][: args.images]

        def outputs(weights: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
            network.load_state_dict(weights)
            found = PartialReID(network, cfg, device_of(network), None).embed(chosen)
            return torch.cat(found.columns, -1), found.features

        columns, features = outputs(state)
        rows: list[dict[str, Any]] = []
        for name, (rounding, beyond) in ROUNDINGS.items():
            found, pooled = outputs(rounded(state, rounding, beyond))
            rows.append(
                {
                    "weights": name,
                    "columns move by": moved(found, columns),
                    "features move by": moved(pooled, features),
                }
            )
    title = f"{len(chosen)} pictures, large tensors have more than {SMALL:,} weights; millionths"
    report("two_bytes", title, rows, commit=commit())


if __name__ == "__main__":
    main()

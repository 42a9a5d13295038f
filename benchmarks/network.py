"""How fast is the network in evaluation: as it was trained, batch norm folded, and in bfloat16?

Without --weights its weights are random, and the statistics of its batch norms those of the images.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from fastreid.modeling.meta_arch import build_model
from PIL import Image
from torch import Tensor, nn

from benchmarks.bench import ROOT, commit, report, time_in_turn
from partialreid.data.keep_ratio import build_test_transform
from partialreid.engine.configuration import setup_config
from partialreid.engine.evaluation_network import evaluation_network
from partialreid.engine.inference import load_model, without_cudnn_benchmark
from partialreid.partialbaseline import HeadOutputs
from partialreid.runtime.freed_memory import keep_freed_memory
from partialreid.runtime.inference_dtype import resolve_dtype
from partialreid.synthetic.images import whole_image

CONFIG = ROOT / "projects" / "PartialReID" / "configs" / "market_mobilenetv2.yml"
IMAGES, ROUNDS = 32, 7
PLAIN = "as it was trained"
DTYPES = {"folded": "float32", "folded, bfloat16": "bfloat16"}


def drawn_images(cfg: Any, count: int) -> Tensor:
    """Drawn people as the network takes them: (count, 3, H, W) in 0..255, on its device."""
    transform = build_test_transform(cfg, None)
    pictures = (Image.fromarray(whole_image(0, person, 0, 0)) for person in range(count))
    return torch.stack([transform(picture) for picture in pictures]).to(cfg.MODEL.DEVICE)


def plain_network(cfg: Any, weights: str, images: Tensor) -> nn.Module:
    """The network of a config, with the weights of a checkpoint or model file, or random ones."""
    if weights:
        return load_model(cfg, weights).eval()
    torch.manual_seed(0)
    model: Any = build_model(cfg)
    backbone = model.backbone.train()
    for layer in backbone.modules():
        layer.momentum = 1.0
    with torch.no_grad():
        backbone(model.preprocess_image(images))
    return model.eval()


def networks(model: nn.Module, cfg: Any) -> dict[str, nn.Module]:
    """The alternatives by name."""
    found = {PLAIN: model}
    for name, dtype in DTYPES.items():
        own = cfg.clone()
        own.defrost()
        own.MODEL.INFERENCE_DTYPE = dtype
        found[name] = evaluation_network(model, own)
    return found


def compared(found: HeadOutputs, wanted: HeadOutputs) -> dict[str, float]:
    """How far outputs are from others, in what distances are made of."""
    ours, theirs = (F.normalize(outputs.columns, dim=1) for outputs in (found, wanted))
    return {
        "largest difference in columns of unit length": float((ours - theirs).abs().max()),
        "smallest cosine of columns": float((ours * theirs).sum(1).min()),
        "smallest cosine of features": float(
            F.cosine_similarity(found.features, wanted.features).min()
        ),
    }


def measure(cfg: Any, weights: str, count: int, rounds: int) -> list[dict[str, Any]]:
    """A row for each alternative, on the same images.

    Args:
        cfg: config, its device resolved.
        weights: a checkpoint or a model file; "" for random ones.
        count: images of a batch.
        rounds: see `time_in_turn`.
    """
    device, images = cfg.MODEL.DEVICE, drawn_images(cfg, count)
    every = networks(plain_network(cfg, weights, images), cfg)

    def running(network: nn.Module) -> Callable[[], Any]:
        return lambda: network(images)

    with torch.inference_mode(), without_cudnn_benchmark():
        outputs = {name: network(images) for name, network in every.items()}
        work = {name: running(network) for name, network in every.items()}
        seconds = time_in_turn(work, rounds, device)
    return [
        {
            "network": name,
            "images/s": count / found["median"],
            "from": count / found["third quartile"],
            "to": count / found["first quartile"],
            "times": seconds[PLAIN]["median"] / found["median"],
            **compared(outputs[name], outputs[PLAIN]),
        }
        for name, found in seconds.items()
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config-file", default=str(CONFIG))
    parser.add_argument("--weights", default="", help="a checkpoint or a model file")
    parser.add_argument("--images", type=int, default=IMAGES, help="of a batch")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE")
    args = parser.parse_args(arguments)
    own = [*args.opts, "MODEL.BACKBONE.PRETRAIN", "False"]
    cfg = setup_config(argparse.Namespace(config_file=args.config_file, opts=own))
    if cfg.MODEL.DEVICE == "cpu":
        keep_freed_memory()
    height, width = cfg.INPUT.SIZE_TEST
    backbone = cfg.MODEL.BACKBONE
    report(
        "network",
        f"{backbone.NAME} {backbone.TIMM or backbone.DEPTH}, {args.images} images of "
        f"{height} x {width} on {cfg.MODEL.DEVICE}",
        measure(cfg, args.weights, args.images, args.rounds),
        weights=args.weights or "random",
        auto=str(resolve_dtype("auto", cfg.MODEL.DEVICE)).removeprefix("torch."),
        commit=commit(),
    )


if __name__ == "__main__":
    main()

"""The network that is evaluated: near the one that was trained, whose weights stay as they are.

Shape shorthand: B batch, H x W image.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partialreid.engine.evaluation_network import dtype_of, evaluation_network
from partialreid.engine.inference import RESULTS, evaluate_test_sets
from partialreid.engine.remembered_outputs import RememberedOutputs
from partialreid.search.model_digest import model_digest
from tests.backbones.test_batch_norm_folding import difference, norms, trained
from tests.small_systems import SYSTEMS, config, network

SIZE = (64, 32)
FLIPPED = ["TEST.FLIP.ENABLED", True]
# A convolution before the BNNeck, too.
EMBEDDING = [*SYSTEMS["Baseline"], "MODEL.HEADS.EMBEDDING_DIM", 16]
KINDS = {
    **SYSTEMS,
    "flipped": FLIPPED,
    "embedding": EMBEDDING,
    "channels last": ["MODEL.CHANNELS_LAST", "on"],
}


def made(kind: str, dtype: str = "float32", device: str = "cpu") -> tuple[Any, Any]:
    """A network whose norms have learnt something, and its config."""
    cfg = config(device, *KINDS[kind], "INPUT.SIZE_TEST", SIZE)
    cfg.MODEL.INFERENCE_DTYPE = dtype
    return trained(network(cfg)[0]), cfg


def images(height: int = 74, width: int = 45) -> Tensor:
    """Images (3, 3, H, W) of an awkward size."""
    generator = torch.Generator().manual_seed(2)
    return 255 * torch.rand(3, 3, height, width, generator=generator)


def parts(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(outputs) if isinstance(outputs, tuple) else (outputs,)


@torch.inference_mode()
def outputs_of(model: nn.Module, dtype: torch.dtype = torch.float32) -> Any:
    return model(images().to(dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_the_network(kind: str) -> None:
    model, cfg = made(kind)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    digest = model_digest(before, cfg)
    fast = evaluation_network(model, cfg)
    wide: Any = copy.deepcopy(model).double()
    plain, found, wanted = outputs_of(model), outputs_of(fast), outputs_of(wide, torch.float64)
    assert type(found) is type(plain)
    for ours, theirs, exact in zip(parts(found), parts(plain), parts(wanted), strict=True):
        assert ours.dtype == torch.float32
        assert difference(ours, exact) < 1e-5
        assert difference(ours, theirs) < 1e-5
    assert not norms(fast.backbone) and norms(model.backbone)
    # A BNNeck follows no convolution of the backbone.
    assert len(norms(fast.heads)) == len(norms(model.heads))
    after = model.state_dict()
    assert [*after] == [*before]
    assert all(torch.equal(after[key], value) for key, value in before.items())
    assert model_digest(after, cfg) == digest


@pytest.mark.parametrize("kind", KINDS)
def test_in_bfloat16_all_after_the_map_is_float32(kind: str) -> None:
    model, cfg = made(kind, "bfloat16")
    fast = evaluation_network(model, cfg)
    plain, found = outputs_of(model), outputs_of(fast)
    assert type(found) is type(plain)
    for ours, theirs in zip(parts(found), parts(plain), strict=True):
        assert ours.dtype == torch.float32
        assert F.cosine_similarity(ours, theirs, dim=1).min() > 0.99
    features, *local = parts(found)
    assert not torch.equal(features, parts(plain)[0])
    assert not torch.equal(features, features.bfloat16().float())
    if local and kind not in ("SFR", "flipped"):
        # Pooled by their maximum, columns are numbers of the map, which bfloat16 holds.
        assert torch.equal(local[0], local[0].bfloat16().float())
    assert not torch.is_autocast_enabled("cpu")


def test_auto_is_what_the_processor_is_good_at(monkeypatch: pytest.MonkeyPatch) -> None:
    model, cfg = made("FastReID-DSR", "auto")
    for name, there in (("bfloat16", True), ("float32", False)):
        known = {"avx512_bf16": there}
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda known=known: known, raising=False)
        fast = evaluation_network(model, cfg)
        assert dtype_of(fast) == name
        assert dtype_of(RememberedOutputs(fast, 0, ".")) == name
    assert dtype_of(model) == "float32"


def test_an_architecture_that_nobody_knows_stays() -> None:
    model = nn.Conv2d(3, 4, 1)
    assert evaluation_network(model, made("FastReID-DSR")[1]) is model


def test_the_record_says_what_was_computed_in(tmp_path: Path) -> None:
    """What a config asks for is not read by the evaluations of a training."""
    model, cfg = made("FastReID-DSR", "bfloat16")
    cfg.OUTPUT_DIR, cfg.DATASETS.TESTS = str(tmp_path), ()
    for network_of, name in ((model, "float32"), (evaluation_network(model, cfg), "bfloat16")):
        evaluate_test_sets(cfg, network_of)
        run = json.loads((tmp_path / RESULTS).read_text())["run"]
        assert run["protocol"]["inference_dtype"] == name

"""What is wrong with a network is found before data are read, with any backbone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.modeling.backbones import BACKBONE_REGISTRY

from partialreid.commands.train import main
from partialreid.engine.checks import check_config
from partialreid.keys.network_check import check_network, input_sizes
from partialreid.keys.recorded_config import recorded
from tests import tiny


@pytest.fixture
def cfg(make_config) -> Any:
    """Stride 8: 64 x 32 pixels are the 8 x 4 cells that the pyramid needs."""
    return make_config(
        *("MODEL.META_ARCHITECTURE", "PartialBaseline", "MODEL.HEADS.NAME", "DSRHead"),
        *("MODEL.BACKBONE.NAME", "build_small_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 128),
        *("MODEL.HEADS.DSR.KERNELS", (2, 4), "INPUT.SIZE_TEST", [64, 32]),
        *("INPUT.SIZE_TRAIN", [64, 32]),
    )


def test_a_good_network_passes_and_changes_nothing(cfg: Any) -> None:
    cfg.freeze()
    before, state = cfg.dump(), torch.get_rng_state()
    keys = check_network(cfg, eval_only=False)
    assert cfg.dump() == before
    assert torch.equal(torch.get_rng_state(), state)
    assert {"MODEL.HEADS.DSR.KERNELS", "MODEL.BACKBONE.LAST_STRIDE"} <= keys
    # The small backbone has no instance normalisation, and says nothing of it.
    assert "MODEL.BACKBONE.WITH_IBN" not in keys
    assert check_network(cfg, eval_only=False) == keys


@pytest.mark.parametrize("key", ["INPUT.SIZE_TEST", "INPUT.SIZE_TRAIN"])
@pytest.mark.parametrize("size", [[24, 32], [64, 24], [8, 8]])
def test_no_room_for_the_pyramid(cfg: Any, key: str, size: list[int]) -> None:
    cfg.merge_from_list([key, size])
    with pytest.raises(ValueError, match="no room for a") as caught:
        check_network(cfg, eval_only=False)
    assert str(caught.value).startswith(f"{key} [{size[0]}, {size[1]}]: ")
    if key == "INPUT.SIZE_TRAIN":
        check_network(cfg, eval_only=True)


def test_the_smallest_size_that_has_room(cfg: Any) -> None:
    """Four cells at stride 8: pixels 25 to 32 are the fourth."""
    for size, passes in (([25, 25], True), ([24, 25], False), ([25, 24], False)):
        cfg.INPUT.SIZE_TEST = size
        if passes:
            check_network(cfg, eval_only=True)
        else:
            with pytest.raises(
                ValueError, match=r"^INPUT\.SIZE_TEST \[\d+, \d+\]: .*no room for a"
            ):
                check_network(cfg, eval_only=True)


BACKBONES = {
    "build_resnet_backbone": ("18x", 512, 1),
    "build_osnet_backbone": ("x0_25", 128, 1),
    "build_mobilenetv2_stride_backbone": ("0.25x", 1280, 1),
    "build_shufflenetv2_backbone": ("0.5x", 1024, 1),
    "build_repvgg_backbone": ("A0", 1280, 1),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_any_backbone(cfg: Any, name: str) -> None:
    """Large images pass whatever the stride is, up to 32; of small ones the map is too small."""
    depth, width, stride = BACKBONES[name]
    cfg.merge_from_list(["MODEL.BACKBONE.NAME", name, "MODEL.BACKBONE.FEAT_DIM", width])
    cfg.MODEL.BACKBONE.DEPTH, cfg.MODEL.BACKBONE.LAST_STRIDE = depth, stride
    cfg.MODEL.BACKBONE.WITH_IBN = name == "build_osnet_backbone"
    cfg.INPUT.SIZE_TEST = [160, 128]
    check_network(cfg, eval_only=True)
    cfg.INPUT.SIZE_TEST = [32, 32]
    with pytest.raises(ValueError, match=r"^INPUT\.SIZE_TEST \[32, 32\]"):
        check_network(cfg, eval_only=True)


def test_a_backbone_of_one_size(cfg: Any) -> None:
    """The vision transformer gives no map at all."""
    cfg.MODEL.BACKBONE.NAME, cfg.MODEL.BACKBONE.FEAT_DIM = "build_vit_backbone", 768
    cfg.MODEL.BACKBONE.DEPTH = "small"
    with pytest.raises(ValueError, match=r"INPUT\.SIZE_TEST \[64, 32\]"):
        check_network(cfg, eval_only=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (["MODEL.META_ARCHITECTURE", "Partial"], ["MODEL.META_ARCHITECTURE", "PartialBaseline"]),
        (["MODEL.HEADS.NAME", "DSR"], ["MODEL.HEADS.NAME is 'DSR'", "DSR2018Head, DSRHead"]),
        (["MODEL.BACKBONE.NAME", "resnet"], ["MODEL.BACKBONE.NAME", "build_resnet_backbone"]),
        (["MODEL.BACKBONE.FEAT_DIM", 64], ["MODEL.BACKBONE.FEAT_DIM is 64", "set it to 128"]),
        (["MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.BACKBONE.DEPTH", "51x",
          "MODEL.BACKBONE.FEAT_DIM", 2048], ["MODEL.BACKBONE.DEPTH 51x", "cannot be built"]),
        (["MODEL.BACKBONE.NAME", "build_resnet_backbone", "MODEL.BACKBONE.FEAT_DIM", 512,
          "INPUT.SIZE_TEST", [128, 128]],
         ["MODEL.BACKBONE.FEAT_DIM is 512", "2048 channels"]),
        (["MODEL.BACKBONE.NAME", "build_mobilenetv3_backbone", "MODEL.BACKBONE.DEPTH", "small"],
         ["build_mobilenetv3_backbone of MODEL.BACKBONE.DEPTH small", "Unsupported model type"]),
        (["MODEL.HEADS.POOL_LAYER", "AvgPool"], ["AvgPool", "GlobalAvgPool"]),
        (["MODEL.HEADS.CLS_LAYER", "Softmax"], ["Softmax", "ArcSoftmax"]),
        (["MODEL.HEADS.NORM", "LayerNorm", "MODEL.HEADS.WITH_BNNECK", True],
         ["MODEL.HEADS.NORM is 'LayerNorm'", "syncBN"]),
        (["MODEL.LOSSES.NAME", ("CenterLoss",)], ["MODEL.LOSSES.NAME holds CenterLoss"]),
        (["MODEL.META_ARCHITECTURE", "Baseline", "MODEL.HEADS.NAME", "EmbeddingHead"],
         ["TEST.DSR.ENABLED is True", "MODEL.HEADS.NAME EmbeddingHead", "DSRHead"]),
        (["INPUT.SIZE_TEST", [64]], ["INPUT.SIZE_TEST is [64]", "[height, width]"]),
    ],
)  # fmt: skip
def test_one_sentence_names_the_keys(cfg: Any, changes: list[Any], said: list[str]) -> None:
    cfg.merge_from_list(changes)
    with pytest.raises(ValueError) as caught:
        check_network(cfg, eval_only=False)
    for part in said:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_fastreids_baseline_passes_without_reconstruction(cfg: Any) -> None:
    cfg.merge_from_list(["MODEL.META_ARCHITECTURE", "Baseline", "TEST.DSR.ENABLED", False])
    cfg.MODEL.HEADS.NAME = "EmbeddingHead"
    assert "MODEL.HEADS.DSR.KERNELS" not in check_network(cfg, eval_only=False)


def test_sizes_of_cropped_and_padded_images(cfg: Any) -> None:
    assert input_sizes(cfg) == {"INPUT.SIZE_TEST": (64, 32), "INPUT.SIZE_TRAIN": (64, 32)}
    cfg.INPUT.CROP.ENABLED, cfg.INPUT.CROP.SIZE = True, [48]
    assert input_sizes(cfg) == {"INPUT.SIZE_TEST": (48, 48), "INPUT.SIZE_TRAIN": (48, 48)}
    cfg.INPUT.PADDING.ENABLED = True
    assert input_sizes(cfg)["INPUT.SIZE_TRAIN"] == (64, 32)
    cfg.INPUT.PADDING.ENABLED = False
    cfg.INPUT.SIZE_TEST = cfg.INPUT.SIZE_TRAIN = [0, 0]
    assert input_sizes(cfg) == {"INPUT.SIZE_TEST": (48, 48), "INPUT.SIZE_TRAIN": (48, 48)}


@pytest.mark.parametrize("size", [[0, 0], [0], [0, 32], [64, 0], [64]])
@pytest.mark.parametrize("key", ["INPUT.SIZE_TEST", "INPUT.SIZE_TRAIN"])
def test_images_without_one_size_are_refused(cfg: Any, key: str, size: list[int]) -> None:
    cfg.merge_from_list([key, size])
    with pytest.raises(ValueError) as caught:
        check_config(cfg, 1, eval_only=False)
    assert str(caught.value) == (
        f"{key} is {size}, with which the images of a batch differ in size: give [height, width]."
    )
    if key == "INPUT.SIZE_TRAIN":
        check_config(cfg, 1, eval_only=True)


def test_images_of_any_size_may_be_cropped_to_one(cfg: Any) -> None:
    cfg.merge_from_list(["INPUT.SIZE_TEST", [0, 0], "INPUT.SIZE_TRAIN", [0, 0]])
    cfg.merge_from_list(["INPUT.CROP.ENABLED", True, "INPUT.CROP.SIZE", [64, 32]])
    check_config(cfg, 1, eval_only=False)
    cfg.INPUT.CROP.SIZE = [24, 32]
    with pytest.raises(ValueError, match="no room for a"):
        check_config(cfg, 1, eval_only=False)


def test_a_training_is_refused_before_its_data_are_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = {"INPUT__SIZE_TEST": "[16,16]"}
    with pytest.raises(SystemExit) as caught:
        main(["--config-file", tiny.CONFIG, *tiny.options(tmp_path / "data", tmp_path, **size)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: INPUT.SIZE_TEST [16, 16]: ")
    assert list(tmp_path.iterdir()) == []


def test_all_backbones_are_known_to_the_check() -> None:
    assert set(BACKBONES) <= set(BACKBONE_REGISTRY._obj_map)


def test_a_recorded_config_notes_what_is_read(cfg: Any) -> None:
    copy, reads = recorded(cfg)
    assert copy.dump() == cfg.dump()
    assert reads == set()
    assert copy.SEED == 0 and copy["SOLVER"].AMP.ENABLED is False
    assert reads == {"SEED", "SOLVER.AMP.ENABLED"}
    clone = copy.clone()
    clone.defrost()
    assert clone.TEST.DSR.KAPPA == 0.001
    clone.SOLVER.BASE_LR = 2.0
    assert (clone.SOLVER.BASE_LR, copy.SOLVER.BASE_LR) == (2.0, 3e-4)
    assert reads == {"SEED", "SOLVER.AMP.ENABLED", "TEST.DSR.KAPPA", "SOLVER.BASE_LR"}

"""What a training is refused for before it starts, and that FastReID would have hung on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from fastreid.data import samplers
from fastreid.utils import comm

from partialreid.engine.checks import check_config
from partialreid.engine.training_checks import check_identities, check_training
from tests.whole_config import whole_config as config

Item = tuple[str, str, str]
NAIVE, BALANCED = "NaiveIdentitySampler", "BalancedIdentitySampler"


@pytest.mark.parametrize(
    ("world_size", "message"),
    [(3, "multiple of 3"), (32, "multiple of 32"), (8, "no multiple of DATALOADER.NUM_INSTANCE")],
)
def test_batch_that_processes_cannot_share(make_config, world_size: int, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_config(config(make_config), world_size, eval_only=False)
    assert message in str(caught.value)
    assert "SOLVER.IMS_PER_BATCH 16" in str(caught.value)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_mixed_precision_is_allowed_on_every_device(make_config, device: str) -> None:
    cfg = config(make_config, "SOLVER.AMP.ENABLED", True, "MODEL.DEVICE", device)
    check_config(cfg, 1, eval_only=False)


BOTH = ("CrossEntropyLoss", "TripletLoss")
OURS = ["MODEL.META_ARCHITECTURE", "ReconstructionBaseline", "INPUT.OCCLUSION.ENABLED", True]
SMALL = ["MODEL.BACKBONE.NAME", "build_mobilenetv2_stride_backbone", "MODEL.BACKBONE.DEPTH"]
SMALL += ["0.25x", "MODEL.BACKBONE.FEAT_DIM", 1280, "MODEL.HEADS.DSR.KERNELS", (1, 2)]
SMALL += ["INPUT.SIZE_TRAIN", (64, 32)]
# What a training can have where queries stay whole alone.
OF_ONE_SIZE = {
    "the statistics of the gallery half": ["TEST.PRECISE_BN.ENABLED", True],
    "two images of an identity are needed in each half": [
        *("DATALOADER.NUM_INSTANCE", 2, "MODEL.LOSSES.NAME", BOTH)
    ],
    "cuts its queries differently": ["MODEL.BACKBONE.NORM", "syncBN", "MODEL.DEVICE", "cuda"],
    "MODEL.HEADS.NORM is syncBN": ["MODEL.HEADS.NORM", "syncBN", "MODEL.DEVICE", "cuda"],
}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["INPUT.OCCLUSION.ENABLED", False], "which is trained with masks: set INPUT.OCCLUSION"),
        (["DATALOADER.SAMPLER_TRAIN", "TrainingSampler"], "NUM_INSTANCE to an even number"),
        (["DATALOADER.NUM_INSTANCE", 1], "DATALOADER.NUM_INSTANCE to an even number"),
        (
            ["INPUT.CUT.PROB", 0.7, "INPUT.CUT.SHARE", (0.2, 0.9)],
            "INPUT.CUT.SHARE begins at 0.2, which leaves 16 of 64 rows, and a feature map of 1x2 "
            "cells",
        ),
    ],
)
def test_what_a_training_with_queries_needs(make_config, options: list, message: str) -> None:
    cfg = config(make_config, *SMALL, *OURS, "DATALOADER.NUM_INSTANCE", 4)
    check_config(cfg, 1, eval_only=False)
    cfg.merge_from_list(options)
    with pytest.raises(ValueError) as caught:
        check_config(cfg, 1, eval_only=False)
    assert message in str(caught.value)


@pytest.mark.parametrize("said", OF_ONE_SIZE)
def test_what_cut_queries_rule_out(make_config, said: str) -> None:
    cfg = config(make_config, *SMALL, *OURS, *OF_ONE_SIZE[said], "INPUT.CUT.PROB", 0.01)
    with pytest.raises(ValueError) as caught:
        check_training(cfg, 2)
    assert said in str(caught.value) and "INPUT.CUT.PROB" in str(caught.value)
    assert OF_ONE_SIZE[said][0] in str(caught.value)
    cfg.INPUT.CUT.PROB = 0.0
    check_training(cfg, 2)


def test_one_process_waits_for_no_other(make_config) -> None:
    syncbn = OF_ONE_SIZE["cuts its queries differently"]
    check_training(config(make_config, *SMALL, *OURS, *syncbn), 1)


@pytest.mark.parametrize("probability", [0.0, 0.7])
def test_half_of_an_identity_are_queries_cut_or_not(make_config, probability: float) -> None:
    keys = ["INPUT.CUT.PROB", probability, "DATALOADER.NUM_INSTANCE", 1]
    with pytest.raises(ValueError, match=r"DATALOADER\.NUM_INSTANCE to an even number"):
        check_training(config(make_config, *SMALL, *OURS, *keys), 1)


def images(counts: list[int]) -> list[Item]:
    """As many images as said of each identity, from two cameras in turn."""
    return [
        (f"{pid}_{shot}.jpg", f"id{pid:02d}", f"camera{shot % 2}")
        for pid, count in enumerate(counts)
        for shot in range(count)
    ]


def first_batch(
    monkeypatch: pytest.MonkeyPatch, sampler: str, items: list[Item], batch: int, world: int
) -> list[int]:
    """The first whole batch, before the ranks share it."""
    monkeypatch.setattr(comm, "get_world_size", lambda: world)
    kind = getattr(samplers, sampler)
    stream: Iterator[int] = kind(items, batch // world, 2, seed=0)._infinite_indices()
    return list(itertools.islice(stream, batch))


# Batches of 8 images, 2 of each identity: 4 identities for each process with one process, 2 of
# each process's own with two. (sampler, processes, images of each identity, whether it works)
CASES = [
    (NAIVE, 1, [4, 4, 4, 4], True),
    (NAIVE, 1, [1, 2, 2, 3], True),  # exactly four, one of them with a single image
    (NAIVE, 1, [4, 4, 4], False),
    (NAIVE, 2, [2, 2, 2, 2], True),
    (NAIVE, 2, [4, 4, 4], True),  # each of three can be drawn twice
    (NAIVE, 2, [4, 5], True),
    (NAIVE, 2, [8], False),
    (NAIVE, 2, [3, 6], False),  # the first is used up by the first process
    (NAIVE, 4, [9, 9], True),
    (BALANCED, 1, [2, 2, 2, 2], True),
    (BALANCED, 1, [1, 2, 4, 1], True),
    (BALANCED, 1, [4, 4, 4], False),
    (BALANCED, 2, [2, 2, 2, 2], True),
    (BALANCED, 2, [9, 9, 9], False),
]


@pytest.mark.parametrize(("sampler", "world", "counts", "works"), CASES)
def test_too_few_identities(
    make_config, monkeypatch: pytest.MonkeyPatch, time_limit,
    sampler: str, world: int, counts: list[int], works: bool,
) -> None:  # fmt: skip
    """The check says what the sampler does: it fills a batch, or it searches for ever."""
    cfg = config(make_config, "DATALOADER.SAMPLER_TRAIN", sampler)
    cfg.SOLVER.IMS_PER_BATCH, cfg.DATALOADER.NUM_INSTANCE = 8, 2
    items = images(counts)
    assert len(items) >= 8, "this case is refused for another reason"
    if works:
        check_identities(cfg, items, world)
        with time_limit(20):
            batch = first_batch(monkeypatch, sampler, items, 8, world)
        pids = [items[i][1] for i in batch]
        assert len(batch) == 8
        assert all(pids.count(pid) % 2 == 0 for pid in pids)
    else:
        with pytest.raises(ValueError, match=rf"{sampler} needs") as caught:
            check_identities(cfg, items, world)
        for part in ("SOLVER.IMS_PER_BATCH 8", "DATALOADER.NUM_INSTANCE 2", f"has {len(counts)}"):
            assert part in str(caught.value)
        with pytest.raises(TimeoutError), time_limit(0.3):
            first_batch(monkeypatch, sampler, items, 8, world)


def test_fewer_classes_than_identities_are_refused(make_config) -> None:
    cfg = config(make_config, "SOLVER.IMS_PER_BATCH", 8, "DATALOADER.NUM_INSTANCE", 2)
    items = images([4, 4, 4, 4])
    for classes in (0, 4, 9):
        cfg.MODEL.HEADS.NUM_CLASSES = classes
        check_identities(cfg, items, 1)
    cfg.MODEL.HEADS.NUM_CLASSES = 3
    with pytest.raises(ValueError, match=r"HEADS\.NUM_CLASSES is 3, .* has 4 identities: .* 0"):
        check_identities(cfg, items, 1)


def test_what_may_run_out_is_refused(make_config) -> None:
    """The second process has two identities left or one, as the first one happens to draw."""
    cfg = config(make_config, "SOLVER.IMS_PER_BATCH", 8, "DATALOADER.NUM_INSTANCE", 2)
    with pytest.raises(ValueError, match="has 3, of which 1 may be left"):
        check_identities(cfg, images([2, 3, 8]), world_size=2)


@pytest.mark.parametrize("sampler", ["TrainingSampler", "ImbalancedDatasetSampler", NAIVE])
def test_fewer_images_than_a_batch(make_config, sampler: str) -> None:
    cfg = config(make_config, "DATALOADER.SAMPLER_TRAIN", sampler)
    with pytest.raises(ValueError, match=r"15 training images.*SOLVER\.IMS_PER_BATCH 16"):
        check_identities(cfg, images([5, 5, 5]), 1)


@pytest.mark.parametrize("sampler", ["TrainingSampler", "ImbalancedDatasetSampler"])
def test_one_identity_is_none_to_tell_apart(make_config, sampler: str) -> None:
    cfg = config(make_config, "DATALOADER.SAMPLER_TRAIN", sampler)
    with pytest.raises(ValueError, match=r"all 16 training images show one.*DATASETS\.NAMES"):
        check_identities(cfg, images([16]), 1)


@pytest.mark.parametrize(
    ("batch", "instances", "world_size", "said"),
    [
        (1, 1, 1, "gives each of 1 processes one image"),
        (2, 1, 2, "gives each of 2 processes one image"),
        (16, 16, 1, "all of one identity"),
        (16, 4, 4, "all of one identity"),
    ],
)
def test_batch_that_teaches_nothing(
    make_config, batch: int, instances: int, world_size: int, said: str
) -> None:
    options = ("SOLVER.IMS_PER_BATCH", batch, "DATALOADER.NUM_INSTANCE", instances)
    with pytest.raises(ValueError) as caught:
        check_config(config(make_config, *options), world_size, eval_only=False)
    assert said in str(caught.value)
    assert f"SOLVER.IMS_PER_BATCH {batch}" in str(caught.value)


@pytest.mark.parametrize(("layers", "iterations"), [(["backbone"], 0), ([], 10)])
def test_frozen_layers_and_iterations_go_together(
    make_config, layers: list[str], iterations: int
) -> None:
    options = ("MODEL.FREEZE_LAYERS", layers, "SOLVER.FREEZE_ITERS", iterations)
    with pytest.raises(ValueError, match=r"MODEL\.FREEZE_LAYERS .* SOLVER\.FREEZE_ITERS"):
        check_config(config(make_config, *options), 1, eval_only=False)


@pytest.mark.parametrize("batch", [8, 16])
def test_set_reweight_sampler_never_works(time_limit, batch: int) -> None:
    """The reason why it is refused: no batch that it accepts is ever filled."""
    items = [(path, pid, int(camera[-1])) for path, pid, camera in images([4, 4, 4, 4])]
    with pytest.raises((TimeoutError, AssertionError, ValueError)), time_limit(0.3):
        next(iter(samplers.SetReWeightSampler(items, batch, 4, [1, 1], seed=0)))

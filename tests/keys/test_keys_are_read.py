"""No key of a config is ignored in silence: each is read, is named in the log, or is refused.

Small trainings and evaluations run with a config that notes which module reads which key; the table
below says who should.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from fastreid.config import get_cfg
from fastreid.modeling.backbones import build_backbone
from fastreid.modeling.meta_arch import build_model

import partialreid
from partialreid import PartialTrainer
from partialreid.commands import train as command
from partialreid.commands.job import run
from partialreid.commands.train import build_parser
from partialreid.data.catalogue import load_dataset
from partialreid.engine.configuration import setup_config
from partialreid.engine.evaluation_network import evaluation_network
from partialreid.keys.reading_rules import NEVER
from partialreid.keys.recorded_config import RecordedNode, recorded
from partialreid.keys.unread_keys import leaves
from tests import tiny

# Modules that look at keys to check or to record them. That is not what a key is for.
LOOKERS = (
    *("engine.checks", "engine.training_checks", "config", "reporting.run_record"),
    *("keys.ranges", "keys.network_check", "keys.reading_rules", "keys.unread_keys"),
)
# What lies between a reader and the config that notes it.
PASSING_ON = ("yacs.config", "fastreid.config.config", "keys.recorded_config", __name__)
LOSSES = "fastreid.modeling.meta_arch.baseline"
HEADS = "fastreid.modeling.heads.embedding_head"
RESNET = "fastreid.modeling.backbones.resnet"
VIT = "fastreid.modeling.backbones.vision_transformer"
SOLVER = "fastreid.solver.build"
TRANSFORMS = "fastreid.data.transforms.build"
DISTILLER = "fastreid.modeling.meta_arch.distiller"
# Who reads a key, or all keys of a node. Modules of this package by their names within it.
READERS = {
    "MODEL.DEVICE": "fastreid.modeling.meta_arch.build",
    "MODEL.META_ARCHITECTURE": "fastreid.modeling.meta_arch.build",
    "MODEL.FREEZE_LAYERS": "engine.trainer_parts",
    "MODEL.QUEUE_SIZE": "fastreid.modeling.meta_arch.moco",
    "MODEL.WEIGHTS": "engine.trainer",
    "MODEL.PIXEL_MEAN": LOSSES,
    "MODEL.PIXEL_STD": LOSSES,
    "MODEL.CHANNELS_LAST": "partialbaseline",
    "MODEL.INFERENCE_DTYPE": "engine.evaluation_network",
    "MODEL.BACKBONE.NAME": "fastreid.modeling.backbones.build",
    "MODEL.BACKBONE.DEPTH": RESNET,
    "MODEL.BACKBONE.LAST_STRIDE": RESNET,
    "MODEL.BACKBONE.FEAT_DIM": HEADS,
    "MODEL.BACKBONE.NORM": RESNET,
    "MODEL.BACKBONE.WITH_IBN": RESNET,
    "MODEL.BACKBONE.WITH_SE": RESNET,
    "MODEL.BACKBONE.WITH_NL": RESNET,
    "MODEL.BACKBONE.SIE_COE": VIT,
    "MODEL.BACKBONE.STRIDE_SIZE": VIT,
    "MODEL.BACKBONE.DROP_PATH_RATIO": VIT,
    "MODEL.BACKBONE.DROP_RATIO": VIT,
    "MODEL.BACKBONE.ATT_DROP_RATE": VIT,
    "MODEL.BACKBONE.TIMM": "backbones.timm_map",
    "MODEL.BACKBONE.PRETRAIN": RESNET,
    "MODEL.BACKBONE.PRETRAIN_PATH": RESNET,
    "MODEL.HEADS.NAME": "fastreid.modeling.heads.build",
    "MODEL.HEADS.NORM": HEADS,
    "MODEL.HEADS.NUM_CLASSES": HEADS,
    "MODEL.HEADS.EMBEDDING_DIM": HEADS,
    "MODEL.HEADS.WITH_BNNECK": HEADS,
    "MODEL.HEADS.NECK_FEAT": HEADS,
    "MODEL.HEADS.POOL_LAYER": HEADS,
    "MODEL.HEADS.CLS_LAYER": HEADS,
    "MODEL.HEADS.MARGIN": HEADS,
    "MODEL.HEADS.SCALE": HEADS,
    "MODEL.HEADS.DSR": "pyramid_head",
    "MODEL.LOSSES.NAME": LOSSES,
    "MODEL.LOSSES.CE": LOSSES,
    **{f"MODEL.LOSSES.TRI.{x}": LOSSES for x in ("HARD_MINING", "MARGIN", "NORM_FEAT", "SCALE")},
    "MODEL.LOSSES.TRI.START_ITER": "partialbaseline",
    "MODEL.LOSSES.CIRCLE": LOSSES,
    "MODEL.LOSSES.COSFACE": LOSSES,
    "MODEL.LOSSES.FOREGROUND": "systems.fpr",
    "MODEL.LOSSES.RECONSTRUCTION": "systems.reconstruction_baseline",
    "MODEL.LOSSES.VERIFICATION": "systems.dsr2018",
    "KD": DISTILLER,
    "INPUT.SIZE_TRAIN": TRANSFORMS,
    "INPUT.SIZE_TEST": TRANSFORMS,
    "INPUT.CROP": TRANSFORMS,
    "INPUT.FLIP": TRANSFORMS,
    "INPUT.PADDING": TRANSFORMS,
    "INPUT.CJ": TRANSFORMS,
    "INPUT.AFFINE": "data.transforms",
    "INPUT.AUTOAUG": TRANSFORMS,
    "INPUT.AUGMIX": TRANSFORMS,
    "INPUT.REA": TRANSFORMS,
    "INPUT.RPT": TRANSFORMS,
    "INPUT.KEEP_RATIO": "data.keep_ratio",
    "INPUT.KEEP_RATIO_STEP": "data.keep_ratio",
    "INPUT.KEEP_RATIO_LONGEST": "data.keep_ratio",
    "INPUT.KEEP_RATIO_WHOLE": "data.keep_ratio",
    "INPUT.DETAIL": "data.keep_ratio",
    "INPUT.OCCLUSION": "data.masked_items",
    "INPUT.SHRINK": "data.shrunk_images",
    "INPUT.CUT": "systems.reconstruction_baseline",
    "DATASETS.NAMES": "data.catalogue",
    "DATASETS.TESTS": "engine.inference",
    "DATASETS.COMBINEALL": "data.catalogue",
    "DATASETS.ROOT": "data.catalogue",
    "DATASETS.HELD_OUT": "data.catalogue",
    "DATASETS.DERIVED_SEED": "derived.dataset",
    "DATASETS.DERIVED": "derived.dataset",
    "DATASETS.MASKS": "data.masked_items",
    "DATASETS.MASK_THRESHOLD": "data.masked_items",
    "DATASETS.SYNTHETIC": "synthetic.dataset",
    "DATALOADER.SAMPLER_TRAIN": "data.epoch_sampler",
    "DATALOADER.NUM_INSTANCE": "data.epoch_sampler",
    "DATALOADER.NUM_WORKERS": "data.loaders",
    "SOLVER.AMP": "engine.trainer",
    "SOLVER.OPT": SOLVER,
    "SOLVER.MAX_EPOCH": SOLVER,
    "SOLVER.BASE_LR": SOLVER,
    "SOLVER.HEADS_LR_FACTOR": SOLVER,
    "SOLVER.MOMENTUM": SOLVER,
    "SOLVER.NESTEROV": SOLVER,
    "SOLVER.WEIGHT_DECAY": SOLVER,
    "SOLVER.WEIGHT_DECAY_NORM": SOLVER,
    "SOLVER.WEIGHT_DECAY_BIAS": SOLVER,
    "SOLVER.BIAS_LR_FACTOR": SOLVER,
    "SOLVER.SCHED": SOLVER,
    "SOLVER.DELAY_EPOCHS": SOLVER,
    "SOLVER.GAMMA": SOLVER,
    "SOLVER.STEPS": SOLVER,
    "SOLVER.ETA_MIN_LR": SOLVER,
    "SOLVER.WARMUP_FACTOR": SOLVER,
    "SOLVER.WARMUP_ITERS": SOLVER,
    "SOLVER.WARMUP_METHOD": SOLVER,
    "SOLVER.FREEZE_ITERS": "engine.hook_order",
    "SOLVER.CHECKPOINT_PERIOD": "engine.hook_order",
    "SOLVER.IMS_PER_BATCH": "data.loaders",
    "SOLVER.CLIP_GRADIENTS": SOLVER,
    "TEST.EVAL_PERIOD": "engine.hook_order",
    "TEST.IMS_PER_BATCH": "data.loaders",
    "TEST.METRIC": "evaluation.refinement",
    "TEST.ROC": "dsr_evaluation",
    "TEST.FLIP": "partialbaseline",
    "TEST.AQE": "evaluation.refinement",
    "TEST.RERANK": "evaluation.refinement",
    "TEST.PRECISE_BN": "engine.hook_order",
    "TEST.DSR.ENABLED": "dsr_evaluation",
    "TEST.DSR.KAPPA": "evaluation.configured_distances",
    "TEST.DSR.CODES": "evaluation.configured_distances",
    "TEST.DSR.LASSO_BETA": "evaluation.configured_distances",
    "TEST.DSR.LASSO_TOLERANCE": "evaluation.configured_distances",
    "TEST.DSR.SQUARED": "evaluation.configured_distances",
    "TEST.DSR.TOPK": "evaluation.configured_distances",
    "TEST.DSR.SHORTLIST": "evaluation.chosen_shortlist",
    "TEST.DSR.COARSE": "evaluation.configured_distances",
    "TEST.DSR.FILL": "evaluation.configured_distances",
    "TEST.DSR.LAMBDA": "metrics.fusion",
    "TEST.DSR.LAMBDA_SELECTION": "metrics.fusion",
    "TEST.DSR.LAMBDA_STEP": "metrics.fusion",
    "TEST.DSR.PROTOCOL": "metrics.report",
    "TEST.DSR.SINGLE_SHOT_ROUNDS": "metrics.report",
    "TEST.DSR.BOOTSTRAP_ROUNDS": "metrics.report",
    "TEST.DSR.PROTOCOL_SEED": "metrics.report",
    "TEST.DSR.CAMERAS": "partial_dataset",
    "TEST.DSR.DISTANCE": "dsr_evaluation",
    "TEST.DSR.STORAGE": "dsr_evaluation",
    "TEST.DSR.MEMORY_GB": "dsr_evaluation",
    "OUTPUT_DIR": "engine.trainer",
    "CUDNN_BENCHMARK": "fastreid.engine.defaults",
    "SEED": "data.epoch_sampler",
    "LOG_PERIOD": "engine.hook_order",
}


def below(key: str, nodes: Any) -> list[str]:
    return [node for node in nodes if key == node or key.startswith(f"{node}.")]


def all_keys() -> list[str]:
    cfg = get_cfg()
    partialreid.add_partialreid_config(cfg)
    return [key for key, _ in leaves(cfg)]


Seen = dict[str, set[str]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """By key the modules that have read it in trainings, evaluations and building of networks."""
    found: Seen = defaultdict(set)

    class Node(RecordedNode):
        def noted(self, key: str) -> None:
            frame: Any = sys._getframe(1)
            while True:
                module = frame.f_globals["__name__"]
                own = module.removeprefix("partialreid.")
                if own not in PASSING_ON:
                    break
                frame = frame.f_back
            if own not in LOOKERS:
                found[key].add(own)

    folder = tmp_path_factory.mktemp("flows")

    def config(name: str, **changes: Any) -> Any:
        options = tiny.options(folder / "data", folder / name, SOLVER__MAX_EPOCH=1, **changes)
        args = build_parser().parse_args(["--config-file", tiny.CONFIG, *options])
        return recorded(setup_config(args), Node)[0]

    def train(name: str, **changes: Any) -> None:
        trainer = PartialTrainer(config(name, **changes))
        trainer.resume_or_load(resume=False)
        trainer.train()

    on = {f"INPUT__{s}__ENABLED": True for s in ("FLIP", "PADDING", "CJ", "AFFINE", "REA", "RPT")}
    on["INPUT__SHRINK__ENABLED"] = True
    train(
        "ours", **on, MODEL__META_ARCHITECTURE="ReconstructionBaseline",
        INPUT__OCCLUSION__ENABLED=True, INPUT__CUT__PROB=1.0,
        TEST__FLIP__ENABLED=True, TEST__AQE__ENABLED=True, TEST__RERANK__ENABLED=True,
        TEST__ROC__ENABLED=True, SOLVER__CLIP_GRADIENTS__ENABLED=True,
        SOLVER__FREEZE_ITERS=1, MODEL__FREEZE_LAYERS="('backbone',)",
    )  # fmt: skip
    train(
        "dsr", MODEL__META_ARCHITECTURE="DSR2018", MODEL__HEADS__NAME="DSR2018Head",
        MODEL__LOSSES__NAME="('CrossEntropyLoss',)", SOLVER__OPT="SGD",
        SOLVER__SCHED="MultiStepLR", TEST__DSR__CODES="lasso", INPUT__KEEP_RATIO="fit",
        TEST__PRECISE_BN__ENABLED=True, TEST__PRECISE_BN__NUM_ITER=1,
        TEST__PRECISE_BN__DATASET="SyntheticPartial",
        TEST__DSR__LAMBDA_SELECTION="fixed",
    )  # fmt: skip
    train(
        "single", TEST__DSR__LAMBDA_SELECTION="oracle", TEST__DSR__PROTOCOL="single-shot",
        TEST__DSR__TOPK=5, INPUT__AUTOAUG__ENABLED=True, INPUT__AUGMIX__ENABLED=True,
        DATASETS__TESTS="('SyntheticPartialOccluded', 'SyntheticPartialPartial')",
    )  # fmt: skip

    tiny.make_data_sets(folder / "data")
    load_dataset(config("partial"), "PartialREID")

    # The keys of a ResNet, of a network of timm, of a vision transformer, of MoCo and of a
    # distillation.
    resnet = {"MODEL__BACKBONE__NAME": "build_resnet_backbone", "MODEL__BACKBONE__DEPTH": "18x"}
    resnet["MODEL__BACKBONE__FEAT_DIM"] = "512"
    build_backbone(config("resnet", **resnet))
    timm = {"MODEL__BACKBONE__NAME": "build_timm_backbone", "MODEL__BACKBONE__FEAT_DIM": 64}
    build_backbone(config("timm", **timm, MODEL__BACKBONE__TIMM="test_vit"))
    with torch.device("meta"):
        cfg = config("vit", MODEL__BACKBONE__NAME="build_vit_backbone")
        cfg.MODEL.BACKBONE.DEPTH = "small"
        # Building it on no device fails at the first number that it asks for; it has read all.
        with pytest.raises(RuntimeError, match="meta"):
            build_backbone(cfg)
    embedding = {**resnet, "MODEL__HEADS__NAME": "EmbeddingHead"}
    cfg = config("moco", **embedding, MODEL__META_ARCHITECTURE="MoCo")
    cfg.MODEL.HEADS.NUM_CLASSES = 2
    build_model(cfg)
    teacher = folder / "teacher.yml"
    teacher.write_text("MODEL: {BACKBONE: {DEPTH: 18x, FEAT_DIM: 512}, DEVICE: cpu}\n")
    cfg = config("student", **embedding, MODEL__META_ARCHITECTURE="Distiller")
    model = build_model(recorded(get_cfg_of(teacher), RecordedNode)[0])
    torch.save({"model": model.state_dict()}, folder / "teacher.pth")
    cfg.KD.MODEL_CONFIG, cfg.KD.MODEL_WEIGHTS = [str(teacher)], [str(folder / "teacher.pth")]
    evaluation_network(build_model(cfg), cfg)

    # What a run reads before its trainer: the log, the seed.
    args = argparse.Namespace(config_file="", eval_only=False, allow_partial=False, resume=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "PartialTrainer", lambda *_, **__: argparse.Namespace(
            resume_or_load=lambda resume: None, train=dict
        ))  # fmt: skip
        run(command.train, config("run"), args)
    return found


def get_cfg_of(path: Path) -> Any:
    cfg = get_cfg()
    cfg.merge_from_file(str(path))
    return cfg


def test_the_table_knows_every_key() -> None:
    for key in all_keys():
        assert len(below(key, [*READERS, *NEVER])) == 1, key
    for node in (*READERS, *NEVER):
        assert any(below(key, [node]) for key in all_keys()), f"{node} is no key any more"


@pytest.mark.slow(minutes=0.002)  # of its one fixture
@pytest.mark.parametrize("key", all_keys())
def test_every_key_is_read_by_whom_the_table_says(seen: Seen, key: str) -> None:
    if below(key, NEVER):
        assert not seen.get(key)
    else:
        assert READERS[below(key, READERS)[0]] in seen[key]

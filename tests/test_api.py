"""What `import partialreid` offers: with FastReID, and the pure functions without it."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import fastreid
import pytest

import partialreid
from tests.paths import ROOT

PACKAGE = Path(partialreid.__file__).parent


def run(code: str, path: str, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, *flags, "-c", code],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        check=False,
    )


@pytest.fixture(scope="module")
def without_fastreid(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A path on which all installed packages are found, this one's source and no FastReID."""
    folder = tmp_path_factory.mktemp("site")
    for entry in Path(fastreid.__file__).parents[1].iterdir():
        if "fastreid" not in entry.name and entry.name != "partialreid":
            (folder / entry.name).symlink_to(entry)
    (folder / "partialreid").symlink_to(PACKAGE)
    return str(folder)


PURE = """
import sys
import torch
import partialreid
from partialreid import (
    compute_dsr_dist, differentiable_distance, lasso_distance, pyramid_columns, rank_metrics,
    reconstruction_distance, reconstruction_distance_pairs, reconstruction_distance_topk,
)
eye = torch.eye(4)[None]
# Half of each column is left over: kappa / (1 + kappa) of its length.
print(round(reconstruction_distance(eye, eye, kappa=1.0).item(), 4))
print(round(reconstruction_distance_pairs(eye, eye, torch.tensor([[0, 0]]), kappa=1.0).item(), 4))
print(round(reconstruction_distance_topk(eye, eye, torch.tensor([[0]]), kappa=1.0).item(), 4))
print(round(differentiable_distance(eye, eye, kappa=1.0).item(), 4))
print(round(compute_dsr_dist(eye, eye, torch.zeros(1, 1), None, kappa=1.0).item(), 4))
# The code is 1 - beta / 2.
print(round(lasso_distance(eye, eye, beta=0.4).item(), 4))
print(tuple(pyramid_columns(torch.zeros(1, 2, 24, 8))[0].shape))
print(rank_metrics([[0.0, 1.0]], [1], [1, 2], [0], [1, 1]).cmc[0])
print(any(name == "fastreid" or name.startswith("fastreid.") for name in sys.modules))
"""


def test_pure_functions_need_no_fastreid(without_fastreid: str) -> None:
    done = run(PURE, without_fastreid, "-S")
    assert done.returncode == 0, done.stderr
    numbers = ["0.5"] * 5 + ["0.04"]
    assert done.stdout.split("\n")[:-1] == [*numbers, "(1, 2, 110)", "1.0", "False"]


@pytest.mark.parametrize(
    "code",
    [
        "from partialreid import DSRHead",
        "import partialreid; partialreid.add_partialreid_config",
        "from partialreid import PartialTrainer",
    ],
)
def test_what_needs_fastreid_says_how_to_install_it(without_fastreid: str, code: str) -> None:
    done = run(code, without_fastreid, "-S")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        "ImportError: fastreid is not installed: run `pip install --no-deps fastreid==1.4.0`."
    )


@pytest.mark.slow
def test_an_import_is_enough_to_register_everything() -> None:
    """The names that a config may hold, in an interpreter that has done nothing else."""
    code = """
import partialreid
from fastreid.data.datasets import DATASET_REGISTRY
from fastreid.modeling.backbones import BACKBONE_REGISTRY
from fastreid.modeling.heads import REID_HEADS_REGISTRY
from fastreid.modeling.meta_arch import META_ARCH_REGISTRY
for registry, names in (
    (META_ARCH_REGISTRY, ("PartialBaseline", "DSR2018", "FPRBaseline", "ReconstructionBaseline")),
    (REID_HEADS_REGISTRY, ("DSRHead", "DSR2018Head")),
    (BACKBONE_REGISTRY, ("build_mobilenetv2_stride_backbone", "build_small_resnet_backbone")),
    (DATASET_REGISTRY, ("PartialREID", "PartialiLIDS", "OccludedREID", "SyntheticPartial")),
):
    for name in names:
        assert registry.get(name).__name__ == name
import sys
from fastreid.modeling.backbones import resnet
assert resnet.init_pretrained_weights.__module__ == "partialreid.backbones.pretrained"
assert "torch._six" not in sys.modules
"""
    done = run(code, str(PACKAGE.parent))
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there() -> None:
    assert sorted(partialreid.__all__) == sorted({*partialreid._PURE, *partialreid._ON_FASTREID})
    for name, module in {**partialreid._PURE, **partialreid._ON_FASTREID}.items():
        value = getattr(partialreid, name)
        assert value is getattr(importlib.import_module(f"partialreid.{module}"), name)
        assert value.__doc__, name
        assert name in dir(partialreid)
        # A name that is a module too would mean the one or the other, as imports happened before.
        assert not (PACKAGE / f"{name}.py").exists()


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(
        node for node in tree.body
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
    )  # fmt: skip
    seen = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == {**partialreid._PURE, **partialreid._ON_FASTREID}
    assert (PACKAGE / "py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="reconstruct_distance"):
        partialreid.reconstruct_distance  # noqa: B018


def test_version_is_that_of_the_distribution() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", partialreid.__version__)
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == [partialreid.__version__], done.stderr

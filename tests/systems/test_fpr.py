"""Foreground targets and their loss."""

from __future__ import annotations

import argparse

import pytest
import torch
import yaml

from partialreid.engine.configuration import setup_config
from partialreid.keys.config_files import flat_config
from partialreid.matching.pyramid import pyramid_columns
from partialreid.systems.fpr import foreground_loss, mask_targets


def test_targets_are_the_share_of_each_window() -> None:
    """By a loop over the windows, for a mask of which each map cell has 4 x 4 pixels."""
    masks = torch.rand(2, 32, 16, generator=torch.Generator().manual_seed(0)) < 0.6
    kernels, stride = (2, 3), 2
    got = mask_targets(masks, (8, 4), kernels, stride)
    for image in range(2):
        wanted = []
        for kernel in kernels:
            for top in range(0, 8 - kernel + 1, stride):
                for left in range(0, 4 - kernel + 1, stride):
                    window = masks[
                        image, 4 * top : 4 * (top + kernel), 4 * left : 4 * (left + kernel)
                    ]
                    wanted.append(window.float().mean())
        torch.testing.assert_close(got[image], torch.stack(wanted))


def test_targets_lie_beside_the_columns() -> None:
    """What is hidden at the bottom of the image has low targets at the columns of the bottom."""
    masks = torch.ones(1, 64, 32)
    masks[:, 32:] = 0
    targets = mask_targets(masks, (8, 4), (2,), 2)[0]
    features = torch.zeros(1, 1, 8, 4)
    features[:, :, :4] = 1
    columns, _ = pyramid_columns(features, (2,), 2)
    assert torch.equal(targets, columns[0, 0])


def test_loss_is_zero_for_the_targets_themselves_only() -> None:
    targets = torch.tensor([[0.1, 0.5, 0.9, 0.35]])
    assert foreground_loss(torch.logit(targets), targets) == pytest.approx(0, abs=1e-6)
    assert foreground_loss(torch.logit(targets) + 0.5, targets) > 1e-3
    hard = torch.tensor([[0.0, 1.0]])
    assert torch.isfinite(foreground_loss(torch.zeros(1, 2), hard))


def test_gradient_leads_to_the_targets() -> None:
    targets = torch.rand(3, 7, generator=torch.Generator().manual_seed(0))
    logits = torch.zeros(3, 7, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(400):
        optimizer.zero_grad()
        foreground_loss(logits, targets).backward()
        optimizer.step()
    torch.testing.assert_close(logits.sigmoid(), targets, atol=1e-2, rtol=0)


def test_fastreid_dsr_with_objects_and_masks_is_trained_as_fpr() -> None:
    """docs/systems.md: what is left between the two is the distance."""
    words = ["MODEL.META_ARCHITECTURE", "FPRBaseline", "INPUT.OCCLUSION.ENABLED", "True"]
    one, other = (
        flat_config(
            yaml.safe_load(
                setup_config(
                    argparse.Namespace(config_file=name, opts=opts, eval_only=False)
                ).dump()
            )
        )
        for name, opts in (("market_long.yml", words), ("fpr_long.yml", []))
    )
    differing = {key for key in one if one[key] != other[key]}
    assert differing == {"OUTPUT_DIR", "TEST.DSR.SQUARED"}

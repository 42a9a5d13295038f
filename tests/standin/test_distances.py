"""The public functions on the stand-in GPU: the CPU's results, on the device of what comes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

import partialreid
from tests.reconstruction_oracle import features, weights_of
from tests.standin.gpu import StandInGpu

QUERY, GALLERY, WEIGHTS = features(1, 4, 16, 5), features(2, 9, 16, 7), weights_of(3, 4, 5)
RAGGED = (
    [QUERY[i, :, : 3 + i % 3] for i in range(4)],
    [GALLERY[i, :, : 4 + i % 4] for i in range(9)],
)
NEAR = torch.rand(4, 9, generator=torch.Generator().manual_seed(4))
SHORTLIST = NEAR.argsort(1)[:, :3]
PAIRS = torch.tensor([[0, 8], [3, 1], [0, 2]])
IDS = torch.arange(4), torch.arange(9) % 4, torch.zeros(4), torch.ones(9)
GRAM = GALLERY[0].T @ GALLERY[0]
# Arguments that are tensors, and others. Index tensors are taken from the device and from the CPU.
CALLS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "reconstruction_distance": [
        ((QUERY, GALLERY, WEIGHTS), {}),
        ((QUERY, GALLERY), {"squared": True, "memory_bytes": 9000}),
        (RAGGED, {}),
        ((QUERY.half(), GALLERY.half(), WEIGHTS), {}),
        # Nearly exact copies take the direct residual.
        ((QUERY, torch.cat([QUERY, QUERY[:, :, :1]], 2)), {}),
        # So small a ridge needs singular vectors.
        ((QUERY, GALLERY), {"kappa": 1e-16}),
    ],
    "reconstruction_distance_topk": [
        ((QUERY, GALLERY, SHORTLIST, WEIGHTS), {}),
        ((*RAGGED, SHORTLIST), {}),
        ((QUERY, GALLERY, NEAR.argsort(1)[:, :8]), {}),
    ],
    "reconstruction_distance_pairs": [
        ((QUERY, GALLERY, PAIRS, WEIGHTS), {}),
        ((*RAGGED, PAIRS), {"memory_bytes": 9000}),
    ],
    "lasso_distance": [
        ((QUERY, GALLERY), {}),
        ((*RAGGED, PAIRS), {"beta": 0.1, "memory_bytes": 9000}),
    ],
    "lasso_codes": [((GRAM, GALLERY[0].T @ QUERY[0]), {"beta": 0.1})],
    "compute_dsr_dist": [
        ((QUERY, GALLERY, NEAR, WEIGHTS), {"topk": 3}),
        ((QUERY, GALLERY, NEAR, None), {"topk": 0}),
    ],
    "ridge_codes": [((QUERY[:, None], GALLERY), {})],
    "coded_distance": [((QUERY[0], GALLERY[0], torch.ones(7, 5), WEIGHTS[0]), {})],
    "differentiable_distance": [
        ((QUERY[:, None], GALLERY), {}),
        ((QUERY, GALLERY[:4], WEIGHTS), {"hold_codes": True, "squared": True}),
    ],
    "explained_pair": [
        ((QUERY[0], GALLERY[0], WEIGHTS[0]), {}),
        ((QUERY[0].half(), GALLERY[0].half(), WEIGHTS[0]), {"kappa": 0.1, "squared": True}),
    ],
    "explained_lasso_pair": [((QUERY[0], GALLERY[0], WEIGHTS[0]), {"beta": 0.1})],
    "pyramid_columns": [((torch.rand(2, 3, 8, 4), (1, 2, 4), 1), {})],
    "rank_metrics": [((NEAR, *IDS), {})],
}


def moved(arguments: Any, device: torch.device) -> Any:
    return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, arguments)


def test_all_public_functions_are_called() -> None:
    functions = {
        name
        for name in partialreid.__all__
        if callable(getattr(partialreid, name)) and not isinstance(getattr(partialreid, name), type)
    }
    assert functions - {"add_partialreid_config"} == set(CALLS)


@pytest.mark.parametrize("name", CALLS)
def test_results_are_those_of_the_cpu(standin: StandInGpu, name: str) -> None:
    function = getattr(partialreid, name)
    for arguments, options in CALLS[name]:
        expected = function(*arguments, **options)
        got = function(*moved(arguments, standin.device), **options)
        for one, other in zip(tuple_of(got), tuple_of(expected), strict=True):
            if isinstance(other, Tensor):
                assert one.device == standin.device
                torch.testing.assert_close(one.cpu(), other, atol=1e-5, rtol=1e-5)
            else:
                assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("name", "indices"),
    [("reconstruction_distance_topk", SHORTLIST), ("reconstruction_distance_pairs", PAIRS)],
)
def test_indices_may_be_on_the_cpu(standin: StandInGpu, name: str, indices: Tensor) -> None:
    function: Callable[..., Tensor] = getattr(partialreid, name)
    got = function(*moved((QUERY, GALLERY), standin.device), indices)
    torch.testing.assert_close(got.cpu(), function(QUERY, GALLERY, indices))


def test_gradients_are_those_of_the_cpu(standin: StandInGpu) -> None:
    found = []
    for device in (torch.device("cpu"), standin.device):
        query = QUERY.clone().to(device).requires_grad_()
        gallery = GALLERY[:4].clone().to(device).requires_grad_()
        partialreid.differentiable_distance(query, gallery).sum().backward()
        found.append((query.grad.cpu(), gallery.grad.cpu()))
    for one, other in zip(*found, strict=True):
        assert other.abs().max() > 0.01
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def tuple_of(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, tuple) else (result,)

"""Two processes that share one index give the distances of one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

# Child processes import this module and no conftest: partialreid comes before fastreid here too.
import partialreid  # noqa: F401
from partialreid.engine.launching import launch
from partialreid.evaluation.matchers import RidgeMatcher
from partialreid.index import sharing
from partialreid.index.gallery import Index
from partialreid.index.sharing import shard
from partialreid.matching.extracted import Images
from partialreid.matching.sharding import sharded_distances
from partialreid.runtime.collectives import rank, world_size
from tests.index.made_up import images, made_index, queries, record, records

GALLERY, TOPK = records(range(23)), (4, 0)


def distances(index: Index) -> list[tuple[torch.Tensor, torch.Tensor] | None]:
    gallery, rough = shard(index)
    query = queries()
    # The first process has three of the five queries.
    some = slice(0, 3) if rank() == 0 else slice(3, 5)
    if world_size() > 1:
        query = Images(query.features[some], query.columns[some], query.weights[some])
    return [
        sharded_distances(query, gallery, RidgeMatcher(), topk=topk, fill=7.0, rough=rough)
        for topk in TOPK
    ]


def compute(folder: str) -> None:
    """One process: the distances over a part of the index, which goes on in between."""
    with Index.open(f"{folder}/crops.index") as index:
        torch.distributed.barrier()
        if rank() == 1:
            # The other one has opened an older commit, and must go on.
            with Index.open(index.path, write=True) as writer:
                writer.put([record(50)])
            index.refresh()
        read: list[int] = []
        original = index._search._database.rows
        index._search._database.rows = lambda statement, parameters=(): (
            read.extend(parameters[:1] if "FROM columns" in statement else ()),
            original(statement, parameters),
        )[1]
        found = distances(index)
        here = range(1, 13) if rank() == 0 else range(13, 25)
        assert set(read) == set(here), "each reads the columns of its own images alone"
    if rank() == 0:
        torch.save(found, Path(folder) / "results.pt")


@pytest.mark.slow
def test_two_processes_give_the_distances_of_one(tmp_path: Path, time_limit) -> None:
    made_index(tmp_path, GALLERY)
    with time_limit(600):
        launch(compute, "cpu", 2, args=(str(tmp_path),))
    query, whole = queries(), images([*GALLERY, record(50)])
    with Index.open(str(tmp_path / "crops.index")) as index:
        alone = distances(index)
    for topk, two, one in zip(TOPK, torch.load(tmp_path / "results.pt"), alone):
        torch.testing.assert_close(two[0], 1 - query.features @ whole.features.T)
        torch.testing.assert_close(two[1], one[1], atol=1e-6, rtol=0)
        every = RidgeMatcher().every(query, whole)
        matched = two[1] != 7.0
        assert matched.sum(1).tolist() == [topk or 24] * 5
        torch.testing.assert_close(two[1][matched], every[matched], atol=1e-6, rtol=0)


def test_processes_that_never_agree_say_so(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sharing, "gather_objects", lambda commit: [commit, commit - 1])
    with (
        Index.open(made_index(tmp_path, GALLERY)) as index,
        pytest.raises(ValueError, match="see different commits"),
    ):
        shard(index)

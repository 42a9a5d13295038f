"""Small images for an index: ragged, in float16, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from partialreid.index.coarse_stage import CoarseSettings
from partialreid.index.gallery import Index
from partialreid.index.record import Record
from partialreid.index.stamps import Stamp
from partialreid.matching.extracted import Images
from tests.reconstruction_oracle import features, weights_of

CHANNELS, DIMENSIONS = 12, 6
MODEL = "made-up"
COARSE = CoarseSettings(dimensions=4, kappa=0.3, sample=5)


def record(number: int, seed: int = 0, **changed: object) -> Record:
    """Image `number` in one of its versions: 0 to 6 columns."""
    key, count = 1000 * seed + number, number % 7
    generator = torch.Generator().manual_seed(key)
    made = Record(
        name=f"a/{number:03}.jpg",
        stamp=Stamp(10 + number, 10**18 + key, f"{key:032x}"),
        feature=F.normalize(torch.randn(DIMENSIONS, generator=generator), dim=0),
        columns=features(key, 1, CHANNELS, count)[0].half(),
        weights=weights_of(key, 1, count)[0],
        metadata={"camera": number % 3, "day": "mon" if number % 2 else "tue"},
    )
    return made._replace(**changed)


def records(numbers: Sequence[int], seed: int = 0) -> list[Record]:
    return [record(number, seed) for number in numbers]


def images(some: Sequence[Record]) -> Images:
    """The same in memory."""
    return Images(
        torch.stack([record.feature for record in some]),
        [record.columns for record in some],
        [record.weights for record in some],
    )


def queries() -> Images:
    """Five images with columns, which no index holds."""
    made = images(records([3, 4, 5, 6, 10], seed=9))
    return made._replace(columns=[columns.float() for columns in made.columns])


def made_index(folder: Path, *batches: Sequence[Record]) -> str:
    """The path of an index that each of some batches was put into."""
    path = str(folder / "crops.index")
    Index.create(path, MODEL, {"folder": "crops"}, COARSE)
    with Index.open(path, write=True) as index:
        for batch in batches:
            index.put(batch)
    return path


def assert_holds(index: Index, wanted: Sequence[Record]) -> None:
    """Whether an index holds these images and no others, bit by bit, in their order."""
    assert index.names == [record.name for record in wanted]
    assert index.check() == []
    every = range(len(wanted))
    assert list(index.metadata) == [dict(record.metadata or {}) for record in wanted]
    held = index.images(every)
    for place, record in enumerate(wanted):
        assert torch.equal(held.features[place], record.feature)
        assert torch.equal(held.columns[place].view(torch.int16), record.columns.view(torch.int16))
        assert torch.equal(held.weights[place], record.weights)

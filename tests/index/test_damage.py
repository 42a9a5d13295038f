"""One bit of the file of an index: it is one sentence, or a line of the check, or changes nothing.

Most bits of a file are those of columns, and tests of their own change these. Here are those of the
rows that say what all else means.
"""

from __future__ import annotations

import collections
import random
import re
from pathlib import Path

from partialreid.index.database import FILE
from partialreid.index.gallery import Index
from tests.index.made_up import made_index, queries, records

GALLERY = records(range(1, 9))
BITS = 400
# Where a row of interest is: words that are in it.
WORDS = [b"channels", b"dimensions", b"features", b"model", b"folder", b"commit", b"fitted"]
WORDS += [b"kappa", rb"a/00\d\.jpg", b"camera", b"day", b"checksum"]


def all_of(index: Index) -> object:
    """Whatever can be asked of an index but its columns, each of which has a checksum."""
    asked = queries()
    found = index.shortlist(asked, 3), index.shortlist(asked, 3, by="global")
    shown = [(index.metadata[place], index.stamp(place)) for place in range(len(index))]
    columns = [index.images([place]).columns[0].tolist() for place in range(len(index))]
    selected = index.select({"camera": 1}).tolist()
    about = (index.about, index.model, index.commit, index.names)
    return about, [part.tolist() for part in found], shown, columns, selected


def test_one_bit(tmp_path: Path) -> None:
    path = made_index(tmp_path, GALLERY)
    file = Path(path, FILE)
    whole = file.read_bytes()
    with Index.open(path) as index:
        assert index.check() == []
        wanted = all_of(index)
    found = (match.start() for word in WORDS for match in re.finditer(word, whole))
    near = {place for start in found for place in range(start - 12, start + 60)}
    places = sorted(near & set(range(len(whole))))
    chance = random.Random(0)
    seen: collections.Counter[str] = collections.Counter()
    for place in chance.sample(places, BITS):
        data = bytearray(whole)
        data[place] ^= 1 << chance.randrange(8)
        for left in Path(path).iterdir():
            left.unlink()
        file.write_bytes(data)
        try:
            with Index.open(path) as index:
                lines = index.check()
                try:
                    same = all_of(index) == wanted
                except ValueError as error:
                    assert lines and "damaged" in str(error), (place, lines, error)
                    same = False
            assert same or lines, place
            seen["found by the check" if lines else "nothing changed"] += 1
        except ValueError as error:
            said = str(error)
            assert path in said and ("damaged" in said or "newer" in said), (place, said)
            seen["found at opening"] += 1
    assert min(seen[how] for how in ("found by the check", "found at opening")) > 20, seen

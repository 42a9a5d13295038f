"""Columns in memory and in a file are the same columns."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from partialreid.matching.column_parts import ColumnPart, JoinedColumns
from partialreid.matching.column_store import ColumnStore
from partialreid.matching.columns import ColumnSource
from partialreid.matching.reconstruction import (
    reconstruction_distance,
    reconstruction_distance_pairs,
)
from tests.reconstruction_oracle import features
from tests.standin.gpu import StandInGpu

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def images(dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    """Seven images of 12 channels and one to seven columns."""
    return [features(n, 1, 12, n)[0].to(dtype) for n in range(1, 8)]


def filled(folder: Path, memory: float, dtype: torch.dtype = torch.float32) -> ColumnStore:
    store = ColumnStore(memory, folder, "cpu")
    store.append(images(dtype)[:3])
    store.append(images(dtype)[3:])
    return store


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory", [0, 300, 1e9])
def test_what_is_stored_comes_back(tmp_path: Path, dtype: torch.dtype, memory: float) -> None:
    with filled(tmp_path, memory, dtype) as store:
        assert isinstance(store, ColumnSource)
        assert (store.channels, store.dtype, store.counts) == (12, dtype, list(range(1, 8)))
        assert len(store) == 7
        for place in (6, 0, 3, 3, 1, 5, 2, 4):
            assert torch.equal(store[place], images(dtype)[place])
        part = store.part(2, 5)
        assert len(part) == 3
        assert part.counts == [3, 4, 5]
        assert torch.equal(part[2], images(dtype)[4])
        with pytest.raises(IndexError):
            part[3]


def test_budget_is_kept_and_the_rest_is_in_the_file(tmp_path: Path) -> None:
    sizes = [12 * n * 4 for n in range(1, 8)]
    with filled(tmp_path, sum(sizes[:3])) as store:
        assert store.bytes_in_file == sum(sizes[3:])
    with filled(tmp_path, sum(sizes)) as store:
        assert store.bytes_in_file == 0


def test_stack_of_a_batch_and_memory_of_its_own(tmp_path: Path) -> None:
    batch = features(0, 4, 12, 5)
    with ColumnStore(1e9, tmp_path, "cpu") as store:
        store.append(batch)
        wanted = batch.clone()
        batch.zero_()
        assert torch.equal(torch.stack([store[i] for i in range(4)]), wanted)


@pytest.mark.parametrize("memory", [0, 300, 1e9])
def test_distances_do_not_depend_on_where_columns_lie(tmp_path: Path, memory: float) -> None:
    query = images()
    # Nearly exact columns are picked one by one.
    gallery = [features(9 + n, 1, 12, 4)[0] for n in range(5)] + [query[3]]
    wanted = reconstruction_distance(query, gallery)
    pairs = torch.tensor([[3, 5], [0, 2], [6, 5], [3, 0]])
    with ColumnStore(memory, tmp_path, "cpu") as one, ColumnStore(memory, tmp_path, "cpu") as two:
        one.append(query)
        two.append(gallery)
        got = reconstruction_distance(one, two)
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)
        some = reconstruction_distance_pairs(one, two.part(0, 6), pairs)
        torch.testing.assert_close(some, wanted[pairs[:, 0], pairs[:, 1]], atol=1e-6, rtol=0)


def test_an_empty_store_is_an_empty_gallery(tmp_path: Path) -> None:
    with ColumnStore(0, tmp_path, "cpu") as store:
        assert reconstruction_distance(images(), store).shape == (7, 0)
        assert reconstruction_distance(store, images()).shape == (0, 7)


def test_columns_of_another_kind_are_refused(tmp_path: Path) -> None:
    with filled(tmp_path, 1e9) as store:
        with pytest.raises(ValueError, match="13 channels"):
            store.append([torch.zeros(13, 2)])
        with pytest.raises(ValueError, match="float16"):
            store.append([torch.zeros(12, 2, dtype=torch.float16)])


@pytest.mark.slow
def test_nothing_is_left_behind_even_by_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import os, sys, torch\n"
        "from partialreid.matching.column_store import ColumnStore\n"
        "store = ColumnStore(0, sys.argv[1], 'cpu')\n"
        "store.append(torch.ones(9, 100, 100))\n"
        "assert store.bytes_in_file == 360000\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)])
    assert done.returncode == -9
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, r"after 0\.0 GB \(.*\): set OUTPUT_DIR .*STORAGE.*MEMORY_GB"),
        (errno.EIO, r"set OUTPUT_DIR to a folder on another disk$"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    class Full:
        def seek(self, place: int) -> None: ...

        def write(self, block: memoryview) -> int:
            raise OSError(number, os.strerror(number))

        def close(self) -> None: ...

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    store = ColumnStore(0, tmp_path, "cpu")
    with pytest.raises(OSError, match=said) as caught:
        store.append(images())
    assert caught.value.errno == number
    assert f'"{tmp_path}"' in str(caught.value)
    assert len(store) == 0


def test_a_folder_that_has_gone_is_one_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(OSError, match=f'cannot be stored in "{gone}".*set OUTPUT_DIR'):
        ColumnStore(0, gone).append(images())


FILLED = """
import os, resource, sys, torch
from partialreid.matching.column_store import ColumnStore
# Files of this process grow up to a bound: writing beyond it fails, as on a full disk.
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = ColumnStore(50_000, sys.argv[1])
try:
    store.append(torch.ones(9, 100, 100))
except OSError as error:
    print(error)
assert os.listdir(sys.argv[1]) == []
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit for the size of a file")
@pytest.mark.slow
def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILLED, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'columns cannot be stored in "{tmp_path}" after 0.0 GB (File')
    assert done.stdout.count("\n") == 1


def test_nothing_that_one_system_alone_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("preadv", "pread", "pwrite"):
        monkeypatch.delattr(os, name, raising=False)
    with filled(tmp_path, 0) as store:
        for place in (6, 0, 3):
            assert torch.equal(store[place], images()[place])


def test_writing_goes_on_after_reading(tmp_path: Path) -> None:
    with filled(tmp_path, 0) as store:
        assert torch.equal(store[0], images()[0])
        store.append(images()[2:4])
        assert store.counts == [1, 2, 3, 4, 5, 6, 7, 3, 4]
        for place, image in ((6, 6), (7, 2), (8, 3)):
            assert torch.equal(store[place], images()[image])


def test_columns_of_several_sources_in_a_row(tmp_path: Path) -> None:
    every = images()
    with filled(tmp_path, 300) as store:
        nothing = ColumnStore(0, tmp_path)
        listed = ColumnPart(every, [6, 0])
        joined = JoinedColumns([nothing, store.part(5, 7), listed, store])
        assert isinstance(joined, ColumnSource)
        assert (joined.channels, joined.dtype) == (12, torch.float32)
        wanted = [every[5], every[6], every[6], every[0], *every]
        assert joined.counts == [image.shape[1] for image in wanted]
        assert all(torch.equal(joined[i], image) for i, image in enumerate(wanted))
        with pytest.raises(IndexError):
            joined[11]
        stack = torch.stack([every[3], every[3]])
        assert torch.equal(ColumnPart(stack, [1])[0], every[3])


def test_the_first_image_decides_where_columns_lie(tmp_path: Path, standin: StandInGpu) -> None:
    there = [image.to(standin.device) for image in images()]
    with ColumnStore(300, tmp_path) as store:
        store.append(there)
        assert store.device == standin.device
        assert all(store[i].device == standin.device for i in (0, 6))
    # The device without an index is the same one.
    with ColumnStore(300, tmp_path, standin.name) as store:
        store.append(there[:1])
        store.append(images()[1:])
        assert store.device == standin.device
        assert torch.equal(store[6].cpu(), images()[6])
        found = reconstruction_distance(there, store)
    torch.testing.assert_close(found.cpu(), reconstruction_distance(images(), images()))


def test_a_shortened_file_is_an_error_and_no_endless_loop(tmp_path: Path, time_limit) -> None:
    with filled(tmp_path, 0) as store:
        store._file.truncate(10)
        with time_limit(20), pytest.raises(OSError, match="cut short"):
            store[6]

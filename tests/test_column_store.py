"""Columns in memory and in a file are the same columns."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from partialreid.column_store import ColumnStore
from partialreid.columns import ColumnSource
from partialreid.reconstruction import reconstruction_distance, reconstruction_distance_pairs
from tests.reconstruction_oracle import features

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


def test_nothing_is_left_behind_even_by_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import os, sys, torch\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "from column_store import ColumnStore\n"
        "store = ColumnStore(0, sys.argv[1], 'cpu')\n"
        "store.append(torch.ones(9, 100, 100))\n"
        "assert store.bytes_in_file == 360000\n"
        "os.kill(os.getpid(), 9)\n"
    )
    import partialreid.column_store as module

    folder = str(Path(module.__file__).parent)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path), folder])
    assert done.returncode == -9
    assert os.listdir(tmp_path) == []


def test_full_disk_names_the_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, block: memoryview) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    store = ColumnStore(0, tmp_path, "cpu")
    with pytest.raises(OSError, match=r"OUTPUT_DIR.*STORAGE.*MEMORY_GB") as caught:
        store.append(images())
    assert caught.value.errno == errno.ENOSPC


def test_a_shortened_file_is_an_error_and_no_endless_loop(tmp_path: Path, time_limit) -> None:
    with filled(tmp_path, 0) as store:
        store._file.truncate(10)
        with time_limit(20), pytest.raises(OSError, match="cut short"):
            store[6]

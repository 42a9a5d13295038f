"""A folder for results comes before the work, and goes where the work fails."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from partialreid.runtime.folders import new_folder


def test_it_stays_where_the_work_is_done(tmp_path: Path) -> None:
    with new_folder(str(tmp_path / "a" / "b")):
        assert (tmp_path / "a" / "b").is_dir()
        assert not any((tmp_path / "a" / "b").iterdir())
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.parametrize("there", ["", "a", "a/b"])
def test_what_was_made_goes_where_the_work_fails(tmp_path: Path, there: str) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KeyboardInterrupt), new_folder(str(tmp_path / "a" / "b")):
        raise KeyboardInterrupt
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(ZeroDivisionError), new_folder(str(tmp_path / "a" / "b")):
        (tmp_path / "a" / "b" / "of somebody else").touch()
        raise ZeroDivisionError
    assert (tmp_path / "a" / "b" / "of somebody else").exists()


def test_one_that_cannot_be_written_is_an_error_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for path, why in (("file", "File exists"), ("file/below", "Not a directory")):
        said, folder = f"{path}.* cannot be written .{why}", str(tmp_path / path)
        with pytest.raises(OSError, match=said), new_folder(folder):
            raise AssertionError("the work has begun")

    def refuse(**_: Any) -> None:  # root may write everywhere
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    said = r"new. cannot be written \(Permission denied\): name another"
    with pytest.raises(OSError, match=said), new_folder(str(tmp_path / "new")):
        raise AssertionError("the work has begun")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

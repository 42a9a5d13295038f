"""The commit of a record is that of this package's source, or none."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import partialreid
from partialreid.runtime import source_version
from partialreid.runtime.source_version import commit_of_source, version_of_source
from tests.paths import ROOT

IDENTITY = ("-c", "user.name=x", "-c", "user.email=x@example.org")


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *IDENTITY, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Somebody's repository with one commit, whose .venv git does not track."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text(".venv/\n")
    (tmp_path / "own.py").write_text("one = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "copy.py").write_text("installed = True\n")
    return tmp_path


def test_an_installed_copy_takes_no_strangers_commit(repository: Path) -> None:
    assert git(repository / ".venv", "rev-parse", "HEAD"), "the repository surrounds the copy"
    assert commit_of_source(repository / ".venv" / "copy.py") is None
    (repository / "new.py").write_text("not added\n")
    assert commit_of_source(repository / "new.py") is None


def test_a_tracked_source_has_its_commit_and_says_if_it_was_changed(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1", "-m", "a tag does not take its place")
    assert commit_of_source(repository / "own.py") == head
    (repository / "own.py").write_text("one = 2\n")
    assert commit_of_source(repository / "own.py") == f"{head}-dirty"


def test_another_repository_of_a_hook_is_not_asked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(ROOT / "no such folder"))
    assert commit_of_source(repository / "own.py") == head


def test_outside_any_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file.py").write_text("")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert commit_of_source(tmp_path / "file.py") is None


def test_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_git(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", no_git)
    assert commit_of_source() is None


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no git checkout")
def test_this_source() -> None:
    tracked = git(ROOT, "ls-files", "--", str(Path(source_version.__file__)))
    found = commit_of_source()
    if not tracked:
        assert found is None
    else:
        assert found is not None
        assert re.fullmatch(rf"{git(ROOT, 'rev-parse', 'HEAD')}(-dirty)?", found)


def test_version() -> None:
    assert version_of_source() == partialreid.__version__

"""The wheel, installed where nothing else of this project is: its commands find its configs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import partialreid
from partialreid.commands import evaluate
from tests import tiny
from tests.paths import ROOT

PROJECT = ROOT / "projects" / "PartialReID"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.egg-info", "logs")
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def run(*argv: object, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command in an environment without a path to this repository; it must succeed."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    words = [str(word) for word in argv]
    done = subprocess.run(
        words, cwd=cwd, env={**kept, **variables}, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this working tree, built from a copy, as building writes beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("setup.py", "pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    for folder_of in (PROJECT, ROOT / "models"):
        shutil.copytree(folder_of, source / folder_of.relative_to(ROOT), ignore=LEFT_OUT)
    # With the setuptools that runs here: nothing is downloaded.
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    run(*PIP, "wheel", source, *options, cwd=folder)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel, and sees the packages that are installed here.

    It does not see this repository: an editable installation is known to .pth files and finders,
    which Python reads in the folders of its own environment alone.
    """
    folder = tmp_path_factory.mktemp("installed") / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / SCRIPTS / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = Path(run(python, "-c", where, cwd=folder).stdout.strip())
    here = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (own / "installed_here.pth").write_text("\n".join(here) + "\n")
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return folder


def test_what_it_holds(wheel: Path) -> None:
    assert wheel.name == f"partialreid-{partialreid.__version__}-py3-none-any.whl"
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {path.relative_to(PROJECT) for path in (PROJECT / "partialreid").rglob("*.py")}
    configs = {Path("partialreid", "configs", path.name) for path in PROJECT.glob("configs/*.yml")}
    assert len(configs) >= 7
    others = {Path("partialreid", name) for name in ("py.typed", "reporting/answer_page.html")}
    models = {Path("partialreid", "models", path.name) for path in (ROOT / "models").iterdir()}
    assert len(models) == 2
    expected = modules | configs | others | models
    assert held == {path.as_posix() for path in expected}


def test_the_readme_describes_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as held:
        (name,) = (name for name in held.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = held.read(name).decode()
    assert "\nDescription-Content-Type: text/markdown\n" in metadata
    assert metadata.endswith((ROOT / "README.md").read_text(encoding="utf-8"))


@pytest.mark.slow(minutes=0.5)
def test_it_trains_and_evaluates_away_from_the_repository(
    environment: Path, tmp_path: Path
) -> None:
    python, command = environment / SCRIPTS / "python", environment / SCRIPTS / "partialreid"
    away = {"cwd": tmp_path / "empty", "PARTIALREID_CACHE": str(tmp_path / "cache")}
    (tmp_path / "empty").mkdir()
    where = "import partialreid, pathlib; print(pathlib.Path(partialreid.__file__).resolve())"
    found = Path(run(python, "-c", where, **away).stdout.strip())
    assert found.is_relative_to(environment.resolve())

    for words in ([command], [python, "-m", "partialreid"]):
        assert "select-lambda" in run(*words, "--help", **away).stdout
        assert run(*words, "--version", **away).stdout == f"partialreid {partialreid.__version__}\n"

    # The released model comes with it, and is what is loaded where none is named.
    load = "import partialreid; partialreid.PartialReID.load(); from partialreid.keys import "
    load += "released_model; print(released_model.find_model())"
    model = Path(run(python, "-c", load, **away).stdout.split()[-1])
    assert model.resolve().is_relative_to(environment.resolve())

    keys = tiny.options("sets", "trained", SOLVER__MAX_EPOCH=1, TEST__EVAL_PERIOD=0)
    run(command, "train", "--config-file", "demo.yml", *keys, **away)
    trained = json.loads((tmp_path / "empty" / "trained" / "results.json").read_text())
    assert trained["run"]["versions"]["partialreid"] == partialreid.__version__
    # No commit is known of an installed copy.
    assert trained["run"]["commit"] is None
    # Keys that only the config file gives.
    assert trained["run"]["config"]["MODEL"]["LOSSES"]["TRI"]["HARD_MINING"] is True

    keys = tiny.options("sets", "evaluated", MODEL__WEIGHTS="trained/model_final.pth")
    run(command, "evaluate", "--config-file", "demo.yml", *keys, **away)
    evaluated = json.loads((tmp_path / "empty" / "evaluated" / "results.json").read_text())
    # The same from the repository. A training's own evaluation, not folded, rounds otherwise.
    weights = tmp_path / "empty" / "trained" / "model_final.pth"
    keys = tiny.options(tmp_path / "empty" / "sets", tmp_path / "here", MODEL__WEIGHTS=weights)
    assert evaluate.main(["--config-file", "demo.yml", *keys]) == 0
    here = json.loads((tmp_path / "here" / "results.json").read_text())
    assert evaluated["SyntheticPartial"]["global"] == here["SyntheticPartial"]["global"]

"""`partialreid search` and `partialreid index`: what a stranger types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from partialreid.commands import index, search
from partialreid.search.saved_answers import require_own
from tests.search.conftest import model_file  # noqa: F401


@pytest.fixture
def crops(model_file: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A folder of six crops, and half a person beside it."""
    people = sorted(next((model_file.parent / "data").glob("*/gallery")).iterdir())[:6]
    (tmp_path / "crops").mkdir()
    for person in people:
        shutil.copy(person, tmp_path / "crops")
    whole = Image.open(people[0]).convert("RGB")
    whole.crop((0, 0, whole.width, whole.height // 2)).save(tmp_path / "half.png")
    return tmp_path / "crops"


def run(command: object, *words: object) -> int:
    return command.main([str(word) for word in words])


def test_the_two_lines(model_file: Path, crops: Path, capsys) -> None:  # noqa: F811
    out, half = crops.parent / "answer", crops.parent / "half.png"
    words = [half, "--gallery", f"{crops}/", "--out", out, "--model", model_file, "-k", 4]
    words += ["--explain", 2, "--set", "MODEL.DEVICE", "cpu"]
    assert run(search, *words) == 0
    said = capsys.readouterr().out
    assert str(half) in said and str(out / "index.html") in said
    found = json.loads((out / "answers.json").read_text())
    (answer,) = found["answers"]
    distances = [match["distance"] for match in answer["matches"]]
    assert len(distances) == 4 and distances == sorted(distances)
    assert found["run"]["gallery"] == 6 and found["run"]["kappa"] == 0.001
    page = (out / "index.html").read_text(encoding="utf-8")
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    reasons = [bool(match["reason"]) for match in data["queries"][0]["answers"]]
    assert reasons == [True, True, False, False]
    # The same from an index, of which conditions select.
    table = crops / "known.csv"
    names = sorted(path.name for path in crops.glob("*.png"))
    table.write_text("\n".join(["path,camera", *(f"{n},{i % 2}" for i, n in enumerate(names))]))
    kept = crops.parent / "crops.index"
    keys = ["--model", model_file, "--set", "MODEL.DEVICE", "cpu"]
    assert run(index, table, "--into", kept, *keys) == 0
    assert "6 pictures" in capsys.readouterr().out
    assert run(index, "--check", kept) == 0
    assert "all whole" in capsys.readouterr().out
    words[2] = kept
    assert run(search, *words, "--where", "camera=1") == 0
    matches = json.loads((out / "answers.json").read_text())["answers"][0]["matches"]
    assert [match["metadata"]["camera"] for match in matches] == [1, 1, 1]


def test_a_home_that_the_shell_has_left_as_it_is(
    model_file: Path,  # noqa: F811
    crops: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home, here = crops.parent, crops.parent / "here"
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(here)
    keys = ["--model", "~/model.safetensors", "--set", "MODEL.DEVICE", "cpu"]
    shutil.copy(model_file, home / "model.safetensors")
    assert run(index, "~/crops", "--into", "~/crops.index", *keys) == 0
    assert run(index, "--check", "~/crops.index") == 0
    for gallery in ("~/crops.index", "~/crops"):
        out = f"~/{gallery[2:]}.answer"
        assert run(search, "~/half.png", "--gallery", gallery, "--out", out, *keys) == 0
        assert (home / out[2:] / "index.html").is_file()
    assert "~" not in capsys.readouterr().out
    assert not list(here.iterdir())


class Said(list):
    """An answer as far as the command line speaks of it: a list of one match."""

    def __init__(self, probability: float | None, in_gallery: float | None) -> None:
        match = SimpleNamespace(
            path="a.jpg",
            distance=0.5,
            probability=probability,
            verdict="nobody",
            same_picture=False,
        )
        super().__init__([match])
        self.query, self.in_gallery = "half.png", in_gallery


@pytest.mark.parametrize(
    ("probability", "in_gallery", "line"),
    [
        (0.12, 0.03, "half.png: a.jpg at 0.5000, nobody (12% right, 3% in the gallery)\n"),
        (None, None, "half.png: a.jpg at 0.5000\n"),
    ],
)
def test_a_verdict_is_said_with_both_probabilities(
    probability: float | None, in_gallery: float | None, line: str, capsys
) -> None:
    """Nobody is what follows from that of the gallery, and 12 % were that of the picture."""
    search.say_of(Said(probability, in_gallery))
    assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gallery", "{crops}"], "nobody.jpg"),
        (["--gallery", "{crops}/empty"], "holds no images"),
        (["--gallery", "{crops}/absent"], "is no file and no folder"),
        (["--gallery", "{crops}", "--where", "camera=1"], "make one by `partialreid index`"),
        (["--gallery", "{crops}", "--model", "absent.safetensors"], "absent.safetensors"),
        (["--gallery", "{crops}", "--set", "TEST.DSR.KAPPA", "-1"], "TEST.DSR.KAPPA"),
        (["--gallery", "{crops}/broken"], "1 of 1 pictures cannot be read"),
    ],
)
def test_what_a_user_gets_wrong(
    words: list[str],
    said: str,
    crops: Path,
    model_file: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    (crops / "empty").mkdir()
    if "broken" in words[1]:
        (crops / "broken").mkdir()
        (crops / "broken" / "a.jpg").write_text("no image")
    query = "nobody.jpg" if said == "nobody.jpg" else crops.parent / "half.png"
    words = [word.format(crops=crops) for word in words]
    model = [] if "--model" in words else ["--model", str(model_file)]
    out = crops.parent / "answer"
    with pytest.raises(SystemExit) as caught:
        run(search, query, "--out", out, *words, *model)
    assert caught.value.code == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error: " in text]
    assert said in line
    assert not out.exists()


def test_a_page_of_somebody_else_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said before any work."""
    (tmp_path / "index.html").write_text("a homepage")
    with pytest.raises(SystemExit):
        run(search, "nobody.jpg", "--gallery", "nowhere", "--out", tmp_path)
    said = capsys.readouterr().err
    assert 'index.html" is there, and no answers.json beside it' in said
    assert (tmp_path / "index.html").read_text() == "a homepage"
    # That of an earlier search is written over.
    (tmp_path / "answers.json").write_text("{}")
    require_own(str(tmp_path))

"""The pages of docs/: one question each, all in the table of contents, no link into nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from partialreid.derived.dataset import SUFFIXES
from partialreid.derived.held_out import SUFFIX as HELD_OUT
from tests.paths import ROOT

PAGES = sorted(path for path in (ROOT / "docs").glob("*.md"))
PROJECT = ROOT / "projects" / "PartialReID" / "README.md"
OTHERS = (
    "benchmarks/README.md",
    "datasets/README.md",
    "models/README.md",
    "tests/conformance/README.md",
)
DOCUMENTS = [*PAGES, *sorted(ROOT.glob("*.md")), PROJECT, *(ROOT / name for name in OTHERS)]
LINK = re.compile(r"\]\(\s*([^)#\s]*)(?:#([^)\s]+))?\s*\)")


def headings(text: str) -> list[str]:
    """The headings of a page, without those that are comments in a block of code."""
    return re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that GitHub gives to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_a_page_is_titled_by_one_question(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {headings(text)[0]}\n") and headings(text)[0].endswith("?")


def test_the_contents_name_every_page_by_its_question() -> None:
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        if page.name != "README.md":
            question = headings(page.read_text(encoding="utf-8"))[0]
            assert f"[{question}]({page.name})" in contents


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for target, part in LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        aim = document.parent / target if target else document
        assert aim.exists(), target
        if part:
            places = [anchor(heading) for heading in headings(aim.read_text(encoding="utf-8"))]
            assert part in places, f"{target}#{part}"


def test_every_page_is_linked_from_another() -> None:
    linked = {
        (document.parent / target).resolve()
        for document in DOCUMENTS
        for target, _ in LINK.findall(document.read_text(encoding="utf-8"))
        if target and "://" not in target
    }
    assert not [
        name_of(page) for page in DOCUMENTS if page.resolve() not in linked | {ROOT / "README.md"}
    ]


def test_every_benchmark_is_in_the_table() -> None:
    """And is said to be no part of `make bench` where it is none; `gpu` is that of `make gpu`."""
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    table = {row[0].strip("`"): row[1] for row in rows(text) if len(row) == 2}
    programs = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")
    }
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (made,) = re.findall(r"^BENCHMARKS := (.+)$", makefile, re.MULTILINE)
    assert len(programs) > 25 and programs - {"gpu"} <= set(table)
    for name in programs - {"gpu"}:
        assert ("Not part of `make bench`" in table[name]) == (name not in made.split()), name


def test_every_derived_set_is_in_the_table_of_rooms() -> None:
    (room,) = (row for row in rows(PROJECT.read_text(encoding="utf-8")) if row[0] == "`derived`")
    assert re.findall(r"`<Name>(\w+)`", room[1]) == [*SUFFIXES, HELD_OUT]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of a page's tables."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_project_says_only_what_no_page_says() -> None:
    """Its rooms; configs, systems, keys and results stand on pages that it links."""
    before, after = PROJECT.read_text(encoding="utf-8").split("## The rooms")
    assert not rows(before)
    assert len(rows(after)) > 10 and "\n## " not in after
    linked = {Path(target).name for target, _ in LINK.findall(before)}
    assert linked >= {"configs.md", "systems.md", "keys.md", "results_file.md", "commands.md"}


def test_every_published_number_has_a_source() -> None:
    text = (ROOT / "docs" / "published.md").read_text(encoding="utf-8")
    head, _, *found = rows(text)
    assert head[-1] == "source" and len(found) >= 3
    for *_, source in found:
        (label,) = re.findall(r"\]\[(\w+)\]$", source)
        assert re.search(rf"^\[{label}\]: https://", text, re.MULTILINE), source
    users = text.partition("users report")[2]
    numbers = re.findall(r"\b\d\d\.\d\b", users)
    assert numbers and numbers == re.findall(r"\[(\d\d\.\d)\]\(https://", users)


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_page_repeats_the_version(document: Path) -> None:
    assert not re.search(r"partialreid-\d", document.read_text(encoding="utf-8"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_a_number_of_threads_says_how_it_is_set(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for number, words in (("1", "one thread"), ("2", "two threads")):
        if words in re.sub(r"\s+", " ", text).replace("processes of one thread", ""):
            assert f"OMP_NUM_THREADS={number}" in text, words


def test_results_name_no_place_of_one_machine() -> None:
    """Configs come along with figures: their paths are those of whoever repeats a command."""
    results = sorted((ROOT / "docs" / "results").rglob("*.json"))
    assert results
    places = {
        (path.name, place)
        for path in results
        for place in re.findall(r'": "(/[^"]+)"', path.read_text(encoding="utf-8"))
    }
    assert not places

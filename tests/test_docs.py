"""The pages of docs/: one question each, all in the table of contents, no link into nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.paths import ROOT

PAGES = sorted(path for path in (ROOT / "docs").glob("*.md"))
OTHERS = ("README.md", "projects/PartialReID/README.md", "datasets/README.md", "CONTRIBUTING.md")
DOCUMENTS = [*PAGES, *(ROOT / name for name in OTHERS), ROOT / "benchmarks" / "README.md"]
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

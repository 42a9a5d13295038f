"""The page of answers: what it holds, and what it does in a browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from partialreid.reporting.answer_page import PageAnswer, PageQuery, data_of, page_of

IN_A_BROWSER = pytest.mark.needs("selenium", "chromium", "chromedriver")
KINDS = ("global", "fused")
COLOURS = ((200, 30, 30), (30, 160, 30), (30, 30, 200))
NAMES = ("crops/a.jpg", "crops/</script><b>.jpg", "crops/c.jpg")


def made_page(folder: Path) -> Path:
    """A page of two queries with three answers, of which two are explained."""
    answers = [
        PageAnswer(
            {"fused": rank},
            name,
            data_of(Image.new("RGB", (60, 120), colour)),
            {"global": (0.3, 0.1, 0.2)[rank - 1], "fused": 0.1 * rank},
            (0.97, 0.4, 0.001)[rank - 1],
            ("match", "unsure", "nobody")[rank - 1],
            {"camera": rank},
            data_of(Image.new("RGB", (300, 200), colour), None) if rank < 3 else "",
            (True, False, None)[rank - 1],
        )
        for rank, name, colour in zip((1, 2, 3), NAMES, COLOURS, strict=True)
    ]
    image = data_of(Image.new("RGB", (60, 60)))
    queries = [PageQuery("half.jpg", image, 0.9, answers), PageQuery("b.jpg", image, None, answers)]
    path = folder / "index.html"
    page = page_of("Who is it?", "Three pictures.", "fused", KINDS, queries)
    path.write_text(page, encoding="utf-8")
    return path


def test_it_needs_nothing_but_itself(tmp_path: Path) -> None:
    text = made_page(tmp_path).read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["']?https?:|@import|url\(""", text)
    assert text.count("</script>") == 2  # no name ends the data
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert [answer["path"] for answer in data["queries"][0]["answers"]] == list(NAMES)
    assert data["queries"][0]["answers"][0]["image"].startswith("data:image/webp;base64,")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def test_what_is_known_of_a_picture_is_text() -> None:
    """A browser makes 9007199254740992 of the number; an infinity would leave the page empty."""
    known = {"number": 9007199254740993, "camera": 3, "who": "</script>"}
    answer = PageAnswer({"fused": 1}, "a.jpg", "", {"fused": 0.5}, metadata=known)
    page = page_of("", "", "fused", ["fused"], [PageQuery("b.jpg", "", None, [answer])])
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    wanted = {"number": "9007199254740993", "camera": "3", "who": "</script>"}
    assert data["queries"][0]["answers"][0]["metadata"] == wanted
    answer = PageAnswer({"fused": 1}, "a.jpg", "", {"fused": float("inf")})
    with pytest.raises(ValueError, match="JSON"):
        page_of("", "", "fused", ["fused"], [PageQuery("b.jpg", "", None, [answer])])


def test_large_pictures_are_made_smaller() -> None:
    large, small = (Image.effect_noise(size, 50) for size in ((1920, 3840), (192, 384)))
    assert len(data_of(large)) < 1.5 * len(data_of(small))
    assert large.size == (1920, 3840)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    service = webdriver.ChromeService(executable_path=str(shutil.which("chromedriver")))
    window = webdriver.Chrome(options=options, service=service)
    yield window
    window.quit()


def names_in(browser: Any) -> list[str]:
    """The files of the first list as the reader sees them."""
    cards = browser.find_elements("css selector", ".query:first-of-type .answer .name:last-of-type")
    return [card.get_attribute("title") for card in cards]


@IN_A_BROWSER
def test_in_a_browser_with_mouse_and_keyboard(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(made_page(tmp_path).as_uri())
    assert browser.title == "Who is it?"
    assert len(browser.find_elements("class name", "query")) == 2
    assert names_in(browser) == list(NAMES)
    first = browser.find_element("class name", "answer")
    for said in ("1. 0.1000", "right", "match 97 % right", "camera: 1", "a.jpg", "why?"):
        assert said in first.text
    assert "in the gallery: 90 %" in browser.find_element("class name", "asked").text
    # Sorted by another distance, by which the ranks are not known.
    unranked = browser.find_element("id", "unranked")
    assert unranked.text == ""
    browser.find_element("css selector", "input[value=global]").send_keys(Keys.SPACE)
    assert names_in(browser) == [NAMES[1], NAMES[2], NAMES[0]]
    assert browser.find_element("class name", "answer").text.startswith("0.1000")
    assert "By the global distance others may be nearer" in unranked.text
    browser.find_element("class name", "answer").click()
    assert browser.find_element("id", "which").text == f"wrong: {NAMES[1]}"
    browser.find_element("id", "close").click()
    browser.find_element("css selector", "input[value=fused]").click()
    # The explanation, by keys alone.
    dialog = browser.find_element("id", "why")
    assert not dialog.is_displayed()
    browser.find_element("class name", "answer").send_keys(Keys.ENTER)
    assert dialog.is_displayed() and NAMES[0] in browser.find_element("id", "which").text
    assert browser.find_element("id", "distances").text == "Distances: global 0.3000, fused 0.1000."
    reason = browser.find_element("id", "reason")
    assert int(reason.get_attribute("naturalWidth")) == 300
    dialog.send_keys(Keys.ARROW_RIGHT)
    assert NAMES[1] in browser.find_element("id", "which").text
    dialog.send_keys(Keys.ARROW_RIGHT)  # the third is not explained
    assert NAMES[1] in browser.find_element("id", "which").text
    dialog.send_keys(Keys.ESCAPE)
    assert not dialog.is_displayed()
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@IN_A_BROWSER
def test_on_a_phone_nothing_sticks_out(browser: Any, tmp_path: Path) -> None:
    path = made_page(tmp_path).as_uri()
    size = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 360
    left = [card.rect["x"] for card in browser.find_elements("class name", "answer")[:3]]
    assert left[0] == left[2] < left[1]  # two beside each other


@IN_A_BROWSER
def test_names_break_at_their_joints(browser: Any, tmp_path: Path) -> None:
    """A word that is cut in two cannot be read; see where each line of a name begins."""
    image = data_of(Image.new("RGB", (60, 120)))
    names = ["0100_c1_01_partial.png", "person-in-the_yard.jpeg", "x" * 60 + ".png"]
    answers = [
        PageAnswer({"fused": 1}, f"a/{name}", image, {"fused": 0.1, "global": 0.1})
        for name in names
    ]
    page = page_of("Who?", "", "fused", KINDS, [PageQuery("q.jpg", image, None, answers)])
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    browser.get((tmp_path / "index.html").as_uri())
    lines = browser.execute_script(
        """return [...document.querySelectorAll("li .name")].map((name) => {
            const found = [];
            let top = null;
            for (const node of name.childNodes) {
                for (let i = 0; i < (node.length || 0); i++) {
                    const range = document.createRange();
                    range.setStart(node, i);
                    range.setEnd(node, i + 1);
                    const now = range.getBoundingClientRect().top;
                    if (now !== top) found.push("");
                    top = now;
                    found[found.length - 1] += node.data[i];
                }
            }
            return found;
        });"""
    )
    assert ["".join(some) for some in lines] == names
    assert all(len(some) > 1 for some in lines)
    for some in lines[:2]:
        pairs = itertools.pairwise(some)
        assert all(before[-1] in "_-" or after[0] == "." for before, after in pairs)
    wide = "return document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert browser.execute_script(wide)


@IN_A_BROWSER
def test_what_is_said_of_an_answer_and_a_picture_that_is_lost(browser: Any, tmp_path: Path) -> None:
    image = data_of(Image.new("RGB", (60, 120)))
    said = ("the query itself", "picture is gone")
    answers = [
        PageAnswer({"fused": 1}, "a.jpg", shown, {"fused": 0.1, "global": 0.1}, note=note)
        for shown, note in zip((image, ""), said, strict=True)
    ]
    page = page_of("Who?", "", "fused", KINDS, [PageQuery("q.jpg", "", None, answers)])
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    browser.get((tmp_path / "index.html").as_uri())
    cards = browser.find_elements("class name", "answer")
    assert [note in card.text for note, card in zip(said, cards, strict=True)] == [True, True]
    pictures = [len(card.find_elements("tag name", "img")) for card in cards]
    assert pictures == [1, 0]
    labels = [
        one.get_attribute("aria-label") for one in browser.find_elements("class name", "lost")
    ]
    assert labels == ["no picture: query q.jpg", "no picture: answer 1: a.jpg"]
    assert cards[0].rect["height"] == pytest.approx(cards[1].rect["height"], abs=1)


def made_test_set(folder: Path) -> Path:
    """A page of two queries: lists of two, of which only one by each distance are explained."""
    image = data_of(Image.new("RGB", (60, 120), (90, 90, 90)))
    reason = data_of(Image.new("RGB", (1200, 900), (200, 200, 200)), None)
    # By rank in the fused list: file, rank by the global distance, explanation, right.
    rows = [("w1.jpg", 2, reason, False), ("w2.jpg", 9, "", False), ("w3.jpg", 1, reason, False)]
    rows += [("r1.jpg", 30, "", True)]
    answers = [
        PageAnswer(
            {"fused": fused, "global": near},
            name,
            image,
            {"fused": 0.1 * fused, "global": 0.01 * near},
            reason=why,
            right=right,
        )
        for fused, (name, near, why, right) in zip((1, 2, 3, 40), rows, strict=True)
    ]
    queries = [
        PageQuery("a.jpg", image, None, answers, "first right answer: 40 of 99", "The hardest"),
        PageQuery("b.jpg", image, None, answers[:2], "", "The others"),
    ]
    path = folder / "set.html"
    notes = ["A rule.", "Another one."]
    page = page_of("A set", "Two of 99.", "fused", KINDS, queries, length=2, notes=notes)
    path.write_text(page, encoding="utf-8")
    return path


@IN_A_BROWSER
def test_lists_of_a_test_set(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(made_test_set(tmp_path).as_uri())
    heads = [head.text for head in browser.find_elements("tag name", "h2")]
    assert heads == ["The hardest", "The others"]
    assert "40 of 99" in browser.find_element("class name", "asked").text
    # What is right and what is wrong is said in words; behind the list stands the first right one.
    assert names_in(browser) == ["w1.jpg", "w2.jpg", "r1.jpg"]
    cards = browser.find_elements("css selector", ".query:first-of-type .answer")
    assert [card.text.splitlines()[:2] for card in cards] == [
        ["1. 0.1000", "wrong"],
        ["2. 0.2000", "wrong"],
        ["40. 4.0000", "first right"],
    ]
    assert len(browser.find_elements("css selector", ".query:first-of-type .far")) == 1
    # Notes open by a key, and are not in the way before.
    notes = browser.find_element("id", "notes")
    assert "A rule." not in notes.text
    notes.find_element("tag name", "summary").send_keys(Keys.ENTER)
    assert "A rule." in notes.text and "Another one." in notes.text
    # Another distance has another list, with ranks of its own.
    browser.find_element("css selector", "input[value=global]").send_keys(Keys.SPACE)
    assert names_in(browser) == ["w3.jpg", "w1.jpg", "r1.jpg"]
    assert browser.find_element("id", "unranked").text == ""
    last = browser.find_elements("css selector", ".query:first-of-type .answer")[2]
    assert last.text.startswith("30. 0.3000\nfirst right")
    # From one explanation to the next, over answers without one.
    browser.find_element("css selector", "input[value=global]").click()
    browser.find_element("class name", "answer").send_keys(Keys.ENTER)
    which = browser.find_element("id", "which")
    assert which.text == "1. wrong: w3.jpg"
    browser.find_element("id", "after").send_keys(Keys.ENTER)
    assert which.text == "2. wrong: w1.jpg"
    browser.find_element("id", "before").send_keys(Keys.ENTER)
    assert which.text == "1. wrong: w3.jpg"
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@IN_A_BROWSER
def test_an_explanation_on_a_phone_is_moved_sideways(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait

    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(made_test_set(tmp_path).as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    browser.find_element("css selector", "input[value=global]").click()
    browser.find_element("class name", "answer").click()
    pane, which = browser.find_element("id", "pane"), browser.find_element("id", "which")
    assert pane.rect["x"] >= 0 and pane.rect["x"] + pane.rect["width"] <= 390
    # There the arrow keys move the picture, elsewhere they go to the next one.
    pane.send_keys(Keys.ARROW_RIGHT)
    moved = "return arguments[0].scrollLeft > 0"
    WebDriverWait(browser, 5).until(lambda _: browser.execute_script(moved, pane))
    assert which.text == "1. wrong: w3.jpg"
    browser.find_element("id", "close").send_keys(Keys.ARROW_RIGHT)
    assert which.text == "2. wrong: w1.jpg"


@IN_A_BROWSER
def test_a_page_of_answers_has_no_notes(browser: Any, tmp_path: Path) -> None:
    browser.get(made_page(tmp_path).as_uri())
    assert not browser.find_element("id", "notes").is_displayed()
    assert not browser.find_elements("tag name", "h2")

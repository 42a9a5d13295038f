"""The page of answers: what it holds, and what it does in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from partialreid.reporting.answer_page import PageAnswer, PageQuery, data_of, write_page

IN_A_BROWSER = pytest.mark.needs("selenium", "chromium", "chromedriver")
KINDS = ("global", "fused")
COLOURS = ((200, 30, 30), (30, 160, 30), (30, 30, 200))
NAMES = ("crops/a.jpg", "crops/</script><b>.jpg", "crops/c.jpg")


def made_page(folder: Path) -> Path:
    """A page of two queries with three answers, of which two are explained."""
    answers = [
        PageAnswer(
            rank,
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
    write_page(str(path), "Who is it?", "Three pictures.", "fused", KINDS, queries)
    return path


def test_it_needs_nothing_but_itself(tmp_path: Path) -> None:
    text = made_page(tmp_path).read_text(encoding="utf-8")
    assert not re.findall(r"""(?:src|href)=["']?https?:|@import|url\(""", text)
    assert text.count("</script>") == 2  # no name ends the data
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert [answer["path"] for answer in data["queries"][0]["answers"]] == list(NAMES)
    assert data["queries"][0]["answers"][0]["image"].startswith("data:image/jpeg;base64,")
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


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
    for said in ("1. 0.1000", "right", "match 97 %", "camera: 1", "a.jpg", "why?"):
        assert said in first.text
    assert "in the gallery: 90 %" in browser.find_element("class name", "asked").text
    # Sorted by another distance.
    browser.find_element("css selector", "input[value=global]").send_keys(Keys.SPACE)
    assert names_in(browser) == [NAMES[1], NAMES[2], NAMES[0]]
    browser.find_element("css selector", "input[value=fused]").click()
    # The explanation, by keys alone.
    dialog = browser.find_element("id", "why")
    assert not dialog.is_displayed()
    browser.find_element("class name", "answer").send_keys(Keys.ENTER)
    assert dialog.is_displayed() and NAMES[0] in browser.find_element("id", "which").text
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

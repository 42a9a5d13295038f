"""The words of an explanation, and how they are set."""

from __future__ import annotations

from functools import cache

from PIL import ImageDraw, ImageFont

from .explanation_colours import AGAINST, FOR

FONT, SUBTITLE, TITLE = 14, 17, 22  # pixels
LINE = FONT + 5
INK, PALE = (25, 25, 25), (105, 105, 105)
Colour = tuple[int, int, int]
Words = tuple[tuple[str, Colour], ...]

# What stands above the five panels of a row: a line, and a paler one below it.
HEADINGS = ("Query", "{name}", "What is left over", "Where it comes from", "Query rebuilt")
ALONE = "the average"


def below_headings(query: str, candidate: str, reference: str, name: str) -> list[Words]:
    """The second line above each panel.

    Args:
        query, candidate: labels.
        reference: what the left over is compared with.
        name: of the candidate, one letter.
    """
    comparison = (("less", FOR), (" or ", PALE), ("more", AGAINST), (f" than {reference}", PALE))
    plain = (query, candidate, "", f"parts of {name}", f"from {name}")
    return [((text, PALE),) if text else comparison for text in plain]


LEGEND = (
    "Distance: the query is put together from patches of the other image, as well as it goes, and "
    "what is left over is added up. The numbers are the parts, from the query's top to its bottom.",
    "What is left over: blue patches have less left over than {reference}, which speaks for the "
    "candidate; orange ones more, which speaks against it. {sum} The full colour is {full} a "
    "patch. Faded patches count little or not at all, most of them as background.",
    "Where it comes from: a patch of the gallery image has the colours of those parts of the query "
    "(see the strip beside it) to which it brings more than other patches, mixed; the stronger, "
    "the more. Windows that take something away are left out. Lines: the {lines} strongest links.",
    "Query rebuilt: in the place of each patch, the patch of the gallery image that brings most to "
    "it.",
)
SUMS = {
    1: "Orange and blue are equal in sum.",
    2: "All orange less all blue is the difference of the distances.",
}


@cache
def font(size: int = FONT) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The letters of all words."""
    return ImageFont.load_default(size)


def wrapped(text: str, width: float, size: int = FONT) -> list[str]:
    """Break a text into lines of at most `width` pixels; a longer word is cut off."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(shortened(word, width, size))
    return lines


def shortened(text: str, width: float, size: int = FONT) -> str:
    """A text cut off so that it takes at most `width` pixels, with two dots for what is missing."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "..") > width:
        text = text[:-1]
    return text + ".."


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    *,
    size: int = FONT,
    fill: Colour = INK,
    anchor: str = "la",
) -> None:
    """Write one line at x and y; `anchor` as in Pillow."""
    draw.text(place, text, fill=fill, font=font(size), anchor=anchor)


def write_words(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], words: Words, width: float
) -> None:
    """Write words of several colours beside each other, each cut off to at most `width` pixels."""
    x, y = place
    for text, colour in words:
        text = shortened(text, width)
        write(draw, (x, y), text, fill=colour)
        x += font().getlength(text)

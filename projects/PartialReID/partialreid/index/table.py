"""What is known of images, from a CSV file: a row for each, with the path of its file.

    path,camera,time
    a/0001.jpg,3,2024-05-01T10:20:00

A column of which every value is a number is one of numbers, unless it writes one number in two
ways, as names such as 1.1 and 1.10 do; `identity` holds names, whatever they look like. An empty
place says nothing.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Collection, Mapping

from .selection import IDENTITY, Value, number_or_text

PATH = "path"
DELIMITERS = ",;\t"  # the second is what Excel writes in half of Europe


def read_table(path: str) -> dict[str, dict[str, Value]]:
    """Values by their names, by the path of the image, with "/" between folders and no "." in it.

    Raises:
        ValueError: the file is no CSV with a column "path", has two columns of one name, names an
            image twice, or none.
        OSError: it cannot be read.
    """
    try:
        # Excel begins a file in UTF-8 with a mark.
        with open(path, encoding="utf-8-sig", newline="") as file:
            delimiter = max(DELIMITERS, key=file.readline().count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            # Spaces after a comma are how people write, and no part of what is between commas.
            names = reader.fieldnames = [name.strip() for name in reader.fieldnames or []]
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'"{path}" is no CSV file in UTF-8 ({error}).') from error
    if PATH not in names:
        raise ValueError(f'the table "{path}" has no column "{PATH}": its first line names them.')
    if twice := [name for name in dict.fromkeys(names) if name and names.count(name) > 1]:
        raise ValueError(
            f'the table "{path}" has two columns "{twice[0]}": give one of them another name, or '
            "take it out."
        )
    table: dict[str, dict[str, str]] = {}
    named: dict[str, tuple[int, str]] = {}
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ValueError(f'row {number} of the table "{path}" has not {len(names)} values.')
        text = row.pop(PATH).strip().replace("\\", "/")
        if not text:
            raise ValueError(f'row {number} of the table "{path}" has no path.')
        image = os.path.normpath(text).replace(os.sep, "/")
        # One may be named from the folder of the table, and once more from the root of the disk.
        full = os.path.abspath(os.path.join(os.path.dirname(path), image))
        if full in named:
            before, other = named[full]
            raise ValueError(
                f'the table "{path}" names "{image}" twice: in row {before} as "{other}", in row '
                f'{number} as "{text}". Take out one of the two.'
            )
        named[full] = number, text
        cells = {name: text.strip() for name, text in row.items()}
        table[image] = {name: text for name, text in cells.items() if text != ""}
    return _typed(table)


def _typed(table: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Value]]:
    columns: dict[str, set[str]] = {}
    for row in table.values():
        for name, text in row.items():
            columns.setdefault(name, set()).add(text)
    words = {name for name, texts in columns.items() if name == IDENTITY or _are_words(texts)}
    return {
        image: {name: text if name in words else number_or_text(text) for name, text in row.items()}
        for image, row in table.items()
    }


def _are_words(texts: Collection[str]) -> bool:
    """Whether different texts do not stand for as many numbers."""
    values = {number_or_text(text) for text in texts}
    return len(values) < len(texts) or any(isinstance(value, str) for value in values)

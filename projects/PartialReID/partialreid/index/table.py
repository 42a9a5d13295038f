"""What is known of images, from a CSV file: a row for each, with the path of its file.

    path,camera,time
    a/0001.jpg,3,2024-05-01T10:20:00

A column of which every value is a number is one of numbers; an empty place says nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping

from .selection import Value, number_or_text

PATH = "path"
DELIMITERS = ",;\t"  # the second is what Excel writes in half of Europe


def read_table(path: str) -> dict[str, dict[str, Value]]:
    """Values by their names, by the path of the image, with "/" between folders.

    Raises:
        ValueError: the file is no CSV with a column "path", names an image twice, or none.
        OSError: it cannot be read.
    """
    try:
        # Excel begins a file in UTF-8 with a mark.
        with open(path, encoding="utf-8-sig", newline="") as file:
            delimiter = max(DELIMITERS, key=file.readline().count)
            file.seek(0)
            reader = csv.DictReader(file, delimiter=delimiter, strict=True)
            rows = list(reader)
            names = reader.fieldnames or []
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'"{path}" is no CSV file in UTF-8 ({error}).') from error
    if PATH not in names:
        raise ValueError(f'the table "{path}" has no column "{PATH}": its first line names them.')
    table: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise ValueError(f'row {number} of the table "{path}" has not {len(names)} values.')
        image = row.pop(PATH).replace("\\", "/")
        if not image:
            raise ValueError(f'row {number} of the table "{path}" has no path.')
        if image in table:
            raise ValueError(f'the table "{path}" names "{image}" twice.')
        table[image] = {name: text for name, text in row.items() if text != ""}
    return _typed(table)


def _typed(table: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Value]]:
    words = {
        name
        for row in table.values()
        for name, text in row.items()
        if isinstance(number_or_text(text), str)
    }
    return {
        image: {name: text if name in words else number_or_text(text) for name, text in row.items()}
        for image, row in table.items()
    }

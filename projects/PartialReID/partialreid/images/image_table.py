"""Images listed in a CSV file: of each its path, whom it shows, its camera and what it is for.

    path,identity,camera,split
    crops/anna/1.jpg,Anna,door,query
    crops/anna/2.jpg,Anna,yard,gallery

Pure Python.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence

from .named_files import Labelled, plain_identity

SUFFIX = ".csv"
PARTS = ("train", "query", "gallery")
NEEDED = ("path", "identity", "split")
CAMERA = "camera"
# What others call this column. Passed over, it would leave all images without a camera.
OTHER_NAMES = ("cam", "camid", "cam_id", "cameraid", "camera_id", "cameras")


def listed_images(table: str) -> dict[str, list[Labelled]]:
    """The images of a CSV file by the part that they belong to, in the order of the file.

    Paths are relative to the folder of the file, or absolute; a Windows path is understood where
    nothing lies under its text. Other columns are not looked at.

    Args:
        table: path of the file, in UTF-8. The column `camera` may be absent, or its cells empty.
            Columns may be named in capital letters.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no CSV in UTF-8, a column or a cell is missing, two columns have one
            name, cameras stand in a column of another name, the part is none of PARTS, or an image
            is listed twice; names the line.
    """
    parts: dict[str, list[Labelled]] = {part: [] for part in PARTS}
    lines: dict[tuple[str, str], int] = {}
    try:
        # Excel writes a mark of the byte order first.
        with open(table, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True, skipinitialspace=True)
            reader.fieldnames = [_column(name) for name in reader.fieldnames or []]
            _check_columns(table, reader.fieldnames)
            for row in reader:
                path, identity, part = (_cell(table, reader.line_num, row, n) for n in NEEDED)
                if part not in PARTS:
                    raise ValueError(
                        f'"{table}", line {reader.line_num}: the split is {part!r}; it can be '
                        f"{', '.join(PARTS)}."
                    )
                path = _full_path(table, path)
                _note(table, lines, path, part, reader.line_num)
                camera = (row.get(CAMERA) or "").strip() or None
                parts[part].append((path, plain_identity(identity), camera))
    except UnicodeDecodeError as error:
        raise ValueError(f'"{table}" is not UTF-8: save it as "CSV UTF-8".') from error
    except csv.Error as error:
        line = reader.reader.line_num  # DictReader's own is that of the line before
        raise ValueError(f'"{table}", line {line}: it is no CSV: {error}.') from error
    return parts


def _column(name: str) -> str:
    small = name.strip().lower()
    return small if small in (*NEEDED, CAMERA, *OTHER_NAMES) else name.strip()


def _check_columns(table: str, columns: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise ValueError(
            f'"{table}" has no column {" and no column ".join(missing)}: its first line is '
            f"{','.join(columns)!r}; write {','.join((*NEEDED, CAMERA))}, separated by commas."
        )
    for name in (*NEEDED, CAMERA):
        if columns.count(name) > 1:
            raise ValueError(f'"{table}" has two columns {name}: take one of them out.')
    for name in OTHER_NAMES if CAMERA not in columns else ():
        if name in columns:
            raise ValueError(
                f'"{table}" has a column {name} and none that is called {CAMERA}: call it so, or '
                "take it out if it does not say which camera took an image."
            )


def _cell(table: str, line: int, row: Mapping[str | None, str | None], name: str) -> str:
    text = (row[name] or "").strip()
    if not text:
        raise ValueError(f'"{table}", line {line}: there is no {name}.')
    if None in row:
        raise ValueError(
            f'"{table}", line {line}: it has more cells than there are columns: put text that '
            "holds a comma into quotes."
        )
    return text


def _full_path(table: str, path: str) -> str:
    folder = os.path.dirname(table)
    full = os.path.normpath(os.path.join(folder, path))
    if "\\" in path and not os.path.exists(full):
        return os.path.normpath(os.path.join(folder, path.replace("\\", "/")))
    return full


def _note(table: str, lines: dict[tuple[str, str], int], path: str, part: str, line: int) -> None:
    """Remember where an image is listed; refuse one that would count twice, or be trained on.

    A query may lie in the gallery, where each image is looked for among the others.
    """
    for other in PARTS:
        if (path, other) in lines and (other == part or "train" in (other, part)):
            raise ValueError(
                f'"{table}", line {line}: "{path}" is listed for {part}, and in line '
                f"{lines[path, other]} for {other}: remove one of the two lines."
            )
    lines[path, part] = line

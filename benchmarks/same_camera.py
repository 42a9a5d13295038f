"""A person is looked for among images by the same camera: what CUHK03-val alone cannot ask.

    python -m benchmarks.same_camera path/to/CUHK03-val logs/same_camera.csv

The folder's queries are by another camera than its gallery: it asks for a person in another light,
before another background. The partial sets say nothing of cameras, and whoever is cut there may be
compared with a whole image by the same one. The list that is written has the first image of each
person by each camera as a query and the last one as a gallery image. It says of no image by which
camera it is, so that all count; a data set is named after it, `folder:logs/same_camera.csv`.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections import defaultdict
from pathlib import Path

from benchmarks.bench import refuse
from partialreid.images.image_table import PARTS
from partialreid.images.named_files import Labelled, named_images
from partialreid.runtime.errors import user_errors
from partialreid.runtime.files import write_text

QUERY, GALLERY = PARTS[1:]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="with query/ and gallery/ in it")
    parser.add_argument("file", help="a CSV file, which is written")
    args = parser.parse_args(argv)
    with user_errors():
        write_list(args.folder, args.file)
        print(f'"{args.file}" lists who is looked for, and where.')
    return 0


def write_list(folder: str, file: str) -> None:
    """List the first and the last image of each person by each camera.

    Args:
        folder: with query/ and gallery/, whose images are named as `named_images` reads them.
        file: the CSV file, with the full paths of the images.

    Raises:
        OSError: a folder is absent, or the file cannot be written.
        SystemExit: no camera has taken a person twice, or the name of an image says no camera.
    """
    images = [item for part in (QUERY, GALLERY) for item in named_images(f"{folder}/{part}")]
    if unknown := [path for path, _, camera in images if camera is None]:
        refuse(
            f'the file name of "{unknown[0]}" says no camera: name it '
            "<identity>_c<camera>_<anything>."
        )
    lines = first_and_last(images)
    if not lines:
        refuse(f'"{folder}": no person was taken twice by one camera.')
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("path", "identity", "split"))
    writer.writerows((os.path.abspath(path), identity, split) for path, identity, split in lines)
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    write_text(file, table.getvalue())


def first_and_last(images: list[Labelled]) -> list[tuple[str, str, str]]:
    """Path, identity and split of the first and the last image of each person by each camera."""
    by_whom = defaultdict(list)
    for path, identity, camera in images:
        by_whom[identity, camera].append(path)
    return [
        (path, identity, split)
        for (identity, _), paths in by_whom.items()
        if len(paths) > 1
        for path, split in ((min(paths), QUERY), (max(paths), GALLERY))
    ]


if __name__ == "__main__":
    raise SystemExit(main())

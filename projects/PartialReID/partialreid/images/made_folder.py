"""Folders of images that the project makes itself: complete or absent, never half-made.

`SyntheticPartial` and the derived sets use it. A folder is built under a temporary name beside its
final place, gets a `manifest.json` with its recipe last, and is renamed in one step. Whoever finds
a manifest that equals the recipe may use the folder as it is.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

MANIFEST = "manifest.json"
LEFT_OVER = 7 * 24 * 3600.0  # seconds without a change after which a half-made folder is nobody's


def cache_root() -> Path:
    """Where made folders go when the data root cannot be written: PARTIALREID_CACHE or ~/.cache."""
    return Path(os.environ.get("PARTIALREID_CACHE") or Path.home() / ".cache" / "partialreid")


def _refuse_read_only(place: Path) -> None:
    # Root, as whom containers run, may write everywhere: the mode says what is meant.
    if not place.stat().st_mode & 0o222:
        raise OSError(errno.EACCES, "the folder is read-only (no write permission in its mode)")


def _is_complete(folder: Path, recipe: Mapping[str, object], later: Sequence[str]) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    made_by = manifest.get("recipe") if isinstance(manifest, dict) else None
    if not isinstance(made_by, dict):
        return False
    return made_by == {k: v for k, v in recipe.items() if k in made_by or k not in later}


def _remove_left_over(place: Path, name: str) -> None:
    """Remove what a process that was killed had begun, and nothing that one may still work on."""
    for folder in place.glob(f".{glob.escape(name)}.*"):
        with contextlib.suppress(OSError):
            if time.time() - folder.stat().st_mtime > LEFT_OVER:
                shutil.rmtree(folder, ignore_errors=True)


def make_folder(
    root: str | os.PathLike[str],
    name: str,
    recipe: Mapping[str, object],
    build: Callable[[Path], Mapping[str, object]],
    later: Sequence[str] = (),
) -> Path:
    """Return the folder `name` made by `recipe`, building it once.

    Args:
        root: the data root; where it cannot be written, `cache_root()` takes its place.
        name: the folder's name; let it hold what tells two recipes apart (kind and seed).
        recipe: what determines every byte of the folder, as JSON values.
        build: writes the content into the empty folder it is given and returns what the manifest
            records besides the recipe (counts, sources).
        later: keys of the recipe that came after folders had been made without them. These folders
            stay good.

    Returns:
        The path of the complete folder.

    Raises:
        RuntimeError: a folder of that name is there but holds something else, or neither the data
            root nor the cache can be written.
    """
    recipe = json.loads(json.dumps(recipe))
    places = [Path(root), cache_root()]
    for place in places:
        if _is_complete(place / name, recipe, later):
            return place / name

    errors = []
    for place in places:
        target = place / name
        if target.exists():
            # Another process may have finished it since the first look.
            if _is_complete(target, recipe, later):
                return target
            raise RuntimeError(
                f'"{target}" exists but its {MANIFEST} does not match the recipe {recipe}. '
                "Remove that folder (it is made again) or change the seed."
            )
        try:
            place.mkdir(parents=True, exist_ok=True)
            _refuse_read_only(place)
            _remove_left_over(place, name)
            work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place))
        except OSError as error:
            errors.append(f"{place}: {error.strerror or error}")
            continue
        try:
            record = {"recipe": recipe, **build(work)}
            text = json.dumps(record, indent=1, sort_keys=True)
            (work / MANIFEST).write_text(text + "\n", encoding="utf-8")
            work.chmod(0o755)
            try:
                work.rename(target)
            except OSError:
                # Another process finished the same folder first: its result is ours too.
                if not _is_complete(target, recipe, later):
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return target
    raise RuntimeError(
        f"cannot write {name}: {'; '.join(errors)}. "
        "Set DATASETS.ROOT, FASTREID_DATASETS or PARTIALREID_CACHE to a folder that can be written."
    )

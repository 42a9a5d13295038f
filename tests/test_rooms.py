"""Imports run one way: between rooms as CONTRIBUTING.md draws them, and between files."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PACKAGE = ROOT / "projects" / "PartialReID" / "partialreid"
PORT = "(port)"
PURE = ("matching", "metrics")
# They hand out what others define, so that they import from every floor.
DOORS = ("__init__", "__main__")


def floors() -> list[list[str]]:
    """The rooms of CONTRIBUTING.md's picture, highest floor first."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = re.search(r"```rooms\n(.*?)```", text, re.DOTALL)
    assert picture, "CONTRIBUTING.md draws the rooms in a block ```rooms"
    return [line.split() for line in picture[1].splitlines()]


def modules() -> dict[str, Path]:
    """Every module by its dotted name below the package, the doors left out."""
    names = {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    return {name: path for name, path in names.items() if name not in DOORS}


MODULES = modules()


def room_of(name: str) -> str:
    return name.split(".")[0] if "." in name else PORT


def imports(name: str) -> tuple[set[str], set[str]]:
    """What a module imports: modules of the package, and the first names of other packages."""
    own: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            others |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            others.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            above = name.split(".")[: -node.level]
            source = ".".join([*above, *([node.module] if node.module else [])])
            found = [f"{source}.{alias.name}".strip(".") for alias in node.names]
            own |= {full if full in MODULES else source for full in found}
    return {target for target in own if target}, others


def imported_from(source: str, name: str) -> set[str]:
    """The names that a module imports from another package."""
    tree = ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8")))
    found = [n for n in tree if isinstance(n, ast.ImportFrom) and n.module == source]
    return {alias.name for node in found for alias in node.names}


def test_every_room_is_drawn_once() -> None:
    drawn = [room for floor in floors() for room in floor]
    assert sorted(drawn) == sorted({room_of(name) for name in MODULES})


def test_every_room_is_described() -> None:
    text = (ROOT / "projects" / "PartialReID" / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| (?:`(\w+)`|the port) \|", text.split("## The rooms")[1], re.MULTILINE)
    heights = {room: n for n, floor in enumerate(reversed(floors())) for room in floor}
    described = [heights[name or PORT] for name in table]
    assert described == sorted(heights.values()), "each once, from the lowest floor up"


@pytest.mark.parametrize("name", MODULES)
def test_rooms_import_from_lower_floors_only(name: str) -> None:
    height = {room: -n for n, floor in enumerate(floors()) for room in floor}
    here = room_of(name)
    for target in imports(name)[0]:
        assert target in MODULES or f"{target}.__init__" in MODULES, f"{name} imports {target}"
        there = room_of(target)
        assert there == here or height[there] < height[here], f"{name} imports {target}"


def test_files_do_not_import_each_other_in_a_circle() -> None:
    graph = {name: imports(name)[0] & MODULES.keys() for name in MODULES}
    order = list(graphlib.TopologicalSorter(graph).static_order())
    assert sorted(order) == sorted(MODULES)


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) in PURE])
def test_pure_rooms_need_torch_and_numpy_alone(name: str) -> None:
    strangers = imports(name)[1] - set(sys.stdlib_module_names) - {"torch", "numpy"}
    assert not strangers
    assert "Any" not in imported_from("typing", name), "a tensor, an array or a type of one's own"


def test_pure_rooms_work_with_torch_and_numpy_alone() -> None:
    """What they stand on in other rooms needs no more either."""
    names = [name for name in MODULES if room_of(name) in PURE]
    absent = [
        "fastreid",
        "tqdm",
        "psutil",
        "PIL",
        "cv2",
        "scipy",
        "sklearn",
        "faiss",
        "matplotlib",
        "yacs",
        "yaml",
    ]
    lines = ["import sys", f"sys.modules.update(dict.fromkeys({absent}))"]
    lines += [f"import partialreid.{name.removesuffix('.__init__')}" for name in names]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

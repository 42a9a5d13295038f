"""Curves as a picture: panels side by side, each with its lines and their legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..runtime.files import whole_file


class Line(NamedTuple):
    """One line of a panel.

    Attributes:
        x, y: its points, as many of the one as of the other.
        colour: its number; lines of one thing share it.
        label: in the legend; "" for a line that is not there.
        thin: dotted, for what stands beside the thing itself.
        marked: index of a point to mark; None for none.
    """

    x: Sequence[float]
    y: Sequence[float]
    colour: int
    label: str = ""
    thin: bool = False
    marked: int | None = None


def draw_panels(
    panels: Mapping[str, Sequence[Line]], path: str, xlabel: str, ylabel: str, legend: str = ""
) -> None:
    """Draw panels in a row.

    Args:
        panels: lines by the title of their panel.
        path: of the PNG, written in one step.
        xlabel, ylabel: of the axes.
        legend: title of the legends.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    picture = Figure(figsize=(max(6.0, 4.2 * len(panels)), 3.6))
    axes = picture.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (title, lines) in zip(axes, panels.items(), strict=True):
        for line in lines:
            style = {"ls": ":", "lw": 1} if line.thin else {}
            axis.plot(line.x, line.y, f"C{line.colour}", label=line.label or None, **style)
            if line.marked is not None:
                point = (line.x[line.marked], line.y[line.marked])
                axis.plot(*point, f"C{line.colour}", marker="o")
        # The name of a folder may hold a $, and be long.
        axis.set_title(title, parse_math=False, fontsize=min(12, 480 / max(1, len(title))))
        axis.set_xlabel(xlabel)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=7, title=legend, title_fontsize=7)
    axes[0].set_ylabel(ylabel)
    picture.tight_layout()
    with whole_file(path) as file:
        picture.savefig(file, format="png", dpi=120)

"""Rank-1 over lambda as a picture."""

from __future__ import annotations

from collections.abc import Mapping

from .files import whole_file
from .lambda_selection import LambdaCurve


def draw_curves(curves: Mapping[str, LambdaCurve], path: str) -> None:
    """Rank-1 of each test set over lambda, its best value marked.

    Args:
        curves: by the name of the test set.
        path: of the PNG, written in one step.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 3.6))
    for number, (name, curve) in enumerate(curves.items()):
        colour = f"C{number}"
        rank1 = [100 * float(x) for x in curve.rank1]
        axis.plot(curve.lambdas, rank1, colour, label=f"{name}, best {curve.best:.2f}")
        axis.plot(curve.best, rank1[curve.lambdas.index(curve.best)], colour, marker="o")
    axis.set(xlabel="lambda (0: global distance, 1: reconstruction)", ylabel="Rank-1, %")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    with whole_file(path) as file:
        figure.savefig(file, format="png", dpi=120)
    pyplot.close(figure)

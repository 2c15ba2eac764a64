"""Faces and frames side by side: before and after, by method, by person, by question.

Pictures are float RGB in [0, 1].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from anonlib.viz.axes import panels, show
from anonlib.viz.styles import style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

FACE = 0.72
"""Side of a face in `plot_people`, in inches."""
COLUMNS = 7
"""Pictures in a row of `plot_questions`."""


def plot_pictures(pictures: Mapping[str, Tensor], *, height: float = 1.6) -> Figure:
    """Pictures `(3, H, W)`, or grey `(1, H, W)`, in one row below their names; height in inches."""
    widths = [picture.shape[2] / picture.shape[1] for picture in pictures.values()]
    lines = 1 + max(name.count("\n") for name in pictures)
    size = (height * sum(widths) + 0.1 * len(widths), height + 0.2 * lines)
    figure = panels(*size, columns=len(widths), width_ratios=widths)
    for axes, (name, picture) in zip(figure.axes, pictures.items(), strict=True):
        show(axes, picture, title=name)
    return figure


def plot_baselines(faces: Mapping[str, Tensor]) -> Figure:
    """The same faces `(B, 3, H, W)` under every method: one column per method, one row per face.

    Implements Ren et al., Fig. 3. Differs from the paper: shows every method.
    """
    rows, count = len(next(iter(faces.values()))), len(faces)
    figure = panels(0.2 + 1.0 * count, 0.5 + 1.0 * rows, rows=rows, columns=count)
    for column, (method, images) in enumerate(faces.items()):
        for axes, image in zip(figure.axes[column::count], images, strict=True):
            show(axes, image, interpolation="auto")
        figure.axes[column].set_title(style(method).label.replace(" (", "\n("), fontsize=8)
    return figure


def plot_before_after(
    before: Tensor,
    after: Tensor,
    *,
    pairs: int = 4,
    titles: tuple[str, str] = ("before", "after"),
    inches: float = 1.1,
) -> Figure:
    """Faces or frames, each beside its modified version.

    Implements Ren et al., Fig. 5. Differs from the paper: none.

    Args:
        before: originals `(B, 3, H, W)`.
        after: the same pictures modified.
        pairs: number of pairs in a row.
        inches: width of a picture; choose more for whole frames.
    """
    pairs = min(pairs, len(before))
    rows = -(-len(before) // pairs)
    widths = [1, 1, 0.2] * pairs
    height = inches * (before.shape[2] / before.shape[3] + 0.06) * rows + 0.3
    figure = Figure(figsize=(inches * sum(widths[:-1]), height))
    place = {"left": 0.01, "top": 1 - 0.3 / height, "wspace": 0.04, "hspace": 0.06}
    grid = _tight_grid(figure, rows, widths[:-1], edge=0.01, **place)
    for i, both in enumerate(zip(before, after, strict=True)):
        row, column = divmod(i, pairs)
        for side, (title, image) in enumerate(zip(titles, both, strict=True)):
            show(grid[row, 3 * column + side], image, interpolation="auto")
            grid[0, 3 * column + side].set_title(title, fontsize=10)
    return figure


def plot_people(
    before: Tensor, after: Tensor, *, names: Sequence[str], after_title: str = "modified"
) -> Figure:
    """One row per person: original pictures on the left, the same pictures modified on the right.

    Pictures are `(P, K, 3, H, W)`: K of each of P people. `after_title` heads the right half.

    Implements Ren et al., Fig. 6. Differs from the paper: shows the originals too.
    """
    people, images = before.shape[:2]
    width, height = 0.55 + FACE * (2 * images + 0.3), 0.3 + FACE * people
    figure = Figure(figsize=(width, height))
    widths = [1] * images + [0.3] + [1] * images
    place = {"left": 0.55 / width, "top": 1 - 0.3 / height, "wspace": 0.05, "hspace": 0.05}
    grid = _tight_grid(figure, people, widths, edge=0.005, **place)
    for row, originals, modified, name in zip(grid, before, after, names, strict=True):
        shown = (*row[:images], *row[images + 1 :])
        for axes, image in zip(shown, (*originals, *modified), strict=True):
            show(axes, image, interpolation="auto")
        row[0].text(-0.08, 0.5, name, transform=row[0].transAxes, ha="right", va="center", fontsize=10)
    grid[0, 0].set_title("original", loc="left", fontsize=10)
    grid[0, images + 1].set_title(after_title, loc="left", fontsize=10)
    return figure


def plot_questions(*, pair: Tensor, people: Mapping[str, Tensor], face: Tensor, together: Tensor) -> Figure:
    """One question of each kind of the user study; the known people stand before question 2.

    Args:
        pair: Q1, `(2, 3, H, W)` modified faces.
        people: name to a clear picture `(3, H, W)`; may be empty.
        face: Q2, a modified face `(3, H, W)`.
        together: Q3, `(N, 3, H, W)` modified faces; the first 7 are shown.
    """
    figure = Figure(figsize=(7.4, 5.4))
    place = {"left": 0.005, "top": 0.93, "wspace": 0.06, "hspace": 0.3}
    grid = _tight_grid(figure, 4, [1] * COLUMNS, edge=0.005, **place)
    for row, pictures, title in (
        (grid[0], pair, "Q1: do both faces show the same person?   [same] [different]"),
        (grid[2], face[None], "Q2: who is this?"),
        (grid[3], together[:COLUMNS], "Q3: would you feel protected?   [yes] [no]"),
    ):
        row[0].set_title(title, loc="left", fontsize=10)
        for axes, picture in zip(row, pictures, strict=False):
            show(axes, picture)
    for axes, (name, picture) in zip(grid[1], people.items(), strict=False):
        show(axes, picture, title=name)
    return figure


def plot_strip(rows: Mapping[str, Tensor], *, titles: Sequence[str]) -> Figure:
    """Frames of a video `(N, 3, H, W)` over time, one row per version such as `before` and `after`."""
    first = next(iter(rows.values()))
    height = 9 / len(titles) * first.shape[2] / first.shape[3] + 0.05
    figure = panels(9.3, len(rows) * height + 0.3, rows=len(rows), columns=len(titles))
    for row, (name, frames) in enumerate(rows.items()):
        shown = figure.axes[row * len(titles) : (row + 1) * len(titles)]
        for axes, frame in zip(shown, frames, strict=True):
            show(axes, frame)
        look: dict[str, Any] = {"ha": "right", "va": "center", "rotation": 90, "fontsize": 10}
        shown[0].text(-0.02, 0.5, name, transform=shown[0].transAxes, **look)
    for axes, title in zip(figure.axes, titles, strict=False):
        axes.set_title(title, fontsize=10)
    return figure


def plot_words(words: str) -> Figure:
    """A sentence where there is no picture to show."""
    figure = Figure(figsize=(9, 0.5))
    figure.text(0.01, 0.5, words, va="center", fontsize=10)
    return figure


def _tight_grid(figure: Figure, rows: int, widths: Sequence[float], *, edge: float, **place: float) -> Any:
    """Panels without axes and with small gaps; positions are fractions of the figure."""
    place |= {"right": 1 - edge, "bottom": edge}
    grid = figure.subplots(rows, len(widths), squeeze=False, width_ratios=widths, gridspec_kw=place)
    for axes in grid.flat:
        axes.set_axis_off()
    return grid

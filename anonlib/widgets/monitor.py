"""A monitor of a training: loss curves, the phase, the time left, and the same faces as M changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from html import escape
from itertools import accumulate
from typing import TYPE_CHECKING

import ipywidgets as widgets
import pandas as pd
import torch
from IPython.display import DisplayHandle, display
from matplotlib.figure import Figure
from torch import Tensor

from anonlib.training.loop import Report
from anonlib.viz.curves import TITLES, draw_losses
from anonlib.widgets.static import MimeBundle, figure_png, image_tag, mime_bundle

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

QUARTERS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(slots=True, kw_only=True)
class Watched:
    """The state of a training, as reported so far."""

    phases: Mapping[str, int]
    """Number of steps of each phase, in order."""
    rows: list[dict[str, float]] = field(default_factory=list)
    """Losses; `step` counts over all phases."""
    phase: str | None = None
    """The phase that reported last."""
    pictures: dict[int, Tensor] = field(default_factory=dict)
    """Number of training steps to the faces `(B, 3, S, S)` in [0, 1] that M made then."""

    @property
    def done(self) -> int:
        """Finished steps of all phases."""
        return int(self.rows[-1]["step"]) + 1 if self.rows else 0

    @property
    def total(self) -> int:
        """Number of steps of all phases."""
        return sum(self.phases.values())


def starts(phases: Mapping[str, int]) -> dict[str, int]:
    """The first step of each phase.

    >>> starts({"M and D": 150, "A alone": 100})
    {'M and D': 0, 'A alone': 150}
    """
    return dict(zip(phases, accumulate(phases.values(), initial=0), strict=False))


def add_row(watched: Watched, phase: str, row: Mapping[str, float], *, total: str | None = None) -> None:
    """Add a row of losses to `watched`; rows of an earlier run of the same steps are deleted.

    The row holds the `step` within the phase, and the losses. They are summed under the name `total`
    if it is given.
    """
    step = starts(watched.phases)[phase] + int(row["step"])
    losses = {name: value for name, value in row.items() if name != "step"}
    if total is not None:
        losses = {total: sum(losses.values())}
    watched.rows = [old for old in watched.rows if old["step"] < step]
    watched.pictures = {k: faces for k, faces in watched.pictures.items() if k <= step}
    watched.rows.append({"step": step, **losses})
    watched.phase = phase


def picture_due(watched: Watched) -> bool:
    """Whether another quarter of the first phase has ended since the last picture."""
    length = next(iter(watched.phases.values()))
    last = max(watched.pictures, default=0)
    return any(last < max(1, length * part) <= watched.done for part in QUARTERS)


def progress_line(watched: Watched, *, seconds: float = 0.0) -> str:
    """The progress in words; `seconds` for the finished steps estimate the time left, 0 does not.

    >>> watched = Watched(phases={"M and D": 100, "A alone": 50})
    >>> progress_line(watched)
    'Nothing has been trained yet: M and D, A alone.'
    >>> add_row(watched, "A alone", {"step": 24, "L_det": 0.5})
    >>> progress_line(watched, seconds=250)
    'A alone: step 25 of 50. L_det 0.50. About 50 s to go.'
    """
    if watched.phase is None:
        return f"Nothing has been trained yet: {', '.join(watched.phases)}."
    step = watched.done - starts(watched.phases)[watched.phase]
    losses = ", ".join(f"{k} {v:.2f}" for k, v in watched.rows[-1].items() if k != "step")
    left = seconds / watched.done * (watched.total - watched.done)
    rest = f" About {left:.0f} s to go." if left else ""
    return f"{watched.phase}: step {step} of {watched.phases[watched.phase]}. {losses}.{rest}"


def monitor_figure(watched: Watched) -> Figure:
    """Losses on the left; on the right, the same faces over time, from top to bottom."""
    figure = Figure(figsize=(9.6 if watched.pictures else 6.4, 5.8), layout="constrained")
    left: Figure | SubFigure = figure
    if watched.pictures:
        left, right = figure.subfigures(1, 2, width_ratios=[6, 3.6], squeeze=False)[0]
        _draw_pictures(right, watched.pictures)
    table = pd.DataFrame(watched.rows) if watched.rows else pd.DataFrame({"step": []})
    known = [name for name in TITLES if name in table]
    others = [name for name in table if name not in TITLES]
    draw_losses(left, table[[*others, *known]], phases=starts(watched.phases), smooth=1, steps=watched.total)
    return figure


def _draw_pictures(figure: Figure | SubFigure, pictures: Mapping[int, Tensor]) -> None:
    """One row of faces for each stored step."""
    axes = figure.add_subplot()
    faces = torch.stack([faces.cpu().clamp(0, 1) for faces in pictures.values()])
    count, size = len(faces), faces.shape[-1]
    axes.set_anchor("N")
    axes.imshow(faces.permute(0, 3, 1, 4, 2).reshape(count * size, -1, 3).numpy())
    words = ["clear" if not done else f"{done} step{'s' * (done > 1)}" for done in pictures]
    axes.set_yticks([(k + 0.5) * size for k in range(count)], labels=words, fontsize=10)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("the same faces under M", fontsize=10)


class TrainingMonitor:
    """A widget that shows a training while it runs; without a front end, it is a picture.

    Pass `report(phase)` to each training function. The picture in the cell that called `show` is
    updated at the end of every phase.

    Args:
        phases: name to the number of steps of the phase, in order.
        faces: `(B, 3, S, S)` in [0, 1], shown again as M changes.
        modify: the current M, `(B, 3, S, S)` to the same shape.
        share: largest share of the time spent on drawing, except at the ends of phases.
    """

    def __init__(
        self,
        phases: Mapping[str, int],
        *,
        faces: Tensor | None = None,
        modify: Callable[[Tensor], Tensor] | None = None,
        share: float = 0.04,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.watched = Watched(phases=dict(phases))
        self.faces, self.modify, self.share, self.clock = faces, modify, share, clock
        self.begun: float | None = None
        self.shown: DisplayHandle | None = None
        self.words, self.picture = widgets.HTML(), widgets.HTML()
        self.box = widgets.VBox([self.words, self.picture])
        if faces is not None:
            self.watched.pictures[0] = faces
        self.redraw()

    def report(self, phase: str, *, total: str | None = None) -> Report:
        """The function that a training function calls with each row of losses; see `add_row`."""
        return partial(self.receive, phase, total=total)

    def receive(self, phase: str, row: Mapping[str, float], *, total: str | None = None) -> None:
        """Add a row, modify the faces after each quarter of the first phase, and redraw."""
        self.begun = self.clock() if self.begun is None else self.begun
        add_row(self.watched, phase, row, total=total)
        if self.faces is not None and self.modify is not None and picture_due(self.watched):
            with torch.no_grad():
                self.watched.pictures[self.watched.done] = self.modify(self.faces).detach().cpu()
        over = row["step"] + 1 >= self.watched.phases[phase]
        if over or self.clock() >= self.rested:
            self.redraw()
        if over and self.shown is not None:
            self.shown.update(self)

    def redraw(self) -> None:
        """Update the text and the picture, and rest until drawing took only `share` of the time."""
        start = self.clock()
        seconds = 0.0 if self.begun is None else start - self.begun
        line = progress_line(self.watched, seconds=seconds)
        self.png = figure_png(monitor_figure(self.watched), dpi=90, colors=256)
        self.words.value = f'<p role="status" aria-live="polite">{escape(line)}</p>'
        self.picture.value = image_tag(self.png, description=self.describe())
        end = self.clock()
        self.rested = end + (end - start) * (1 - self.share) / self.share

    def describe(self) -> str:
        """The picture in words."""
        rows = len(self.watched.pictures)
        faces = f", beside {rows} row{'s' * (rows > 1)} of faces" * bool(rows)
        return f"Loss curves over the phases{faces}. {progress_line(self.watched)}"

    def show(self) -> None:
        """Display the widget in the cell that calls this."""
        self.shown = display(self, display_id=True)

    def _repr_mimebundle_(self, **_: object) -> MimeBundle:
        return mime_bundle(self.box, png=self.png, description=self.describe())

"""A monitor of a training: loss curves, the phase, the time left, and the same faces as M changes.

`Watched` and the plain functions hold and read the state. `TrainingMonitor` is the widget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from html import escape
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

Clock = Callable[[], float]
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
    steps = list(phases.values())
    return {name: sum(steps[:k]) for k, name in enumerate(phases)}


def add_row(watched: Watched, phase: str, row: Mapping[str, float], *, total: str | None = None) -> None:
    """Add a row of losses; rows of an earlier run of the same steps are deleted.

    Args:
        watched: changed in place.
        phase: one of its phases.
        row: `step` within the phase, and the losses.
        total: if given, the losses are summed under this name.
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
    """Whether another quarter of the first phase has ended since the last picture.

    >>> watched = Watched(phases={"M and D": 100, "A alone": 50})
    >>> add_row(watched, "M and D", {"step": 30})
    >>> picture_due(watched)
    True
    >>> watched.pictures[watched.done] = torch.zeros(1, 3, 8, 8)
    >>> add_row(watched, "M and D", {"step": 40})
    >>> picture_due(watched)
    False
    """
    length = next(iter(watched.phases.values()))
    last = max(watched.pictures, default=0)
    return any(last < max(1, length * part) <= watched.done for part in QUARTERS)


def progress_line(watched: Watched, *, seconds: float = 0.0) -> str:
    """The progress of the training in words.

    Args:
        watched: the state of the training.
        seconds: duration of the finished steps, to estimate the time left; 0 gives no estimate.

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
    rows = [torch.cat(list(faces.cpu().clamp(0, 1)), dim=2) for faces in pictures.values()]
    wall = torch.cat(rows, dim=1)  # (3, moments * S, faces * S)
    axes.set_anchor("N")
    axes.imshow(wall.permute(1, 2, 0).numpy())
    size = wall.shape[1] / len(rows)
    words = ["clear" if not done else f"{done} step{'s' * (done > 1)}" for done in pictures]
    axes.set_yticks([(k + 0.5) * size for k in range(len(rows))], labels=words, fontsize=9)
    axes.set_xticks([])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title("the same faces under M", fontsize=9)


class Throttle:
    """Limits an expensive step, such as drawing, to a share of the time.

    >>> times = iter([0.0, 1.0, 10.0, 20.0])
    >>> throttle = Throttle(share=0.1, clock=lambda: next(times))
    >>> throttle.start(); throttle.stop()  # took one second, so it must wait nine
    >>> throttle.ready(), throttle.ready()
    (True, True)
    """

    def __init__(self, *, share: float, clock: Clock) -> None:
        self.share, self.clock = share, clock
        self.began, self.ended = 0.0, -float("inf")
        self.spent = 0.0

    def ready(self) -> bool:
        """Whether enough time has passed since the last expensive step."""
        cost = self.ended - self.began
        return not self.spent or self.clock() - self.ended >= cost * (1 - self.share) / self.share

    def start(self) -> None:
        """The expensive step begins."""
        self.began = self.clock()

    def stop(self) -> None:
        """The expensive step has ended."""
        self.ended = self.clock()
        self.spent += self.ended - self.began


class TrainingMonitor:
    """A widget that shows a training while it runs; without a front end, it is a picture.

    Pass `report(phase)` to each training function. The picture in the cell that called `show` is
    updated at the end of every phase.
    """

    def __init__(
        self,
        phases: Mapping[str, int],
        *,
        faces: Tensor | None = None,
        modify: Callable[[Tensor], Tensor] | None = None,
        share: float = 0.04,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Shows an empty state.

        Args:
            phases: name to the number of steps of the phase, in order.
            faces: `(B, 3, S, S)` in [0, 1], shown again as M changes.
            modify: the current M, `(B, 3, S, S)` to the same shape.
            share: largest share of the time spent on drawing, except at the ends of phases.
            clock: the current time in seconds.
        """
        self.watched = Watched(phases=dict(phases))
        self.faces, self.modify, self.clock = faces, modify, clock
        self.throttle = Throttle(share=share, clock=clock)
        self.begun: float | None = None
        self.shown: DisplayHandle | None = None
        self.words, self.picture = widgets.HTML(), widgets.HTML()
        self.box = widgets.VBox([self.words, self.picture])
        if faces is not None:
            self.watched.pictures[0] = faces
        self.redraw()

    def report(self, phase: str, *, total: str | None = None) -> Report:
        """The function that a training function calls with each row of losses.

        Args:
            phase: one of the phases.
            total: if given, the losses of a row are summed under this name.
        """
        return partial(self.receive, phase, total=total)

    def receive(self, phase: str, row: Mapping[str, float], *, total: str | None = None) -> None:
        """Add a row, modify the faces after each quarter of the first phase, and redraw."""
        self.begun = self.clock() if self.begun is None else self.begun
        add_row(self.watched, phase, row, total=total)
        if self.faces is not None and self.modify is not None and picture_due(self.watched):
            with torch.no_grad():
                self.watched.pictures[self.watched.done] = self.modify(self.faces).detach().cpu()
        over = row["step"] + 1 >= self.watched.phases[phase]
        if over or self.throttle.ready():
            self.redraw()
        if over and self.shown is not None:
            self.shown.update(self)

    def redraw(self) -> None:
        """Update the text and the picture."""
        self.throttle.start()
        seconds = 0.0 if self.begun is None else self.clock() - self.begun
        line = progress_line(self.watched, seconds=seconds)
        self.png = figure_png(monitor_figure(self.watched), dpi=90, colors=256)
        self.words.value = f'<p role="status" aria-live="polite">{escape(line)}</p>'
        self.picture.value = image_tag(self.png, description=self.describe())
        self.throttle.stop()

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

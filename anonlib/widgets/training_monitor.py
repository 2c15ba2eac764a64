"""What has been seen of a training: plain state, and plain functions that change or read it.

`TrainingMonitor` shows it; nothing here knows of widgets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from anonlib.viz.curves import TITLES, draw_losses

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure
import time
from collections.abc import Callable
from functools import partial
from html import escape

import ipywidgets as widgets
from IPython.display import DisplayHandle, display

from anonlib.training.loop import Report
from anonlib.widgets.static import MimeBundle, figure_png, image_tag, mime_bundle

QUARTERS = (0, 0.25, 0.5, 0.75, 1)


@dataclass(slots=True, kw_only=True)
class Watched:
    """What has been seen of a training."""

    phases: Mapping[str, int]
    """Steps of each phase, in order."""
    rows: list[dict[str, float]] = field(default_factory=list)
    """Losses; `step` counts on through the phases."""
    phase: str | None = None
    """The phase that reported last."""
    pictures: dict[int, Tensor] = field(default_factory=dict)
    """`(B, 3, S, S)` faces in [0, 1] by the number of steps behind M."""

    @property
    def done(self) -> int:
        """Steps behind us, of all phases."""
        return int(self.rows[-1]["step"]) + 1 if self.rows else 0

    @property
    def total(self) -> int:
        """Steps of all phases."""
        return sum(self.phases.values())


def starts(phases: Mapping[str, int]) -> dict[str, int]:
    """The step at which each phase starts.

    >>> starts({"game": 150, "A alone": 100})
    {'game': 0, 'A alone': 150}
    """
    steps = list(phases.values())
    return {name: sum(steps[:k]) for k, name in enumerate(phases)}


def add_row(watched: Watched, phase: str, row: Mapping[str, float], *, total: str | None = None) -> None:
    """Takes a row of a phase; rows from an earlier attempt at the same steps are forgotten.

    Args:
        watched: changed in place.
        phase: one of its phases.
        row: `step` within the phase, and the losses.
        total: where given, the losses are summed under this name.
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
    """Whether another quarter of the first phase is over since the last picture.

    >>> watched = Watched(phases={"game": 100, "A alone": 50})
    >>> add_row(watched, "game", {"step": 30})
    >>> picture_due(watched)
    True
    >>> watched.pictures[watched.done] = torch.zeros(1, 3, 8, 8)
    >>> add_row(watched, "game", {"step": 40})
    >>> picture_due(watched)
    False
    """
    length = next(iter(watched.phases.values()))
    last = max(watched.pictures, default=0)
    return any(last < max(1, length * part) <= watched.done for part in QUARTERS)


def progress_line(watched: Watched, *, seconds: float = 0.0) -> str:
    """Where the training stands, in words.

    Args:
        watched: what has been seen.
        seconds: how long the steps so far took, to estimate the rest; 0 for no estimate.

    >>> watched = Watched(phases={"game": 100, "A alone": 50})
    >>> progress_line(watched)
    'Nothing has been trained yet: game, A alone.'
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
    """Losses on the left, the faces under each other as time goes by on the right."""
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
    """One row of faces for each moment, as one image."""
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


Clock = Callable[[], float]


class Throttle:
    """Lets something costly happen so seldom that it takes at most a share of the time.

    >>> times = iter([0.0, 1.0, 10.0, 20.0])
    >>> throttle = Throttle(share=0.1, clock=lambda: next(times))
    >>> throttle.start(); throttle.stop()  # it took a second, so nine must pass
    >>> throttle.ready(), throttle.ready()
    (True, True)
    """

    def __init__(self, *, share: float, clock: Clock) -> None:
        self.share, self.clock = share, clock
        self.began, self.ended = 0.0, -float("inf")
        self.spent = 0.0

    def ready(self) -> bool:
        """Whether enough time has passed since the last occasion."""
        cost = self.ended - self.began
        return not self.spent or self.clock() - self.ended >= cost * (1 - self.share) / self.share

    def start(self) -> None:
        """The costly thing begins."""
        self.began = self.clock()

    def stop(self) -> None:
        """The costly thing is over."""
        self.ended = self.clock()
        self.spent += self.ended - self.began


class TrainingMonitor:
    """A widget that shows a training while it runs, and a picture where there is no front end.

    Give `report(phase)` to each training function. At the end of every phase the picture in the
    cell that called `show` is brought up to date.
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
        """Watches nothing yet.

        Args:
            phases: steps of each phase by its name, in order.
            faces: `(B, 3, S, S)` in [0, 1], to be shown as M changes.
            modify: M as it is now, `(B, 3, S, S)` to the same shape.
            share: the largest fraction of the time that may go into redrawing between the ends of
                phases.
            clock: seconds.
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
        """What a training function calls with each row of losses.

        Args:
            phase: one of the phases.
            total: where given, the losses of a row are summed under this name.
        """
        return partial(self.receive, phase, total=total)

    def receive(self, phase: str, row: Mapping[str, float], *, total: str | None = None) -> None:
        """Takes a row, keeps a picture when a quarter of the first phase is over, redraws."""
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
        """Brings words and picture up to date."""
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
        """Displays the widget in the cell that calls this."""
        self.shown = display(self, display_id=True)

    def _repr_mimebundle_(self, **_: object) -> MimeBundle:
        return mime_bundle(self.box, png=self.png, description=self.describe())

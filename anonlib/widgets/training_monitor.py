"""Algorithm 1 watched live: losses over its phases, progress in words, the same faces under M.

Drawing takes a bounded share of the time: see `Throttle`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from html import escape

import ipywidgets as widgets
import torch
from IPython.display import DisplayHandle, display
from torch import Tensor

from anonlib.training.loop import Report
from anonlib.widgets.static import MimeBundle, figure_png, image_tag, mime_bundle
from anonlib.widgets.watched import Watched, add_row, monitor_figure, picture_due, progress_line

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
        self, phases: Mapping[str, int], *, faces: Tensor | None = None,
        modify: Callable[[Tensor], Tensor] | None = None, share: float = 0.04,
        clock: Clock = time.perf_counter,
    ) -> None:  # fmt: skip
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

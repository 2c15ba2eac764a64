"""The live demo: a video or a camera, anonymized while one looks, method and detector at choice.

What is on the disk or before the camera reaches the browser only after the stream has replaced
its faces, unless the reader asks to see what was before.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from anonlib import anonymizers, detection
from anonlib.anonymizers import SHIPPED, Anonymizer
from anonlib.errors import AnonlibError, ConfigError
from anonlib.viz.pictures import plot_words
from anonlib.widgets.footage import footage
from anonlib.widgets.live_pictures import ANONYMIZED, DIVIDED, VIEWS, composed, jpeg, pace_line, stills
from anonlib.widgets.player import Clock, Player, Shot
from anonlib.widgets.static import MimeBundle, figure_png, mime_bundle

SHOWN_RATE = 15
"""Pictures a second that are sent to the browser at most; all are anonymized."""
NUMBERS_SECONDS = 0.5
"""Seconds between two readings of the frame rate."""
PREVIEW = 13
"""Frames that are looked at for the picture without a front end."""
WIDE = {"description_width": "5.5em"}
_NOW: list[LiveDemo] = []  # the one demo that may run


class LiveDemo:
    """The demo: `view` is what a front end shows, `player` does the work."""

    def __init__(
        self,
        source: str | Path | Tensor,
        *,
        method: str,
        detector: str,
        every: int,
        show: str,
        rate: float,
        methods: Mapping[str, Anonymizer],
        detectors: Mapping[str, detection.Detector],
        clock: Clock,
    ) -> None:
        self.clock, self.methods, self.detectors = clock, dict(methods), dict(detectors)
        self.last: Shot | None = None
        self._sent = self._read = -float("inf")
        self._png: bytes | None = None
        self.player = Player(
            footage(source, rate=rate),
            detector=self._detector(detector),
            anonymizer=self._method(method),
            on_shot=self.receive,
            on_end=self.ended,
            every=every,
            clock=clock,
        )
        self._controls(method, detector, every, show)
        self._observe()
        self._shown()

    def _controls(self, method: str, detector: str, every: int, show: str) -> None:
        hidden = {"unanonymized", "modifier"}  # no protection; needs its own weights
        known = [SHIPPED, *(name for name in anonymizers.names() if name not in hidden)]
        self.play = widgets.ToggleButton(
            description="Play", tooltip="play, or pause", layout={"width": "7em"}
        )
        self.show = widgets.ToggleButtons(
            options=VIEWS, value=show, description="Show", style=WIDE | {"button_width": "11em"}
        )
        self.method = widgets.Dropdown(
            options=list(dict.fromkeys([method, *known, *self.methods])),
            value=method,
            description="Method",
            style=WIDE,
        )
        self.detector = widgets.Dropdown(
            options=list(dict.fromkeys([detector, *detection.names(), *self.detectors])),
            value=detector,
            description="Detector",
            style=WIDE,
        )
        self.every = widgets.IntSlider(
            value=every,
            min=1,
            max=max(8, every),
            description="Every",
            style=WIDE,
            continuous_update=False,
            tooltip="frames from one detection to the next; begins anew",
        )
        self.divider = widgets.FloatSlider(
            value=0.5,
            min=0,
            max=1,
            step=0.05,
            description="Divider",
            readout_format=".0%",
            tooltip="before on its left, after on its right",
            style=WIDE,
        )
        self.picture = widgets.Image(format="jpeg", layout={"max_width": "100%"})
        self.numbers, self.words = widgets.HTML(), widgets.HTML()
        choices = widgets.HBox([self.method, self.detector, self.every])
        self.view = widgets.VBox(
            [
                widgets.HBox([self.play, self.numbers]),
                self.show,
                choices,
                self.divider,
                self.words,
                self.picture,
            ]
        )

    def _observe(self) -> None:
        self.play.observe(lambda change: self._played(change["new"]), names="value")
        self.show.observe(lambda _: self._shown(), names="value")
        self.divider.observe(lambda _: self._redraw(), names="value")
        self.every.observe(lambda change: self.player.restart(every=change["new"]), names="value")
        self.method.observe(lambda change: self._switched("anonymizer", change), names="value")
        self.detector.observe(lambda change: self._switched("detector", change), names="value")
        self.view.observe(lambda change: _unless(change["new"], self.close), names="comm")
        self.view._view_count = 0  # asks the front end to count who looks
        self.view.observe(lambda change: _unless(change["new"], self._pause), names="_view_count")

    def _method(self, name: str) -> Anonymizer:
        if name not in self.methods:
            self.methods[name] = anonymizers.create(name)
        return self.methods[name]

    def _detector(self, name: str) -> detection.Detector:
        if name not in self.detectors:
            self.detectors[name] = detection.create(name)
        return self.detectors[name]

    def _switched(self, part: str, change: Any) -> None:
        """Exchanges a part while the stream runs; one that cannot be had leaves the old one."""
        control, make = {
            "anonymizer": (self.method, self._method),
            "detector": (self.detector, self._detector),
        }[part]
        try:
            setattr(self.player, part, make(change["new"]))
        except (AnonlibError, OSError) as error:
            if change["old"] != change["new"]:
                control.value = change["old"]
            self._say(str(error))
            return
        self._png = None
        self._say("")

    def _played(self, going: bool) -> None:
        if not going:
            self.player.pause()
            return
        _stop_others(self)
        self._say("")
        self.player.play()

    def _pause(self) -> None:
        """Nobody looks any more."""
        self.play.value = False
        self.player.stop()

    def _shown(self) -> None:
        """Keeps what was before only while it is asked for."""
        self.player.keep_before = self.show.value != ANONYMIZED
        if not self.player.keep_before and self.last is not None:
            self.last.before = None
        self.divider.layout.display = None if self.show.value == DIVIDED else "none"
        self._png = None
        self._redraw()

    def receive(self, shot: Shot) -> None:
        """Takes the next anonymized picture; shows it unless the last one is too fresh."""
        now = self.clock()
        if now - self._sent >= 1 / SHOWN_RATE:
            self._sent, self.last = now, shot
            self._redraw()
        if now - self._read >= NUMBERS_SECONDS:
            self._read = now
            self.numbers.value = f"<span>{escape(pace_line(self.player.meter.read()))}</span>"

    def _redraw(self) -> None:
        shot = self.last
        if shot is not None:
            picture = composed(shot, show=self.show.value, divider=self.divider.value)
            self.picture.value = jpeg(picture)

    def ended(self, words: str) -> None:
        """The player came to its end: says why, and lets the button up."""
        self.play.value = False
        if words:
            self._say(words)

    def _say(self, words: str) -> None:
        self.words.value = f"<p role='status'>{escape(words)}</p>" if words else ""

    def close(self) -> None:
        """Ends the player; the widget keeps its last picture."""
        self.player.stop()
        if self in _NOW:
            _NOW.remove(self)

    def png(self) -> bytes:
        """Some stills of the beginning, `before` only if it is asked for; a camera stays shut."""
        if self._png is None:
            try:
                self._png = figure_png(self._figure())
            except (AnonlibError, OSError) as error:
                self._say(str(error))
                self._png = figure_png(plot_words(str(error)))
        return self._png

    def _figure(self) -> Any:
        if self.player.footage.live:
            return plot_words(f"{self.player.footage.name}: press Play where a kernel runs")
        shots = self.player.preview(PREVIEW)
        return stills(shots, method=self.method.value, show=self.show.value)

    @property
    def description(self) -> str:
        """The current state in words."""
        return (
            f"live demo of {self.player.footage.name}: faces by {self.detector.value}, every "
            f"{self.every.value} frames, replaced by {self.method.value}; shows {self.show.value}"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        return mime_bundle(self.view, png=self.png(), description=self.description)


def _unless(there: Any, leave: Callable[[], None]) -> None:
    if not there:
        leave()


def _stop_others(demo: LiveDemo | None) -> None:
    """At most one demo runs: there is one camera, and a cell that is run again makes a new one."""
    for other in [one for one in _NOW if one is not demo]:
        other.play.value = False
        other.close()
    if demo is not None and demo not in _NOW:
        _NOW.append(demo)


def live_demo(
    source: str | Path | Tensor,
    *,
    method: str = SHIPPED,
    detector: str = "ssh",
    every: int = 1,
    show: str = ANONYMIZED,
    rate: float = 12,
    methods: Mapping[str, Anonymizer] | None = None,
    detectors: Mapping[str, detection.Detector] | None = None,
    clock: Clock = time.perf_counter,
) -> LiveDemo:
    """A player of anonymized pictures: play, method, detector, frame rate, before and after.

    It works in a thread, stops when its output is cleared or its cell is run again, and tells an
    error in a line. Files and cameras are shown at most 640 pixels wide, files no faster than
    they were taken. Without a front end it is a strip of three frames; no camera is opened then.

    Implements the demo that the paper's authors describe on their project page. Differs from it:
    faces are tracked, and methods can be switched while it runs.

    Args:
        source: a file, `camera:0`, an address, or frames `(N, 3, H, W)` uint8 RGB.
        method: a name of `anonymizers.names()`, `modifier-lite`, or one of `methods`.
        detector: a name of `detection.names()`, or one of `detectors`.
        every: frames from one detection to the next.
        show: `anonymized only`, `before beside after` or `divider`. The last two send the
            originals to the browser, and stills of them into a notebook that is saved.
        rate: frames a second, of frames in memory.
        methods: anonymizers of one's own, by name.
        detectors: detectors of one's own, by name.
        clock: seconds.

    Raises:
        ConfigError: there is no such method, detector or view.
        ImageError: frames of another shape or type.
        FaceDatasetError: weights are missing.
    """
    if show not in VIEWS:
        raise ConfigError(f"view '{show}' is unknown: use one of {', '.join(VIEWS)}")
    if every < 1:
        raise ConfigError(f"every {every}: use 1 or more")
    _stop_others(None)
    return LiveDemo(
        source,
        method=method,
        detector=detector,
        every=every,
        show=show,
        rate=rate,
        methods=methods or {},
        detectors=detectors or {},
        clock=clock,
    )

"""The live demo: a video or a camera is anonymized while the reader watches and changes the settings.

The browser receives only anonymized pictures, unless the reader asks to see the originals.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from anonlib import anonymizers, detection
from anonlib.anonymizers import SHIPPED, SWAP, Anonymizer
from anonlib.config import METHOD
from anonlib.errors import AnonlibError, ConfigError
from anonlib.viz.pictures import plot_words
from anonlib.widgets.demo_pictures import ANONYMIZED, DIVIDED, SEEN, VIEWS, composed, stills
from anonlib.widgets.footage import footage
from anonlib.widgets.player import Clock, Player, Shot
from anonlib.widgets.static import MimeBundle, figure_png, mime_bundle

SHOWN_RATE = 15
"""Largest number of pictures per second that are sent to the browser; all are anonymized."""
NUMBERS_SECONDS = 0.5
"""Seconds between two updates of the frame rate."""
PREVIEW = 13
"""Frames that are anonymized for the picture without a front end; before Play the first one is shown."""
HIDDEN = {"unanonymized", "modifier"}
"""Methods that are not offered: no protection, and a method that needs the reader's weights."""
LOADING = "<progress aria-label='loading'></progress> loading"
_RUNNING: list[LiveDemo] = []  # at most one


class LiveDemo:
    """A player of anonymized video with controls for the method, the detector and the view.

    It works in a thread, and stops when its output is cleared or its cell is run again. Errors
    appear below the controls. Files and cameras are shown at most 640 pixels wide. Without a front
    end, it is a strip of three frames, and no camera is opened.

    Implements the demo that the paper's authors describe on their project page. Differs from it:
    faces are tracked, and the method can be changed during playback.

    Args:
        source: a file, `camera:0`, an address, or frames `(N, 3, H, W)` uint8 RGB.
        method: a name from `anonymizers.names()`, `modifier-photo`, `swap`, or a key of `methods`.
        detector: a name from `detection.names()`, or a key of `detectors`.
        every: frames from one detection to the next.
        show: `anonymized only`, `before beside after` or `divider`. The last two send the originals
            to the browser, and a saved notebook holds stills of them.
        rate: frames per second of frames in memory.

    Raises:
        ConfigError: the method, detector or view is unknown, or `every` is below 1.
        ImageError: the frames have another shape or type.
        FaceDatasetError: weights are missing.
    """

    def __init__(
        self,
        source: str | Path | Tensor,
        *,
        method: str = METHOD,
        detector: str = "ssh",
        every: int = 1,
        show: str = ANONYMIZED,
        rate: float = 12,
        methods: Mapping[str, Anonymizer] | None = None,
        detectors: Mapping[str, detection.Detector] | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        if show not in VIEWS:
            raise ConfigError(f"view '{show}' is unknown: use one of {', '.join(VIEWS)}")
        if every < 1:
            raise ConfigError(f"every {every}: use 1 or more")
        _stop_others(None)
        self.clock, self.methods, self.detectors = clock, dict(methods or {}), dict(detectors or {})
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
        self._build(method, detector, every, show)
        self._observe()
        self._shown()

    def _build(self, method: str, detector: str, every: int, show: str) -> None:
        wide = {"description_width": "5.5em"}
        offered = [name for name in anonymizers.names() if name not in HIDDEN]
        methods = list(dict.fromkeys([method, SWAP, SHIPPED, *offered, *self.methods]))
        detectors = list(dict.fromkeys([detector, *detection.names(), *self.detectors]))
        self.play = widgets.ToggleButton(description="Play", icon="play", layout={"width": "7em"})
        self.show = widgets.ToggleButtons(
            options=VIEWS, value=show, description="Show", style=wide | {"button_width": "12.5em"}
        )
        self.show.layout.display = "flex"  # the label beside the buttons, not above them
        self.method = widgets.Dropdown(options=methods, value=method, description="Method", style=wide)
        self.detector = widgets.Dropdown(
            options=detectors, value=detector, description="Detector", style=wide
        )
        self.every = widgets.IntSlider(
            value=every,
            min=1,
            max=max(8, every),
            description="Detect every",
            style=wide,
            layout={"width": "15em"},
            continuous_update=False,
            tooltip="frames from one detection to the next; starts again",
        )
        self.divider = widgets.FloatSlider(
            value=0.5,
            min=0,
            max=1,
            step=0.05,
            description="Divider",
            readout_format=".0%",
            tooltip="before on its left, after on its right",
            style=wide,
        )
        self.picture = widgets.Image(format="jpeg", layout={"max_width": "100%"})
        self.caption, self.numbers, self.words = widgets.HTML(), widgets.HTML(), widgets.HTML()
        first = widgets.HBox([self.play, self.numbers])
        choices = widgets.HBox(
            [self.method, self.detector, self.every, widgets.Label("frames")],
            layout={"flex_flow": "row wrap"},
        )
        self.view = widgets.VBox(
            [first, self.show, choices, self.divider, self.words, self.picture, self.caption]
        )

    def _observe(self) -> None:
        self.play.observe(lambda change: self._played(change["new"]), names="value")
        self.show.observe(lambda _: self._shown(), names="value")
        self.divider.observe(lambda _: self._redraw(), names="value")
        self.every.observe(lambda change: self.player.restart(every=change["new"]), names="value")
        self.method.observe(partial(self._switched, "anonymizer", self._method), names="value")
        self.detector.observe(partial(self._switched, "detector", self._detector), names="value")
        self.view._view_count = 0  # makes the front end count its views of the widget
        gone = ["comm", "_view_count"]
        self.view.observe(lambda change: None if change["new"] else self.close(), names=gone)

    def _method(self, name: str) -> Anonymizer:
        if name not in self.methods:
            self.methods[name] = anonymizers.create(name)
        return self.methods[name]

    def _detector(self, name: str) -> detection.Detector:
        if name not in self.detectors:
            self.detectors[name] = detection.create(name)
        return self.detectors[name]

    def _switched(self, part: str, make: Callable[[str], Any], change: Any) -> None:
        """Replace a part during playback; if the new one cannot be loaded, keep the old one."""
        self.numbers.value = LOADING
        try:
            setattr(self.player, part, make(change["new"]))
        except (AnonlibError, OSError) as error:
            if change["old"] != change["new"]:
                change["owner"].value = change["old"]
            self._say(str(error))
            return
        finally:
            self.numbers.value = ""
        self.player.meter.begin(self.player.tally)
        self._png = None
        self._say("")

    def _played(self, going: bool) -> None:
        self.play.description, self.play.icon = ("Pause", "pause") if going else ("Play", "play")
        if not going:
            self.player.pause()
            self.numbers.value = ""
            return
        self.numbers.value = LOADING
        _stop_others(self)
        self._say("")
        self.player.play()

    def _shown(self) -> None:
        """Keep originals only while the reader asks for them."""
        self.player.keep_before = self.show.value != ANONYMIZED
        if not self.player.keep_before and self.last is not None:
            self.last.before = None
        self.divider.layout.display = None if self.show.value == DIVIDED else "none"
        self._png = None
        self._redraw()

    def receive(self, shot: Shot) -> None:
        """Take the next anonymized picture; show it unless the last one was sent a moment ago."""
        now = self.clock()
        if now - self._sent >= 1 / SHOWN_RATE:
            self._sent, self.last = now, shot
            self._redraw()
        if now - self._read >= NUMBERS_SECONDS and not self.player.paused:
            self._read = now
            pace = self.player.meter.read()
            self.numbers.value = f"<span>{pace}</span>" if pace else LOADING

    def _redraw(self) -> None:
        if self.last is None:
            return
        picture = composed(self.last, show=self.show.value, divider=self.divider.value)
        buffer = BytesIO()
        Image.fromarray(picture).save(buffer, format="jpeg", quality=80)
        self.picture.value = buffer.getvalue()
        shown = self.show.value if self.last.before is not None else ANONYMIZED
        self.caption.value = f"<p>{SEEN[shown].format(method=self.method.value)}</p>"

    def ended(self, words: str) -> None:
        """Release the play button when the player ends, and show the error if there is one."""
        self.play.value = False
        if words:
            self._say(words)

    def _say(self, words: str) -> None:
        self.words.value = f"<p role='status'>{escape(words)}</p>" if words else ""

    def close(self) -> None:
        """End the player, which releases the play button; the widget keeps its last picture."""
        self.player.stop()
        if self in _RUNNING:
            _RUNNING.remove(self)

    def png(self) -> bytes:
        """A strip of stills, with originals only if the reader asks for them; opens no camera."""
        if self._png is None:
            try:
                self._png = figure_png(self._figure())
            except (AnonlibError, OSError) as error:
                self._say(str(error))
                self._png = figure_png(plot_words(str(error)))
        return self._png

    def _figure(self) -> Figure:
        if self.player.footage.live:
            return plot_words(f"{self.player.footage.name}: press Play where a kernel runs")
        shots = self.player.preview(PREVIEW)
        figure = stills(shots, method=self.method.value, show=self.show.value)
        if self.last is None:
            self.last = shots[0]
            self._redraw()
        return figure

    @property
    def description(self) -> str:
        """The current state in words."""
        return (
            f"live demo of {self.player.footage.name}: faces by {self.detector.value}, every "
            f"{self.every.value} frames, replaced by {self.method.value}; shows {self.show.value}"
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        return mime_bundle(self.view, png=self.png(), description=self.description)


def _stop_others(demo: LiveDemo | None) -> None:
    """At most one demo runs: the camera cannot be shared, and a cell that is run again makes a new demo."""
    for other in [one for one in _RUNNING if one is not demo]:
        other.close()
    if demo is not None and demo not in _RUNNING:
        _RUNNING.append(demo)

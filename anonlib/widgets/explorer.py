"""The controls of the consistency explorer; `explorer_pictures` draws what they show."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

import ipywidgets as widgets

from anonlib.errors import FaceDatasetError
from anonlib.networks import SphereFace
from anonlib.types import ActionFrames, FaceImages
from anonlib.widgets import explorer_pictures as draw
from anonlib.widgets.explorer_pictures import ExplorerState, Material
from anonlib.widgets.static import MimeBundle, mime_bundle

PLAY_INTERVAL = 400
"""Milliseconds per frame."""
VIEWS = ("pictures", "similarities", "clip")


class ConsistencyExplorer:
    """Shows whether the modified pictures of one person look like one new person, as in Fig. 6.

    The reader chooses people and a strength s. The explorer shows f and f + s (M(f) - f), the
    similarities of all chosen pictures, or a clip with the similarity of consecutive faces. All
    controls work with the keyboard. Without a front end, it is a picture of the first state.

    Implements Ren et al., section 5.4, Fig. 6. Differs from the paper: it shows only M(f).

    Args:
        before: the same number of pictures, two or more, of each person; labels count from 0.
        after: the same pictures modified.
        classifier: D, which compares faces.
        clip_before: frames of one clip; the first person in its first frame is followed.
        clip_after: the same frames anonymized.
        names: of the people, by default `A`, `B` and so on.
        shown: number of people chosen at first.

    Raises:
        FaceDatasetError: a person has fewer than two pictures, or the numbers differ.
    """

    def __init__(
        self,
        before: FaceImages,
        after: FaceImages,
        classifier: SphereFace,
        *,
        clip_before: ActionFrames,
        clip_after: ActionFrames,
        names: Sequence[str] | None = None,
        shown: int = 4,
    ) -> None:
        counts = before.labels.bincount()
        if counts.min() < 2 or counts.min() != counts.max():
            raise FaceDatasetError(
                f"people have {int(counts.min())} to {int(counts.max())} pictures: "
                "give the same number, two or more, of each person"
            )
        self.material = material = Material(
            before=before,
            after=after,
            classifier=classifier,
            clip_before=clip_before,
            clip_after=clip_after,
            names=list(names or ascii_uppercase[: len(counts)]),
        )
        options = [(name, label) for label, name in enumerate(material.names)]
        last = len(material.clip_before)
        self.people = widgets.SelectMultiple(
            options=options,
            value=tuple(range(min(shown, len(counts)))),
            rows=min(len(options), 8),
            description="People",
            tooltip="whose pictures",
            style={"description_width": "3.5em"},
            layout={"width": "4.5em", "flex_flow": "column", "align_items": "stretch"},
        )
        self.strength = widgets.FloatSlider(
            value=1.0,
            min=0,
            max=1,
            step=0.1,
            description="Strength s",
            readout_format=".1f",
            tooltip="0 is the original, 1 is M(f)",
        )
        self.choice = widgets.ToggleButtons(options=VIEWS, style={"button_width": "7em"})
        self.frame = widgets.IntSlider(min=1, max=last, description="Frame", tooltip="frame of the clip")
        self.play = widgets.ToggleButton(description="Play", icon="play", layout={"width": "7em"})
        self.clock = widgets.Play(min=1, max=last, interval=PLAY_INTERVAL, repeat=True)
        self.clock.layout.display = "none"  # its buttons have no names for screen readers; `play` has one
        self.links = [
            widgets.jslink((self.play, "value"), (self.clock, "playing")),
            widgets.jslink((self.clock, "value"), (self.frame, "value")),
        ]
        self.faces, self.heat, self.numbers, self.clip, self.curve = (widgets.HTML() for _ in range(5))
        player = widgets.HBox([self.play, self.clock, self.frame])
        contents = [self.faces, self.numbers], [self.heat, self.numbers], [player, self.clip, self.curve]
        shown_one = widgets.Stack([widgets.VBox(content) for content in contents], selected_index=0)
        self.links.append(widgets.jslink((self.choice, "index"), (shown_one, "selected_index")))
        controls = widgets.HBox([self.strength, self.choice], layout={"flex_flow": "row wrap"})
        below = widgets.HBox([self.people, shown_one], layout={"align_items": "flex-start"})
        self.view = widgets.VBox([controls, below])
        self.play.observe(self._played, names="value")
        for control in (self.people, self.strength, self.frame):
            control.observe(self._changed, names="value")
        self.state: ExplorerState | None = None  # None when nobody is chosen
        self._changed()

    def _played(self, change: Any) -> None:
        self.play.description, self.play.icon = ("Pause", "pause") if change["new"] else ("Play", "play")

    def _changed(self, _: Any = None) -> None:
        strength = round(self.strength.value, 2)
        people, frame = tuple(self.people.value), self.frame.value - 1
        self.show(ExplorerState(people=people, strength=strength, frame=frame))

    def show(self, state: ExplorerState) -> None:
        """Draw what differs from the previous state; if nobody is chosen, ask the reader to choose."""
        if not state.people:
            self.faces.value = "<p role='status'>Choose one person or more.</p>"
            self.heat.value = self.numbers.value = ""
            self.state = None
            return
        old, self.state = self.state, state
        if old is None or (old.people, old.strength) != (state.people, state.strength):
            self._draw_people(state)
        if old is None or (old.frame, old.strength) != (state.frame, state.strength):
            self.clip.value = draw.clip_html(self.material, state)
        words = (
            "curves of the similarity of each face in the clip to the face one frame before, original "
            f"and modified with strength {state.strength:.1f}; frame {state.frame + 1} is marked"
        )
        self.curve.value = draw.figure_tag(draw.curve_figure(self.material, state), description=words)

    def _draw_people(self, state: ExplorerState) -> None:
        self.faces.value = draw.faces_html(self.material, state)
        self.numbers.value = draw.similarity_html(self.material, state)
        words = (
            f"heat maps of the similarity of every picture of {', '.join(self.material.named(state))} to "
            f"every other: original, modified with strength {state.strength:.1f}, and modified against "
            "original"
        )
        self.heat.value = draw.figure_tag(draw.similarity_figure(self.material, state), description=words)

    @property
    def description(self) -> str:
        """The current state in words."""
        if self.state is None:
            return "nobody is chosen"
        names = ", ".join(self.material.named(self.state))
        return f"pictures of {names}, original and modified with strength {self.state.strength:.1f}"

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        png = draw.picture(self.material, self.state or ExplorerState(people=(0,)))
        return mime_bundle(self.view, png=png, description=self.description)

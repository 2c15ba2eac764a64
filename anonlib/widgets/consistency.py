"""The consistency explorer: people, a strength, a clip, and what a face classifier makes of them.

Everything that is drawn comes from `consistency_pictures`; here are the controls, and the one
callback that reads them into a state and draws what the state changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

import ipywidgets as widgets

from anonlib.errors import FaceDatasetError
from anonlib.networks import SphereFace
from anonlib.types import ActionFrames, FaceImages
from anonlib.widgets import consistency_pictures as draw
from anonlib.widgets.consistency_pictures import ExplorerState, Material
from anonlib.widgets.static import MimeBundle, figure_png, image_tag, mime_bundle

PLAY_INTERVAL = 400
"""Milliseconds a frame."""
WIDE = {"description_width": "5.5em"}


class ConsistencyExplorer:
    """The explorer: `view` is what a front end shows, `state` what it shows just now."""

    def __init__(self, material: Material, *, people: tuple[int, ...]) -> None:
        self.material = material
        options = [(name, label) for label, name in enumerate(material.names)]
        last = len(material.clip_before)
        self.people = widgets.SelectMultiple(
            options=options,
            value=people,
            rows=min(len(options), 8),
            description="People",
            tooltip="whose pictures",
            style=WIDE,
        )
        self.strength = widgets.FloatSlider(
            value=1.0,
            min=0,
            max=1,
            step=0.1,
            description="Strength s",
            readout_format=".1f",
            tooltip="0 is the original, 1 is M(f)",
            style=WIDE,
        )
        self.frame = widgets.IntSlider(
            min=1, max=last, description="Frame", tooltip="frame of the clip", style=WIDE
        )
        self.play = widgets.ToggleButton(
            description="Play", tooltip="play the clip, or stop it", layout={"width": "7em"}
        )
        self.clock = widgets.Play(min=1, max=last, interval=PLAY_INTERVAL, repeat=True)
        self.clock.layout.display = "none"  # its buttons have no names; `play` has
        self.links = [
            widgets.jslink((self.play, "value"), (self.clock, "playing")),
            widgets.jslink((self.clock, "value"), (self.frame, "value")),
        ]
        self.faces, self.heat, self.numbers, self.clip, self.curve = (widgets.HTML() for _ in range(5))
        for control in (self.people, self.strength, self.frame):
            control.observe(self._changed, names="value")
        self.view = self._layout()
        self.state: ExplorerState | None = None
        self._changed()

    def _layout(self) -> Any:
        chooser = widgets.HBox([self.people, widgets.VBox([self.strength, self.numbers])])
        player = widgets.HBox([self.play, self.clock, self.frame])
        return widgets.VBox([chooser, self.faces, self.heat, player, self.clip, self.curve])

    def _changed(self, _: Any = None) -> None:
        self.show(
            ExplorerState(
                people=tuple(self.people.value),
                strength=round(self.strength.value, 2),
                frame=self.frame.value - 1,
            )
        )

    def show(self, state: ExplorerState) -> None:
        """Draw what differs from the state before; without people, ask for some."""
        if not state.people:
            self.faces.value = "<p role='status'>Choose one person or more.</p>"
            self.heat.value = self.numbers.value = ""
            self.state = None
            return
        old, self.state = self.state, state
        same_people = old is not None and old.people == state.people
        same_strength = old is not None and old.strength == state.strength
        if not (same_people and same_strength):
            self._draw_people(state)
        if not (same_strength and old is not None and old.frame == state.frame):
            self.clip.value = draw.clip_html(self.material, state)
        png = figure_png(draw.curve_figure(self.material, state), dpi=90)
        self.curve.value = image_tag(png, description=curve_description(state))

    def _draw_people(self, state: ExplorerState) -> None:
        self.faces.value = draw.faces_html(self.material, state)
        self.numbers.value = draw.similarity_html(self.material, state)
        png = figure_png(draw.similarity_figure(self.material, state), dpi=90)
        self.heat.value = image_tag(png, description=heat_description(self.material, state))

    @property
    def description(self) -> str:
        """The current state in words."""
        if self.state is None:
            return "nobody is chosen"
        names = ", ".join(self.material.names[person] for person in self.state.people)
        return f"pictures of {names}, original and modified with strength {self.state.strength:.1f}"

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        state = self.state or ExplorerState(people=(0,))
        png = draw.picture(self.material, state)
        return mime_bundle(self.view, png=png, description=self.description)


def heat_description(material: Material, state: ExplorerState) -> str:
    """The heat maps in words."""
    names = ", ".join(material.names[person] for person in state.people)
    return (
        f"heat maps of the similarity of every picture of {names} to every other: original, "
        f"modified with strength {state.strength:.1f}, and modified against original"
    )


def curve_description(state: ExplorerState) -> str:
    """The curves in words."""
    return (
        "curves of the similarity of each face in the clip to the face one frame before, original "
        f"and modified with strength {state.strength:.1f}; frame {state.frame + 1} is marked"
    )


def explore_consistency(
    before: FaceImages,
    after: FaceImages,
    classifier: SphereFace,
    *,
    clip_before: ActionFrames,
    clip_after: ActionFrames,
    names: Sequence[str] | None = None,
    shown: int = 4,
) -> ConsistencyExplorer:
    """Looks for what Fig. 6 shows: modified pictures of one person that look like one new person.

    The reader chooses people and a strength s, and sees f and f + s (M(f) - f), the similarity of
    all chosen pictures, and a clip with the similarity of consecutive faces. All controls work
    with the keyboard. Without a front end it is a picture of the first state.

    Implements Ren et al., section 5.4, Fig. 6. Differs from the paper: which shows M(f) only.

    Args:
        before: some people with as many pictures each, two or more; labels count from 0.
        after: the same pictures modified.
        classifier: D, which compares faces.
        clip_before: frames of one clip; the first person in its first frame is followed.
        clip_after: the same frames anonymized.
        names: a name for each person; `A`, `B` and so on by default.
        shown: how many people are chosen at first.

    Raises:
        FaceDatasetError: somebody has fewer than two pictures, or not as many as the others.
    """
    counts = before.labels.bincount()
    if counts.min() < 2 or counts.min() != counts.max():
        raise FaceDatasetError(
            f"people have {int(counts.min())} to {int(counts.max())} pictures: "
            "give two or more of each, and as many of all"
        )
    material = Material(
        before=before,
        after=after,
        classifier=classifier,
        clip_before=clip_before,
        clip_after=clip_after,
        names=list(names or ascii_uppercase[: len(counts)]),
    )
    return ConsistencyExplorer(material, people=tuple(range(min(shown, len(counts)))))

"""A viewer of pictures before and after modification, with a divider to move across them.

>>> import torch
>>> viewer = before_after(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8), labels=["Ann", "Bo"])
>>> viewer.next.click()
>>> viewer.state
WipeState(index=1, divider=0.5)
>>> viewer.description
'Bo: before on the left 50% of the picture, after on the right'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.widgets.static import MimeBundle, enlarged, image_tag, mime_bundle, picture_png


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeState:
    """What the viewer shows."""

    index: int = 0
    """Number of the pair, from 0."""
    divider: float = 0.5
    """Position of the divider: 0 at the left edge (only after), 1 at the right edge (only before)."""


def turned(state: WipeState, *, by: int, count: int) -> WipeState:
    """The state some pairs further on; the first pair follows the last.

    >>> turned(WipeState(index=1), by=-2, count=5)
    WipeState(index=4, divider=0.5)
    """
    return replace(state, index=(state.index + by) % count)


def wiped(before: Tensor, after: Tensor, *, divider: float) -> Tensor:
    """One picture: `before` left of the divider, `after` right of it, with a white line between them.

    Args:
        before: `(3, H, W)` in [0, 1].
        after: the same shape.
        divider: share of the width, 0 to 1; at both ends there is no line.
    """
    width = before.shape[-1]
    column = round(divider * width)
    picture = after.clone()
    picture[..., :column] = before[..., :column]
    if 0 < column < width:
        picture[..., max(column - 2, 0) : column + 2] = 0
        picture[..., column - 1 : column + 1] = 1
    return picture


class BeforeAfter:
    """The viewer: `view` is the widget, `state` what it shows."""

    def __init__(self, before: Tensor, after: Tensor, labels: Sequence[str]) -> None:
        self.before, self.after, self.labels = before, after, labels
        self.picture, self.title = widgets.HTML(), widgets.HTML()
        self.slider = widgets.FloatSlider(
            value=0.5, min=0, max=1, step=0.05, description="Divider", readout_format=".0%"
        )
        self.previous = widgets.Button(description="Previous", tooltip="the pair before this one")
        self.next = widgets.Button(description="Next", tooltip="the pair after this one")
        buttons = widgets.HBox([self.previous, self.next])
        self.view = widgets.VBox([self.picture, self.title, self.slider, buttons])
        self.slider.observe(self._moved, names="value")
        self.previous.on_click(lambda _: self.show(turned(self.state, by=-1, count=len(before))))
        self.next.on_click(lambda _: self.show(turned(self.state, by=1, count=len(before))))
        self.show(WipeState())

    def show(self, state: WipeState) -> None:
        """Draw this state."""
        self.state = state
        self.picture.value = image_tag(self.png(), description=self.description)
        name = f"{self.labels[state.index]} ({state.index + 1} of {len(self.labels)})"
        self.title.value = f"<span role='status'>{escape(name)}: before | after</span>"

    def png(self) -> bytes:
        """The picture of the current state."""
        before, after = (enlarged(x[self.state.index]) for x in (self.before, self.after))
        return picture_png(wiped(before, after, divider=self.state.divider))

    @property
    def description(self) -> str:
        """The current state in words."""
        return (
            f"{self.labels[self.state.index]}: before on the left {self.state.divider:.0%} "
            "of the picture, after on the right"
        )

    def _moved(self, change: Any) -> None:
        self.show(replace(self.state, divider=change["new"]))

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        return mime_bundle(self.view, png=self.png(), description=self.description)


def before_after(before: Tensor, after: Tensor, *, labels: Sequence[str] | None = None) -> BeforeAfter:
    """A viewer with a divider, and buttons for the previous and the next pair.

    The arrow keys move the divider when the slider has the focus. Without a front end, the viewer
    is a picture of the first pair with the divider in the middle.

    Args:
        before: faces or frames, `(B, 3, H, W)` in [0, 1].
        after: the same pictures modified.
        labels: a name for each pair; by default `picture 1` and so on.

    Raises:
        ImageError: there are no pictures, or the shapes or the number of labels do not match.
    """
    if before.shape != after.shape or before.ndim != 4 or len(before) == 0:
        raise ImageError(
            f"pictures of {tuple(before.shape)} and {tuple(after.shape)}: "
            "give (B, 3, H, W) of the same shape twice"
        )
    names = [f"picture {i + 1}" for i in range(len(before))] if labels is None else list(labels)
    if len(names) != len(before):
        raise ImageError(f"{len(names)} labels for {len(before)} pairs: give one label for each pair")
    return BeforeAfter(before, after, names)

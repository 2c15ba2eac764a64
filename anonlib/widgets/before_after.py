"""The before/after viewer: a divider to wipe across pictures.

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
from dataclasses import dataclass
from html import escape
from io import BytesIO
from typing import Any

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.widgets.static import MimeBundle, image_tag, mime_bundle

HEIGHT = 256
"""Pixels that a picture is enlarged to, about, by a whole factor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeState:
    """What the viewer shows."""

    index: int = 0
    """Which pair."""
    divider: float = 0.5
    """Where the divider stands: 0 at the left edge (all after), 1 at the right (all before)."""


def turned(state: WipeState, *, by: int, count: int) -> WipeState:
    """The state some pairs further on; after the last comes the first.

    >>> turned(WipeState(index=1), by=-2, count=5)
    WipeState(index=4, divider=0.5)
    """
    return WipeState(index=(state.index + by) % count, divider=state.divider)


def wiped(before: Tensor, after: Tensor, *, divider: float) -> Tensor:
    """One picture: `before` left of the divider, `after` from there on, a white line between them.

    Args:
        before: `(3, H, W)` in [0, 1].
        after: the same shape.
        divider: 0 to 1 of the width; at both ends there is no line.
    """
    width = before.shape[-1]
    column = round(divider * width)
    picture = after.clone()
    picture[..., :column] = before[..., :column]
    if 0 < column < width:
        picture[..., max(column - 2, 0) : column + 2] = 0
        picture[..., column - 1 : column + 1] = 1
    return picture


def picture_png(picture: Tensor) -> bytes:
    """A picture `(3, H, W)` in [0, 1] as a PNG."""
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()).save(buffer, format="png", compress_level=3)
    return buffer.getvalue()


def enlarged(picture: Tensor, *, height: int = HEIGHT) -> Tensor:
    """`(3, H, W)` smoothly enlarged by the whole factor that comes nearest to this height."""
    factor = max(1, round(height / picture.shape[-2]))
    if factor == 1:
        return picture
    return F.interpolate(picture[None], scale_factor=factor, mode="bicubic")[0].clamp(0, 1)


class BeforeAfter:
    """The viewer: `view` is what a front end shows, `state` what it shows just now."""

    def __init__(self, before: Tensor, after: Tensor, labels: Sequence[str]) -> None:
        self.before, self.after, self.labels = before, after, labels
        self.picture = widgets.HTML()
        self.slider = widgets.FloatSlider(
            value=0.5, min=0, max=1, step=0.05, description="Divider", readout_format=".0%"
        )
        self.previous = widgets.Button(description="Previous", tooltip="the pair before this one")
        self.next = widgets.Button(description="Next", tooltip="the pair after this one")
        self.title = widgets.HTML()
        self.view = widgets.VBox(
            [self.picture, self.title, self.slider, widgets.HBox([self.previous, self.next])]
        )
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
        one, other = (enlarged(x[self.state.index]) for x in (self.before, self.after))
        return picture_png(wiped(one, other, divider=self.state.divider))

    @property
    def description(self) -> str:
        """The current state in words."""
        return (
            f"{self.labels[self.state.index]}: before on the left {self.state.divider:.0%} "
            "of the picture, after on the right"
        )

    def _moved(self, change: Any) -> None:
        self.show(WipeState(index=self.state.index, divider=change["new"]))

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        return mime_bundle(self.view, png=self.png(), description=self.description)


def before_after(before: Tensor, after: Tensor, *, labels: Sequence[str] | None = None) -> BeforeAfter:
    """A viewer with a divider to wipe and buttons for the previous and the next pair.

    Arrow keys move the divider when the slider has the focus. Without a front end it is a picture
    of the first pair, divided in the middle.

    Args:
        before: faces or frames, `(B, 3, H, W)` in [0, 1].
        after: the same, modified.
        labels: a name for each pair; `picture 1` and so on by default.

    Raises:
        ImageError: there are no pictures, or the shapes or the number of labels do not fit.
    """
    if before.shape != after.shape or before.ndim != 4 or len(before) == 0:
        raise ImageError(
            f"pictures of {tuple(before.shape)} and {tuple(after.shape)}: "
            "give (B, 3, H, W) of the same shape twice"
        )
    names = [f"picture {i + 1}" for i in range(len(before))] if labels is None else list(labels)
    if len(names) != len(before):
        raise ImageError(f"{len(names)} labels for {len(before)} pairs: give one each")
    return BeforeAfter(before, after, names)

"""A viewer of pictures before and after modification, with a divider to move across them.

>>> import torch
>>> viewer = BeforeAfter(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8), labels=["Ann", "Bo"])
>>> viewer.next.click()
>>> viewer.description
'Bo: before on the left 50% of the picture, after on the right'
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import ipywidgets as widgets
from torch import Tensor

from anonlib.errors import ImageError
from anonlib.widgets.static import MimeBundle, enlarged, image_tag, mime_bundle, picture_png


def wiped(before: Tensor, after: Tensor, *, divider: float) -> Tensor:
    """One picture `(3, H, W)`: `before` left of the divider, `after` right of it, a white line between.

    The divider is a share of the width, 0 to 1; at both ends there is no line.
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
    """A viewer with a divider, and buttons for the previous and the next pair.

    The arrow keys move the divider when the slider has the focus. Without a front end, the viewer
    is a picture of the first pair with the divider in the middle.

    Pictures are `(B, 3, H, W)` in [0, 1]; labels are `picture 1` and so on by default.

    Raises:
        ImageError: there are no pictures, or the shapes or the number of labels do not match.
    """

    def __init__(self, before: Tensor, after: Tensor, *, labels: Sequence[str] | None = None) -> None:
        if before.shape != after.shape or before.ndim != 4 or len(before) == 0:
            raise ImageError(
                f"pictures of {tuple(before.shape)} and {tuple(after.shape)}: "
                "give (B, 3, H, W) of the same shape twice"
            )
        self.before, self.after = before, after
        self.labels = [f"picture {i + 1}" for i in range(len(before))] if labels is None else list(labels)
        if len(self.labels) != len(before):
            raise ImageError(
                f"{len(self.labels)} labels for {len(before)} pairs: give one label for each pair"
            )
        self.picture, self.title = widgets.HTML(), widgets.HTML()
        self.slider = widgets.FloatSlider(
            value=0.5, min=0, max=1, step=0.05, description="Divider", readout_format=".0%"
        )
        self.previous = widgets.Button(description="Previous", tooltip="the pair before this one")
        self.next = widgets.Button(description="Next", tooltip="the pair after this one")
        buttons = widgets.HBox([self.previous, self.next])
        self.view = widgets.VBox([self.picture, self.title, self.slider, buttons])
        self.slider.observe(lambda _: self.show(self.index), names="value")
        self.previous.on_click(lambda _: self.show(self.index - 1))
        self.next.on_click(lambda _: self.show(self.index + 1))
        self.show(0)

    def show(self, index: int) -> None:
        """Draw the pair with this number, from 0; the first pair follows the last."""
        self.index = index % len(self.before)
        self.picture.value = image_tag(self.png(), description=self.description)
        name = f"{self.labels[self.index]} ({self.index + 1} of {len(self.labels)})"
        self.title.value = f"<span role='status'>{escape(name)}: before | after</span>"

    def png(self) -> bytes:
        """The picture of the current state."""
        before, after = (enlarged(x[self.index]) for x in (self.before, self.after))
        return picture_png(wiped(before, after, divider=self.slider.value))

    @property
    def description(self) -> str:
        """The current state in words."""
        share = f"{self.slider.value:.0%} of the picture"
        return f"{self.labels[self.index]}: before on the left {share}, after on the right"

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        return mime_bundle(self.view, png=self.png(), description=self.description)

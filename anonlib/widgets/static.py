"""Pictures for widgets, and cell outputs that hold a widget and a static picture of it.

A cell output is a bundle of MIME types, and each front end shows the type it prefers. JupyterLab and
Notebook prefer the widget. nbconvert, code hosts and books show the PNG if the state of the widget
was not stored. A terminal prints the description.

>>> data, _ = mime_bundle(widgets.Label("7"), png=b"a picture", description="a label that says 7")
>>> sorted(data)
['application/vnd.jupyter.widget-view+json', 'image/png', 'text/plain']
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MimeBundle = tuple[dict[str, Any], dict[str, Any]]


def mime_bundle(widget: widgets.Widget, *, png: bytes, description: str) -> MimeBundle:
    """The return value of a widget's `_repr_mimebundle_`: data by MIME type, and its metadata.

    `png` is the current state as a picture, and `description` in a sentence, which is also the
    alternative text. The classic template of nbconvert uses this text; the lab template does not.
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    picture = b64encode(png).decode()
    data = {WIDGET_VIEW: view, "image/png": picture, "text/plain": description}
    return data, {"image/png": {"alt": description}}


def figure_png(figure: Figure, *, dpi: int = 100, colors: int | None = None) -> bytes:
    """A matplotlib figure as a PNG; up to 256 `colors` make a file of a third of the size."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    if colors is None:
        return buffer.getvalue()
    small = BytesIO()
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(colors, method=Image.Quantize.MEDIANCUT).save(small, format="png")
    return small.getvalue()


def picture_png(picture: Tensor) -> bytes:
    """A picture `(3, H, W)` in [0, 1] as a PNG."""
    pixels = (picture.clamp(0, 1) * 255).round().to(torch.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy()).save(buffer, format="png", compress_level=3)
    return buffer.getvalue()


def enlarged(picture: Tensor, *, height: int = 256) -> Tensor:
    """`(3, H, W)` enlarged smoothly by the whole factor that comes closest to this height in pixels."""
    factor = max(1, round(height / picture.shape[-2]))
    if factor == 1:
        return picture
    return F.interpolate(picture[None], scale_factor=factor, mode="bicubic")[0].clamp(0, 1)


def image_tag(png: bytes, *, description: str, width: int | None = None) -> str:
    """An HTML image with alternative text, which `ipywidgets.Image` does not support.

    With `width` it is so many pixels wide on the screen, and its place is kept while it loads.

    >>> image_tag(picture_png(torch.zeros(3, 2, 4)), description='"M" now', width=2).split(" style")[0][-44:]
    'alt="&quot;M&quot; now" width="2" height="1"'
    """
    size = ""
    if width is not None:
        full, height = Image.open(BytesIO(png)).size
        size = f' width="{width}" height="{round(height * width / full)}"'
    style = "max-width: 100%; height: auto; vertical-align: middle"
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<img src="{source}" alt="{escape(description)}"{size} style="{style}">'

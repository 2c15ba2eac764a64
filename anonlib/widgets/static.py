"""How a widget looks where nobody can click: the same output carries the widget and a picture.

A cell's output is a bundle of MIME types, and whoever shows it takes the one it likes best.
JupyterLab and Notebook prefer the widget. nbconvert skips a widget whose state was not stored and
takes the PNG, as do code hosts and books; a terminal prints the description.

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
from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
MimeBundle = tuple[dict[str, Any], dict[str, Any]]


def mime_bundle(widget: widgets.Widget, *, png: bytes, description: str) -> MimeBundle:
    """What `_repr_mimebundle_` of a widget of ours returns.

    Args:
        widget: what a front end shows that has a kernel behind it.
        png: the current state as a picture, from `figure_png`.
        description: the current state in a sentence: the text for those who see no picture.

    Returns:
        Data by MIME type, and its metadata: the description again, as alternative text (read by
        nbconvert's classic template; its lab template has no place for it).
    """
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    picture = b64encode(png).decode()
    data = {WIDGET_VIEW: view, "image/png": picture, "text/plain": description}
    return data, {"image/png": {"alt": description}}


def figure_png(figure: Figure, *, dpi: int = 100, colors: int | None = None) -> bytes:
    """A matplotlib figure as a PNG.

    Args:
        figure: what to draw.
        dpi: pixels an inch.
        colors: at most this many, up to 256, for a file a third of the size; None for all.
    """
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    if colors is None:
        return buffer.getvalue()
    small = BytesIO()
    picture = Image.open(buffer).convert("RGB")
    picture.quantize(colors, method=Image.Quantize.MEDIANCUT).save(small, format="png")
    return small.getvalue()


def image_tag(png: bytes, *, description: str) -> str:
    """An HTML image with its alternative text, which `ipywidgets.Image` does not have.

    >>> image_tag(b"x", description='"M" now')
    '<img src="data:image/png;base64,eA==" alt="&quot;M&quot; now" style="max-width: 100%">'
    """
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<img src="{source}" alt="{escape(description)}" style="max-width: 100%">'

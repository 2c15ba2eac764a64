from __future__ import annotations

from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import ipywidgets as widgets
import numpy as np
import torch
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from anonlib.widgets.static import WIDGET_VIEW, MimeBundle, figure_png, image_tag, mime_bundle, picture_png


class Lamp:
    """The smallest widget of our kind."""

    def __init__(self) -> None:
        self.box = widgets.Label("on")

    def _repr_mimebundle_(self, **_: object) -> MimeBundle:
        return mime_bundle(self.box, png=b"png of a lamp", description="a lamp, on")


def test_one_output_carries_the_widget_its_picture_and_its_description() -> None:
    lamp = Lamp()
    data, metadata = DisplayFormatter().format(lamp)
    assert data[WIDGET_VIEW]["model_id"] == lamp.box.model_id
    assert b64decode(data["image/png"]) == b"png of a lamp"
    assert data["text/plain"] == metadata["image/png"]["alt"] == "a lamp, on"


def test_nbconvert_shows_the_picture_where_no_state_is_stored() -> None:
    data, metadata = Lamp()._repr_mimebundle_()
    output = new_output("display_data", data=data, metadata=metadata)
    notebook = new_notebook(cells=[new_code_cell(outputs=[output])])
    page, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    assert f'src="data:image/png;base64,{data["image/png"]}"' in page
    assert 'alt="a lamp, on"' in page
    assert WIDGET_VIEW not in page


def test_a_figure_becomes_a_png_of_its_size_in_inches() -> None:
    png = figure_png(Figure(figsize=(2, 1)), dpi=50)
    picture = Image.open(BytesIO(png))
    assert (picture.format, picture.size) == ("PNG", (100, 50))
    assert np.asarray(picture.convert("RGB")).min() == 255  # an empty figure is white


def test_few_colors_make_a_small_file_of_nearly_the_same_picture() -> None:
    figure = Figure(figsize=(2, 2))
    figure.figimage(np.random.default_rng(0).random((100, 100, 3)))
    all_colors, few = figure_png(figure), figure_png(figure, colors=256)
    assert len(few) < 0.5 * len(all_colors)
    pictures = [np.asarray(Image.open(BytesIO(png)).convert("RGB"), float) for png in (few, all_colors)]
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) <= 256
    assert np.abs(pictures[0] - pictures[1]).mean() < 20


def test_an_image_tag_says_what_it_shows_whatever_the_words() -> None:
    found: dict[str, str | None] = {}

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.update(attrs, tag=tag)

    png = picture_png(torch.zeros(3, 4, 6))
    Reader().feed(image_tag(png, description='5 < 6 & "M"', width=3))
    assert (found["tag"], found["alt"]) == ("img", '5 < 6 & "M"')
    source = found["src"]
    assert source is not None and source.startswith("data:image/png;base64,")
    assert b64decode(source.split(",")[1]) == png
    assert (found["width"], found["height"]) == ("3", "2")

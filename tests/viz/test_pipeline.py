from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from anonlib.config import profile, profiles
from anonlib.viz.pipeline import NETWORKS, plot_pipeline

each = pytest.mark.parametrize("name", profiles())


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("laptop", ["(B, 3, 144, 192)", "(N, 3, 64, 64)", "(B, 3, 64, 48)", "(B, 256)"]),
        ("paper", ["(B, 3, 600, 800)", "(N, 3, 256, 256)", "(B, 3, 112, 96)", "(B, 512)"]),
    ],
)
def test_shapes_are_those_of_the_profile(name: str, shapes: list[str]) -> None:
    lines = "\n".join(texts(plot_pipeline(profile(name)))).splitlines()
    assert not [shape for shape in shapes if shape not in lines]


def test_networks_are_those_of_the_profile() -> None:
    words = " ".join(texts(plot_pipeline(profile("paper")))).replace("\n", " ")
    assert "9 residual blocks" in words
    assert "SphereFace, 20 layers" in words
    assert "10 actions" in words


def test_the_enlargement_is_drawn_to_scale() -> None:
    boxes = [p for p in plot_pipeline(profile("smoke")).axes[0].patches if not p.get_fill()]
    boxes = [p for p in boxes if not isinstance(p, FancyArrowPatch)]
    tight, grown = (box.get_bbox() for box in boxes)
    assert grown.width / tight.width == pytest.approx(1.6)
    assert grown.height / tight.height == pytest.approx(1.6)


def test_each_network_gets_the_gradients_of_its_losses() -> None:
    """M from three (line 9 of Algorithm 1), D from one (line 3), A from one (lines 9 and 11)."""
    arrows = [
        to_hex(p.get_edgecolor()).upper()
        for p in plot_pipeline(profile("smoke")).axes[0].patches
        if isinstance(p, FancyArrowPatch)
    ]
    assert {name: arrows.count(color) for name, color in NETWORKS.items()} == {"M": 3, "D": 1, "A": 1}


@each
def test_no_text_is_clipped_or_covers_another(name: str) -> None:
    figure = plot_pipeline(profile(name))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts]
    width, height = canvas.get_width_height()
    assert all(b.x0 >= 4 and b.x1 <= width - 4 and b.y0 >= 4 and b.y1 <= height for b in boxes)
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]

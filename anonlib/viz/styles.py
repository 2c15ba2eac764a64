"""The name, colour and marker of each method in tables and figures.

The colours are those of Okabe and Ito, which colour-blind readers can tell apart. Each family of
methods has one colour, and its own marker for grey prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How one method is named and drawn."""

    label: str
    """The paper's name of the method."""
    color: str
    """Hexadecimal RGB, the same for a family of methods."""
    marker: str = "o"
    """A matplotlib marker."""
    size: float = 8.0
    """Marker diameter in points; within a family, a larger marker hides more."""


BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"
RED, YELLOW = "#D7191C", "#F0E442"
LINES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
"""Colours of lines that are no methods, in order."""

_STYLES = {
    "unanonymized": Style(label="Un-anonymized", color=BLACK, marker="*", size=12),
    "blur8": Style(label="Blur (8×8)", color=BLUE, size=11),
    "blur16": Style(label="Blur (16×16)", color=BLUE, size=8),
    "blur24": Style(label="Blur (24×24)", color=BLUE, size=5.5),
    "noise0.1": Style(label="Noise (σ²=0.1)", color=ORANGE, marker="^", size=5.5),
    "noise0.3": Style(label="Noise (σ²=0.3)", color=ORANGE, marker="^", size=8),
    "noise0.5": Style(label="Noise (σ²=0.5)", color=ORANGE, marker="^", size=11),
    "mask": Style(label="Masked", color=GREY, marker="X", size=10),
    "edge": Style(label="Edge", color=GREEN, marker="D"),
    "superpixel": Style(label="Super-pixel", color=PURPLE, marker="h", size=10),
    "modifier": Style(label="Ours", color=RED, marker="s", size=11),
    "modifier_picture": Style(label="The paper's M", color=SKY, marker="p", size=11),
    "M-redraw-start": Style(label="The paper's M, start", color=SKY, marker="p", size=8),
    "modifier_start": Style(label="Ours before Algorithm 1", color=RED, marker="s", size=7),
    "modifier_no_classifier": Style(label="Ours without D", color=RED, marker="<"),
    "modifier_no_detector": Style(label="Ours without A", color=RED, marker=">"),
    "modifier-photo": Style(label="Learned, for real faces", color=RED, marker="s", size=8),
    "swap": Style(label="Swap, made for real faces", color=RED, marker="o", size=8),
    "ciagan": Style(label="CIAGAN (Maximov et al.)", color=RED, marker="^", size=8),
    "live": Style(label="Live (Gafni et al.)", color=RED, marker="v", size=8),
    "fit": Style(label="FIT, with a password (Gu et al.)", color=VERMILION, marker="d", size=10),
    "fit-one-password": Style(label="FIT, one password for all", color=VERMILION, marker="d", size=7),
}


def style(method: str) -> Style:
    """The style of a method; a method that the paper lacks is grey and keeps its own name.

    >>> style("blur8").label
    'Blur (8×8)'
    >>> style("mosaic").label
    'mosaic'
    """
    return _STYLES.get(method, Style(label=method, color=GREY, marker="P"))


def line_colors(labels: Sequence[str]) -> list[str]:
    """One colour for each line: that of the method with this label; other lines take those that are left.

    >>> line_colors(["Edge", "mine", "Un-anonymized"]) == [GREEN, BLUE, BLACK]
    True
    """
    known = {one.label: one.color for one in _STYLES.values()}
    fixed = {label: known[label] for label in labels if label in known}
    rest = [color for color in LINES if color not in fixed.values()] or list(LINES)
    others = cycle(rest)
    return [fixed.get(label) or next(others) for label in labels]

"""ROC curves with a logarithmic axis as SVG, for a self-contained page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from math import log10

WIDTH, HEIGHT = 460, 320
LEFT, TOP, BOTTOM, LEGEND = 56, 12, 46, 260
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LINE = '<polyline fill="none" stroke="{}" stroke-width="{}" stroke-dasharray="{}" points="{}"/>'


def roc_svg(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> str:
    """True accept rates over false accept rates; guessing is the dotted line.

    Args:
        curves: name to rates above 0 and up to 1, rising.

    >>> roc_svg({"naive": ([0.01, 0.1, 1.0], [0.2, 0.5, 1.0])}).count("<polyline")
    2
    """
    lowest = min(min(far) for far, _ in curves.values())
    digits = max(1, round(-log10(lowest) + 0.49))

    def place(far: float, tar: float) -> str:
        x = LEFT + (1 + max(log10(far), -digits) / digits) * WIDTH
        return f"{x:.1f},{TOP + (1 - tar) * HEIGHT:.1f}"

    parts = [_axes(digits)]
    guess = [10 ** (-digits * (1 - k / 60)) for k in range(61)]
    parts.append(_LINE.format("#7F7F7F", 1, "2 3", " ".join(place(far, far) for far in guess)))
    for number, (name, rates) in enumerate(curves.items()):
        colour = COLOURS[number % len(COLOURS)]
        dashes = "" if number < len(COLOURS) else "6 3"
        points = " ".join(place(far, tar) for far, tar in zip(*rates, strict=True))
        parts.append(_LINE.format(colour, 2, dashes, points))
        y = TOP + 14 + 20 * number
        x = LEFT + WIDTH + 20
        parts.append(f'<path d="M{x} {y - 4}h22" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="{x + 28}" y="{y}">{html.escape(name)}</text>')
    size = f"0 0 {LEFT + WIDTH + 20 + LEGEND} {TOP + HEIGHT + BOTTOM}"
    return f'<svg viewBox="{size}" role="img" aria-label="ROC curves">{"".join(parts)}</svg>'


def _axes(digits: int) -> str:
    """Grid, numbers and labels."""
    parts = []
    for digit in range(digits + 1):
        x = LEFT + (1 - digit / digits) * WIDTH
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}v{HEIGHT}"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP + HEIGHT + 16}" text-anchor="middle">{10**-digit:g}</text>')
    for k in range(6):
        y = TOP + (1 - k / 5) * HEIGHT
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}h{WIDTH}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{20 * k}%</text>')
    middle = LEFT + WIDTH / 2
    parts.append(
        f'<text x="{middle}" y="{TOP + HEIGHT + 36}" text-anchor="middle">'
        "false accept rate (different people taken for one)</text>"
        f'<text transform="translate(12 {TOP + HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
        "true accept rate</text>"
    )
    return "".join(parts)

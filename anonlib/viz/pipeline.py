"""A drawing of the whole pipeline: inputs and outputs of M, D and A, losses, and gradients.

The upper row shows the way of a frame, the lower row the way of a face image; both pass the same M.
The canvas is 90 units wide and 53 units high, with ten units per inch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from anonlib.config import ENLARGE
from anonlib.viz.styles import BLACK, BLUE, GREEN, GREY, SKY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from anonlib.config import Profile

Point = tuple[float, float]

WIDTH, HEIGHT = 90.0, 53.0
VIDEO, IMAGE, PIXELS = 41.5, 23.5, 11.5
"""y of the row of frames, of the row of face images, and of the L1 loss."""
FRAME, REGION, M, MODIFIED, PASTED, TASK, LOSS = 6.9, 19.9, 31.5, 43.1, 56.1, 69.1, 82.5
"""x of each column."""
NETWORKS = {"M": VERMILION, "D": BLUE, "A": GREEN}
"""The colour of each network, for its box and for the gradients that train it."""
GOALS = {
    "M": "minimises $L_{det}+L_{adv}+L_{l1}$ (Alg. 1, line 9)",
    "D": "maximises $L_{adv}$ (Alg. 1, line 3)",
    "A": "minimises $L_{det}$ (Alg. 1, lines 9, 11)",
}
"""The goal of each network, Eq. (4)-(5), and the lines of Algorithm 1 that train it."""


def plot_pipeline(profile: Profile) -> Figure:
    """Pictures, networks and losses with the shapes of a profile; 900 by 530 pixels at 100 dpi.

    Solid arrows are images. Dashed arrows are gradients, in the colour of the network that they
    train. A batch has B frames or B face images; N faces are found in the frames.

    Implements Ren et al., Fig. 2. Differs from the paper: it also shows shapes, equation numbers,
    the alignment before D, and the clear faces that D is trained on.

    >>> from anonlib.config import profile
    >>> figure = plot_pipeline(profile("laptop"))
    >>> any("(B, 3, 144, 192)" in text.get_text() for text in figure.axes[0].texts)
    True
    """
    figure = Figure(figsize=(WIDTH / 10, HEIGHT / 10), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    _draw_pictures(axes, profile)
    _draw_networks(axes, profile)
    _draw_losses(axes)
    _draw_flow(axes)
    _draw_gradients(axes)
    _draw_legend(axes)
    return figure


def _draw_pictures(axes: Axes, profile: Profile) -> None:
    side = (profile.modifier.size, profile.modifier.size)
    frame, crop = _shape("B", profile.detector.frame), _shape("N", side)
    face, aligned = _shape("B", side), _shape("B", profile.classifier.size)
    found = f"{frame}\nface box, {ENLARGE}×"
    _scene(axes, FRAME, VIDEO, "frame $v$", found, half=5.4, zoom=0.5, region=True)
    _scene(axes, REGION, VIDEO, "face $r_v$", f"{crop}\ncropped, resized")
    _scene(axes, MODIFIED, VIDEO, "$M(r_v)$", crop, other=True)
    _scene(axes, PASTED, VIDEO, "frame $v'$", f"{frame}\npasted back", half=5.4, zoom=0.5, other=True)
    _scene(axes, REGION, IMAGE, "face image $f$", face, brush=False)
    _scene(axes, MODIFIED, IMAGE, "$M(f)$", face, other=True, brush=False)
    upright = f"{aligned}\nby five landmarks"
    _scene(axes, PASTED, IMAGE, "aligned", upright, half=3, zoom=1.15, other=True, brush=False)


def _draw_networks(axes: Axes, profile: Profile) -> None:
    blocks, depth = profile.modifier.blocks, profile.classifier.depth
    reach = (VIDEO - IMAGE) / 2
    about = f"modifier,\n{blocks} residual\nblocks"
    _network(axes, (M, IMAGE + reach), "M", about, half=reach + 4)
    _network(axes, (TASK, VIDEO), "A", "Faster\nR-CNN")
    _network(axes, (TASK, IMAGE), "D", f"SphereFace,\n{depth} layers")
    _note(axes, TASK, VIDEO - 4.7, f"boxes (n, 4),\n{profile.detector.classes} actions")
    _note(axes, TASK, IMAGE - 4.7, f"features\n(B, {profile.classifier.features})")


def _draw_losses(axes: Axes) -> None:
    _loss(axes, (LOSS, VIDEO), "$L_{det}$", "detection, Eq. (1)")
    _loss(axes, (LOSS, IMAGE), "$L_{adv}$", "adversarial, Eq. (2)")
    _loss(axes, (M, PIXELS), r"$L_{l1}=\lambda\,\Vert M(f)-f\,\Vert_1$", "photorealistic, Eq. (3)", 7.4)
    _note(axes, LOSS, VIDEO - 4.7, "true boxes $b_i(v)$,\ntrue actions $t_i(v)$")
    _note(axes, LOSS, IMAGE - 4.7, "true identity $i_f$")
    _note(axes, PASTED + 1, PIXELS - 1.5, "clear $f$ as well:\nthe second term of Eq. (2)", ha="left")


def _draw_flow(axes: Axes) -> None:
    gap = ((23.9, 27.5), (35.5, 39.1), (73.1, 76.7))
    video = ((12.3, 15.9), (47.1, 50.7), (61.5, 65.1), *gap)
    image = ((47.1, 53.1), (59.1, 65.1), *gap)
    for row, spans in ((VIDEO, video), (IMAGE, image)):
        for start, end in spans:
            _arrow(axes, (start + 0.5, row), (end - 0.5, row))
    below, floor = IMAGE - 6.6, PIXELS - 5.2
    _arrow(axes, (REGION, below), (REGION, PIXELS), (M - 7.9, PIXELS))
    _arrow(axes, (MODIFIED, below), (MODIFIED, PIXELS), (M + 7.9, PIXELS))
    _arrow(axes, (REGION, PIXELS), (REGION, floor), (PASTED, floor), (PASTED, below - 1.4))


def _draw_gradients(axes: Axes) -> None:
    middle = (VIDEO + IMAGE) / 2
    for network, row, lane in (("A", VIDEO, VIDEO + 6.7), ("D", IMAGE, middle - 1.7)):
        path = (LOSS - 1, row + 3.5), (LOSS - 1, lane), (TASK, lane), (TASK, row + 4.4)
        _arrow(axes, *path, network=network)
    top = VIDEO + 8.7
    _arrow(axes, (LOSS + 1, VIDEO + 3.5), (LOSS + 1, top), (M, top), (M, VIDEO + 4.4), network="M")
    _arrow(axes, (LOSS + 1, IMAGE + 3.5), (LOSS + 1, middle), (M + 4.4, middle), network="M")
    _arrow(axes, (M, PIXELS + 3.5), (M, IMAGE - 4.4), network="M")


def _draw_legend(axes: Axes) -> None:
    for x, (network, goal) in zip((1.5, 34.5, 60.5), GOALS.items(), strict=True):
        axes.text(x, 1.8, network, color=NETWORKS[network], weight="bold", fontsize=10)
        axes.text(x + 2.2, 1.8, goal, fontsize=10)


def _scene(
    axes: Axes,
    x: float,
    y: float,
    title: str,
    below: str,
    *,
    half: float = 4.0,
    zoom: float = 1.0,
    other: bool = False,
    brush: bool = True,
    region: bool = False,
) -> None:
    """A person in a box 8 units high, with or without a toothbrush and the boxes of the face."""
    skin, hair = ("#B9C3D6", "#3F5B7A") if other else ("#EBC7A4", "#6B4A35")
    ground = Rectangle((x - half, y - 4), 2 * half, 8, fc="#F3F3F3", ec=GREY, lw=0.8)
    axes.add_patch(ground)
    blobs = [
        (0, -5.9, 8.4, 6.4, "#8C9BAA"),
        (0, 0.85, 4.7, 4.6, hair),
        (0, 0, 4.1, 5.0, skin),
        (-0.9, 0.5, 0.5, 0.5, BLACK),
        (0.9, 0.5, 0.5, 0.5, BLACK),
        (0, -1.25, 1.7, 0.7, "white"),
    ]
    for right, up, width, height, color in [*blobs, (2.2, -1.25, 4.6, 0.45, SKY)] if brush else blobs:
        blob = Ellipse((x + zoom * right, y + zoom * up), zoom * width, zoom * height, fc=color)
        axes.add_patch(blob)
        blob.set_clip_path(ground)
    for factor, line in ((1, "-"), (ENLARGE, "--")) if region else ():
        width, height = 2.3 * factor, 2.6 * factor
        corner = x - width / 2, y - height / 2
        axes.add_patch(Rectangle(corner, width, height, fill=False, ec=BLACK, ls=line, lw=1))
    axes.text(x, y + 4.7, title, ha="center", va="bottom", fontsize=10)
    _note(axes, x, y - 4.7, below)


def _network(axes: Axes, at: Point, name: str, about: str, *, half: float = 4.0) -> None:
    _rounded(axes, at, 4.0, half, fc=NETWORKS[name], ec="none")
    axes.text(at[0], at[1] + 2, name, color="white", weight="bold", fontsize=15, ha="center", va="center")
    axes.text(at[0], at[1], about, color="white", fontsize=9.5, ha="center", va="top")


def _loss(axes: Axes, at: Point, name: str, about: str, half: float = 5.8) -> None:
    _rounded(axes, at, half, 3.0, fc="white", ec=BLACK)
    axes.text(at[0], at[1] + 1.0, name, fontsize=11, ha="center", va="center")
    axes.text(at[0], at[1] - 1.4, about, fontsize=7.5, ha="center", va="center")


def _rounded(axes: Axes, at: Point, half_w: float, half_h: float, *, fc: str, ec: str) -> None:
    corner = at[0] - half_w, at[1] - half_h
    look = "round,pad=0,rounding_size=1"
    axes.add_patch(FancyBboxPatch(corner, 2 * half_w, 2 * half_h, boxstyle=look, fc=fc, ec=ec))


def _shape(count: str, size: tuple[int, int]) -> str:
    return f"({count}, 3, {size[0]}, {size[1]})"


def _note(axes: Axes, x: float, y: float, text: str, *, ha: str = "center") -> None:
    axes.text(x, y, text, fontsize=9.5, color="#555555", ha=ha, va="top", linespacing=1.25)


def _arrow(axes: Axes, *points: Point, network: str = "") -> None:
    """Along straight lines: black for images, dashed in the colour of a network for its gradient."""
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points),
            arrowstyle="-|>,head_width=2.6,head_length=4.5",
            color=NETWORKS.get(network, BLACK),
            lw=1.3,
            ls=(0, (4, 2)) if network else "-",
            mutation_scale=1,
            capstyle="butt",
            joinstyle="miter",
        )
    )

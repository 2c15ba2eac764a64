"""Compares pictures: is a face still near its last place, and does a new scene begin?

A face is remembered as a patch of 16x16 brightness values, one for each cell of its box. A later
picture is sampled in the same cells with a margin, and the patch is compared at each position in them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = 16
"""Cells along each side of a patch."""
NOISE = 4e-4
"""Variance of brightness, in [0, 1], of a patch without any structure."""
FEWEST = CELLS * CELLS // 4
"""Smallest number of cells inside the picture for a comparison."""
NEARER = 0.05
"""Subtracted from the likeness at the margin, so that near places are preferred."""

THUMBNAIL = (18, 32)
"""Rows and columns of the pictures that are compared to detect a cut."""
LEAST = 0.06
"""Smallest mean change of brightness, in [0, 1], at a cut."""
LEAP = 3.0
"""Smallest ratio of the change at a cut to the usual change."""
MEMORY = 0.8
"""Weight of the past in the moving average of the usual change."""

Levels = list[Tensor]


class CutFinder:
    """Detects cuts: the picture changes at once, and far more than it did before.

    A false alarm only costs a detection. After a missed cut (a dissolve) the faces of the old scene
    stay hidden until the tracker ends them.

    >>> finder = CutFinder()
    >>> dark, bright = torch.zeros(36, 64), torch.full((36, 64), 0.7)
    >>> [finder(picture) for picture in (dark, dark, bright, bright)]
    [True, False, True, False]
    """

    def __init__(self) -> None:
        self.last: Tensor | None = None
        self.shape: tuple[int, ...] = ()
        self.usual = 0.0

    def __call__(self, grey: Tensor) -> bool:
        """Whether this picture, `(h, w)` brightness in [0, 1], begins a scene; the first does."""
        thumbnail = F.adaptive_avg_pool2d(grey[None], THUMBNAIL)[0]
        last, self.last = self.last, thumbnail
        if last is None or tuple(grey.shape) != self.shape:
            self.shape, self.usual = tuple(grey.shape), 0.0
            return True
        change = float((thumbnail - last).abs().mean())
        cut = change > max(LEAST, LEAP * self.usual)
        if not cut:
            self.usual = MEMORY * self.usual + (1 - MEMORY) * change
        return cut


def grey_levels(grey: Tensor) -> Levels:
    """Brightness `(h, w)` at 1, 1/2, 1/4 and 1/8 of its size.

    >>> [tuple(level.shape) for level in grey_levels(torch.rand(36, 64))]
    [(36, 64), (18, 32), (9, 16), (5, 8)]
    """
    levels = [grey]
    while len(levels) < 4:
        half = [(side + 1) // 2 for side in levels[-1].shape]
        levels.append(F.interpolate(levels[-1][None, None], half, mode="bilinear")[0, 0])
    return levels


def sample_cells(levels: Levels, boxes: Tensor, margin: int = 0) -> tuple[Tensor, Tensor]:
    """Brightness in the 16x16 cells of each box, with a margin of cells on every side.

    Boxes are `(n, 4)` xyxy pixels of the first level, with area. The second result is 1 where the
    centre of the cell lies in the picture. Both are `(n, s, s)` with s = 16 + 2 margin.
    """
    side = CELLS + 2 * margin
    height, width = levels[0].shape
    size = (boxes[:, 2:] - boxes[:, :2]) / CELLS
    steps = torch.arange(side, dtype=boxes.dtype) - margin + 0.5
    xs = boxes[:, :1] + size[:, :1] * steps
    ys = boxes[:, 1:2] + size[:, 1:] * steps
    inside = ((ys >= 0) & (ys < height))[:, :, None] & ((xs >= 0) & (xs < width))[:, None]
    grid_x = (xs * 2 / width - 1)[:, None].expand(-1, side, -1)
    grid_y = (ys * 2 / height - 1)[:, :, None].expand(-1, -1, side)
    grid = torch.stack([grid_x, grid_y], dim=-1).float()
    cells = torch.empty(len(boxes), side, side)
    # Each box is sampled from the level at which a cell is about a pixel wide.
    fitting = size.amin(dim=1).clamp(min=1).log2().long().clamp(max=len(levels) - 1)
    for index in fitting.unique().tolist():
        rows = (fitting == index).nonzero()[:, 0]
        level, places = levels[index][None, None], grid[rows].reshape(1, -1, side, 2)
        sampled = F.grid_sample(level, places, padding_mode="border", align_corners=False)
        cells[rows] = sampled.reshape(-1, side, side)
    return cells, inside.float()


def clear_cells(boxes: Tensor, others: Tensor) -> Tensor:
    """1 for each of the 16x16 cells of a box whose centre is in no other box; `(n, 16, 16)`.

    Boxes are `(n, 4)` and `(m, 4)` xyxy pixels; another box equal to the one at hand is ignored.

    >>> box = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    >>> clear_cells(box, torch.cat([box, torch.tensor([[8.0, 0.0, 30.0, 30.0]])]))[0].mean()
    tensor(0.5000)
    """
    steps = (torch.arange(CELLS, dtype=boxes.dtype) + 0.5) / CELLS
    hidden = []
    for axis in (0, 1):
        low, high = boxes[:, axis, None], boxes[:, axis + 2, None]
        at = (low + (high - low) * steps)[:, None]
        hidden.append((at >= others[:, axis, None]) & (at < others[:, axis + 2, None]))
    own = (boxes[:, None] == others).all(dim=2)[:, :, None, None]
    both = hidden[0][:, :, None, :] & hidden[1][:, :, :, None] & ~own
    return 1 - both.any(dim=1).float()


def find_patches(
    levels: Levels, boxes: Tensor, patches: Tensor, weights: Tensor, margin: int
) -> tuple[Tensor, Tensor]:
    """The place near each box where the picture is most like the patch.

    The likeness is (2 cov(x, p) + c) / (var x + var p + c), the contrast and structure term of
    SSIM: 1 for the same picture at any brightness, 0 for an unrelated one. A patch without
    structure is like every place without structure.

    Boxes are `(n, 4)` expected places, xyxy pixels with area; patches are `(n, 16, 16)` brightness.
    Weights, of the same shape, are 1 where the patch shows the face, 0 where another face hides it.
    The margin is how far to search, in cells. Returns the shift to the best place, `(n, 2)` xy
    pixels, and its likeness, `(n,)` in [-1, 1].
    """
    if not len(boxes):
        return boxes.new_zeros(0, 2), torch.zeros(0)
    alike = _likeness(*sample_cells(levels, boxes, margin), patches, weights)
    side = 2 * margin + 1
    steps = (torch.arange(side) - margin) / max(margin, 1)
    far = steps[:, None].square() + steps.square()
    best = (alike - NEARER * far).flatten(1).argmax(dim=1)
    rows, columns = best // side, best % side
    rest = torch.stack([_summit(alike.transpose(1, 2), columns, rows), _summit(alike, rows, columns)], dim=1)
    cell = (boxes[:, 2:] - boxes[:, :2]) / CELLS
    shift = (torch.stack([columns, rows], dim=1) - margin + rest) * cell
    return shift, alike.flatten(1).gather(1, best[:, None])[:, 0]


def _likeness(cells: Tensor, inside: Tensor, patches: Tensor, weights: Tensor) -> Tensor:
    """Likeness of `(n, s, s)` cells and `(n, 16, 16)` patches at every place, `(n, o, o)`."""
    x = _places(cells)
    p, w = (values.flatten(1)[:, :, None] for values in (patches, weights))
    if bool(inside.all()):
        m, xm = torch.ones(len(x), 1, CELLS * CELLS), x
    else:
        m = _places(inside)
        xm = x * m
    number, sum_p, sum_pp = (m @ torch.cat([w, w * p, w * p.square()], 2)).unbind(2)
    sum_x, sum_xp = (xm @ torch.cat([w, w * p], 2)).unbind(2)
    sum_xx = ((x * xm) @ w)[:, :, 0]
    n = number.clamp(min=1)
    cov = sum_xp / n - sum_x * sum_p / n.square()
    variances = (sum_xx + sum_pp) / n - (sum_x.square() + sum_p.square()) / n.square()
    alike = (2 * cov + NOISE) / (variances + NOISE)
    side = cells.shape[1] - CELLS + 1
    return torch.where(number >= FEWEST, alike, -1.0).reshape(-1, side, side)


def _places(cells: Tensor) -> Tensor:
    """The 16x16 windows of `(n, s, s)` cells, as `(n, o * o, 256)`."""
    return cells.unfold(1, CELLS, 1).unfold(2, CELLS, 1).reshape(len(cells), -1, CELLS * CELLS)


def _summit(alike: Tensor, along: Tensor, across: Tensor) -> Tensor:
    """Maximum along one axis of a parabola through three likenesses, in [-0.5, 0.5] cells."""
    n, last = torch.arange(len(alike)), alike.shape[1] - 1
    before = alike[n, (along - 1).clamp(min=0), across]
    after = alike[n, (along + 1).clamp(max=last), across]
    bend = before + after - 2 * alike[n, along, across]
    summit = 0.5 * (before - after) / bend.clamp(max=-1e-6)
    at_edge = (along == 0) | (along == last)
    return torch.where(at_edge, torch.zeros(()), summit.clamp(-0.5, 0.5))

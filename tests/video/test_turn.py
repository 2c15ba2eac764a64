from __future__ import annotations

import itertools

import pytest
import torch

from anonlib.video.yuv import UPRIGHT, Turn, turn_of

TURNS = [Turn(transpose=t, flip_x=x, flip_y=y) for t, x, y in itertools.product([0, 1], repeat=3)]
ONE = 65536


@pytest.mark.parametrize("turn", TURNS)
def test_stored_undoes_upright(turn: Turn) -> None:
    pixels = torch.rand(3, 4, 7)
    assert torch.equal(turn.stored(turn.upright(pixels)), pixels)
    assert turn.upright(pixels).shape[1:] == turn.size(4, 7)


@pytest.mark.parametrize("turn", TURNS)
def test_a_box_cuts_the_same_pixels_in_storage(turn: Turn) -> None:
    pixels = torch.rand(3, 10, 20)
    upright = turn.upright(pixels)
    height, width = upright.shape[1:]
    x0, y0, x1, y1 = turn.stored_box((1, 2, 5, 9), height=height, width=width)
    assert torch.equal(turn.upright(pixels[:, y0:y1, x0:x1]), upright[:, 2:9, 1:5])


def matrix(a: int, b: int, c: int, d: int) -> list[int]:
    return [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize(
    ("numbers", "corner"),
    [
        ((1, 0, 0, 1), (0, 0)),
        ((0, 1, -1, 0), (0, -1)),  # a quarter clockwise: top left goes top right
        ((-1, 0, 0, -1), (-1, -1)),
        ((0, -1, 1, 0), (-1, 0)),
        ((-1, 0, 0, 1), (0, -1)),  # mirrored
        ((1, 0, 0, -1), (-1, 0)),  # upside down
    ],
)
def test_where_the_first_stored_pixel_is_shown(
    numbers: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    pixels = torch.zeros(2, 3)
    pixels[0, 0] = 1
    assert turn_of(matrix(*numbers)).upright(pixels)[corner] == 1


def test_no_matrix_is_upright() -> None:
    assert turn_of(None) == UPRIGHT

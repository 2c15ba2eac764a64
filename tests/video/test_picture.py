from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from anonlib.errors import ImageError
from anonlib.video.picture import ArrayPicture, small_size


def picture(height: int = 30, width: int = 50) -> ArrayPicture:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return ArrayPicture(pixels)


def test_a_crop_pasted_back_changes_nothing():
    pic = picture()
    before = pic.array.copy()
    pic.paste((3, 4, 20, 30), pic.crop((3, 4, 20, 30)))
    assert np.array_equal(pic.array, before)


def test_paste_replaces_its_box_alone_and_rounds():
    pic = picture()
    before = pic.array.copy()
    pic.paste((10, 5, 14, 8), torch.full((3, 3, 4), 0.5))
    assert (pic.array[5:8, 10:14] == 128).all()
    before[5:8, 10:14] = 128
    assert np.array_equal(pic.array, before)


def test_a_crop_is_a_copy():
    pic = picture()
    crop = pic.crop((0, 0, 8, 8))
    kept = crop.clone()
    pic.paste((0, 0, 8, 8), torch.zeros(3, 8, 8))
    assert torch.equal(crop, kept)


def test_channels_are_red_green_blue_in_rows_and_columns():
    array = np.zeros((2, 3, 3), np.uint8)
    array[1, 2] = [255, 51, 0]
    assert ArrayPicture(array).crop((2, 1, 3, 2)).flatten().tolist() == pytest.approx([1, 0.2, 0])
    assert ArrayPicture(array).small(640)[:, 1, 2].tolist() == pytest.approx([1, 0.2, 0])


def test_small_is_the_mean_of_what_it_covers():
    array = np.zeros((40, 80, 3), np.uint8)
    array[:, 40:] = 200
    small = ArrayPicture(array).small(20)
    assert small.shape == (3, 10, 20)
    assert float(small.mean()) == pytest.approx(100 / 255, abs=0.01)
    assert small[0, 5, 0] == 0 and float(small[0, 5, -1]) == pytest.approx(200 / 255)


def test_small_never_enlarges():
    pic = picture(7, 9)
    assert pic.small(640).shape == (3, 7, 9)


@given(st.integers(1, 9000), st.integers(1, 9000), st.integers(1, 2000))
def test_small_size_stays_within_bounds(height, width, longest):
    h, w = small_size(height, width, longest)
    assert 1 <= h <= height and 1 <= w <= width and max(h, w) <= longest


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_other_arrays_are_named(array):
    with pytest.raises(ImageError, match=r"pass RGB as \(H, W, 3\) uint8"):
        ArrayPicture(array)


def test_read_only_arrays_are_named():
    array = np.zeros((4, 4, 3), np.uint8)
    array.flags.writeable = False
    with pytest.raises(ImageError, match="read-only: pass a copy"):
        ArrayPicture(array)

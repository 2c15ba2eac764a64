from __future__ import annotations

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from anonlib.errors import VideoError
from anonlib.video.colour import BT601, BT709, BT2020, Colour, colour_of
from anonlib.video.picture import small_size
from anonlib.video.yuv import STEPS, Turn, YuvPicture


def frame_of(rgb: np.ndarray, pixel_format: str = "yuv420p") -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format, threads=1)


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 2 + 20, y * 2 + 30, 200 - x], 2).clip(0, 255).astype(np.uint8)


def planes(frame: av.VideoFrame) -> list[np.ndarray]:
    """Luma and chroma, without opacity."""
    kind: type = np.uint16 if frame.format.name.endswith("10le") else np.uint8
    arrays = [
        np.frombuffer(memoryview(p), kind).reshape(p.buffer_size // p.line_size, -1) for p in frame.planes
    ]
    return [array[: p.height, : p.width] for p, array in zip(frame.planes, arrays, strict=True)][:3]


def test_pure_red_by_hand() -> None:
    red = torch.tensor([1.0, 0, 0])[:, None, None]
    by_601, by_709 = Colour(BT601), Colour(BT709)
    assert by_601.to_luma(red).item() == pytest.approx(16 + 219 * 0.299)
    assert by_709.to_luma(red).item() == pytest.approx(16 + 219 * 0.2126, abs=1e-3)
    blue, red_difference = by_601.to_chroma(red).flatten().tolist()
    assert (blue, red_difference) == pytest.approx((128 - 224 * 0.299 / 1.772, 128 + 112), abs=1e-3)


@pytest.mark.parametrize("matrix", [BT601, BT709, BT2020])
@pytest.mark.parametrize("full", [False, True])
def test_to_rgb_undoes_to_yuv(matrix: int, full: bool) -> None:
    colour, rgb = Colour(matrix, full), torch.rand(3, 5, 5) * 0.8 + 0.1
    luma, differences = colour.to_luma(rgb), colour.to_chroma(rgb)
    back = colour.to_rgb(luma, colour.tint(differences))
    torch.testing.assert_close(back, rgb, atol=1e-5, rtol=0)


def test_an_unnamed_matrix_depends_on_the_height() -> None:
    assert colour_of(matrix=2, full=0, height=480) == Colour(BT601)
    assert colour_of(matrix=2, full=2, height=720) == Colour(BT709, full=True)
    assert colour_of(matrix=9, full=1, height=480) == Colour(BT2020)


@pytest.mark.parametrize("pixel_format", STEPS)
def test_a_crop_is_what_libav_shows(pixel_format: str) -> None:
    frame = frame_of(smooth(60, 80), pixel_format)
    shown = torch.from_numpy(frame.reformat(format="rgb24").to_ndarray()).permute(2, 0, 1) / 255
    x0, y0, x1, y1 = box = (11, 7, 42, 40)
    crop = YuvPicture(frame).crop(box)
    assert crop.shape == (3, 33, 31)
    assert (crop - shown[:, y0:y1, x0:x1]).abs().max() < 5 / 255


@pytest.mark.parametrize("pixel_format", STEPS)
@pytest.mark.parametrize("turn", [Turn(), Turn(transpose=True, flip_x=True), Turn(flip_y=True)])
def test_nothing_changes_outside_the_box(pixel_format: str, turn: Turn) -> None:
    frame = frame_of(smooth(61, 81), pixel_format)
    before = [plane.copy() for plane in planes(frame)]
    picture = YuvPicture(frame, turn)
    x0, y0, x1, y1 = box = (11, 7, 42, 40)
    picture.paste(box, torch.zeros(3, 33, 31))
    x0, y0, x1, y1 = turn.stored_box(box, height=picture.height, width=picture.width)
    step = STEPS[pixel_format]
    scales = (1, step, step)
    for plane, old, scale in zip(planes(picture.frame), before, scales, strict=True):
        inside = np.zeros(plane.shape, bool)
        inside[y0 // scale : -(-y1 // scale), x0 // scale : -(-x1 // scale)] = True
        assert (plane[~inside] == old[~inside]).all()
        black = 0 if pixel_format.startswith("yuvj") else 64 if pixel_format.endswith("10le") else 16
        if old is before[0]:
            assert (plane[inside] == black).all()
    assert picture.crop(box).max() < 0.004


def test_pasting_a_crop_back_changes_next_to_nothing() -> None:
    frame = frame_of(smooth(60, 80))
    before = [plane.astype(int) for plane in planes(frame)]
    picture = YuvPicture(frame)
    picture.paste((11, 7, 42, 40), picture.crop((11, 7, 42, 40)))
    for plane, old in zip(planes(picture.frame), before, strict=True):
        assert np.abs(plane - old).max() <= 2


def test_an_odd_corner_keeps_its_own_colour() -> None:
    picture = YuvPicture(frame_of(np.full((9, 9, 3), 128, np.uint8)))
    red = torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 1, 1)
    picture.paste((8, 8, 9, 9), red)
    torch.testing.assert_close(picture.crop((8, 8, 9, 9)), red, atol=0.02, rtol=0)


def test_small_is_upright_and_of_the_size_asked_for() -> None:
    rgb = smooth(60, 80)
    rgb[:, :40] = (250, 20, 20)  # left
    picture = YuvPicture(frame_of(rgb), Turn(transpose=True, flip_x=True))
    small = picture.small(40)
    assert small.shape[1:] == small_size(80, 60, 40) == (40, 30)
    assert small[0, :18].min() > 0.9  # the left went to the top
    assert picture.small(1000).shape == (3, 80, 60)


def test_what_the_decoder_shares_is_copied_first() -> None:
    frame = frame_of(smooth(60, 80))
    other = frame_of(smooth(60, 80))
    picture = YuvPicture(frame)
    picture.paste((0, 0, 80, 60), torch.zeros(3, 60, 80))
    assert planes(other)[0].max() > 100


def test_frames_that_a_decoder_still_needs_stay_as_they_are(video) -> None:
    """Blacking each frame must not darken the next, which was predicted from it."""
    path = video(pts=range(12))
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = YuvPicture(frame)
            assert picture.crop((0, 0, 96, 64)).mean() > 0.3
            picture.paste((0, 0, 96, 64), torch.zeros(3, 64, 96))


def test_another_pixel_format_is_refused() -> None:
    with pytest.raises(VideoError, match="'rgb24': convert it to yuv420p"):
        YuvPicture(av.VideoFrame(16, 16, "rgb24"))


@pytest.mark.parametrize("pixel_format", STEPS)
@pytest.mark.parametrize("turn", [Turn(), Turn(transpose=True, flip_x=True), Turn(flip_y=True)])
def test_a_crop_resized_at_once_is_the_resized_crop(pixel_format: str, turn: Turn) -> None:
    picture = YuvPicture(frame_of(smooth(61, 81), pixel_format), turn)
    box = (11, 7, 42, 50)
    expected = F.interpolate(picture.crop(box)[None], (16, 16), mode="bilinear", antialias=True)[0]
    assert (picture.crop(box, 16) - expected).abs().max() < 0.04


@pytest.mark.parametrize("pixel_format", STEPS)
@pytest.mark.parametrize("turn", [Turn(), Turn(transpose=True, flip_x=True), Turn(flip_y=True)])
def test_a_face_pasted_from_another_size_fills_the_box_alone(pixel_format: str, turn: Turn) -> None:
    box = (11, 7, 42, 50)
    once, apart = (YuvPicture(frame_of(smooth(61, 81), pixel_format), turn) for _ in range(2))
    y, x = torch.meshgrid(torch.arange(16) / 16, torch.arange(16) / 16, indexing="ij")
    face = torch.stack([x, y, 1 - x])
    once.paste(box, face)
    resized = F.interpolate(face[None], (43, 31), mode="bilinear", antialias=True)[0]
    apart.paste(box, resized)
    x0, y0, x1, y1 = turn.stored_box(box, height=once.height, width=once.width)
    step = STEPS[pixel_format]
    before = planes(frame_of(smooth(61, 81), pixel_format))
    for mine, other, old, scale in zip(
        planes(once.frame), planes(apart.frame), before, (1, step, step), strict=True
    ):
        inside = np.zeros(mine.shape, bool)
        inside[y0 // scale : -(-y1 // scale), x0 // scale : -(-x1 // scale)] = True
        assert np.abs(mine.astype(int) - other).max() < 12 * (4 if pixel_format.endswith("10le") else 1)
        assert (mine[~inside] == old[~inside]).all() and (mine[inside] != old[inside]).mean() > 0.9


def test_grey_is_the_brightness_of_small() -> None:
    rgb = smooth(60, 80)
    rgb[:, :40] = 250
    picture = YuvPicture(frame_of(rgb), Turn(transpose=True, flip_x=True))
    grey, small = picture.grey(40), picture.small(40)
    assert grey.shape == small.shape[1:] == (40, 30)
    weights = torch.tensor([0.299, 0.587, 0.114])
    assert (grey - torch.tensordot(weights, small, dims=1)).abs().max() < 0.03

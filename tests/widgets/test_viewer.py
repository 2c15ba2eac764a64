"""The divider, the buttons, and what is left where nobody can click."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib.errors import ImageError
from anonlib.widgets.static import enlarged, picture_png
from anonlib.widgets.viewer import BeforeAfter, wiped

BLACK, GREY = torch.zeros(3, 8, 20), torch.full((3, 8, 20), 0.5)


def test_wiping_shows_before_on_the_left_and_after_on_the_right() -> None:
    row = wiped(BLACK, GREY, divider=0.5)[0, 0]
    assert row.tolist() == [0.0] * 9 + [1.0, 1.0] + [0.0] + [0.5] * 8


def test_the_ends_of_the_divider_show_one_picture_whole() -> None:
    assert torch.equal(wiped(BLACK, GREY, divider=0), GREY)
    assert torch.equal(wiped(BLACK, GREY, divider=1), BLACK)


def test_turning_goes_round_and_keeps_the_divider() -> None:
    viewer = BeforeAfter(torch.rand(3, 3, 8, 20), torch.rand(3, 3, 8, 20))
    viewer.slider.value = 0.3
    viewer.previous.click()
    assert (viewer.index, viewer.slider.value) == (2, 0.3)
    viewer.next.click()
    assert (viewer.index, viewer.slider.value) == (0, 0.3)


def test_png_keeps_pixels() -> None:
    picture = torch.rand(3, 4, 6)
    read = np.asarray(Image.open(BytesIO(picture_png(picture))))
    np.testing.assert_array_equal(read, (picture.permute(1, 2, 0) * 255).round().numpy())


def test_enlarging_is_by_a_whole_factor() -> None:
    assert enlarged(torch.rand(3, 64, 48), height=256).shape == (3, 256, 192)
    assert enlarged(torch.rand(3, 600, 800), height=256).shape == (3, 600, 800)


def test_slider_and_buttons_change_state_and_picture() -> None:
    viewer = BeforeAfter(torch.rand(2, 3, 8, 20), torch.rand(2, 3, 8, 20))
    seen = [viewer.picture.value]
    viewer.slider.value = 0.25
    seen.append(viewer.picture.value)
    viewer.next.click()
    seen.append(viewer.picture.value)
    assert len(set(seen)) == 3
    assert (viewer.index, viewer.slider.value) == (1, 0.25)
    assert "picture 2 (2 of 2)" in viewer.title.value
    viewer.previous.click()
    assert viewer.picture.value == seen[1]


def test_the_picture_says_what_is_seen() -> None:
    viewer = BeforeAfter(BLACK[None], GREY[None], labels=["<Ann>"])
    assert "&lt;Ann&gt;: before on the left 50%" in viewer.picture.value
    assert "<Ann>" not in viewer.title.value


def test_without_a_front_end_there_is_a_picture() -> None:
    data, _ = BeforeAfter(BLACK[None], GREY[None])._repr_mimebundle_()
    assert Image.open(BytesIO(b64decode(data["image/png"]))).size == (640, 256)
    assert data["text/plain"].startswith("picture 1: before on the left")


def test_pictures_and_labels_must_fit() -> None:
    faces = torch.rand(2, 3, 8, 8)
    with pytest.raises(ImageError, match=r"give \(B, 3, H, W\) of the same shape twice"):
        BeforeAfter(faces, faces[:1])
    with pytest.raises(ImageError, match=r"give \(B, 3, H, W\)"):
        BeforeAfter(faces[:0], faces[:0])
    with pytest.raises(ImageError, match="1 labels for 2 pairs"):
        BeforeAfter(faces, faces, labels=["one"])

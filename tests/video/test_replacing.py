from __future__ import annotations

import av
import numpy as np
import torch
from torch import Tensor

from anonlib.video.picture import ArrayPicture
from anonlib.video.stream import Found, replace_faces
from anonlib.video.yuv import YuvPicture


class Black:
    """Works at 16 pixels and remembers what it was given."""

    size = 16

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, faces: Tensor) -> Tensor:
        self.shapes.append(tuple(faces.shape))
        return torch.zeros_like(faces)


def test_faces_of_all_pictures_and_sizes_pass_together() -> None:
    array = np.full((60, 80, 3), 200, np.uint8)
    frame = av.VideoFrame.from_ndarray(array, format="rgb24").reformat(format="yuv420p")
    pictures = [ArrayPicture(array.copy()), YuvPicture(frame)]
    boxes = torch.tensor([[10.0, 10.0, 21.0, 25.0], [50.0, 30.0, 61.0, 41.0]])
    black = Black()
    found = [Found(picture=picture, boxes=boxes) for picture in pictures]
    assert replace_faces(found, black, enlarge=1.0) == 4
    assert black.shapes == [(4, 3, 16, 16)]
    for picture in pictures:
        shown = picture.crop((0, 0, 80, 60)).amax(dim=0)
        hidden = shown < 0.01
        assert hidden[10:25, 10:21].all() and hidden[30:41, 50:61].all()
        assert hidden.sum() == 15 * 11 + 11 * 11
        assert shown[~hidden].min() > 0.7

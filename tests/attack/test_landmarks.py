from __future__ import annotations

import torch
from torch import nn

from anonlib.attack.landmarks import BATCH, found_landmarks
from anonlib.networks import FaceReader


def test_landmarks_are_those_of_the_reader_for_each_face():
    reader = FaceReader(width=8)
    nn.init.normal_(reader.numbers[-1].weight)  # type: ignore[arg-type]
    images = torch.randint(0, 256, (BATCH + 2, 3, 16, 16), dtype=torch.uint8)
    before = {name: value.clone() for name, value in reader.state_dict().items()}
    points = found_landmarks(reader.train(), images)
    assert points.shape == (BATCH + 2, 5, 2) and not points.requires_grad
    with torch.no_grad():
        alone = reader(images[-1:] / 255).landmarks
    torch.testing.assert_close(points[-1:], alone, atol=1e-4, rtol=0)
    assert not torch.allclose(points[0], points[-1])
    assert all(torch.equal(value, before[name]) for name, value in reader.state_dict().items())

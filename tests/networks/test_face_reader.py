from __future__ import annotations

import torch
from torch import nn

from anonlib.networks import FaceReader


def test_parts_have_the_size_of_the_crop_and_landmarks_its_pixels():
    reader = FaceReader(width=2).eval()
    last = reader.numbers[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 1.0)
    for size in (32, 64):
        reading = reader(torch.rand(2, 3, size, size))
        assert reading.head.shape == reading.front.shape == (2, 1, size, size)
        torch.testing.assert_close(reading.state, torch.ones(2, 8))
        torch.testing.assert_close(reading.landmarks, torch.full((2, 5, 2), 0.75 * size))


@torch.no_grad()
def test_a_face_alone_is_read_as_in_a_batch():
    reader, faces = FaceReader(width=2).eval(), torch.rand(3, 3, 32, 32)
    for part, alone in zip(
        reader(faces), zip(*[reader(face[None]) for face in faces], strict=True), strict=True
    ):
        torch.testing.assert_close(part, torch.cat(alone), atol=1e-5, rtol=1e-4)


def test_every_weight_is_used_and_details_reach_the_parts():
    reader = FaceReader(width=8)
    faces = torch.rand(4, 3, 32, 32, requires_grad=True)
    reading = reader(faces)
    torch.stack([part.square().mean() for part in reading]).sum().backward()
    assert all(
        p.grad is not None and p.grad.any() for n, p in reader.named_parameters() if n.endswith("weight")
    )
    (gradient,) = torch.autograd.grad(reader.eval()(faces).head[0, 0, 10, 10], faces)
    assert gradient[0, :, 10, 10].abs().sum() > 0 and gradient[1:].abs().sum() == 0

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save

from anonlib.detection.ssh import SshDetector, load_ssh
from anonlib.errors import CheckpointError
from anonlib.networks.ssh import anchors


def says(*faces):
    """A network that is sure of anchors nearest to (x, y, side, logit) and of nothing else."""

    def network(pictures):
        places = anchors(*pictures.shape[2:])
        logits = torch.full((len(pictures), len(places)), -9.0)
        for x, y, side, logit in faces:
            index = (places - torch.tensor([x, y, side])).abs().sum(dim=1).argmin()
            logits[:, index] = logit
        return logits, torch.zeros(*logits.shape, 4), torch.zeros(*logits.shape, 10)

    return network


def test_boxes_are_in_pixels_of_the_frame():
    """A frame of 1280x720 is seen at 640x360, the border below at 384 lines is nobody's."""
    detect = SshDetector(network=says((100, 60, 24, 3.0)))
    (faces,) = detect(torch.zeros(1, 3, 720, 1280))
    torch.testing.assert_close(faces.boxes, torch.tensor([[176.0, 96.0, 224.0, 144.0]]))
    torch.testing.assert_close(faces.scores, torch.tensor([3.0]).sigmoid())
    torch.testing.assert_close(faces.landmarks, torch.tensor([200.0, 120.0]).expand(1, 5, 2))


def test_of_overlapping_finds_the_surest_stays_and_the_surest_is_first():
    detect = SshDetector(network=says((52, 52, 24, 1.0), (60, 52, 24, 2.0), (148, 148, 24, 4.0)))
    (faces,) = detect(torch.zeros(1, 3, 256, 256))
    assert faces.boxes[:, 0].tolist() == [136, 48]
    assert (faces.scores.diff() <= 0).all()


def test_a_score_of_just_the_threshold_is_found():
    network = says((52, 52, 24, 0.0))
    frame = torch.zeros(1, 3, 64, 64)
    assert len(SshDetector(network=network, threshold=0.5)(frame)[0]) == 1
    assert len(SshDetector(network=network, threshold=0.51)(frame)[0]) == 0


@pytest.mark.parametrize("size", [(1, 1), (31, 700), (64, 64)])
def test_any_frame_can_be_searched(size):
    faces = SshDetector(network=says())(torch.rand(2, 3, *size))
    assert [len(f) for f in faces] == [0, 0]
    assert faces[0].boxes.shape == (0, 4) and faces[0].landmarks.shape == (0, 5, 2)


def test_missing_and_damaged_weights_are_named(tmp_path):
    bad = tmp_path / "bad.safetensors"
    for content in (None, b"", b"\x08\0\0\0\0\0\0\0{}      "):
        if content is not None:
            bad.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"bad\.safetensors are missing or damaged"):
            load_ssh(bad)
    for config in ({}, {"width": 16}):
        bad.write_bytes(save({"x": torch.zeros(1)}, metadata={"config": json.dumps(config)}))
        with pytest.raises(CheckpointError, match=r"bad\.safetensors are not SSH's"):
            load_ssh(bad)


def test_a_frame_is_searched_alike_in_any_batch(clips):
    detect = SshDetector()
    together, alone = detect(clips.frames[:3] / 255)[1], detect(clips.frames[1:2] / 255)[0]
    torch.testing.assert_close(together.boxes, alone.boxes, atol=1e-2, rtol=1e-3)

"""What SSH and CenterFace have in common."""

from __future__ import annotations

import pytest
import torch

from anonlib.detection import CenterFaceDetector, SshDetector
from anonlib.detection.search import sized
from anonlib.errors import ConfigError

both = pytest.mark.parametrize("detector", [SshDetector, CenterFaceDetector])


def test_small_frames_are_not_enlarged_unless_asked():
    small, scale = sized(torch.rand(1, 3, 240, 320), longest=640)
    assert small.shape == (1, 3, 256, 320) and scale.tolist() == [1, 1]
    assert small[:, :, 240:].abs().sum() == 0


def test_small_frames_are_enlarged_at_most_twice():
    large, scale = sized(torch.rand(1, 3, 240, 320), longest=960, enlarged=2.0)
    assert large.shape == (1, 3, 480, 640) and scale.tolist() == [0.5, 0.5]
    large, _ = sized(torch.rand(1, 3, 360, 640), longest=960, enlarged=2.0)
    assert large.shape == (1, 3, 544, 960) and large[:, :, 540:].abs().sum() == 0


@both
def test_settings_that_cannot_be_are_refused(detector):
    with pytest.raises(ConfigError, match="number from 0 to 1"):
        detector(network=torch.nn.Identity(), threshold=1.1)
    with pytest.raises(ConfigError, match="32 pixels or more"):
        detector(network=torch.nn.Identity(), longest=31)


@both
def test_the_shipped_network_finds_faces_and_their_landmarks(detector, clips):
    found = detector()(clips.frames / 255)
    for faces, boxes, points in zip(found, clips.face_boxes, clips.landmarks, strict=True):
        middles = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        for box, point in zip(boxes, points, strict=True):
            inside = ((middles > box[:2]) & (middles < box[2:])).all(dim=1)
            assert inside.any()
            side = box[3] - box[1]
            assert (faces.landmarks[inside][0] - point).norm(dim=1).mean() < 0.2 * side


@both
def test_plain_colours_hold_nobody(detector):
    frames = torch.linspace(0, 1, 5)[:, None, None, None].expand(5, 3, 96, 128)
    assert [len(faces) for faces in detector()(frames)] == [0] * 5

from __future__ import annotations

import pytest
import torch

from anonlib.detection.center import CenterFaceDetector


def says(*faces):
    """A network that sees faces of `side` pixels at (row, column) with these probabilities."""

    def network(pictures):
        height, width = (side // 4 for side in pictures.shape[2:])
        maps = torch.zeros(len(pictures), 15, height, width)
        maps[:, 0] = -9.0
        for row, column, side, probability in faces:
            maps[:, 0, row, column] = torch.tensor(probability).logit()
            maps[:, 1:3, row, column] = torch.tensor(side / 4).log()
        return maps

    return network


def test_boxes_are_in_pixels_of_the_frame():
    """A frame of 1920x1080 is seen at 960x540, so the face at (82, 42) with 40 pixels is twice that."""
    (faces,) = CenterFaceDetector(network=says((10, 20, 40.0, 0.25)))(torch.zeros(1, 3, 1080, 1920))
    torch.testing.assert_close(faces.boxes, torch.tensor([[124.0, 44.0, 204.0, 124.0]]))
    torch.testing.assert_close(faces.scores, torch.tensor([0.5]))
    torch.testing.assert_close(faces.landmarks, torch.tensor([124.0, 44.0]).expand(1, 5, 2))


def test_a_quick_search_sees_less_of_a_large_frame_and_the_same_of_a_small_one():
    sizes = []

    def network(pictures):
        sizes.append(tuple(pictures.shape[2:]))
        return says((10, 20, 40.0, 0.25))(pictures)

    detect = CenterFaceDetector(network=network)
    (faces,) = detect.quick(torch.zeros(1, 3, 1080, 1920))
    torch.testing.assert_close(faces.boxes, torch.tensor([[186.0, 66.0, 306.0, 186.0]]))
    detect(torch.zeros(1, 3, 240, 320))
    detect.quick(torch.zeros(1, 3, 240, 320))
    assert sizes == [(384, 640), (480, 640), (480, 640)]


def test_of_overlapping_finds_the_surest_stays_and_the_surest_is_first():
    detect = CenterFaceDetector(network=says((10, 10, 40.0, 0.5), (10, 12, 40.0, 0.7), (40, 40, 40.0, 0.9)))
    (faces,) = detect(torch.zeros(1, 3, 256, 256))
    middles = ((faces.boxes[:, 0] + faces.boxes[:, 2]) / 2).tolist()
    assert middles == [81.0, 25.0]  # (40.5, 12.5) * 4 of a picture at twice the size
    assert (faces.scores.diff() <= 0).all()


def test_the_threshold_is_where_the_network_says_a_quarter():
    frame = torch.zeros(1, 3, 64, 64)
    for probability, count in ((0.26, 1), (0.24, 0)):
        assert len(CenterFaceDetector(network=says((5, 5, 20.0, probability)))(frame)[0]) == count


@pytest.mark.parametrize("size", [(1, 1), (31, 700), (64, 64)])
def test_any_frame_can_be_searched(size):
    faces = CenterFaceDetector(network=says())(torch.rand(5, 3, *size))
    assert [len(f) for f in faces] == [0] * 5
    assert faces[0].boxes.shape == (0, 4) and faces[0].landmarks.shape == (0, 5, 2)

from __future__ import annotations

import pytest
import torch

from anonlib.detection import CascadeDetector
from anonlib.detection.cascade import square_crop
from anonlib.errors import ConfigError
from anonlib.networks.ssh import anchors


def proposes(pictures):
    """Two faces, one on the left half and one on the right."""
    places = anchors(*pictures.shape[2:])
    logits = torch.full((len(pictures), len(places)), -9.0)
    for x in (28.0, 100.0):
        logits[:, (places - torch.tensor([x, 28.0, 24.0])).abs().sum(dim=1).argmin()] = x / 10
    return logits, torch.zeros(*logits.shape, 4), torch.zeros(*logits.shape, 10)


def classifier(chance):
    """Outputs as R-Net's: offsets, then the probabilities of no face and of a face, by brightness."""

    def network(crops):
        likely = chance * ((crops.mean(dim=(1, 2, 3)) + 1) / 2)
        return torch.zeros(len(crops), 4), torch.stack([1 - likely, likely], dim=1)

    return network


@pytest.fixture
def half_white():
    frame = torch.zeros(1, 3, 64, 128)
    frame[..., 64:] = 1
    return frame


@pytest.fixture(scope="module")
def cascade():
    return CascadeDetector(network=proposes)


def test_both_classifiers_must_agree(cascade, half_white, monkeypatch):
    for first, second, kept in ((1.0, 1.0, 1), (1.0, 0.5, 0), (0.5, 1.0, 0)):
        monkeypatch.setattr(
            cascade, "classifiers", ((classifier(first), 24, 0.6), (classifier(second), 48, 0.7))
        )
        (faces,) = cascade(half_white)
        assert len(faces) == kept
    monkeypatch.setattr(cascade, "classifiers", ((classifier(1.0), 24, 0.6),))
    (faces,) = cascade(half_white)
    assert faces.boxes.tolist() == [[88, 16, 112, 40]]
    torch.testing.assert_close(faces.scores, torch.tensor([10.0]).sigmoid())


def test_without_proposals_nobody_is_asked(cascade):
    quiet = CascadeDetector(network=lambda p: tuple(-9 * x.abs() - 9 for x in proposes(p)))
    assert len(quiet(torch.rand(1, 3, 64, 64))[0]) == 0


def test_crops_are_square_and_cut_off_at_the_edge():
    frame = torch.arange(100.0).reshape(1, 10, 10).expand(3, 10, 10)
    crop = square_crop(frame, torch.tensor([2.0, 1.0, 4.0, 5.0]), side=4)  # 4 tall: x from 1 to 5
    assert torch.equal(crop, frame[:, 1:5, 1:5])
    edge = square_crop(frame, torch.tensor([-2.0, 8.0, 2.0, 12.0]), side=2)
    assert torch.equal(edge, frame[:, 8:10, 0:2])
    assert square_crop(frame, torch.tensor([20.0, 20.0, 22.0, 22.0]), side=2).shape == (3, 2, 2)


def test_thresholds_must_be_probabilities():
    with pytest.raises(ConfigError, match="two numbers from 0 to 1"):
        CascadeDetector(network=proposes, thresholds=(0.6, 1.7))

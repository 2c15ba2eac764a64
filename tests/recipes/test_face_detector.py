from __future__ import annotations

import numpy as np
import pytest
import torch

from anonlib.networks.ssh import Ssh, anchors, decode_boxes, decode_landmarks
from recipes.scenes import Labelled, Scene, Scenes
from recipes.ssh_training import assign, encode_boxes, encode_landmarks, scene_losses, train_face_detector

PLACES = anchors(64, 64)


def _place(x: float, y: float, side: float) -> int:
    return int((PLACES - torch.tensor([x, y, side])).abs().sum(dim=1).argmin())


def test_a_face_on_an_anchor_is_that_anchors():
    box = torch.tensor([[8.0, 8.0, 32.0, 32.0]])  # centre 20, 20 and side 24
    assigned, nearest = assign(PLACES, box, torch.zeros(0, 4))
    assert assigned[_place(20, 20, 24)] == 1
    assert assigned[_place(52, 52, 24)] == 0
    # 8 aside: 16 * 24 / (2 * 576 - 384) = 0.5; 8 and 8 aside: 256 / 896 = 0.29
    assert assigned[_place(28, 20, 24)] == 1 and assigned[_place(28, 28, 24)] == 0
    # inside and half as large: 144 / 576 = 0.25
    assert assigned[_place(20, 20, 12)] == 0
    assert (nearest == 0).all()


def test_every_face_has_an_anchor_however_small():
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [30.0, 30.0, 35.0, 36.0]])
    assigned, nearest = assign(PLACES, boxes, torch.zeros(0, 4))
    assert set(nearest[assigned == 1].tolist()) == {0, 1}


def test_doubtful_places_count_neither_way_unless_a_face_is_there():
    face = torch.tensor([[8.0, 8.0, 32.0, 32.0]])
    assigned, _ = assign(PLACES, face, torch.tensor([[0.0, 0.0, 64.0, 40.0]]))
    assert assigned[_place(20, 20, 24)] == 1
    assert assigned[_place(52, 20, 12)] == -1
    assert assigned[_place(52, 60, 12)] == 0


def test_a_perfect_answer_costs_nothing_but_the_offsets_of_a_wrong_one():
    scene = Scene(
        torch.zeros(3, 64, 64),
        torch.tensor([[8.0, 8.0, 32.0, 32.0]]),
        torch.full((1, 5, 2), 20.0),
        torch.zeros(0, 4),
    )
    assigned, _ = assign(PLACES, scene.boxes, scene.doubtful)
    right = type("P", (), {})()
    right.logits = (assigned * 60.0 - 30.0)[None]
    right.boxes = encode_boxes(scene.boxes.expand(len(PLACES), 4), PLACES)[None]
    points = scene.landmarks.expand(len(PLACES), 5, 2)
    right.landmarks = encode_landmarks(points, PLACES)[None]
    losses = scene_losses(right, [scene], PLACES)
    assert all(value < 1e-5 for value in losses.values())
    right.boxes = right.boxes + 1
    losses = scene_losses(right, [scene], PLACES)
    assert losses["box"] > 0.4 and losses["landmarks"] < 1e-5 and losses["score"] < 1e-5


@pytest.fixture(scope="module")
def scenes():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 80, (60, 60, 3)).astype(np.uint8)
    picture[20:40, 22:38] = 250
    points = np.full((1, 5, 2), 30, np.float32)
    box = np.array([[22, 20, 38, 40]], np.float32)
    face = Labelled(picture, box, points, np.zeros((0, 4), np.float32))
    dark = Labelled(picture // 8, box[:0], points[:0], box[:0])
    return Scenes([face], [dark], size=96, seed=1)


def test_a_resumed_training_equals_an_uninterrupted_one(scenes, tmp_path, monkeypatch):
    monkeypatch.setattr("anonlib.training.loop.SAVE_EVERY", 3)

    def trained(shown, checkpoint):
        torch.manual_seed(0)
        network = Ssh(8)
        train_face_detector(
            network, shown, steps=6, batch=2, lr=1e-3, seed=0, progress=False, checkpoint=checkpoint
        )
        return network

    class PowerCut(Scenes):
        def __getitem__(self, number):
            if number >= 8:
                raise KeyboardInterrupt
            return super().__getitem__(number)

    whole = trained(scenes, tmp_path / "whole.pt")
    with pytest.raises(KeyboardInterrupt):
        trained(PowerCut(scenes.portraits, scenes.grounds, size=96, seed=1), tmp_path / "part.pt")
    resumed = trained(scenes, tmp_path / "part.pt")
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.slow
def test_one_batch_is_learned_by_heart(scenes):
    class Four(Scenes):
        def __getitem__(self, number):
            return super().__getitem__(number % 4)

    torch.manual_seed(0)
    few = Four(scenes.portraits, scenes.grounds, size=96, seed=1)
    history = train_face_detector(Ssh(8), few, steps=60, batch=4, lr=1e-2, seed=0, progress=False)
    assert history[-1]["score"] < 0.5 * history[0]["score"]
    assert history[-1]["box"] < 0.5 * history[0]["box"]


def test_boxes_and_landmarks_come_back():
    places = anchors(64, 64)[:40]
    low = torch.rand(40, 2) * 50
    boxes = torch.cat([low, low + 1 + torch.rand(40, 2) * 60], dim=1)
    torch.testing.assert_close(decode_boxes(encode_boxes(boxes, places), places), boxes)
    points = torch.rand(40, 5, 2) * 64
    torch.testing.assert_close(decode_landmarks(encode_landmarks(points, places), places), points)


def test_offsets_by_hand():
    place = torch.tensor([[20.0, 20.0, 10.0]])
    box = torch.tensor([[18.0, 15.0, 28.0, 25.0]])  # centre 3 to the right, the same size
    torch.testing.assert_close(encode_boxes(box, place), torch.tensor([[3.0, 0, 0, 0]]))
    points = torch.full((1, 5, 2), 21.0)
    torch.testing.assert_close(encode_landmarks(points, place), torch.ones(1, 10))

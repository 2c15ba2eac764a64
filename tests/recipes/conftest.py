"""A world small enough to train on in a second: eight faces, six frames, tiny networks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from anonlib.config import ClassifierConfig, DetectorConfig, ModifierConfig, TrainingConfig
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import Players
from anonlib.types import ActionFrames, FaceImages

PEOPLE = 4


@pytest.fixture
def faces() -> FaceImages:
    """Two noisy pictures of each of four people, 20 px."""
    person = torch.randint(40, 216, (PEOPLE, 3, 20, 20)).repeat_interleave(2, dim=0)
    noise = torch.randint(-20, 20, person.shape)
    return FaceImages(
        images=(person + noise).to(torch.uint8),
        labels=torch.arange(PEOPLE).repeat_interleave(2),
        landmarks=20 * CANONICAL_LANDMARKS + torch.rand(2 * PEOPLE, 5, 2),
    )


@pytest.fixture
def frames() -> ActionFrames:
    """Six frames of 48x64 with one actor and one face each; the last has neither."""
    boxes = [torch.tensor([[8.0 + k, 4.0, 40.0 + k, 46.0]]) for k in range(5)]
    heads = [torch.tensor([[16.0 + k, 6.0, 26.0 + k, 16.0]]) for k in range(5)]
    return ActionFrames(
        frames=torch.randint(0, 256, (6, 3, 48, 64), dtype=torch.uint8),
        boxes=[*boxes, torch.zeros(0, 4)],
        labels=[torch.tensor([k]) for k in range(5)] + [torch.zeros(0, dtype=torch.int64)],
        face_boxes=[*heads, torch.zeros(0, 4)],
        landmarks=[torch.zeros(len(h), 5, 2) for h in [*heads, torch.zeros(0, 4)]],
        identities=[torch.tensor([k]) for k in range(5)] + [torch.zeros(0, dtype=torch.int64)],
        clips=torch.arange(6) // 2,
    )


@pytest.fixture
def faceless(frames: ActionFrames) -> ActionFrames:
    """The same frames with every face turned away."""
    return replace(frames, face_boxes=[torch.zeros(0, 4)] * 6)


@pytest.fixture
def config() -> TrainingConfig:
    return TrainingConfig(faces=4, frames=2, adversarial_steps=6, classifier_steps=6, classifier_updates=2)


def classifier(seed: int = 1) -> SphereFace:
    torch.manual_seed(seed)
    return SphereFace(ClassifierConfig(size=(16, 16), depth=4, width=4, features=8), people=PEOPLE)


def detector(seed: int = 1) -> ActionDetector:
    torch.manual_seed(seed)
    return ActionDetector(DetectorConfig(backbone="small", frame=(48, 64), width=4))


def players(seed: int = 1) -> Players:
    torch.manual_seed(seed)
    modifier = Modifier(ModifierConfig(size=16, width=4, blocks=1))
    return Players(modifier, classifier(seed), detector(seed))


@pytest.fixture
def make_classifier():
    """A tiny D from a seed."""
    return classifier


@pytest.fixture
def make_detector():
    """A tiny A from a seed."""
    return detector


@pytest.fixture
def make_players():
    """Tiny M, D and A from a seed."""
    return players

"""A world small enough to train on in a second: eight faces, six frames, tiny networks."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

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


@pytest.fixture
def together(tmp_path: Path) -> Callable[[Callable[[], Any]], list[Any]]:
    """Runs work in two processes joined by gloo, and returns what each of them returned."""

    def process(rank: int, work: Callable[[], Any], folder: Path) -> None:
        os.environ["RANK"] = str(rank)  # as torchrun sets it
        distributed.init_process_group(
            "gloo",
            init_method=f"file://{folder}/meet",
            rank=rank,
            world_size=2,
            timeout=timedelta(seconds=300),
        )
        torch.save(work(), folder / f"{rank}.pt")
        distributed.destroy_process_group()

    def run(work: Callable[[], Any]) -> list[Any]:
        folder = tmp_path / f"processes{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        context = multiprocessing.get_context("fork")
        processes = [context.Process(target=process, args=(r, work, folder)) for r in (0, 1)]
        for one in processes:
            one.start()
        for one in processes:
            one.join(900)
        assert [one.exitcode for one in processes] == [0, 0]
        return [torch.load(folder / f"{r}.pt", weights_only=False) for r in (0, 1)]

    return run

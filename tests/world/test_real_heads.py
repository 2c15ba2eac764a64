from __future__ import annotations

import pytest
import torch

from anonlib.errors import FaceDatasetError
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.types import FaceImages, HeadSource
from anonlib.world.faces import FolderPeople, head_alpha


def faces(people: int, images: int = 3, size: int = 64, seed: int = 0) -> FaceImages:
    """Soft random pictures; the red of person n is about 20 n."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(people).repeat_interleave(images)
    small = torch.rand(len(labels), 3, 4, 4, generator=generator) * 60 + 100
    small[:, 0] = (20 * labels + torch.arange(images).repeat(people)).reshape(-1, 1, 1)
    large = torch.nn.functional.interpolate(small, (size, size), mode="bilinear")
    points = (CANONICAL_LANDMARKS * size).expand(len(labels), 5, 2)
    return FaceImages(images=large.round().to(torch.uint8), labels=labels, landmarks=points.clone())


@pytest.fixture
def people() -> FolderPeople:
    return FolderPeople({"train": faces(4), "validation": faces(2), "test": faces(3, seed=1)})


def test_people_differ_between_splits(people):
    source: HeadSource = people
    splits = [list(source.people(s)) for s in ("train", "validation", "test")]
    assert splits == [[0, 1, 2, 3], [4, 5], [6, 7, 8]]


def test_heads_show_the_person_asked_for(people):
    for person, red in ((0, 0), (3, 60), (4, 0), (8, 40)):
        heads = people.heads(person, seed=1, frames=2, size=48)
        middle = heads.rgb[:, 0, 20:28, 20:28].mean() * 255
        assert red - 0.5 <= middle <= red + 2.5


def test_shapes_ranges_and_determinism(people):
    heads = people.heads(2, seed=5, frames=7, size=48)
    assert heads.rgb.shape == (7, 3, 48, 48) and heads.alpha.shape == (7, 1, 48, 48)
    assert heads.landmarks.shape == (7, 5, 2)
    for part in (heads.rgb, heads.alpha):
        assert part.min() >= 0 and part.max() <= 1
    again = people.heads(2, seed=5, frames=7, size=48)
    assert torch.equal(heads.rgb, again.rgb) and torch.equal(heads.landmarks, again.landmarks)
    other = people.heads(2, seed=6, frames=7, size=48)
    assert not torch.equal(heads.landmarks, other.landmarks)


def test_all_pictures_of_a_person_are_used(people):
    reds = {
        round(float(people.heads(1, seed=s, frames=1, size=48).rgb[0, 0, 24, 24]) * 255) for s in range(30)
    }
    assert reds == {20, 21, 22}


def test_heads_move_but_never_jump(people):
    for seed in range(10):
        points = people.heads(0, seed=seed, frames=24, size=100).landmarks
        step = (points[1:] - points[:-1]).norm(dim=-1)
        assert step.max() < 3.5 and points.std(dim=0).max() > 0.5
        away = (points - CANONICAL_LANDMARKS * 100).norm(dim=-1)
        assert away.max() < 8


def test_landmarks_move_with_the_picture():
    """A white dot at the left eye stays under the left eye's landmark."""
    size = 64
    source = faces(1, images=1, size=size)
    line = torch.arange(size) + 0.5
    y, x = torch.meshgrid(line, line, indexing="ij")
    eye = source.landmarks[0, 0]
    dot = ((x - eye[0]) ** 2 + (y - eye[1]) ** 2) < 9
    pictures = (dot * 255).to(torch.uint8).expand(1, 3, -1, -1)
    people = FolderPeople(
        {"train": FaceImages(images=pictures, labels=source.labels, landmarks=source.landmarks)}
    )
    for size in (64, 96):
        heads = people.heads(0, seed=3, frames=9, size=size)
        line = torch.arange(size) + 0.5
        weight = heads.rgb[:, 0]
        found = torch.stack([(weight.sum(1) * line).sum(1), (weight.sum(2) * line).sum(1)], dim=1)
        found = found / weight.sum((1, 2))[:, None]
        torch.testing.assert_close(found, heads.landmarks[:, 0], atol=0.4, rtol=0)


def test_the_head_is_opaque_and_the_corners_are_clear():
    alpha = head_alpha(100)[0]
    for x, y in (CANONICAL_LANDMARKS * 100).int().tolist():
        assert alpha[y, x] == 1
    assert alpha[0].max() == 0 and alpha[:60, :10].max() == 0 and alpha[-1, :30].max() == 0
    assert alpha[-1, 50] == 1  # the neck reaches the border
    torch.testing.assert_close(alpha, alpha.flip(1))
    assert ((alpha > 0) & (alpha < 1)).float().mean() > 0.05  # feathered


def test_unknown_splits_and_people_are_named(people):
    with pytest.raises(FaceDatasetError, match="no real people for 'dev': give face images for it"):
        people.people("dev")
    with pytest.raises(FaceDatasetError, match="no person has the number 99"):
        people.heads(99, seed=0, frames=1, size=32)

"""Similarities within and between people, partial modification and flicker."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from anonlib.attack.verification import face_features
from anonlib.errors import ConfigError, FaceDatasetError, ImageError
from anonlib.experiment.identity_consistency import (
    blend,
    blend_faces,
    consecutive_similarity,
    consistency,
    face_track,
    flicker,
    pair_similarities,
    similarity,
    strength_sweep,
)
from anonlib.networks import SphereFace
from anonlib.types import ActionFrames, FaceImages
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople, synthetic_faces


def unit(*degrees: float) -> np.ndarray:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_similarity_averages_pairs_within_and_between() -> None:
    found = similarity("any", unit(0, 60, 90), unit(0, 60, 90), torch.tensor([0, 0, 1]))
    assert math.isclose(found.within, 0.5)
    assert math.isclose(found.between, (math.cos(math.pi / 2) + math.cos(math.pi / 6)) / 2)
    assert math.isclose(found.gap, found.within - found.between)


def test_a_picture_is_not_compared_with_its_own_modified_self() -> None:
    """Else a modifier that does nothing would look like one that keeps people alike."""
    first, second = unit(0, 90, 180), unit(0, 90, 180)
    assert abs(similarity("any", first, second, torch.tensor([0, 0, 1])).within) < 1e-12


def test_every_pair_of_different_pictures_counts_once_each_way() -> None:
    within, between = pair_similarities(unit(0, 0, 90), unit(0, 60, 90), torch.tensor([0, 0, 1]))
    assert np.sort(within).round(6).tolist() == [0.5, 1.0]
    assert len(between) == 4


@pytest.mark.parametrize("labels", [[0, 0, 0], [0, 1, 2]])
def test_similarity_needs_two_people_and_two_pictures(labels: list[int]) -> None:
    with pytest.raises(FaceDatasetError, match="need two people, and two pictures"):
        similarity("any", unit(0, 1, 2), unit(0, 1, 2), torch.tensor(labels))


def test_consistency_tells_which_pictures_it_compares() -> None:
    """Everybody turned by 90 degrees: consistent among themselves, unlike their originals."""
    labels = torch.tensor([0, 0, 1, 1])
    before, after = unit(0, 10, 90, 100), unit(90, 100, 180, 190)
    original, modified, crossed = consistency(before, after, labels)
    assert original.pictures == "original, original"
    assert math.isclose(original.within, modified.within)
    assert math.isclose(original.between, modified.between, abs_tol=1e-12)
    assert crossed.within < 0.2 < original.within


def test_blend_is_the_original_at_0_and_the_modified_at_1() -> None:
    before = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    after = torch.randint(256, (2, 3, 4, 4), dtype=torch.uint8)
    assert torch.equal(blend(before, after, strength=0), before)
    assert torch.equal(blend(before, after, strength=1), after)
    low, high = torch.minimum(before, after), torch.maximum(before, after)
    between = blend(before, after, strength=0.3)
    assert ((between >= low) & (between <= high)).all()


def test_blend_goes_from_the_original_to_the_modified() -> None:
    black, white = torch.zeros(1, dtype=torch.uint8), torch.full((1,), 200, dtype=torch.uint8)
    assert blend(black, white, strength=0.25).item() == 50


def test_blend_refuses_what_does_not_fit() -> None:
    pixels = torch.zeros(4, dtype=torch.uint8)
    with pytest.raises(ConfigError, match=r"strength 1\.5: use a number from 0 to 1"):
        blend(pixels, pixels, strength=1.5)
    with pytest.raises(ImageError, match=r"\(4,\) and \(3,\) do not pair"):
        blend(pixels, pixels[:3], strength=1)


@pytest.fixture(scope="module")
def faces() -> FaceImages:
    return synthetic_faces([3, 5], images=2, size=64, seed=0)


def test_sweep_begins_with_the_original_and_ends_with_the_modified(faces: FaceImages) -> None:
    from anonlib.config import profile

    classifier = SphereFace(profile("smoke").classifier, people=2)
    after = blend_faces(faces, synthetic_faces([8, 9], images=2, size=64, seed=0), strength=1)
    first, last = strength_sweep(faces, after, classifier, strengths=(0, 1))
    clear, hidden = face_features(classifier, faces), face_features(classifier, after)
    original, modified, crossed = consistency(clear, hidden, faces.labels)
    assert first["within"] == pytest.approx(original.within)
    assert first["to_original"] == pytest.approx(original.within)
    assert last["within"] == pytest.approx(modified.within)
    assert last["between"] == pytest.approx(modified.between)
    assert last["to_original"] == pytest.approx(crossed.within)


@pytest.fixture(scope="module")
def clip() -> ActionFrames:
    return render_clips(clips=1, frames=3, split="test", seed=0, heads=SyntheticPeople())


def test_track_follows_one_person(clip: ActionFrames) -> None:
    first, second = clip.identities[0].tolist()
    one, other = (face_track(clip, person=p, size=48) for p in (first, second))
    assert one.images.shape == other.images.shape == (3, 3, 48, 48)
    assert not torch.equal(one.images, other.images)


def test_track_cuts_out_the_box_enlarged_by_1_6() -> None:
    """A white square of 10 pixels fills 10 of the 16 pixels of its enlarged box."""
    frame = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    frame[:, :, 10:20, 15:25] = 255
    data = ActionFrames(
        frames=frame,
        boxes=[],
        labels=[],
        face_boxes=[torch.tensor([[15.0, 10.0, 25.0, 20.0]])],
        landmarks=[torch.tensor([[[15.0, 10.0]] * 5])],
        identities=[torch.tensor([7])],
        clips=torch.zeros(1),
    )
    track = face_track(data, person=7, size=32)
    assert track.images.float().mean() / 255 == pytest.approx((10 / 16) ** 2, abs=0.01)
    torch.testing.assert_close(track.landmarks, torch.full((1, 5, 2), 6.0))


def test_track_of_somebody_else_is_refused(clip: ActionFrames) -> None:
    with pytest.raises(FaceDatasetError, match="no frame shows the face of person -1"):
        face_track(clip, person=-1, size=48)


def test_consecutive_similarity_compares_neighbours() -> None:
    found = consecutive_similarity(unit(0, 60, 60, 150))
    np.testing.assert_allclose(found, [0.5, 1, 0], atol=1e-12)


def test_flicker_is_one_for_no_change_and_zero_for_a_mask() -> None:
    frames = torch.rand(4, 3, 8, 8)
    assert flicker(frames, frames) == 1
    assert flicker(frames, 1 - frames) == pytest.approx(1)
    assert flicker(frames, torch.zeros_like(frames)) == 0


def test_flicker_needs_change() -> None:
    with pytest.raises(ImageError, match="two frames or more"):
        flicker(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8))
    with pytest.raises(ImageError, match="original frames that change"):
        flicker(torch.zeros(2, 3, 8, 8), torch.rand(2, 3, 8, 8))

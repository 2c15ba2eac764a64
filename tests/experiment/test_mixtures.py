"""The curves of Fig. 4 that masks for some people or pictures reach."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anonlib.config import ClassifierConfig
from anonlib.experiment.mixtures import MASKED, SHARES, action_map, mixture_cosines, mixtures
from anonlib.experiment.predictions import save_arrays
from anonlib.metrics.verification import verification_pairs
from anonlib.networks import SphereFace
from anonlib.types import FaceImages

CLIPS = 10


def faces() -> FaceImages:
    """Ten pictures of each of 60 people."""
    images = torch.randint(0, 256, (600, 3, 16, 16), dtype=torch.uint8)
    landmarks = torch.tensor([[5.0, 6], [11, 6], [8, 9], [6, 12], [10, 12]]).expand(600, 5, 2)
    return FaceImages(images=images, labels=torch.arange(60).repeat_interleave(10), landmarks=landmarks)


def test_who_is_masked_is_masked_in_all_pictures_or_in_some() -> None:
    torch.manual_seed(0)
    people = faces()
    pairs = verification_pairs(people.labels, pairs=1000, folds=10, seed=0)
    classifier = SphereFace(ClassifierConfig(size=(16, 16), depth=4, width=4, features=8), people=2)
    found = mixture_cosines(classifier, people, pairs, seed=0)
    assert set(found) == {f"{what}-{share}" for what in MASKED for share in SHARES}
    for share in SHARES:
        both = {what: found[f"{what}-{share}"] == 1 for what in MASKED}  # two masks are one picture
        assert both["person"][pairs.same].mean() == pytest.approx(share, abs=0.15)
        assert both["picture"][pairs.same].mean() == pytest.approx(share**2, abs=0.08)
        for one in both.values():
            assert one[~pairs.same].mean() == pytest.approx(share**2, abs=0.15)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Predictions: D and A are always right on clear data; D guesses and A finds nothing behind masks."""
    same, clip = np.arange(200) % 2 == 0, np.arange(CLIPS).astype(np.uint16)
    positives = np.ones((CLIPS, 1), np.uint8)
    fold = (np.arange(200) // 2 % 10).astype(np.uint8)
    test = {"same": same, "fold": fold, "clip": clip, "positives": positives}
    save_arrays(tmp_path / "test.npz", test)
    for name, hit, cosine in (("unanonymized", True, same * 1.0), ("mask", False, np.ones(200))):
        detections = {"image": clip, "label": np.zeros(CLIPS, np.uint8), "score": np.ones(CLIPS, np.float16)}
        save_arrays(tmp_path / f"{name}.npz", {"cosine": cosine, "hit": np.full(CLIPS, hit), **detections})
    half = np.where(np.arange(200) < 100, same, 1.0).astype(np.float16)
    save_arrays(tmp_path / "mixtures.npz", {f"{what}-{share}": half for what in MASKED for share in SHARES})
    return tmp_path


def test_a_curve_goes_from_doing_nothing_to_a_full_mask(folder: Path) -> None:
    rows = mixtures(folder)
    assert [(row["masked"], row["share"]) for row in rows] == [
        (what, share) for what in MASKED for share in (0, *SHARES, 1)
    ]
    for what in MASKED:
        curve = [row for row in rows if row["masked"] == what]
        errors, precision = ([row[name] for row in curve] for name in ("verification_error", "action_map"))
        assert errors == pytest.approx([0, 0.25, 0.25, 0.25, 0.5], abs=0.01)
        assert precision == sorted(precision, reverse=True) and (precision[0], precision[-1]) == (1, 0)


def test_the_map_is_that_of_each_clip_by_its_own_detector(folder: Path) -> None:
    assert action_map(folder, 0.5) == pytest.approx(0.5, abs=0.12)
    assert action_map(folder, 0.5) == action_map(folder, 0.5)

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from anonlib.config import profile
from anonlib.networks import FaceReader
from anonlib.world.codes import PersonCodes
from anonlib.world.pairs import RedrawnPairs, portrait_pairs
from recipes import pretrain_pairs
from recipes.pretrain_pairs import overlap, pairs_of, read_validation


@pytest.fixture(scope="module")
def pairs() -> RedrawnPairs:
    codes = PersonCodes()
    return portrait_pairs(codes, range(4), codes.of(range(4, 8)), size=32, seed=0)


def test_overlap_by_hand():
    found, true = torch.tensor([1, 1, 1, 0]).bool(), torch.tensor([0, 1, 1, 1]).bool()
    assert overlap(found, true) == overlap(true, found) == 0.5
    assert overlap(true, true) == 1.0


def test_a_reader_is_measured_on_pairs(pairs: RedrawnPairs):
    reader = FaceReader(width=2).eval()
    found = read_validation(reader, pairs)
    with torch.no_grad():
        points = reader(pairs.images / 255).landmarks
    distance = ((points - pairs.landmarks) ** 2).sum(2).sqrt().mean().item()
    assert found["landmarks_pixels"] == pytest.approx(distance, rel=1e-3)
    assert len(found["state_correlation"]) == 8 and 0 <= found["iou_head"] <= 1


def test_pairs_of_clips_are_drawn_once(pairs: RedrawnPairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    calls: list[dict[str, Any]] = []

    def draw(codes: PersonCodes, **options: Any) -> RedrawnPairs:
        calls.append(options)
        return pairs

    monkeypatch.setattr(pretrain_pairs, "clip_pairs", draw)
    laptop = profile("laptop")
    for _ in range(2):
        again = pairs_of(laptop, tmp_path, "validation")
        assert all(torch.equal(getattr(again, name), getattr(pairs, name)) for name in RedrawnPairs.__slots__)
    pairs_of(laptop, tmp_path, "validation", person=777)
    assert [call["person"] for call in calls] == [None, 777]
    assert calls[0]["size"] == laptop.modifier.size and calls[0]["frame"] == laptop.detector.frame

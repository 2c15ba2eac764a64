from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import DetectorConfig
from anonlib.experiment import actions
from anonlib.experiment.actions import anonymize_clips, detect_actions, ground_truth
from anonlib.metrics.average_precision import average_precision
from anonlib.networks import ActionDetector
from anonlib.types import ActionFrames


class Seer(nn.Module):
    """Finds one box a frame; its score is the brightness and its label the tens of it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, frames: list[Tensor]) -> list[dict[str, Tensor]]:
        assert not self.training
        level = [float(frame.mean()) for frame in frames]
        return [
            {
                "boxes": torch.tensor([[7.0 + round(25.5 * x), 4.0, 39.0 + round(25.5 * x), 46.0]]),
                "scores": torch.tensor([x]),
                "labels": torch.tensor([round(25.5 * x)]),
            }
            for x in level
        ]


def make_detector() -> ActionDetector:
    detector = ActionDetector(DetectorConfig(backbone="small", frame=(48, 64), width=4))
    detector.network = Seer()
    return detector.train()


@pytest.fixture
def batches_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "BATCH", 4)


@pytest.mark.usefixtures("batches_of_four")
def test_only_enlarged_faces_are_changed(frames: ActionFrames):
    before = frames.frames.clone()
    hidden = anonymize_clips(frames, torch.zeros_like)
    assert torch.equal(frames.frames, before)
    for k in range(5):  # 10 px at (16 + k, 6), enlarged 1.6x about (21 + k, 11)
        expected = before[k].clone()
        expected[:, 3:19, 13 + k : 29 + k] = 0
        assert torch.equal(hidden.frames[k], expected)
    assert torch.equal(hidden.frames[5], before[5])
    assert hidden.boxes is frames.boxes and hidden.labels is frames.labels


def test_frames_nobody_will_look_at_are_black_and_cost_nothing(frames: ActionFrames):
    met: list[int] = []

    def count(faces: Tensor) -> Tensor:
        met.append(len(faces))
        return 1 - faces

    some = anonymize_clips(frames, count, only=torch.tensor([3, 0, 5])).frames
    assert sum(met) == 2  # frame 5 shows no face
    everything = anonymize_clips(frames, count).frames
    for k in (0, 3, 5):
        assert torch.equal(some[k], everything[k])
    assert not some[[1, 2, 4]].any()


def test_doing_nothing_to_clips_leaves_every_bit(frames: ActionFrames):
    assert torch.equal(anonymize_clips(frames, lambda faces: faces).frames, frames.frames)


@pytest.mark.usefixtures("batches_of_four")
def test_detections_come_in_the_order_of_the_frames_with_classes_from_0(frames: ActionFrames):
    found = detect_actions(make_detector(), frames)
    assert [d["labels"].tolist() for d in found] == [[k] for k in range(6)]
    torch.testing.assert_close(
        torch.cat([d["scores"] for d in found]), torch.arange(1, 7) / 25.5
    )  # frames in [0, 1]


def test_a_detector_that_finds_everything_has_precision_one(frames: ActionFrames):
    found, truth = detect_actions(make_detector(), frames), ground_truth(frames)
    precision = average_precision(found, truth, classes=10)
    assert precision.per_class[:5].tolist() == [1.0] * 5
    assert precision.mean == 1.0
    swapped = [truth[1], truth[0], *truth[2:]]
    assert average_precision(found, swapped, classes=10).mean == pytest.approx(3 / 5)

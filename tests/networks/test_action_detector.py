from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from anonlib.config import DetectorConfig
from anonlib.networks import ActionDetector

TINY = DetectorConfig(backbone="small", frame=(48, 64), width=4)
FOUR = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"}


class Recorder(nn.Module):
    """Stands where Faster R-CNN is; keeps what it was given, answers what it was told."""

    def __init__(self, answer: Any = None) -> None:
        super().__init__()
        self.answer, self.given = answer, ()  # type: tuple[Any, ...]

    def forward(self, *given: Any) -> Any:
        self.given = given
        return self.answer


def coloured_batch() -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Two frames with a bright person each: red does action 0, blue does action 9."""
    frames = torch.full((2, 3, 48, 64), 0.3)
    frames[0, 0, 8:44, 6:30], frames[1, 2, 4:40, 30:58] = 1.0, 1.0
    boxes = [torch.tensor([[6.0, 8.0, 30.0, 44.0]]), torch.tensor([[30.0, 4.0, 58.0, 40.0]])]
    return frames, boxes, [torch.tensor([0]), torch.tensor([9])]


def test_it_returns_the_four_losses_of_faster_rcnn():
    losses = ActionDetector(TINY).losses(*coloured_batch())
    assert set(losses) == FOUR
    assert all(v.ndim == 0 and v.requires_grad and torch.isfinite(v) for v in losses.values())


def test_frames_without_action_are_background():
    frames = torch.rand(2, 3, 48, 64)
    nothing = ([torch.zeros(0, 4)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2)
    losses = ActionDetector(TINY).losses(frames, *nothing)
    assert losses["loss_box_reg"] == 0 and losses["loss_rpn_box_reg"] == 0
    assert losses["loss_classifier"] > 0 and losses["loss_objectness"] > 0


def test_classes_from_0_are_labels_from_1_and_back():
    detector = ActionDetector(TINY)
    frames, boxes, labels = coloured_batch()
    detector.network = Recorder()
    detector.losses(frames, boxes, labels)
    targets = detector.network.given[1]
    assert [t["labels"].tolist() for t in targets] == [[1], [10]]
    assert [t["boxes"].tolist() for t in targets] == [b.tolist() for b in boxes]
    assert [t.tolist() for t in labels] == [[0], [9]]  # as they were

    found = {"boxes": boxes[0], "scores": torch.tensor([0.5]), "labels": torch.tensor([10])}
    detector.network = Recorder([found])
    (detection,) = detector(frames[:1])
    assert detection["labels"].tolist() == [9]
    assert detection["scores"].tolist() == [0.5]


def test_there_is_an_output_for_each_class_and_the_background():
    assert ActionDetector(TINY).network.roi_heads.box_predictor.cls_score.out_features == 11


def test_the_losses_reach_the_frames():
    frames, boxes, labels = coloured_batch()
    frames.requires_grad_()
    torch.stack(list(ActionDetector(TINY).losses(frames, boxes, labels).values())).sum().backward()
    assert frames.grad is not None and frames.grad.abs().max() > 0


def test_paper_scale_is_resnet_101():
    with torch.device("meta"):
        network = ActionDetector(DetectorConfig()).network
    body = network.backbone.body
    assert [len(body[f"layer{k}"]) for k in (1, 2, 3, 4)] == [3, 4, 23, 3]
    assert all(p.requires_grad for p in network.parameters())  # trained end to end
    assert (network.transform.min_size, network.transform.max_size) == ((600,), 800)
    assert network.roi_heads.box_predictor.cls_score.out_features == 11


def test_it_learns_a_tiny_batch_by_heart():
    detector = ActionDetector(TINY)
    frames, boxes, labels = coloured_batch()
    optimizer = torch.optim.Adam(detector.parameters(), lr=3e-3)
    first = last = 0.0
    for _ in range(60):
        loss = torch.stack(list(detector.losses(frames, boxes, labels).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or loss.item(), loss.item()
    assert last < 0.3 * first
    detector.eval()
    with torch.no_grad():
        found = detector(frames)
    for detection, box, label in zip(found, boxes, labels, strict=True):
        best = int(detection["scores"].argmax())
        assert detection["labels"][best] == label[0]
        assert (detection["boxes"][best] - box[0]).abs().max() < 6

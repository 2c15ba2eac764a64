from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anonlib.detection import Faces
from anonlib.experiment.missed_faces import Forgetful, exposure


def always(frames: Tensor) -> list[Faces]:
    return [
        Faces(boxes=torch.zeros(1, 4), scores=torch.ones(1), landmarks=torch.zeros(1, 5, 2)) for _ in frames
    ]


def test_exposure_follows_people_not_places() -> None:
    before = torch.full((2, 3, 8, 12), 50, dtype=torch.uint8)
    after = before.clone()
    after[0, :, :4, :4] = 0  # hides person 5 in frame 0
    after[1, :, :4, 8:] = 0  # and person 9 in frame 1, where they have changed places
    left, right = [0.0, 0.0, 4.0, 4.0], [8.0, 0.0, 12.0, 4.0]
    boxes = [torch.tensor([left, right]), torch.tensor([left, right])]
    people = [torch.tensor([5, 9]), torch.tensor([5, 9])]
    assert exposure(before, after, boxes=boxes, people=people).tolist() == [[0, 1], [1, 0]]
    swapped = [people[0], torch.tensor([9, 5])]
    assert exposure(before, after, boxes=boxes, people=swapped).tolist() == [[0, 0], [1, 1]]


def test_a_person_who_is_absent_has_no_exposure() -> None:
    frames = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    boxes = [torch.tensor([[0.0, 0.0, 4.0, 4.0]]), torch.zeros(0, 4)]
    people = [torch.tensor([3]), torch.zeros(0, dtype=torch.int64)]
    left = exposure(frames, frames, boxes=boxes, people=people)
    assert left[0, 0] == 1 and np.isnan(left[0, 1])


def test_a_forgetful_detector_forgets_its_share_and_the_same_each_time() -> None:
    runs = []
    for _ in range(2):
        detector = Forgetful(always, share=0.3, seed=4)
        runs.append([len(found) for found in detector(torch.zeros(400, 3, 8, 8))])
        assert detector.asked == 400 and detector.forgotten == runs[-1].count(0)
    assert runs[0] == runs[1]
    assert 0.2 < runs[0].count(0) / 400 < 0.4

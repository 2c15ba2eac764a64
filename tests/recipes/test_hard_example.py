from __future__ import annotations

import math

import pytest
import torch

from recipes.ssh_training import hard_example_loss, hardest_negatives, offset_loss


def test_the_hardest_three_negatives_a_positive_count():
    logits = torch.tensor([0.0, 4.0, 3.0, 2.0, -9.0, 9.0])
    assigned = torch.tensor([1, 0, 0, 0, 0, -1])
    by_hand = [math.log(2), *(math.log1p(math.exp(x)) for x in (4, 3, 2))]
    loss = hard_example_loss(logits, assigned, ratio=3, least=0)
    assert loss.item() == pytest.approx(sum(by_hand) / 4, rel=1e-5)


def test_doubtful_and_easy_anchors_teach_nothing():
    logits = torch.tensor([0.0, 4.0, 3.0, 2.0, -9.0, 9.0], requires_grad=True)
    assigned = torch.tensor([1, 0, 0, 0, 0, -1])
    hard_example_loss(logits, assigned, ratio=3, least=0).backward()
    assert logits.grad is not None
    assert logits.grad[0] < 0 and (logits.grad[1:4] > 0).all()
    assert logits.grad[4:].tolist() == [0, 0]


def test_a_picture_without_faces_teaches_its_hardest_anchors():
    losses, nothing = torch.arange(6.0), torch.zeros(6, dtype=torch.int64)
    assert hardest_negatives(losses, nothing, ratio=3, least=2).tolist() == [False] * 4 + [True] * 2
    assert hardest_negatives(losses, nothing - 1, ratio=3, least=2).sum() == 0
    assert hard_example_loss(losses, nothing - 1).item() == 0


def test_offsets_of_faces_alone_count():
    predicted = torch.tensor([[0.5, 3.0], [7.0, 7.0], [9.0, 9.0]], requires_grad=True)
    loss = offset_loss(predicted, torch.zeros(3, 2), torch.tensor([1, 0, -1]))
    loss.backward()
    assert loss.item() == pytest.approx((0.125 + 2.5) / 2)
    assert predicted.grad is not None and predicted.grad[1:].abs().sum() == 0
    assert offset_loss(predicted, torch.zeros(3, 2), torch.zeros(3)).item() == 0

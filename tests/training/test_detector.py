from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from anonlib.config import TrainingConfig
from anonlib.errors import NumericError
from anonlib.networks import ActionDetector
from anonlib.training import detector as module, loop, train_detector
from anonlib.training.batches import frame_batch
from anonlib.types import ActionFrames

Maker = Callable[..., ActionDetector]


def test_it_learns_and_reports_four_losses(
    frames: ActionFrames, config: TrainingConfig, make_detector: Maker
):
    seen: list[Mapping[str, float]] = []
    history = train_detector(
        make_detector(),
        frames,
        replace(config, frames=6),
        steps=21,
        seed=0,
        progress=False,
        report=seen.append,
    )
    assert seen == history
    assert [row["step"] for row in history] == [0, 10, 20]
    assert set(history[0]) == {
        "step",
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
    }
    first, last = (sum(v for k, v in row.items() if k != "step") for row in history[::2])
    assert last < 0.7 * first


def test_a_frame_without_action_can_be_a_whole_batch(
    frames: ActionFrames, config: TrainingConfig, make_detector: Maker
):
    last = replace(
        frames,
        frames=frames.frames[-1:],
        boxes=frames.boxes[-1:],
        labels=frames.labels[-1:],
        face_boxes=frames.face_boxes[-1:],
        clips=frames.clips[-1:],
    )
    (row,) = train_detector(make_detector(), last, config, steps=1, seed=0, progress=False)
    assert row["loss_box_reg"] == 0


def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    frames: ActionFrames,
    config: TrainingConfig,
    make_detector: Maker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)

    def train(a: ActionDetector, checkpoint: Path) -> Any:
        return train_detector(a, frames, config, steps=4, seed=3, checkpoint=checkpoint, progress=False)

    def interrupted(*args: Any, **options: Any) -> Any:
        if options["step"] == 3:
            raise KeyboardInterrupt
        return frame_batch(*args, **options)

    whole, stopped, resumed = make_detector(1), make_detector(1), make_detector(2)
    history = train(whole, tmp_path / "whole.pt")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "frame_batch", interrupted)
        train(stopped, tmp_path / "run.pt")
    assert train(resumed, tmp_path / "run.pt") == history
    for name, value in whole.state_dict().items():  # running means of batch norm too
        assert torch.equal(resumed.state_dict()[name], value), name


def test_nan_is_reported_with_step_and_loss(
    frames: ActionFrames, config: TrainingConfig, make_detector: Maker
):
    a = make_detector()
    torch.nn.init.constant_(a.network.roi_heads.box_predictor.cls_score.bias, float("nan"))
    with pytest.raises(NumericError, match=r"not finite at step 0: loss_classifier;"):
        train_detector(a, frames, config, steps=3, seed=0, progress=False)

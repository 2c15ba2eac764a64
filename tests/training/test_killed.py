"""A training that is killed with SIGKILL at random moments ends as if nothing had happened."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from anonlib.config import TrainingConfig
from anonlib.errors import CheckpointError
from anonlib.training import loop, train_adversarially
from anonlib.training.algorithm1 import Players
from anonlib.types import ActionFrames, FaceImages

KILLS, STEPS = 4, 24


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["ascent", "random_label"])
def test_killed_at_random_moments_and_resumed_it_equals_the_uninterrupted_run_bit_for_bit(
    make_players: Callable[..., Players],
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    objective: str,
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 3)
    monkeypatch.setattr(loop, "LOG_EVERY", 2)
    config = replace(config, objective=objective, adversarial_steps=STEPS, judge_every=4)

    def train(folder: Path) -> None:
        checkpoint = folder / "run.pt"
        p = make_players(os.getpid() if checkpoint.exists() else 1)  # all comes from the file

        def validate() -> float:
            return float(p.modifier.decoder[-1].bias.detach().sum())

        train_adversarially(
            p, faces, frames, config, seed=3, progress=False, validate=validate, checkpoint=checkpoint
        )

    def start(folder: Path) -> Any:
        process = multiprocessing.get_context("fork").Process(target=train, args=(folder,))
        process.start()
        return process

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    begun = time.monotonic()
    whole = start(tmp_path / "whole")
    whole.join(300)
    seconds = time.monotonic() - begun
    assert whole.exitcode == 0
    draw, saved = random.Random(7), []
    for _ in range(KILLS):
        process = start(tmp_path / "killed")
        process.join(draw.uniform(0.1, 0.4) * seconds)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)
        path = tmp_path / "killed" / "run.pt"
        saved.append(loop.load_checkpoint(path)["step"] if path.exists() else 0)
    assert saved == sorted(saved) and max(saved) > 0 and saved[0] < STEPS
    last = start(tmp_path / "killed")
    last.join(300)
    assert last.exitcode == 0
    found, expected = (loop.load_checkpoint(tmp_path / n / "run.pt") for n in ("killed", "whole"))
    assert found["step"] == STEPS and found["history"] == expected["history"]
    assert found["request"] == expected["request"]
    for name in ("parts", "random"):  # networks, optimizers, the best state; generators
        torch.testing.assert_close(found[name], expected[name], rtol=0, atol=0)


def test_another_seed_or_setting_is_refused_naming_both(
    make_players: Callable[..., Players],
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    tmp_path: Path,
):
    config = replace(config, adversarial_steps=1)

    def train(settings: TrainingConfig, seed: int) -> None:
        train_adversarially(
            make_players(), faces, frames, settings, seed=seed, progress=False, checkpoint=tmp_path / "run.pt"
        )

    train(config, 3)
    train(replace(config, adversarial_steps=2), 3)  # longer is welcome
    assert loop.load_checkpoint(tmp_path / "run.pt")["step"] == 2
    with pytest.raises(CheckpointError, match=r"of another run \(seed was 3, now 4\): use the same"):
        train(config, 4)
    with pytest.raises(CheckpointError, match=r"faces was 4, now 6; l1_weight was 1.0, now 2.0"):
        train(replace(config, faces=6, l1_weight=2.0), 3)


def test_a_checkpoint_holds_the_random_numbers_and_older_ones_without_are_read(
    make_players: Callable[..., Players],
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    tmp_path: Path,
):
    path = tmp_path / "run.pt"

    def train(steps: int) -> Any:
        p = make_players()
        history = train_adversarially(
            p,
            faces,
            frames,
            replace(config, adversarial_steps=steps, adversarial_lr_drop=1.0),
            seed=3,
            progress=False,
            checkpoint=path,
        )
        return history[-1], torch.rand(1).item()

    train(2)
    state = loop.load_checkpoint(path)
    assert state["request"]["seed"] == 3 and state["step"] == 2
    drawn = torch.rand(1).item()
    _, after = train(2)  # nothing left to do: the state of the file
    assert after != drawn
    torch.set_rng_state(state["random"]["cpu"])
    assert torch.rand(1).item() == after
    loop.save_checkpoint(path, {k: state[k] for k in ("step", "history", "parts")})
    old = train(3)
    path.unlink()
    assert old == train(3)

"""Two processes make the updates of one with the doubled batch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD, Adam

from anonlib.config import TrainingConfig
from anonlib.errors import CheckpointError, NumericError
from anonlib.files import first_process
from anonlib.networks import ActionDetector
from anonlib.training import batches, loop, train_adversarially, train_classifier, train_detector
from anonlib.training.algorithm1 import Players
from anonlib.training.batches import face_batch, frame_batch
from anonlib.training.processes import ALONE, Team, descend, wait_for_all
from anonlib.types import ActionFrames, FaceImages

Together = Callable[[Callable[[Team], Any]], list[Any]]
CLOSE = {"rtol": 1e-8, "atol": 1e-9}


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is logged, and computed in float64, where sums in another order stay close."""
    pictures, entropy = batches._pictures, F.binary_cross_entropy_with_logits
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(  # torchvision's targets of objectness are float32
        F, "binary_cross_entropy_with_logits", lambda x, y: entropy(x, y.to(x.dtype))
    )
    monkeypatch.setattr(batches, "_pictures", lambda *a: pictures(*a).double())


def doubled(config: TrainingConfig) -> TrainingConfig:
    return replace(config, faces=2 * config.faces, frames=2 * config.frames)


def in_float64(p: Players) -> Players:
    return Players(p.modifier.double(), p.classifier.double(), p.detector.double())


def state(p: Players) -> dict[str, dict[str, Tensor]]:
    return {name: getattr(p, name).state_dict() for name in ("modifier", "classifier", "detector")}


def assert_rows_close(found: list[dict[str, float]], expected: list[dict[str, float]]) -> None:
    assert [list(row) for row in found] == [list(row) for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row == pytest.approx(other, rel=1e-8, abs=1e-10)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("objective", ["ascent", "random_label"])
def test_two_processes_play_the_game_of_one_with_the_doubled_batch(
    make_players: Callable[..., Players],
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    together: Together,
    objective: str,
):
    config = replace(
        config,
        objective=objective,
        adversarial_steps=5,
        classifier_updates=1,
        frames=4,
        modifier_lr=1e-2,
        judge_every=2,
    )

    def play(settings: TrainingConfig, team: Team) -> Any:
        p = in_float64(make_players(1 + team.rank))  # the first one's weights are taken
        judge = iter([0.5 - team.rank, 0.7]).__next__  # and its judgement
        history = train_adversarially(
            p, faces, frames, settings, seed=3, progress=False, judge=judge, team=team
        )
        return history, state(p)

    expected, weights = play(doubled(config), ALONE)
    (first, theirs), (second, others) = together(lambda team: play(config, team))
    assert first == second
    assert_rows_close(first, expected)
    assert first[0]["D clear"] != first[-1]["D clear"]
    torch.testing.assert_close(theirs, others, rtol=0, atol=0)
    influential = {k: v for k, v in weights["classifier"].items()}
    torch.testing.assert_close(theirs["classifier"], influential, rtol=1e-6, atol=1e-7)
    for name, value in weights["detector"].items():  # running means of batch norm too
        torch.testing.assert_close(theirs["detector"][name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("exact")
def test_two_processes_train_d_and_a_alone_like_one(
    make_classifier: Any,
    make_detector: Any,
    faces: FaceImages,
    frames: ActionFrames,
    config: TrainingConfig,
    together: Together,
):
    def train(settings: TrainingConfig, team: Team) -> Any:
        d = train_classifier(make_classifier().double(), faces, settings, seed=3, progress=False, team=team)
        a = train_detector(
            make_detector().double(), frames, settings, steps=5, seed=3, progress=False, team=team
        )
        return d, a

    expected = train(doubled(config), ALONE)
    for found in together(lambda team: train(config, team)):
        for history, rows in zip(found, expected, strict=True):
            assert_rows_close(history, rows)


def test_parts_of_a_batch_make_the_whole(faces: FaceImages, frames: ActionFrames):
    teams = [Team(rank=r, size=3) for r in range(3)]
    whole = face_batch(faces, 6, seed=1, step=2)
    parts = [face_batch(faces, 2, seed=1, step=2, team=team) for team in teams]
    for name in ("images", "labels", "landmarks"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(whole, name)), name
    video = frame_batch(frames, 6, seed=1, step=2)
    pieces = [frame_batch(frames, 2, seed=1, step=2, team=team) for team in teams]
    assert torch.equal(torch.cat([piece.frames for piece in pieces]), video.frames)
    for name in ("boxes", "labels", "regions"):
        joined = [x for piece in pieces for x in getattr(piece, name)]
        assert all(torch.equal(a, b) for a, b in zip(joined, getattr(video, name), strict=True))


def test_gradients_are_averaged_for_the_parameters_of_these_optimizers_alone(together: Together):
    def work(team: Team) -> Any:
        own, other = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        idle = nn.Parameter(torch.ones(2))
        for layer in (own, other):
            nn.init.ones_(layer.weight)
        optimizer = SGD([*own.parameters(), idle], lr=1.0)
        x = torch.full((1, 1), 2.0 + 4.0 * team.rank)
        descend(other(own(x)).sum(), optimizer, team=team)
        return own.weight.item(), other.weight.grad.item(), idle.tolist()

    (first, second) = together(work)
    assert first == (1 - (2 + 6) / 2, 2.0, [1, 1])
    assert second == (1 - (2 + 6) / 2, 6.0, [1, 1])


def test_alone_a_step_down_is_pytorchs(make_classifier: Any):
    ours, theirs = make_classifier(), make_classifier()
    x = torch.rand(2, 3, 16, 16)
    for network in (ours, theirs):
        optimizer = Adam(network.parameters())
        for _ in range(2):
            loss = network(x).square().mean()
            if network is ours:
                descend(loss, optimizer)
            else:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_what_the_first_holds_counts_and_losses_are_means(together: Together):
    def work(team: Team) -> Any:
        wait_for_all()
        losses = {"a": torch.tensor(1.0 + team.rank), "b": torch.tensor(4.0)}
        return team.agree(0.25 + team.rank), team.mean(losses), team.first, first_process()

    assert together(work) == [
        (0.25, {"a": 1.5, "b": 4.0}, True, True),
        (0.25, {"a": 1.5, "b": 4.0}, False, False),
    ]
    assert ALONE.agree(0.75) == 0.75 and ALONE.first and first_process()


def test_a_loss_that_is_not_finite_in_one_process_stops_all(
    make_detector: Callable[..., ActionDetector], together: Together
):
    def work(team: Team) -> str:
        layer = nn.Linear(1, 1)
        trainee = loop.Trainee(modules={"toy": layer}, optimizers={"o": SGD(layer.parameters())})

        def update(step: int) -> loop.Losses:
            bad = team.rank == 1 and step == 10
            return {"a": torch.tensor(float("nan") if bad else 1.0), "b": torch.tensor(1.0)}

        with pytest.raises(NumericError) as stopped:
            loop.run_steps(
                trainee, update, name="toy", steps=20, seed=0, lr_drop=1.0, progress=False, team=team
            )
        return str(stopped.value)

    for message in together(work):
        assert message.startswith("loss not finite at step 10: a;")


def test_the_first_process_writes_and_all_resume(
    make_classifier: Any, faces: FaceImages, config: TrainingConfig, together: Together, tmp_path: Path
):
    path = tmp_path / "run" / "d.pt"
    rows: list[Any] = []

    def train(steps: int, team: Team, seed: int = 1) -> Any:
        d = make_classifier(seed)
        history = train_classifier(
            d,
            faces,
            replace(config, classifier_steps=steps, lr_drop=1.0),
            seed=3,
            team=team,
            checkpoint=path,
            progress=False,
            report=rows.append,
        )
        return history, {k: v.clone() for k, v in d.state_dict().items()}, len(rows)

    together(lambda team: train(3, team))
    assert loop.load_checkpoint(path)["step"] == 3
    (resumed, weights, reported), (again, others, silent) = together(lambda team: train(6, team, seed=2))
    path.unlink()
    (whole, expected, _), _ = together(lambda team: train(6, team))
    assert resumed == again and [r["step"] for r in resumed] == [0, 2, 5]
    assert (reported, silent) == (3, 0)
    assert resumed[-1] == whole[-1]
    torch.testing.assert_close([weights, others], [expected, expected], rtol=0, atol=0)
    with pytest.raises(CheckpointError, match=r"processes was 2, now 1.*ask for the same"):
        train(9, ALONE)


def test_processes_that_do_not_see_one_folder_are_told(
    make_classifier: Any, faces: FaceImages, config: TrainingConfig, together: Together, tmp_path: Path
):
    def train(folder: Path, team: Team) -> None:
        train_classifier(
            make_classifier(),
            faces,
            replace(config, classifier_steps=2),
            seed=3,
            team=team,
            checkpoint=folder / "d.pt",
            progress=False,
        )

    together(lambda team: train(tmp_path / "a", team))

    def on_machines_of_their_own(team: Team) -> str:
        with pytest.raises(CheckpointError) as refused:
            train(tmp_path / ("a", "b")[team.rank], team)
        return str(refused.value)

    for message in together(on_machines_of_their_own):
        assert "different steps, [2, 0]; give an --out that all machines see" in message


def test_networks_are_what_they_were_afterwards(
    make_detector: Callable[..., ActionDetector],
    frames: ActionFrames,
    config: TrainingConfig,
    together: Together,
):
    def work(team: Team) -> bool:
        a = make_detector()
        kinds = [type(m) for m in a.modules()]
        sampler = a.network.rpn.fg_bg_sampler
        train_detector(a, frames, config, steps=1, seed=0, progress=False, team=team)
        assert [type(m) for m in a.modules()] == kinds
        assert a.network.rpn.fg_bg_sampler is sampler
        alone = copy.deepcopy(a)
        alone.losses(torch.rand(1, 3, 48, 64), [torch.tensor([[4.0, 4, 40, 40]])], [torch.tensor([1])])
        return not any(m._forward_hooks for m in alone.modules())

    assert together(work) == [True, True]

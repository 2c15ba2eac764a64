"""Two processes train as one with the doubled batch, but for batch norm and the anchors of A."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.optim import SGD, Adam

from anonlib.config import TrainingConfig
from anonlib.errors import CheckpointError, NumericError
from anonlib.files import first_process
from anonlib.networks import ActionDetector
from anonlib.training import Players, batches, loop, train_adversarially, train_classifier, train_detector
from anonlib.training.batches import face_batch, frame_batch
from anonlib.training.processes import (
    gather,
    gradient_step,
    mean_losses,
    part,
    rank,
    synchronize,
    wait_for_all,
    world_size,
)
from anonlib.types import ActionFrames, FaceImages

Together = Callable[[Callable[[], Any]], list[Any]]


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is logged, and computed in float64: sums in another order then stay close."""
    to_float = batches._to_float
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(batches, "_to_float", lambda *a: to_float(*a).double())


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
def test_two_processes_train_m_and_d_like_one_with_the_doubled_batch(
    make_players: Callable[..., Players],
    faces: FaceImages,
    faceless: ActionFrames,
    config: TrainingConfig,
    together: Together,
    objective: str,
):
    """Without faces in the frames, M gets no gradient from A and its batch norm."""
    config = replace(
        config,
        objective=objective,
        adversarial_steps=5,
        classifier_updates=1,
        frames=4,
        modifier_lr=1e-2,
        judge_every=2,
    )

    def train(settings: TrainingConfig) -> Any:
        p = in_float64(make_players(1 + rank()))  # the weights of the first process are used
        validate = iter([0.5 - rank(), 0.7]).__next__  # and its validation score
        history = train_adversarially(p, faces, faceless, settings, seed=3, progress=False, validate=validate)
        return [{k: v for k, v in row.items() if k != "L_det"} for row in history], state(p)

    expected, weights = train(doubled(config))
    (first, theirs), (second, others) = together(lambda: train(config))
    assert first == second
    assert_rows_close(first, expected)
    assert first[0]["D clear"] != first[-1]["D clear"]
    torch.testing.assert_close(theirs, others, rtol=0, atol=0)
    for name in ("modifier", "classifier"):
        torch.testing.assert_close(theirs[name], weights[name], rtol=1e-6, atol=1e-7)


@pytest.mark.usefixtures("exact")
def test_two_processes_train_d_alone_like_one(
    make_classifier: Any, faces: FaceImages, config: TrainingConfig, together: Together
):
    def train(settings: TrainingConfig) -> Any:
        return train_classifier(make_classifier().double(), faces, settings, seed=3, progress=False)

    expected = train(doubled(config))
    for found in together(lambda: train(config)):
        assert_rows_close(found, expected)


@pytest.mark.parametrize("augment", [False, True])
def test_two_processes_hold_equal_detectors_after_training(
    make_detector: Any, frames: ActionFrames, config: TrainingConfig, together: Together, augment: bool
):
    """Batch norm normalises each part by itself, and the first process's running means are kept."""
    rows: list[float] = []

    def train() -> Any:
        a = make_detector(1 + rank())
        a.network.backbone[0][1].register_forward_hook(
            lambda _, i, o: rows.append(float(i[0].detach().sum()))
        )
        settings = replace(config, augment=augment)
        history = train_detector(a, frames, settings, steps=5, seed=3, progress=False)
        return history, a.state_dict(), rows

    (history, weights, mine), (same, others, theirs) = together(train)
    assert history == same and mine != theirs
    torch.testing.assert_close(weights, others, rtol=0, atol=0)
    assert not torch.equal(
        weights["network.backbone.0.0.weight"], make_detector(1).state_dict()["network.backbone.0.0.weight"]
    )


def test_the_zooms_of_two_processes_differ(
    make_detector: Any,
    frames: ActionFrames,
    config: TrainingConfig,
    together: Together,
    monkeypatch: pytest.MonkeyPatch,
):
    from anonlib.training import detector as module

    drawn: list[float] = []

    def draw(batch: Any) -> Any:
        drawn.append(torch.rand(1).item())
        return batch

    monkeypatch.setattr(module, "augment_frames", draw)

    def train() -> Any:
        train_detector(
            make_detector(), frames, replace(config, augment=True), steps=2, seed=3, progress=False
        )
        return drawn

    first, second = together(train)
    assert len({*first, *second}) == 4
    torch.manual_seed(3 * 1_000_003)
    assert first[0] == torch.rand(1).item()  # as one process alone


def test_parts_of_a_batch_make_the_whole(faces: FaceImages, frames: ActionFrames, together: Together):
    whole, video = face_batch(faces, 6, seed=1, step=2), frame_batch(frames, 6, seed=1, step=2)

    def draw() -> Any:
        assert world_size() == 2 and part(3) == slice(3 * rank(), 3 * rank() + 3)
        return face_batch(faces, 3, seed=1, step=2), frame_batch(frames, 3, seed=1, step=2)

    parts = together(draw)
    for name in ("images", "labels", "landmarks"):
        assert torch.equal(torch.cat([getattr(f, name) for f, _ in parts]), getattr(whole, name)), name
    assert torch.equal(torch.cat([v.frames for _, v in parts]), video.frames)
    for name in ("boxes", "labels", "regions"):
        found = [x for _, v in parts for x in getattr(v, name)]
        assert all(torch.equal(a, b) for a, b in zip(found, getattr(video, name), strict=True))


def test_gradients_are_averaged_for_the_parameters_of_these_optimizers_alone(together: Together):
    def work() -> Any:
        own, other = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        idle = nn.Parameter(torch.ones(2))
        for layer in (own, other):
            nn.init.ones_(layer.weight)
        optimizer = SGD([*own.parameters(), idle], lr=1.0)
        x = torch.full((1, 1), 2.0 + 4.0 * rank())
        gradient_step(other(own(x)).sum(), optimizer)
        return own.weight.item(), other.weight.grad.item(), idle.tolist()

    (first, second) = together(work)
    assert first == (1 - (2 + 6) / 2, 2.0, [1, 1])
    assert second == (1 - (2 + 6) / 2, 6.0, [1, 1])


def test_a_gradient_step_of_one_process_is_pytorchs(make_classifier: Any):
    ours, theirs = make_classifier(), make_classifier()
    x = torch.rand(2, 3, 16, 16)
    for network in (ours, theirs):
        optimizer = Adam(network.parameters())
        for _ in range(2):
            loss = network(x).square().mean()
            if network is ours:
                gradient_step(loss, optimizer)
            else:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict(), rtol=0, atol=0)


def test_values_are_gathered_and_losses_averaged(together: Together):
    def work() -> Any:
        wait_for_all()
        losses = {"a": torch.tensor(1.0 + rank()), "b": torch.tensor(4.0)}
        return gather(0.25 + rank()), mean_losses(losses), first_process()

    assert together(work) == [
        ([0.25, 1.25], {"a": 1.5, "b": 4.0}, True),
        ([0.25, 1.25], {"a": 1.5, "b": 4.0}, False),
    ]
    assert gather(0.75) == [0.75] and first_process()


def test_weights_and_buffers_of_the_first_process_are_copied(together: Together):
    def work() -> Any:
        torch.manual_seed(rank())
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
        network(torch.rand(2, 3, 5, 5))
        before = {k: v.clone() for k, v in network.state_dict().items()}
        synchronize([network])
        return before, network.state_dict()

    (before, after), (other, copied) = together(work)
    torch.testing.assert_close([after, copied], [before, before], rtol=0, atol=0)
    assert not torch.equal(other["1.running_mean"], before["1.running_mean"])


def test_a_loss_that_is_not_finite_in_one_process_stops_all(together: Together):
    def work() -> str:
        layer = nn.Linear(1, 1)
        toy = loop.TrainingState(modules={"toy": layer}, optimizers={"o": SGD(layer.parameters())})
        with pytest.raises(NumericError) as stopped:
            for step, losses in loop.training_steps(
                toy, name="toy", steps=20, seed=0, lr_drop=1.0, progress=False
            ):
                bad = rank() == 1 and step == 10
                losses |= {"a": torch.tensor(float("nan") if bad else 1.0), "b": torch.tensor(1.0)}
        return str(stopped.value)

    for message in together(work):
        assert message.startswith("loss not finite at step 10: a;")


def test_the_first_process_writes_and_all_resume(
    make_classifier: Any, faces: FaceImages, config: TrainingConfig, together: Together, tmp_path: Path
):
    path = tmp_path / "run" / "d.pt"
    rows: list[Any] = []

    def train(steps: int, seed: int = 1) -> Any:
        d = make_classifier(seed)
        history = train_classifier(
            d,
            faces,
            replace(config, classifier_steps=steps, lr_drop=1.0),
            seed=3,
            checkpoint=path,
            progress=False,
            report=rows.append,
        )
        return history, {k: v.clone() for k, v in d.state_dict().items()}, len(rows)

    together(lambda: train(3))
    assert loop.load_checkpoint(path)["step"] == 3
    (resumed, weights, reported), (again, others, silent) = together(lambda: train(6, seed=2))
    path.unlink()
    (whole, expected, _), _ = together(lambda: train(6))
    assert resumed == again and [r["step"] for r in resumed] == [0, 2, 5]
    assert (reported, silent) == (3, 0)
    assert resumed[-1] == whole[-1]
    torch.testing.assert_close([weights, others], [expected, expected], rtol=0, atol=0)
    with pytest.raises(CheckpointError, match=r"processes was 2, now 1.*use the same"):
        train(9)


def test_processes_that_do_not_see_one_folder_are_told(
    make_classifier: Any, faces: FaceImages, config: TrainingConfig, together: Together, tmp_path: Path
):
    def train(folder: Path) -> None:
        settings = replace(config, classifier_steps=2)
        train_classifier(
            make_classifier(), faces, settings, seed=3, checkpoint=folder / "d.pt", progress=False
        )

    together(lambda: train(tmp_path / "a"))

    def on_machines_of_their_own() -> str:
        with pytest.raises(CheckpointError) as refused:
            train(tmp_path / ("a", "b")[rank()])
        return str(refused.value)

    for message in together(on_machines_of_their_own):
        assert "different steps, [2, 0]: choose an --out that all machines see" in message


def test_batch_norm_on_gpus_becomes_pytorchs_sync_batch_norm(
    make_detector: Callable[..., ActionDetector], monkeypatch: pytest.MonkeyPatch
):
    """Only the conversion: a GPU is not at hand in the tests."""
    a = make_detector()
    weights = {k: v.clone() for k, v in a.state_dict().items()}
    monkeypatch.setattr("anonlib.training.processes.world_size", lambda: 2)
    monkeypatch.setattr(distributed, "broadcast", lambda tensor, source: None)
    monkeypatch.setattr(nn.Parameter, "is_cuda", True)
    synchronize([a])
    kinds = {type(m) for m in a.modules()}
    assert nn.SyncBatchNorm in kinds and nn.BatchNorm2d not in kinds
    torch.testing.assert_close(a.state_dict(), weights)
    a.eval()(torch.rand(1, 3, 48, 64))  # needs no GPU and no other process

"""The whole experiment, shrunk until it takes seconds."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from anonlib.anonymizers import create, names
from anonlib.assets import load_weights
from anonlib.attack import retrained
from anonlib.attack.subjects import Part
from anonlib.attack.verification import anonymize_faces
from anonlib.config import ClassifierConfig, DataConfig, DetectorConfig, ModifierConfig, profile, to_dict
from anonlib.errors import CheckpointError, ResultsError
from anonlib.experiment import attack_stages, methods, reproduce as module
from anonlib.experiment.actions import anonymize_clips
from anonlib.experiment.datasets import ExperimentData, load_data
from anonlib.experiment.records import check_results
from anonlib.experiment.reproduce import Reproduction, reproduce
from anonlib.experiment.run import Run
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.networks import ActionDetector, Modifier
from anonlib.training import Players, algorithm1, loop, start
from anonlib.training.batches import frames_drawn
from anonlib.training.checkpoints import restore
from anonlib.types import ACTIONS

_SMOKE = profile("smoke")
TINY = replace(
    _SMOKE,
    modifier=ModifierConfig(size=16, width=4, blocks=1),
    classifier=ClassifierConfig(size=(16, 16), depth=4, width=4, features=8),
    detector=DetectorConfig(backbone="small", frame=(72, 96), width=4),
    data=DataConfig(
        people=3,
        images=2,
        test_people=20,
        test_images=2,
        validation_people=4,
        pairs=20,
        train_clips=4,
        test_clips=6,
        frames=1,
    ),
    training=replace(
        _SMOKE.training,
        faces=2,
        frames=1,
        adversarial_steps=2,
        detector_steps=2,
        pretrain_steps=1,
        classifier_steps=2,
    ),
)
TABLES = (
    "table1",
    "figure4",
    "ablation_classifier",
    "ablation_random_label",
    "action_groups",
    "comparisons",
    "faces_found",
    "mixtures",
    "evidence",
)


def run(out: Path, **options: Any) -> Reproduction:
    return reproduce(**{"profile": TINY, "out": out, "seed": 3, "progress": False, **options})


def read(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def contents(out: Path) -> dict[str, bytes]:
    return {name: (out / f"{name}.csv").read_bytes() for name in TABLES}


SPIED = {
    "train_adversarially": methods,
    "train_detector": methods,
    "detect_actions": methods,
    "train_classifier": retrained,
}
Calls = list[tuple[str, tuple[Any, ...], dict[str, Any]]]


@pytest.fixture(scope="module")
def calls() -> Calls:
    """What the experiment asked of training and detection, in order."""
    return []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, calls: Calls) -> Reproduction:
    def spy(name: str) -> Callable[..., Any]:
        function = getattr(SPIED[name], name)

        def spied(*args: Any, **options: Any) -> Any:
            calls.append((name, args, options))
            return function(*args, **options)

        return spied

    with pytest.MonkeyPatch.context() as patch:
        for name, where in SPIED.items():
            patch.setattr(where, name, spy(name))
        patch.setattr(module, "attack", attack_with_detector)
        return run(tmp_path_factory.mktemp("finished") / "out")


def found_landmarks(images: Tensor) -> Tensor:
    """Landmarks that depend on the picture, as those of a detector do."""
    shift = images.float().mean((1, 2, 3)) / 255
    return 16 * CANONICAL_LANDMARKS + shift[:, None, None]


def attack_with_detector(*args: Any, **_: Any) -> dict[str, Any]:
    return attack_stages.attack(*args, find_landmarks=found_landmarks)


@pytest.fixture(scope="module")
def data() -> ExperimentData:
    return load_data(TINY, seed=3, progress=False)


@pytest.fixture(scope="module")
def hiders(finished: Reproduction) -> dict[str, Callable[[Tensor], Tensor]]:
    """Every anonymizer, the learned ones with the weights that the run left.

    They have the memory layout of the run: another one adds in another order, and an image that
    lies between two grey levels then falls on the other side.
    """
    found = {name: create(name) for name in names() if name != "modifier"}
    for name in ("modifier", "modifier_random_label"):
        modifier = Modifier(TINY.modifier).to(memory_format=torch.channels_last)
        path = finished.out / "weights" / f"{name}.safetensors"
        restore(modifier, path, config=to_dict(TINY.modifier))
        found[name] = create("modifier", modifier)
    return found


def test_tables_have_the_agreed_rows_and_columns(finished: Reproduction):
    table1, figure4 = read(finished.table1), read(finished.figure4)
    assert list(table1) == list(figure4) == list(names())
    assert list(table1["mask"])[:12] == ["method", *ACTIONS, "map"]
    ends = ("", "_lo", "_hi")
    assert set(figure4["mask"]) == {
        "method",
        "paper_action_map",
        *(f"verification_error{e}" for e in ends),
        *(f"action_map{e}" for e in ends),
    }
    classifier = read(finished.ablation_classifier)
    assert set(classifier) == {
        *("original", "modified", "modified_original"),
        *("original_start", "modified_start", "modified_original_start"),
        *("modified_retrained", "modified_original_retrained"),
        *("modified_retrained_found", "modified_original_retrained_found"),
        *("modified_together_found", "modified_original_together_found"),
    }
    assert {"faces", *(f"verification_accuracy{e}" for e in ends), "paper"} <= set(classifier["modified"])
    assert list(read(finished.ablation_random_label)) == ["ascent", "random_label"]


def test_numbers_that_are_told_twice_agree(finished: Reproduction):
    figure4, table1 = read(finished.figure4), read(finished.table1)
    d, labels = read(finished.ablation_classifier), read(finished.ablation_random_label)
    for method in names():
        assert figure4[method]["action_map"] == table1[method]["map"]

    def error(faces: str) -> float:
        return 1 - float(d[faces]["verification_accuracy"])

    for method, faces in (("unanonymized", "original_start"), ("modifier", "modified")):
        found = float(figure4[method]["verification_error"])
        assert found == pytest.approx(error(faces), abs=2e-4)
    assert labels["ascent"]["action_map"] == figure4["modifier"]["action_map"]
    assert labels["ascent"]["verification_error"] == figure4["modifier"]["verification_error"]


def test_intervals_hold_their_values(finished: Reproduction):
    for row in read(finished.figure4).values():
        for name in ("verification_error", "action_map"):
            low, value, high = (float(row[f"{name}{end}"]) for end in ("_lo", "", "_hi"))
            assert 0 <= low <= high <= 1
            assert 0 <= value <= 1
        low, high = (float(row[f"verification_error{end}"]) for end in ("_lo", "_hi"))
        assert low - 1e-4 <= float(row["verification_error"]) <= high + 1e-4


def test_m_is_trained_by_ascent_and_anew_with_random_labels(
    finished: Reproduction, calls: Calls, data: ExperimentData
):
    games = [args for name, args, _ in calls if name == "train_adversarially"]
    assert [config.objective for _, _, _, config in games] == ["ascent", "random_label"]
    for _, faces, clips, config in games:
        assert replace(config, objective="ascent") == TINY.training
        assert torch.equal(faces.images, data.train_faces.images)
        assert torch.equal(clips.frames, data.train_clips.frames)
    assert len({id(player) for players, *_ in games for player in _members(players)}) == 6


@pytest.fixture(scope="module")
def full(finished: Reproduction, tmp_path_factory: pytest.TempPathFactory) -> Reproduction:
    """The finished run, extended."""
    out = shutil.copytree(finished.out, tmp_path_factory.mktemp("full") / "out")
    return run(out, full=True)


def test_a_full_run_leaves_the_other_tables_alone_and_says_what_it_added(
    full: Reproduction, finished: Reproduction
):
    assert contents(full.out) == contents(finished.out)
    assert check_results(full.out)[-2:] == ["strongest", "ablation_game"]
    record = json.loads((full.out / "run.json").read_text())
    (added,) = record.pop("extended")
    assert record == json.loads((finished.out / "run.json").read_text())
    assert "--full" in added["command"] and "--full" not in record["command"]
    assert {"game-modifier_no_classifier", "method-modifier_start", "attacks-mask"} <= set(
        added["stage_seconds"]
    )
    run(full.out, full=True)
    assert len(json.loads((full.out / "run.json").read_text())["extended"]) == 1


def test_the_strongest_attacker_is_found_for_every_method(full: Reproduction, finished: Reproduction):
    assert full.strongest is not None
    rows, figure4 = read(full.strongest), read(finished.figure4)
    assert set(rows) == {*names(), "modifier_start", "modifier_no_classifier", "modifier_no_detector"}
    for name, row in rows.items():
        error, naive = float(row["verification_error"]), float(row["naive_verification_error"])
        assert error <= naive
        if name in figure4:
            assert float(figure4[name]["verification_error"]) == naive
    attacks = [float(row["verification_accuracy"]) for row in read(finished.ablation_classifier).values()]
    assert 1 - float(rows["modifier"]["verification_error"]) <= max(attacks) + 1e-9


def test_the_ablations_of_the_game_are_compared_with_ours(full: Reproduction):
    assert full.ablation_game is not None
    rows = read(full.ablation_game)
    assert list(rows) == ["modifier_start", "modifier_no_classifier", "modifier_no_detector", "modifier"]
    assert float(rows["modifier"]["error_difference"]) == float(rows["modifier"]["map_difference"]) == 0
    for row in rows.values():
        low, value, high = (float(row[f"error_difference{end}"]) for end in ("_lo", "", "_hi"))
        assert low - 1e-4 <= value <= high + 1e-4


def _members(players: Players) -> tuple[object, ...]:
    return players.modifier, players.classifier, players.detector


def test_every_method_has_a_detector_trained_and_tested_behind_it(
    finished: Reproduction, calls: Calls, data: ExperimentData, hiders: dict[str, Callable[[Tensor], Tensor]]
):
    """For T1 + T2 steps; the detectors of learned methods have T1 of them in the game."""
    trained = [(a, o) for name, a, o in calls if name == "train_detector"]
    tested = [args for name, args, _ in calls if name == "detect_actions"]
    config = TINY.training
    phases = [option["name"].removeprefix("detector A, ").split(", ") for _, option in trained]
    expected = [[name, phase] for name in names() if name != "modifier" for phase in ("T1", "T2")]
    assert phases == [*expected, ["modifier", "T2"], ["modifier_random_label", "T2"]]
    behind: dict[str, ActionDetector] = {}
    for (given, options), (name, phase) in zip(trained, phases, strict=True):
        assert options["steps"] == {"T1": config.adversarial_steps, "T2": config.detector_steps}[phase]
        assert given[2].lr_drop == {"T1": config.adversarial_lr_drop, "T2": config.lr_drop}[phase]
        hidden = anonymize_clips(data.train_clips, hiders[name], only=used(data, name)).frames
        assert torch.equal(given[1].frames, hidden)
        assert behind.setdefault(name, given[0]) is given[0]
    assert [detector for detector, _ in tested] == list(behind.values())
    assert len({id(detector) for detector in behind.values()}) == 12  # one start, a copy for each
    for name, (_, clips) in zip(behind, tested, strict=True):
        assert torch.equal(clips.frames, anonymize_clips(data.test_clips, hiders[name]).frames)


def used(data: ExperimentData, name: str) -> Tensor:
    """The training frames that A sees in its longest phase."""
    config = TINY.training
    steps = config.detector_steps if name.startswith("modifier") else config.adversarial_steps
    return frames_drawn(len(data.train_clips), config.frames, seed=3, steps=steps)


def test_a_learned_method_goes_on_with_the_detector_of_its_game(finished: Reproduction, tmp_path: Path):
    for name in ("modifier", "modifier_random_label"):
        found = {
            file: load_weights(finished.out / "weights" / f"{file}.safetensors")[0]
            for file in (f"{name}-detector", f"detector-{name}", "detector-mask")
        }
        game, ours, other = (tensors["network.rpn.head.cls_logits.weight"] for tensors in found.values())
        assert (ours - game).abs().max() < (other - game).abs().max()


def test_attackers_learn_on_modified_faces_of_training_people(
    finished: Reproduction, calls: Calls, data: ExperimentData, hiders: dict[str, Callable[[Tensor], Tensor]]
):
    given = [(arguments[1], options) for name, arguments, options in calls if name == "train_classifier"]
    retrained, found, together = (faces for faces, _ in given)
    modified = anonymize_faces(data.train_faces, hiders["modifier"])
    assert torch.equal(retrained.images, modified.images)
    assert not torch.equal(retrained.images, data.train_faces.images)
    assert torch.equal(retrained.landmarks, data.train_faces.landmarks)
    assert torch.equal(found.landmarks, found_landmarks(modified.images))
    assert torch.equal(together.images, torch.cat([data.train_faces.images, modified.images]))
    assert torch.equal(together.landmarks, found_landmarks(together.images))
    assert together.labels.tolist() == data.train_faces.labels.tolist() * 2
    assert all(options.get("age", 0) == 0 for _, options in given)  # eased into the margin


def test_without_a_landmark_detector_the_attackers_have_the_original_s(
    finished: Reproduction, data: ExperimentData
):
    faces = Part(clear=data.test_faces, modified=data.test_faces)
    kinds = [(suffix, tested) for suffix, _, tested in attack_stages.retrainings(faces, faces, None)]
    assert kinds == [("retrained", faces), ("together", faces)]


def test_everything_needed_to_repeat_it_is_kept(finished: Reproduction):
    out = finished.out
    record = json.loads((out / "run.json").read_text())
    assert (record["profile"], record["seed"]) == ("smoke", 3)
    stages = {"game-modifier", "game-modifier_random_label", "attacks-modifier", "quality"}
    assert stages < set(record["stage_seconds"])
    assert {f"method-{name}" for name in names()} < set(record["stage_seconds"])
    weights = {path.stem for path in (out / "weights").iterdir()}
    assert {"modifier", "modifier-classifier", "modifier-detector", "modifier_random_label"} < weights
    assert not list(out.rglob("*.part"))


def test_a_second_call_computes_nothing_and_finds_the_same(
    finished: Reproduction, monkeypatch: pytest.MonkeyPatch
):
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("computed again")

    before = contents(finished.out)
    for name in ("train_adversarially", "train_detector", "anonymize_clips", "detect_actions"):
        monkeypatch.setattr(methods, name, never)
    assert run(finished.out) == finished
    assert contents(finished.out) == before
    assert "ablation_classifier" in check_results(finished.out)


@pytest.mark.slow
def test_a_run_that_was_killed_twice_ends_as_one_that_was_not(
    finished: Reproduction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 1)
    frame_batch, stage = algorithm1.frame_batch, Run.stage

    def killed_in_the_game(*args: Any, **options: Any) -> Any:
        if options["step"] == 1:
            raise KeyboardInterrupt
        return frame_batch(*args, **options)

    def killed_between_stages(self: Run, name: str, compute: Any) -> Any:
        if name == "method-mask":
            raise KeyboardInterrupt
        return stage(self, name, compute)

    for target, name, kill in (
        (algorithm1, "frame_batch", killed_in_the_game),
        (Run, "stage", killed_between_stages),
    ):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(target, name, kill)
            run(tmp_path)
    done = {path.stem for path in (tmp_path / "stages").iterdir()}
    assert "method-edge" not in done and "method-blur8" in done
    assert not (tmp_path / "table1.csv").exists()
    monkeypatch.setattr(module, "attack", attack_with_detector)
    run(tmp_path)
    assert contents(tmp_path) == contents(finished.out)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, finished: Reproduction) -> Reproduction:
    """A run whose M does not read the picture; here it has the layers of one that does."""
    state = replace(TINY, modifier=replace(TINY.modifier, size=32, reads="state"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "new_modifier", Modifier)
        return run(tmp_path_factory.mktemp("beside") / "out", profile=state, start="random")


def test_beside_an_m_that_reads_the_state_the_paper_s_is_trained_too(
    beside: Reproduction, finished: Reproduction
):
    assert list(read(beside.table1)) == list(read(beside.figure4)) == [*names(), "modifier_picture"]
    labels, figure4 = read(beside.ablation_random_label), read(beside.figure4)
    assert labels["ascent"]["action_map"] == figure4["modifier_picture"]["action_map"]
    attackers = read(beside.ablation_classifier)
    for name in ("modified", "modified_retrained", "modified_original_together"):
        assert {name, f"modifier_picture:{name}"} < set(attackers)
    assert not any(name.endswith("_found") for name in attackers)
    assert "modifier_picture" in read(beside.comparisons)
    reads = {
        name: load_weights(beside.out / "weights" / f"{name}.safetensors")[1]["reads"]
        for name in ("modifier", "modifier_picture", "modifier_random_label")
    }
    assert list(reads.values()) == ["state", "picture", "picture"]
    assert "ablation_classifier" in check_results(beside.out)


def test_the_paper_s_m_starts_by_redrawing_faces_unless_told_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = []
    monkeypatch.setattr(module, "modifier_weights", lambda size, name: asked.append((size, name)))
    monkeypatch.setattr(module, "prepare", lambda run: run.command().nothing)
    monkeypatch.setattr(module, "shipped_weights", lambda name, _: {"weight": torch.ones(1)})
    picture = replace(TINY, modifier=replace(TINY.modifier, size=32))
    state = replace(picture, modifier=replace(picture.modifier, reads="state"))
    for number, (size, name) in enumerate(((state, None), (state, "identity"), (TINY, None))):
        with pytest.raises(AttributeError):
            run(tmp_path / str(number), profile=size, start=name)
    assert asked == [(picture, "redraw"), (picture, "identity"), (TINY, None)]
    requests = [json.loads((tmp_path / f"{n}" / "request.json").read_text()) for n in range(3)]
    assert [request.get("start") for request in requests] == ["redraw", "identity", None]


def test_without_a_start_for_the_paper_s_m_only_m_state_is_trained(tmp_path: Path):
    state = replace(TINY, modifier=replace(TINY.modifier, size=32, reads="state"))
    assert module.usual_start(state) is None and module.usual_start(profile("laptop")) == "redraw"
    assert module.as_trained(state, "modifier_random_label", None) is state
    result = run(tmp_path / "out", profile=state)
    assert list(read(result.table1)) == list(names())
    config = load_weights(result.out / "weights" / "modifier_random_label.safetensors")[1]
    assert config["reads"] == "state"


@pytest.mark.parametrize(
    "other",
    [{"seed": 4}, {"profile": profile("laptop")}, {"faces": [Path("lfw")]}],
    ids=["seed", "profile", "faces"],
)
def test_another_request_for_the_folder_is_refused(finished: Reproduction, other: dict[str, Any]):
    before = contents(finished.out)
    with pytest.raises(CheckpointError, match="another profile, seed or set of data; choose"):
        run(finished.out, **other)
    assert contents(finished.out) == before


def test_a_disk_that_fills_up_leaves_whole_tables_or_none(
    finished: Reproduction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = tmp_path / "out"
    shutil.copytree(finished.out, out)
    for name in TABLES:
        (out / f"{name}.csv").unlink()
    rename = os.replace

    def full(source: Path, target: Path) -> None:
        if target.name == "figure4.csv":
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    with monkeypatch.context() as patch, pytest.raises(ResultsError, match=r"figure4\.csv: No sp"):
        patch.setattr(os, "replace", full)
        run(out)
    assert {path.name for path in out.iterdir() if path.is_file()} == {
        "begun.json",
        "request.json",
        "run.json",
        "table1.csv",
    }
    run(out)
    assert contents(out) == contents(finished.out)


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_it_runs_on_a_gpu(tmp_path: Path):
    assert list(read(run(tmp_path, device="cuda").figure4)) == list(names())


@pytest.mark.slow
def test_a_few_steps_on_three_real_people(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    data = shared / "datasets"
    three = sorted((data / "celeba-ids").iterdir())[:3]
    for person in three:
        (tmp_path / "casia" / person.name).mkdir(parents=True)
        for picture in sorted(person.iterdir())[:2]:
            shutil.copy(picture, tmp_path / "casia" / person.name)
    lines = (data / "lfw" / "pairs.txt").read_text().splitlines()
    same = next(line for line in lines[1:] if len(line.split()) == 3)
    different = next(line for line in lines[1:] if len(line.split()) == 4)
    (tmp_path / "lfw").mkdir()
    (tmp_path / "lfw" / "pairs.txt").write_text("10\t1\n" + f"{same}\n{different}\n" * 10)
    for name in {same.split()[0], different.split()[0], different.split()[2]}:
        shutil.copytree(
            data / "lfw" / "lfw-deepfunneled" / name, tmp_path / "lfw" / "lfw-deepfunneled" / name
        )
    results = run(tmp_path / "out", faces=[tmp_path / "casia", tmp_path / "lfw"])
    assert list(read(results.figure4)) == list(names())
    assert json.loads((tmp_path / "out" / "request.json").read_text())["faces"] == ["casia", "lfw"]

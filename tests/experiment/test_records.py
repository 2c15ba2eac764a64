"""Recorded runs: their tables are checked against their predictions and the paper."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from anonlib.anonymizers import names
from anonlib.errors import CheckpointError, ResultsError
from anonlib.experiment import tables
from anonlib.experiment.methods import RANDOM
from anonlib.experiment.predictions import rounded, save_arrays, save_predictions, save_test, summarize
from anonlib.experiment.records import (
    agreement,
    bars,
    better_rivals,
    check_results,
    describe,
    describe_run,
    recorded_runs,
)
from anonlib.experiment.tables import write_tables
from anonlib.metrics.average_precision import (
    average_precision,
    interval,
    match,
    matched_bootstrap,
    mean_over_classes,
)
from anonlib.metrics.verification import Pairs

CLASSES = 3
TRUTH = [
    {"boxes": torch.tensor([[0.0, 0.0, 10.0, 10.0]]), "labels": torch.tensor([k % CLASSES])} for k in range(6)
]
CLIPS = torch.arange(6) // 2


def detections(seed: int) -> list[dict[str, torch.Tensor]]:
    """A box that is right two times in three, and fifteen unsure ones elsewhere."""
    g = torch.Generator().manual_seed(seed)
    found = []
    for k in range(6):
        shift = 0.0 if (k + seed) % 3 else 8.0
        boxes = torch.cat(
            [torch.tensor([[shift, 0, shift + 10, 10]]), 20 + 9 * torch.rand(15, 4, generator=g)]
        )
        boxes[1:, 2:] += boxes[1:, :2]
        scores = torch.cat([torch.tensor([0.5 + 0.05 * k]), 0.1 * torch.rand(15, generator=g)])
        labels = torch.cat([torch.tensor([k % CLASSES]), torch.randint(CLASSES, (15,), generator=g)])
        found.append({"boxes": boxes, "scores": scores, "labels": labels})
    return found


def pairs() -> Pairs:
    place = np.arange(20)
    return Pairs(first=place, second=place, same=place % 2 == 0, fold=place // 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of a data set with three actions."""
    out, rng = tmp_path / "run", np.random.default_rng(0)
    said = out / "predictions"
    save_test(said, pairs(), TRUTH, CLIPS, CLASSES)
    for seed, name in enumerate((*names(), RANDOM)):
        save_predictions(said, name, rng.normal(size=20), detections(seed), TRUTH, CLASSES)
    save_arrays(said / "attacks.npz", {"original": rng.normal(size=20), "modified": rng.normal(size=20)})
    rows = [{"action": "wave", "touches_face": True, "frames": 2, "share_with_a_face": 0.5}]
    quality = {k: {"l1": 0.1, "gradient_energy_ratio": 0.5} for k in ("ascent", "random_label")}
    for name, content in {
        "stages/world.json": {"actions": ["wave", "run", "sit"], "faces_found": rows},
        "stages/quality.json": quality,
        "run.json": {"commit": "0123456789", "profile": "tiny", "seed": 0},
        **{f"stages/method-{name}.json": {"seconds": 1.0} for name in (*names(), RANDOM)},
    }.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text(json.dumps(content))
    write_tables(out)
    return out


def test_what_is_kept_gives_the_numbers_of_the_detections_themselves(folder: Path):
    row = summarize(folder / "predictions", "mask")
    found = rounded(detections(names().index("mask")))
    direct = average_precision(found, TRUTH, classes=CLASSES)
    assert row["map"] == pytest.approx(direct.mean) and 0 < direct.mean < 1
    assert row["per_class"] == pytest.approx(direct.per_class.tolist())
    samples = matched_bootstrap(match(found, TRUTH, classes=CLASSES), clips=CLIPS)
    low, high = interval(mean_over_classes(samples))
    assert (row["map_lo"], row["map_hi"]) == pytest.approx((low, high))


def test_ten_detections_a_frame_are_kept_the_surest():
    (first, *_) = rounded(detections(0))
    everything = detections(0)[0]["scores"].sort(descending=True).values
    assert len(first["scores"]) <= 10
    torch.testing.assert_close(first["scores"], everything[: len(first["scores"])], atol=1e-3, rtol=0)
    assert first["scores"].min() >= 0.019


def test_a_whole_folder_is_what_it_says(folder: Path):
    assert check_results(folder) == [
        "table1",
        "figure4",
        "ablation_classifier",
        "ablation_random_label",
        "action_groups",
        "comparisons",
        "faces_found",
    ]
    assert json.loads(describe_run(folder))["commit"] == "0123456789"


def test_a_method_that_was_added_later_changes_no_table(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tables, "names", lambda: (*names(), "flip"))
    assert "table1" in check_results(folder)


def test_predictions_that_are_missing_are_named(folder: Path):
    (folder / "predictions" / "mask.npz").unlink()
    with pytest.raises(CheckpointError, match="mask"):
        check_results(folder)


def test_a_number_that_was_changed_is_found(folder: Path):
    path = folder / "figure4.csv"
    before = path.read_text()
    path.write_text(before.replace("0.", "0.9", 1))
    assert path.read_text() != before
    with pytest.raises(ResultsError, match=r"figure4\.csv differ .* recorded at 0123456789"):
        check_results(folder)


def test_a_table_that_is_missing_is_found(folder: Path):
    (folder / "table1.csv").unlink()
    with pytest.raises(ResultsError, match=r"table1\.csv differ"):
        check_results(folder)


@pytest.mark.parametrize(
    ("lost", "message"), [("run.json", "holds no run.json"), ("predictions", "holds no predictions/")]
)
def test_what_is_no_finished_run_is_told(folder: Path, lost: str, message: str):
    path = folder / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(ResultsError, match=message):
        check_results(folder)


def test_damaged_predictions_are_named(folder: Path):
    path = folder / "predictions" / "mask.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"mask\.npz are missing or damaged"):
        check_results(folder)
    np.savez(path, cosine=np.zeros(20), image=np.zeros(1))
    with pytest.raises(CheckpointError, match=r"mask\.npz hold no 'score'"):
        check_results(folder)
    np.savez(path, cosine=np.zeros(3))
    with pytest.raises(CheckpointError, match=r"mask\.npz do not fit test\.npz"):
        check_results(folder)


POINTS = """method,verification_error,action_map
unanonymized,0.05,0.5
blur8,0.40,0.46
noise0.5,0.45,0.3
mask,0.50,0.2
modifier,0.35,{ours}
"""
FACES = "faces,verification_accuracy\noriginal,{clear}\nmodified,{hidden}\n"


def write_run(folder: Path, *, ours: float = 0.47, clear: float = 0.95, hidden: float = 0.6) -> Path:
    folder.mkdir(parents=True)
    (folder / "figure4.csv").write_text(POINTS.format(ours=ours))
    (folder / "ablation_classifier.csv").write_text(FACES.format(clear=clear, hidden=hidden))
    record = {
        "profile": "laptop",
        "seed": 1,
        "commit": "abc",
        "date": "2026-01-01",
        "hardware": "a CPU",
        "minutes_of_stages": 7.5,
    }
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "request.json").write_text(json.dumps({"faces": ["lfw"], "actions": "jhmdb, boxed"}))
    return folder


def test_runs_with_predictions_come_first_and_unfinished_ones_not_at_all(tmp_path: Path) -> None:
    for name in ("a", "deep/b", "c"):
        write_run(tmp_path / name)
    (tmp_path / "c" / "predictions").mkdir()
    write_run(tmp_path / "unfinished")
    (tmp_path / "unfinished" / "run.json").unlink()
    (tmp_path / "speed").mkdir()
    (tmp_path / "speed" / "run.json").write_text("{}")  # no run of the experiment
    assert recorded_runs(tmp_path) == [tmp_path / name for name in ("c", "a", "deep/b")]


def test_a_run_is_described_from_its_record_and_request(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    row = describe(run)
    assert (row["faces"], row["clips"]) == ("lfw", "jhmdb, boxed")
    assert (row["seed"], row["commit"], row["minutes"]) == (1, "abc", 7.5)
    assert row["predictions"] is False
    (run / "request.json").write_text('{"faces": []}')
    assert (describe(run)["faces"], describe(run)["clips"]) == ("drawn", "drawn")
    (run / "request.json").unlink()
    with pytest.raises(CheckpointError, match=r"request.json is missing"):
        describe(run)


def test_aims_are_computed_from_the_tables(tmp_path: Path) -> None:
    rows = bars(write_run(tmp_path / "good"))
    assert [row["met"] for row in rows] == [True, True, True, True]
    assert [row["measured"] for row in rows] == ["0.940", "none", "95.00%", "60.00%"]
    rows = bars(write_run(tmp_path / "bad", ours=0.45, clear=0.94, hidden=0.67))
    assert [row["met"] for row in rows] == [False, False, False, False]
    assert [row["measured"] for row in rows] == ["0.900", "blur8", "94.00%", "67.00%"]


def test_only_who_hides_as_well_can_be_better() -> None:
    def point(error: str, precision: str) -> dict[str, str]:
        return {"verification_error": error, "action_map": precision}

    points = {
        "modifier": point("0.3", "0.4"),
        "blur24": point("0.2", "0.5"),
        "edge": point("0.3", "0.4"),
        "mask": point("0.5", "0.39"),
        "unanonymized": point("0.6", "0.9"),
    }
    assert better_rivals(points) == ["edge"]


def test_ties_are_in_no_order() -> None:
    assert agreement({"a": 1, "b": 1, "c": 2}, {"a": 1, "b": 2, "c": 3}) == (2, 2)
    assert agreement({"a": 1, "b": 2}, {"a": 2, "b": 1}) == (0, 1)

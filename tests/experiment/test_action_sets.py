"""Which clips are trained on and tested on, and how often they show a face."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anonlib.config import profile
from anonlib.errors import ActionDatasetError, ConfigError
from anonlib.experiment import datasets as action_sets
from anonlib.experiment.datasets import faces_found, fitted, load_actions, spread

SMALL = replace(profile("smoke"), data=replace(profile("smoke").data, frames=3))


@pytest.fixture
def one_face(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector that finds one face in every brighter frame."""

    def look(frames: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        counts = [int(frame.mean() > 90 / 255) for frame in frames]
        return [(torch.ones(k, 4), torch.zeros(k, 5, 2)) for k in counts]

    monkeypatch.setattr(action_sets, "face_finder", lambda: look)


@pytest.mark.usefixtures("one_face")
@pytest.mark.parametrize(("protocol", "train", "test"), [("split1", 3, 3), ("boxed", 1, 2)])
def test_each_protocol_has_its_clips(small_jhmdb: Path, protocol: str, train: int, test: int):
    found = load_actions(small_jhmdb, SMALL, protocol=protocol, progress=False)
    assert found.actions == ("catch", "pour", "wave")
    assert len(found.train.clips.unique()) == train and len(found.train) == 3 * train
    assert len(found.test.clips.unique()) == test


@pytest.mark.usefixtures("one_face")
def test_faces_are_counted_by_action(small_jhmdb: Path):
    test = load_actions(small_jhmdb, SMALL, progress=False).test
    rows = {row["action"]: row for row in faces_found(test, ("catch", "pour", "wave"))}
    # grey of catch 0, 30, 60; of pour 40, 70, 100; of wave 80, 110, 140
    assert rows["catch"]["share_with_a_face"] == 0
    assert rows["pour"]["share_with_a_face"] == pytest.approx(1 / 3)
    assert rows["wave"]["share_with_a_face"] == pytest.approx(2 / 3)
    assert (rows["wave"]["touches_face"], rows["catch"]["touches_face"]) == (True, False)
    assert rows["wave"]["frames"] == 3


@pytest.mark.usefixtures("one_face")
def test_unsure_training_clips_are_left_out(small_jhmdb: Path):
    path = small_jhmdb / "boxes_train.csv"
    lines = [
        line[: -len("0.5")] + "0.2" if line.startswith("A_pour") else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines) + "\n")
    found = load_actions(small_jhmdb, SMALL, progress=False)
    assert torch.cat(found.train.labels).unique().tolist() == [0, 2]
    assert torch.cat(found.test.labels).unique().tolist() == [0, 1, 2]


def test_a_protocol_that_is_unknown_and_a_folder_that_is_empty(small_jhmdb: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="protocol 'all' is unknown: use one of split1, boxed"):
        load_actions(small_jhmdb, SMALL, protocol="all")
    with pytest.raises(ActionDatasetError, match="holds no ReCompress_Videos"):
        load_actions(tmp_path / "nothing", SMALL)


def test_the_profile_takes_the_classes_and_the_shape_of_the_frames(small_jhmdb: Path):
    laptop, paper = (fitted(profile(name), small_jhmdb).detector for name in ("laptop", "paper"))
    assert (laptop.classes, laptop.frame) == (3, (144, 192))
    assert (paper.classes, paper.frame) == (3, (340, 453))  # section 4: shorter side 340


def test_names_are_spread():
    assert spread(list("abcde"), 3) == ["a", "c", "e"]
    assert spread(list("ab"), 3) == ["a", "b"]

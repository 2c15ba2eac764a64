"""Clips, splits and boxes of a drawn JHMDB, and of the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib.data.images import read_clip, spread
from anonlib.data.jhmdb import JHMDB, sure_clips
from anonlib.data.jhmdb_boxes import ClipBoxes, jhmdb_boxes
from anonlib.errors import ActionDatasetError

ACTIONS = ("catch", "pour", "wave")
LENGTH, HEIGHT, WIDTH = 7, 48, 64


@pytest.fixture
def root(small_jhmdb: Path) -> Path:
    return small_jhmdb


def test_clips_actions_and_splits(root: Path):
    data = JHMDB(root)
    assert data.actions == ACTIONS and len(data.clips) == 6
    assert data.clips["A_pour"].parent.name == "pour"
    train, test = data.split(1)
    assert train == ["A_catch", "A_pour", "A_wave"] and test == ["B_catch", "B_pour", "B_wave"]
    assert data.boxed_split() == (["B_catch"], ["B_pour", "B_wave"])


def test_frames_are_spread_and_keep_their_boxes_and_actions(root: Path):
    data = JHMDB(root)
    seen = data.load(["B_wave", "A_catch"], jhmdb_boxes(root), frames=3, progress=False)
    assert seen.frames.shape == (6, 3, HEIGHT, WIDTH) and seen.frames.dtype == torch.uint8
    greys = seen.frames.float().mean((1, 2, 3))
    expected = torch.tensor([80.0, 110, 140, 0, 30, 60])  # frames 0, 3 and 6
    torch.testing.assert_close(greys, expected, atol=4, rtol=0)
    assert [label.tolist() for label in seen.labels] == [[2]] * 3 + [[0]] * 3
    assert seen.clips.tolist() == [0, 0, 0, 1, 1, 1]
    assert seen.boxes[0].tolist() == [[5, 2, 40, HEIGHT]]  # row 6,3,40,48 counts from 1
    assert seen.boxes[2].tolist() == [[11, 2, 40, HEIGHT]]
    assert all(len(faces) == 0 for faces in seen.face_boxes)
    everything = data.load(["B_wave"], jhmdb_boxes(root), progress=False)
    assert len(everything) == LENGTH
    one = data.load(["B_wave"], jhmdb_boxes(root), frames=1, progress=False)
    assert len(one) == 1 and one.boxes[0].tolist() == [[5, 2, 40, HEIGHT]]


def test_faces_are_looked_for_in_the_frames_that_are_kept(root: Path):
    def detect(frames: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        assert frames.min() >= 0 and frames.max() <= 1
        return [(torch.full((k, 4), float(k)), torch.zeros(k, 5, 2)) for k in range(len(frames))]

    seen = JHMDB(root).load(["A_pour"], jhmdb_boxes(root), frames=3, detect=detect, progress=False)
    assert [len(boxes) for boxes in seen.face_boxes] == [0, 1, 2]
    assert [len(who) for who in seen.identities] == [0, 1, 2]


def test_names_are_spread():
    assert spread(list("abcde"), 3) == ["a", "c", "e"]
    assert spread(list("ab"), 3) == ["a", "b"]


def test_folders_of_pictures_are_clips_too(tmp_path: Path):
    folder = tmp_path / "Rename_Images" / "wave" / "A_wave"
    folder.mkdir(parents=True)
    for k in (2, 1, 10):
        Image.new("RGB", (WIDTH, HEIGHT), (k, k, k)).save(folder / f"{k:05d}.png")
    ((name, path),) = JHMDB(tmp_path).clips.items()
    assert name == "A_wave"
    assert read_clip(path)[:, 0, 0, 0].tolist() == [1, 2, 10]


def test_unsure_clips_are_left_out():
    boxes = np.zeros((1, 4))
    found = {
        name: ClipBoxes(boxes=boxes, score=score, source="")
        for name, score in {"sure": 0.3, "unsure": 0.29, "drawn": None}.items()
    }
    assert sure_clips(["sure", "unsure", "drawn", "unknown"], found) == ["sure", "drawn", "unknown"]


def shorten(root: Path) -> None:
    path = root / "boxes_test.csv"
    path.write_text(path.read_text() + f"B_wave,x,{LENGTH + 1},6,3,40,{HEIGHT}\n")


def damage(root: Path) -> None:
    (root / "ReCompress_Videos" / "wave" / "B_wave.avi").write_bytes(b"no video")


def move_boxes(root: Path) -> None:
    path = root / "boxes_test.csv"
    path.write_text(path.read_text().replace(",40,", ",400,"))


def lose_boxes(root: Path) -> None:
    (root / "boxes_test.csv").unlink()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (shorten, r"B_wave.avi' has 7 frames and 8 boxes: one of the two is cut short"),
        (damage, r"B_wave.avi' cannot be decoded .* fetch it again"),
        (move_boxes, r"B_wave, frame 1: box \[5.*\] is empty or outside of 64x48 pixels; correct"),
        (lose_boxes, r"B_wave has no boxes"),
    ],
)
def test_a_clip_that_does_not_fit_its_boxes_is_named(root: Path, harm, message: str):
    harm(root)
    with pytest.raises(ActionDatasetError, match=message):
        JHMDB(root).load(["B_wave"], jhmdb_boxes(root), progress=False)


def test_partial_datasets_are_named(root: Path, tmp_path: Path):
    with pytest.raises(ActionDatasetError, match=r"'nowhere' holds no ReCompress_Videos"):
        JHMDB("nowhere")
    lists = root / "splits" / "wave_test_split1.txt"
    lists.write_text("A_wave.avi one\n")
    with pytest.raises(ActionDatasetError, match=r"'A_wave.avi one' is no 'CLIP.avi 1'"):
        JHMDB(root).split(1)
    lists.write_text("Z_wave.avi 1\n")
    with pytest.raises(ActionDatasetError, match=r"names the clip Z_wave, which"):
        JHMDB(root).split(1)
    lists.unlink()
    with pytest.raises(ActionDatasetError, match=r"wave_test_split1.txt' cannot be read"):
        JHMDB(root).split(1)


def test_the_real_one_has_its_known_counts(shared: Path):
    data = JHMDB(shared / "datasets" / "jhmdb")
    train, test = data.split(1)
    assert (len(data.actions), len(data.clips), len(train), len(test)) == (21, 928, 660, 268)
    found = jhmdb_boxes(data.root)
    assert len(train) - len(sure_clips(train, found)) == 36
    assert len(sure_clips(test, found)) == 268
    kept, held = data.boxed_split()
    assert (len(kept), len(held)) == (178, 90) and not set(kept) & set(held)
    seen = data.load(test[:1], found, progress=False)
    assert seen.frames.shape[1:] == (3, 240, 320) and len(seen) == len(found[test[0]].boxes)

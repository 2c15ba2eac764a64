"""A miniature of LFW and of JHMDB in their own layouts, and what the chapters make of them."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from anonlib.config import DataConfig, DetectorConfig, ModifierConfig, Profile
from anonlib.data import face_crops
from anonlib.errors import ActionDatasetError, DatasetError, FaceDatasetError
from anonlib.experiment import datasets
from anonlib.experiment.chapter_data import OwnData, own_data, resized
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.types import ACTIONS

TINY = Profile(
    name="tiny",
    modifier=ModifierConfig(size=16, width=4, blocks=1),
    detector=DetectorConfig(backbone="small", frame=(72, 96), width=4),
    data=DataConfig(
        people=20,
        images=2,
        test_people=20,
        test_images=2,
        pairs=20,
        train_clips=4,
        test_clips=4,
        frames=2,
        validation_people=2,
    ),
)
SAME = [f"P{n:02}\t1\t2" for n in range(0, 20, 2)]
DIFFERENT = [f"P{n:02}\t1\tP{n + 1:02}\t1" for n in range(0, 20, 2)]
BOX = (32, 24, 160, 120)


class Points:
    """Says of every picture that its face fills it."""

    cache_key = None

    def __call__(self, pictures: Sequence[Tensor]) -> list[Tensor | None]:
        return [30 * CANONICAL_LANDMARKS for _ in pictures]


@pytest.fixture
def lfw(tmp_path: Path) -> Path:
    """Twenty people in pairs, two in each fold, and ten in none; two pictures each."""
    draw = np.random.default_rng(0)
    for n in range(30):
        for k in (1, 2):
            path = tmp_path / "lfw" / "lfw-deepfunneled" / f"P{n:02}" / f"P{n:02}_{k:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw.integers(0, 255, (30, 30, 3), dtype=np.uint8)).save(path)
    folds = [f"{same}\n{other}" for same, other in zip(SAME, DIFFERENT, strict=True)]
    (tmp_path / "lfw" / "pairs.txt").write_text("\n".join(["10\t1", *folds, ""]))
    return tmp_path / "lfw"


@pytest.fixture
def jhmdb(tmp_path: Path) -> Path:
    """Two classes of two clips in each part, three frames each; the actor is in one place."""
    root = tmp_path / "jhmdb"
    (root / "splits").mkdir(parents=True)
    rows: dict[str, list[str]] = {"1": [], "2": []}
    for action in ("brush_hair", "walk"):
        names = [f"{action}_{k}" for k in range(4)]
        for k, name in enumerate(names):
            video(root / "ReCompress_Videos" / action / f"{name}.mp4", level=50 * k)
            x0, y0, x1, y1 = BOX
            rows["12"[k % 2]] += [f"{name},{action},{t},{x0 + 1},{y0 + 1},{x1},{y1}" for t in (1, 2, 3)]
        lines = [f"{name}.avi {1 + k % 2}" for k, name in enumerate(names)]
        (root / "splits" / f"{action}_test_split1.txt").write_text("\n".join(lines))
    for part, file in {"1": "train", "2": "test"}.items():
        text = "\n".join(["clip,class,frame,x1,y1,x2,y2", *rows[part]])
        (root / f"boxes_split1_{file}.csv").write_text(text + "\n")
    return root


def video(path: Path, *, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for _ in range(3):
            pixels = np.full((240, 320, 3), level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader's folder; detectors find the same face in everything."""
    face = SimpleNamespace(boxes=torch.tensor([[40.0, 40, 60, 60]]), landmarks=torch.ones(1, 5, 2))
    monkeypatch.setattr(face_crops, "MtcnnLandmarks", Points)
    monkeypatch.setattr(datasets.detection, "create", lambda _, **__: lambda frames: [face] * len(frames))
    monkeypatch.setenv("ANONLIB_DATA", str(tmp_path))
    return tmp_path


def test_without_the_variable_people_and_clips_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANONLIB_DATA", raising=False)
    data = own_data()
    assert data == OwnData() and not data
    assert data.fit(TINY) is TINY
    few = data.people("test", images=3)[:2]
    assert data.portraits(few, images=3, size=16, seed=0).labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.clips(TINY, train=1, test=1, frames=1, seed=0).actions == ACTIONS


def test_both_sets_are_loaded(own: Path, lfw: Path, jhmdb: Path) -> None:
    data = own_data()
    assert data == OwnData(faces=(lfw,), actions=jhmdb)
    profile = data.fit(TINY)
    assert profile.detector.classes == 2 and profile.detector.frame == (72, 96)
    loaded = data.load(profile, seed=0)
    assert loaded.actions == ("brush_hair", "walk")
    assert len(loaded.pairs) == 10 and np.unique(loaded.pairs.fold).tolist() == [0, 1, 2, 3, 4]
    assert len(loaded.test_faces) == 15  # three pictures in each of folds 6 to 10
    assert len(loaded.train_faces) + len(loaded.validation_faces) == 40  # nobody else
    assert len(loaded.train_clips) == len(loaded.test_clips) == 8
    train, validation, test, pairs = data.face_sets(profile, seed=0)
    assert torch.equal(test.images, loaded.test_faces.images) and len(pairs) == 10
    assert torch.equal(train.images, loaded.train_faces.images)
    assert torch.equal(validation.images, loaded.validation_faces.images)


def test_the_folder_of_an_experiment_is_removed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anonlib.experiment.chapter_data.prepare", lambda run: SimpleNamespace(run=run))
    experiment = OwnData().experiment(TINY, seed=0)
    folder = experiment.run.out
    assert (folder / "request.json").is_file()
    del experiment
    gc.collect()
    assert not folder.exists()


def test_only_faces_leaves_the_clips_drawn(own: Path, lfw: Path) -> None:
    data = own_data()
    assert data.faces == (lfw,) and data.actions is None and data
    assert data.fit(TINY) is TINY
    assert data.load(TINY, seed=0).actions == ACTIONS


def test_only_clips_leaves_the_people_drawn(own: Path, jhmdb: Path) -> None:
    data = own_data()
    assert data.faces == () and data.actions == jhmdb
    drawn = OwnData().face_sets(TINY, seed=0)
    assert torch.equal(data.face_sets(TINY, seed=0)[2].images, drawn[2].images)
    assert data.load(data.fit(TINY), seed=0).actions == ("brush_hair", "walk")


def test_nobody_is_trained_on_who_is_in_a_test_fold(own: Path, lfw: Path) -> None:
    data = own_data()
    train, test = (data.people(split, images=2) for split in ("train", "test"))
    assert [name for _, name in test] == [f"P{n}" for n in range(10, 20)]
    assert len(train) == 20 and not set(train) & set(test)
    faces = data.portraits(test[:3], images=2, size=16, seed=0)
    assert faces.images.shape == (6, 3, 16, 16) and faces.labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_without_pairs_every_fifth_person_is_the_test(own: Path, lfw: Path) -> None:
    (lfw / "pairs.txt").unlink()
    test = own_data().people("test", images=2)
    assert [name for _, name in test] == [f"P{n:02}" for n in range(0, 30, 5)]


def test_too_few_pictures_are_named(own: Path, lfw: Path) -> None:
    data = own_data()
    with pytest.raises(FaceDatasetError, match="nobody in lfw has 3 pictures: put people with"):
        data.portraits(data.people("test", images=3), images=3, size=16, seed=0)


def test_clips_come_at_the_size_that_a_sees(own: Path, jhmdb: Path) -> None:
    clips = own_data().clips(TINY, train=2, test=4, frames=2, seed=0)
    assert clips.train.frames.shape == (4, 3, 72, 96) and len(clips.test) == 8
    torch.testing.assert_close(clips.test.boxes[0], 0.3 * torch.tensor([BOX]))
    torch.testing.assert_close(clips.test.face_boxes[0], torch.tensor([[12.0, 12, 18, 18]]))
    torch.testing.assert_close(clips.test.landmarks[0], torch.full((1, 5, 2), 0.3))


def test_resizing_scales_each_side_by_its_own(own: Path, jhmdb: Path) -> None:
    clips = own_data().clips(TINY, train=2, test=2, frames=2, seed=0).test
    wide = resized(clips, (36, 96))
    assert wide.frames.shape[2:] == (36, 96)
    torch.testing.assert_close(wide.boxes[0], clips.boxes[0] * torch.tensor([1, 0.5, 1, 0.5]))


def test_a_partial_set_is_named(own: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no lfw, casia-webface, jhmdb or daly"):
        own_data()
    (tmp_path / "jhmdb").mkdir()
    with pytest.raises(ActionDatasetError, match=r"jhmdb' holds no ReCompress_Videos.*README"):
        own_data().fit(TINY)
    (tmp_path / "lfw").mkdir()
    with pytest.raises(FaceDatasetError, match=r"lfw' holds no people.*README"):
        replace(own_data(), actions=None).load(TINY, seed=0)

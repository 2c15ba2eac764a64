from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from anonlib.data.checks import check
from anonlib.data.face_folders import CASIAWebFace, FaceFolder
from anonlib.errors import DatasetError, FaceDatasetError, ImageError
from anonlib.geometry import CANONICAL_LANDMARKS

PEOPLE = {"Ann_Lee": 3, "Bob": 1, "Carla_Ruiz": 4}


def detect(pictures):
    return [CANONICAL_LANDMARKS * 30 if picture.any() else None for picture in pictures]


def make_people(root: Path, people=PEOPLE, suffix=".jpg") -> Path:
    """People of flat colours: the k-th picture of the n-th person has red 10 n + k."""
    for n, (name, count) in enumerate(people.items()):
        (root / name).mkdir(parents=True)
        for k in range(count):
            picture = Image.new("RGB", (40, 40), (10 * n + k + 1, 60, 90))
            picture.save(root / name / f"{name}_{k + 1:04d}{suffix}", quality=100)
    return root


@pytest.mark.parametrize("inner", ["", "lfw-deepfunneled", "CASIA-WebFace"])
def test_people_are_listed_wherever_they_lie(tmp_path, inner):
    make_people(tmp_path / "data" / inner)
    folder = FaceFolder(tmp_path / "data")
    assert folder.people == ("Ann_Lee", "Bob", "Carla_Ruiz")
    assert [p.name for p in folder.pictures("Ann_Lee")] == [f"Ann_Lee_000{k}.jpg" for k in (1, 2, 3)]


def test_only_pictures_count(tmp_path):
    root = make_people(tmp_path)
    (root / "Bob" / "notes.txt").write_text("x")
    (root / "Bob" / "._Bob_0002.jpg").write_bytes(b"x")
    (root / "Empty").mkdir()
    (root / ".hidden").mkdir()
    Image.new("RGB", (20, 20)).save(root / ".hidden" / "a.jpg")
    Image.new("RGB", (20, 20)).save(root / "Bob" / "LOUD.PNG")
    folder = FaceFolder(root)
    assert folder.people == ("Ann_Lee", "Bob", "Carla_Ruiz")
    assert [p.name for p in folder.pictures("Bob")] == ["Bob_0001.jpg", "LOUD.PNG"]
    assert folder.people_with(3) == ("Ann_Lee", "Carla_Ruiz")


def test_faces_are_loaded_with_labels_in_the_order_asked_for(tmp_path):
    folder = FaceFolder(make_people(tmp_path, suffix=".png"), detect=detect, progress=False)
    faces = folder.load(["Carla_Ruiz", "Ann_Lee"], images=2, size=24)
    assert faces.labels.tolist() == [0, 0, 1, 1] and faces.labels.dtype == torch.int64
    assert faces.images[:, 0, 12, 12].tolist() == [21, 22, 1, 2]
    torch.testing.assert_close(faces.landmarks[0], CANONICAL_LANDMARKS * 24, atol=1e-3, rtol=0)


def test_all_people_and_pictures_by_default(tmp_path):
    folder = FaceFolder(make_people(tmp_path), detect=detect, progress=False)
    assert folder.load(size=16).labels.tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    assert folder.load(size=16, minimum=2).labels.tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_pictures_without_a_face_are_skipped_and_counted(tmp_path, caplog):
    root = make_people(tmp_path)
    for name in ("Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Bob/Bob_0001.jpg"):
        Image.new("RGB", (40, 40)).save(root / name)
    folder = FaceFolder(root, detect=detect, progress=False)
    assert folder.load(size=16).labels.tolist() == [0, 1, 1, 1, 1]
    assert "no face in 3 of 8 pictures; 1 people left out" in caplog.text
    assert folder.load(["Ann_Lee", "Carla_Ruiz"], size=16, minimum=2).labels.tolist() == [0] * 4
    with pytest.raises(FaceDatasetError, match="none of the 1 people has 1 pictures with a face"):
        folder.load(["Bob"], size=16)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(FaceDatasetError, match=r"nowhere' is no folder: check the path, see data/R"):
        FaceFolder(tmp_path / "nowhere")


def test_a_root_without_people_is_named(tmp_path):
    Image.new("RGB", (20, 20)).save(tmp_path / "loose.jpg")
    with pytest.raises(FaceDatasetError, match="holds no people: put each person's pictures"):
        FaceFolder(tmp_path)


def test_unknown_people_and_people_with_too_few_pictures_are_named(tmp_path):
    folder = FaceFolder(make_people(tmp_path), detect=detect, progress=False)
    with pytest.raises(FaceDatasetError, match=r"holds no 'Dan': use one of its 3 people"):
        folder.load(["Dan"], size=16)
    with pytest.raises(FaceDatasetError, match=r"'Bob' in .* has 1 pictures and 2 are needed"):
        folder.load(["Bob"], size=16, minimum=2)
    with pytest.raises(FaceDatasetError, match="none of the 0 people"):
        folder.load(size=16, minimum=9)


def test_a_damaged_picture_is_named(tmp_path):
    root = make_people(tmp_path)
    path = root / "Bob" / "Bob_0001.jpg"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ImageError, match=r"Bob_0001.jpg' is damaged or cut short"):
        FaceFolder(root, detect=detect, progress=False).load(size=16)


@pytest.mark.slow
def test_three_real_people_of_each_layout(shared, tmp_path, monkeypatch):
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path))
    for name, people in (("lfw", 5749), ("celeba-ids", 239)):
        folder = FaceFolder(shared / "datasets" / name, progress=False)
        assert len(folder.people) == people
        faces = folder.load(folder.people_with(4)[:3], images=4, size=64)
        assert len(faces) >= 11 and faces.labels.unique().tolist() == [0, 1, 2]
        mean = faces.landmarks.mean(0) / 64
        torch.testing.assert_close(mean, CANONICAL_LANDMARKS, atol=0.03, rtol=0)


def make_layout(root: Path, layout: str) -> Path:
    """A root in a layout that somebody may have of CASIA-WebFace."""
    root.mkdir()
    if layout == "an archive":
        (root / "CASIA-WebFace.zip").touch()
    elif layout == "an archive in a folder":
        make_layout(root / "download", "an archive")
    elif layout == "records":
        (root / "train.rec").touch()
    elif layout == "loose pictures":
        Image.new("RGB", (20, 20)).save(root / "1.jpg")
    elif layout != "empty":
        make_people(root / layout, {"0000045": 2, "0000099": 2})
    return root


ACCEPTED = ("", "CASIA-WebFace", "CASIA-maxpy-clean", "a/CASIA-maxpy-clean", "a/b/c", "a/CASIA-WebFace")
REFUSED = {
    "a/b/c/d": "holds no people",
    "empty": "holds no people",
    "loose pictures": "holds no people",
    "records": "a RecordIO file",
    "an archive": "unpack it with",
    "an archive in a folder": "unpack it with",
}


@pytest.mark.parametrize("layout", ACCEPTED)
def test_data_check_and_reproduce_accept_the_same_layouts(tmp_path, layout):
    """`data check` once accepted nested folders of any name, which `reproduce` refused."""
    root = make_layout(tmp_path / "root", layout)
    assert FaceFolder(root).people == CASIAWebFace(root).people == ("0000045", "0000099")
    for findings in (check(root, progress=False), check(root, "casia-webface", progress=False)):
        assert findings.name == "casia-webface" and "2 people of 10,575" in findings.facts


@pytest.mark.parametrize("layout", REFUSED)
def test_data_check_and_reproduce_refuse_the_same_layouts_with_one_reason(tmp_path, layout):
    root = make_layout(tmp_path / "root", layout)
    with pytest.raises(FaceDatasetError, match=REFUSED[layout]) as refused:
        FaceFolder(root)
    assert check(root, "casia-webface", progress=False).faults == [str(refused.value)]
    with pytest.raises(DatasetError) as unrecognised:
        check(root)
    assert str(refused.value) in str(unrecognised.value)

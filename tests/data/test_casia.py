from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import anonlib.data
from anonlib.data.face_folders import CASIAWebFace
from anonlib.data.lfw import LFW
from anonlib.errors import FaceDatasetError
from anonlib.geometry import CANONICAL_LANDMARKS

PEOPLE = {"0000045": 3, "0000099": 1, "0000100": 2}


def make_people(root: Path) -> Path:
    for person, count in PEOPLE.items():
        (root / person).mkdir(parents=True)
        for k in range(1, count + 1):
            Image.new("RGB", (40, 40), (10 * k, 60, 90)).save(root / person / f"{k:03d}.jpg")
    return root


@pytest.mark.parametrize("inner", ["", "CASIA-WebFace", "a/CASIA-maxpy-clean"])
def test_people_are_found_however_deep(tmp_path: Path, inner: str) -> None:
    make_people(tmp_path / inner)
    (tmp_path / "readme.txt").write_text("x")
    casia = CASIAWebFace(tmp_path, minimum=1)
    assert casia.people == tuple(PEOPLE) and casia.left_out == 0
    assert [p.name for p in casia.pictures("0000045")] == ["001.jpg", "002.jpg", "003.jpg"]


def test_people_with_one_picture_are_left_out_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    casia = CASIAWebFace(make_people(tmp_path))
    assert casia.people == ("0000045", "0000100") and casia.left_out == 1
    assert "1 people left out, fewer than 2 pictures" in caplog.text
    with pytest.raises(FaceDatasetError, match="none of 3 people has 4 pictures"):
        CASIAWebFace(tmp_path, minimum=4)


def test_faces_are_numbered_without_gaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    root = make_people(tmp_path / "casia")
    detect = lambda pictures: [CANONICAL_LANDMARKS * 30 for _ in pictures]  # noqa: E731
    faces = CASIAWebFace(root, detect=detect, progress=False).load(size=16)
    assert faces.labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("line", ["{}/{} 0", "{}\\{} 0", "CASIA/{}/{}", "./{}/{}\t7"])
def test_a_cleaned_list_keeps_what_it_names(tmp_path: Path, line: str) -> None:
    root = make_people(tmp_path / "casia")
    names = [("0000045", "001.jpg"), ("0000045", "003.jpg"), ("0000100", "001.jpg")]
    (tmp_path / "clean.txt").write_text("\n".join(line.format(*n) for n in names) + "\n\n")
    casia = CASIAWebFace(root, keep=tmp_path / "clean.txt")
    assert casia.people == ("0000045",) and casia.left_out == 1
    assert [p.name for p in casia.pictures("0000045")] == ["001.jpg", "003.jpg"]


def test_a_useless_list_is_named(tmp_path: Path) -> None:
    root = make_people(tmp_path / "casia")
    with pytest.raises(FaceDatasetError, match=r"no\.txt' cannot be read: check the path"):
        CASIAWebFace(root, keep=tmp_path / "no.txt")
    (tmp_path / "clean.txt").write_text("001.jpg\n0000045/009.jpg\n")
    with pytest.raises(FaceDatasetError, match=r"clean\.txt' names none of the pictures"):
        CASIAWebFace(root, keep=tmp_path / "clean.txt")


@pytest.mark.parametrize("inner", ["", "faces_webface_112x112"])
def test_records_and_archives_are_named(tmp_path: Path, inner: str) -> None:
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / "CASIA-WebFace.zip").touch()
    with pytest.raises(FaceDatasetError, match=r"holds the archive .*: unpack it with python -m zipfile -"):
        CASIAWebFace(tmp_path)
    (tmp_path / inner / "train.rec").touch()
    with pytest.raises(FaceDatasetError, match=r"holds 'train\.rec', a RecordIO file, .* picture"):
        CASIAWebFace(tmp_path)
    make_people(tmp_path / "images")
    assert len(CASIAWebFace(tmp_path).people) == 2


def test_nobody_is_named(tmp_path: Path) -> None:
    with pytest.raises(FaceDatasetError, match="is no folder"):
        CASIAWebFace(tmp_path / "no")
    with pytest.raises(FaceDatasetError, match="holds no people"):
        CASIAWebFace(tmp_path)


def test_all_loaders_come_from_one_place() -> None:
    assert anonlib.data.CASIAWebFace is CASIAWebFace and anonlib.data.LFW is LFW
    for name in anonlib.data.__all__:
        assert getattr(anonlib.data, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'HMDB'"):
        _ = anonlib.data.HMDB


def test_real_people_in_this_layout(shared: Path) -> None:
    casia = CASIAWebFace(shared / "datasets" / "celeba-ids")
    assert len(casia.people) == 239 and casia.left_out == 0
    assert sum(len(casia.pictures(person)) for person in casia.people) == 4937

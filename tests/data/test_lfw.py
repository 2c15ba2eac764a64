from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from anonlib.data.lfw import LFW, lfw_pairs, people_in_folds
from anonlib.errors import FaceDatasetError
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.metrics.verification import verification_accuracy

PAIRS = "2\t2\nAnn\t1\t2\nAnn\t1\t3\nAnn\t3\tBob\t1\nAnn\t2\tBob\t1\n" + (
    "Cleo\t1\t2\nCleo\t2\t1\nCleo\t1\tDan\t1\nDan\t1\tCleo\t2\n"
)


def detect(pictures):
    return [CANONICAL_LANDMARKS * 30 if picture.any() else None for picture in pictures]


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    for n, (name, count) in enumerate({"Ann": 3, "Bob": 1, "Cleo": 2, "Dan": 1}.items()):
        folder = tmp_path / "lfw" / "lfw-deepfunneled" / name
        folder.mkdir(parents=True)
        for k in range(1, count + 1):
            picture = Image.new("RGB", (40, 40), (40 * n + k, 90, 90))
            picture.save(folder / f"{name}_{k:04d}.png")
    (tmp_path / "lfw" / "pairs.txt").write_text(PAIRS)
    return tmp_path / "lfw"


def test_pairs_of_all_folds(root):
    pairs = lfw_pairs(root, [1, 2])
    assert pairs[0] == (("Ann", 1), ("Ann", 2), 1) and pairs[-1] == (("Dan", 1), ("Cleo", 2), 2)
    assert [p.same for p in pairs] == [True, True, False, False] * 2
    assert [p.fold for p in pairs] == [1] * 4 + [2] * 4


def test_people_of_some_folds(root):
    assert people_in_folds(root, [2]) == {"Cleo", "Dan"}
    assert people_in_folds(root, [1, 2]) == {"Ann", "Bob", "Cleo", "Dan"}


def test_pairs_may_lie_beside_the_people(root):
    assert lfw_pairs(root / "lfw-deepfunneled", [1]) == lfw_pairs(root, [1])


def test_pairs_become_places_in_the_faces(root):
    faces, pairs = LFW(root, detect=detect, progress=False).load_pairs([1, 2], size=16)
    red = faces.images[:, 0, 8, 8]
    assert red[pairs.first].tolist() == [1, 1, 3, 2, 81, 82, 81, 121]
    assert red[pairs.second].tolist() == [2, 3, 41, 41, 82, 81, 121, 82]
    assert ((faces.labels[pairs.first] == faces.labels[pairs.second]).numpy() == pairs.same).all()
    assert pairs.fold.tolist() == [0] * 4 + [1] * 4
    assert verification_accuracy(pairs.same * 1.0, pairs.same, pairs.fold).mean == 1.0
    assert LFW(root, detect=detect, progress=False).load_pairs([2], size=16)[1].fold.max() == 0


def test_pairs_without_a_face_are_left_out_and_counted(root, caplog):
    Image.new("RGB", (40, 40)).save(root / "lfw-deepfunneled" / "Bob" / "Bob_0001.png")
    faces, pairs = LFW(root, detect=detect, progress=False).load_pairs([1, 2], size=16)
    assert len(pairs) == 6 and len(faces) == 6 and "2 of 8 pairs left out" in caplog.text
    red = faces.images[:, 0, 8, 8]
    assert red[pairs.first].tolist() == [1, 1, 81, 82, 81, 121]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann\t1\t2\n", "does not begin with '10 300'"),
        ("", "does not begin with '10 300'"),
        (PAIRS + "Ann\t1\t2\n", "has 9 pairs instead of 8"),
        (PAIRS.replace("Bob\t1", "Bob", 1), r"line 4, 'Ann 3 Bob' is no pair"),
        (PAIRS.replace("Ann\t1\t2", "Ann", 1), r"line 2, 'Ann' is no pair"),
    ],
)
def test_a_damaged_list_is_named(root, text, message):
    (root / "pairs.txt").write_text(text)
    with pytest.raises(FaceDatasetError, match=message):
        lfw_pairs(root, [1])


def test_missing_lists_folds_people_and_pictures_are_named(root):
    with pytest.raises(FaceDatasetError, match=r"has folds 1 to 2, not \[3\]"):
        lfw_pairs(root, [3])
    next((root / "lfw-deepfunneled" / "Ann").glob("*3.png")).unlink()
    with pytest.raises(FaceDatasetError, match=r"has no picture Ann_0003, which pairs.txt names"):
        LFW(root, detect=detect, progress=False).load_pairs([1, 2], size=16)
    (root / "pairs.txt").unlink()
    with pytest.raises(FaceDatasetError, match=r"has no pairs.txt: fetch LFW's View 2"):
        lfw_pairs(root, [1])


@pytest.mark.slow
def test_the_real_list(shared):
    root = shared / "datasets" / "lfw"
    pairs = lfw_pairs(root)
    assert len(pairs) == 6000 and sum(p.same for p in pairs) == 3000
    assert pairs[0] == (("Abel_Pacheco", 1), ("Abel_Pacheco", 4), 1)
    assert not people_in_folds(root, range(1, 6)) & people_in_folds(root, range(6, 11))

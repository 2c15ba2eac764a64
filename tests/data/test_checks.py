from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import av
import numpy as np
import pooch
import pytest
from PIL import Image

from anonlib.data import checks
from anonlib.data.catalog import CATALOG
from anonlib.data.checks import check, recognise
from anonlib.data.daly import FLAGS, LABELS
from anonlib.errors import DatasetError

PAIRS = "10\t1\n" + 10 * "Ann\t1\t2\nAnn\t1\tBob\t1\n"


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 40), (90, 60, 30)).save(path)
    return path


def video(path: Path, frames: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for n in range(frames):
            pixels = np.full((32, 32, 3), 20 * n, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    return path


@pytest.fixture
def lfw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("Ann/Ann_0001", "Ann/Ann_0002", "Bob/Bob_0001"):
        picture(tmp_path / "lfw-deepfunneled" / f"{name}.jpg")
    (tmp_path / "pairs.txt").write_text(PAIRS)
    (tmp_path / "people.txt").write_text("1\n2\nAnn\t2\nBob\t1\n")
    monkeypatch.setitem(checks.OFFICIAL, "lfw", {"people": 2, "pictures": 3, "pairs": 20})
    for sources in CATALOG["lfw"].parts[1:]:
        (tmp_path / sources[0].name).touch()
    (tmp_path / "pairs.txt").write_text(PAIRS)
    monkeypatch.setattr(
        pooch,
        "file_hash",
        lambda path, alg: _published(path.name) if path.read_text() in ("", PAIRS) else "other",
    )
    return tmp_path


def _published(name: str) -> str:
    sources = CATALOG["lfw"].parts[1:]
    return next(s[0].digest for s in sources if s[0].name == name).removeprefix("sha256:")


def contents(root: Path) -> dict[str, str]:
    return {
        str(p): hashlib.sha256(p.read_bytes()).hexdigest() + str(p.stat().st_mtime_ns)
        for p in root.rglob("*")
        if p.is_file()
    }


def test_a_whole_copy_of_lfw(lfw: Path) -> None:
    before = contents(lfw)
    findings = check(lfw, progress=False)
    assert findings.name == "lfw" and findings.faults == []
    assert "pairs.txt: checksum as published" in findings.facts and "3 pictures" in findings.facts
    assert contents(lfw) == before


def test_what_a_partial_copy_of_lfw_lacks_is_named(lfw: Path) -> None:
    (lfw / "lfw-deepfunneled" / "Ann" / "Ann_0002.jpg").unlink()
    cut = lfw / "lfw-deepfunneled" / "Bob" / "Bob_0001.jpg"
    cut.write_bytes(cut.read_bytes()[:-20])
    (lfw / "pairsDevTest.txt").unlink()
    (lfw / "pairsDevTrain.txt").write_text("other")
    assert check(lfw, progress=False).faults == [
        "pairsDevTrain.txt is not the official list (wrong sha256)",
        "pairsDevTest.txt is missing",
        "2 pictures instead of 3",
        "Ann_0002.jpg is missing, which people.txt names",
        "Bob/Bob_0001.jpg is empty or cut short",
        "Ann_0002.jpg is missing, which pairs.txt names",
    ]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
def test_empty_and_cut_pictures_are_seen(tmp_path: Path, suffix: str) -> None:
    path = picture(tmp_path / f"a{suffix}")
    assert checks._ends_well(path)
    path.write_bytes(path.read_bytes() + bytes(100))
    assert checks._ends_well(path)
    path.write_bytes(b"")
    assert not checks._ends_well(path)


@pytest.fixture
def casia(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("0000045/001", "0000045/002", "0000099/001"):
        picture(tmp_path / "CASIA-WebFace" / f"{name}.jpg")
    monkeypatch.setitem(checks.OFFICIAL, "casia-webface", {"people": 2, "pictures": 3})
    return tmp_path


def test_casia_is_counted(casia: Path) -> None:
    findings = check(casia, progress=False)
    assert findings.name == "casia-webface" and findings.faults == []
    assert "1 people with one picture, who are left out of training" in findings.facts
    (casia / "CASIA-WebFace" / "0000099" / "001.jpg").write_bytes(b"")
    picture(casia / "CASIA-WebFace" / "0000099" / "002.jpg")
    assert check(casia, progress=False).faults == [
        "4 pictures instead of 3",
        "0000099/001.jpg is empty or cut short",
    ]


@pytest.fixture
def jhmdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for clip in ("a", "b"):
        video(tmp_path / "ReCompress_Videos" / "wave" / f"{clip}.avi", 3)
    (tmp_path / "splits").mkdir()
    for n in (1, 2, 3):
        (tmp_path / "splits" / f"wave_test_split{n}.txt").write_text("a.avi 1\nb.avi 2\n")
    rows = [f"{clip},wave,{frame},1,1,9,9" for clip in ("a", "b") for frame in (1, 2, 3)]
    (tmp_path / "boxes.csv").write_text("\n".join(["clip,class,frame,x1,y1,x2,y2", *rows]) + "\n")
    counts = {what: 1 for what in checks.OFFICIAL["jhmdb"]}
    monkeypatch.setitem(checks.OFFICIAL, "jhmdb", counts | {"clips": 2, "actions": 1, "lists of splits": 3})
    return tmp_path


def test_a_whole_copy_of_jhmdb(jhmdb: Path) -> None:
    findings = check(jhmdb, progress=False)
    assert findings.name == "jhmdb" and findings.faults == []
    assert "2 clips with boxes from boxes*.csv without a score" in findings.facts
    assert not any("official .avi" in fact for fact in findings.facts)
    path = jhmdb / "ReCompress_Videos" / "wave" / "a"
    path.with_suffix(".avi").rename(path.with_suffix(".mp4"))
    findings = check(jhmdb, progress=False)
    assert findings.faults == []
    assert "clips are .avi, .mp4, not the official .avi: fine" in findings.facts


def test_what_a_partial_copy_of_jhmdb_lacks_is_named(jhmdb: Path) -> None:
    video(jhmdb / "ReCompress_Videos" / "wave" / "a.avi", 2)
    (jhmdb / "ReCompress_Videos" / "wave" / "b.avi").unlink()
    video(jhmdb / "ReCompress_Videos" / "wave" / "c.avi", 2).write_bytes(b"")
    (jhmdb / "splits" / "wave_test_split2.txt").write_text("a.avi one\nb.avi 2\n")
    (jhmdb / "splits" / "wave_test_split3.txt").unlink()
    assert check(jhmdb, progress=False).faults == [
        "clip b is missing, which split 1 names",
        "splits/wave_test_split2.txt: 'a.avi one' is no 'CLIP.avi 1 or 2'",
        "0 training clips in split 2 instead of 1",
        "clip b is missing, which split 2 names",
        "0 training clips in split 3 instead of 1",
        "0 test clips in split 3 instead of 1",
        "2 lists of splits instead of 3",
        "clip c is empty or cannot be opened",
        "clip a has 2 frames and 3 boxes",
        "clip c has no boxes",
    ]


@pytest.fixture
def daly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    keyframe = {"frameNumber": 2, "time": 0.06, "boundingBox": np.array([[0, 0, 1, 1]], "f4")}
    drinking = {"flags": dict.fromkeys(FLAGS, False), "keyframes": [keyframe]}
    names = ("a.mp4", "b.mp4", "c.mp4")
    annotations = {
        "labels": list(LABELS),
        "splits": [["b.mp4"]],
        "annot": {v: {"annot": {"Drinking": [drinking]} if v != "c.mp4" else {}} for v in names},
        "metadata": {v: {"nbframes_ffmpeg": 3, "fps": 25.0, "duration": 0.12} for v in names},
    }
    (tmp_path / "daly1.1.0.pkl").write_bytes(pickle.dumps(annotations, 2))
    video(tmp_path / "videos" / "a.mp4", 3)
    (tmp_path / "videos" / "c.mp4").write_bytes(b"")
    counts = {"videos": 3, "training videos": 2, "test videos": 1}
    monkeypatch.setitem(checks.OFFICIAL, "daly", counts)
    return tmp_path


def test_daly_is_checked_video_by_video(daly: Path) -> None:
    findings = check(daly, progress=False)
    assert findings.name == "daly" and "2 boxes at keyframes" in findings.facts
    assert findings.faults == [
        "video b.mp4 is missing, and so are its frames",
        "video c.mp4 has no annotated keyframe",
        "video c.mp4 is empty or cannot be opened",
    ]


def test_refused_annotations_are_a_fault_and_no_crash(daly: Path) -> None:
    (daly / "daly1.1.0.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert "asks for 'os.system'" in check(daly, progress=False).faults[0]


def test_layouts_are_told_apart_or_named(lfw: Path, tmp_path: Path) -> None:
    assert recognise(lfw) == "lfw"
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DatasetError, match="layout of none of lfw, casia-webface, jhmdb, daly: ch"):
        check(empty)
    with pytest.raises(DatasetError, match="is no folder: check the path"):
        check(tmp_path / "no")
    with pytest.raises(DatasetError, match="data set 'vgg' is unknown: use one of lfw, casia"):
        check(empty, "vgg")
    assert "holds no ReCompress_Videos/ACTION/CLIP.avi and no" in check(empty, "jhmdb").faults[0]
    assert "holds no people" in check(empty, "casia-webface", progress=False).faults[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lfw", "jhmdb"])
def test_the_real_copies_are_whole(shared: Path, name: str) -> None:
    findings = check(shared / "datasets" / name, progress=False)
    assert findings.name == name and findings.faults == []

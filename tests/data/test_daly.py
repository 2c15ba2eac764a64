from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from anonlib.data.daly import DALY, FLAGS, LABELS
from anonlib.data.images import read_frames
from anonlib.errors import ActionDatasetError, DatasetError
from anonlib.types import ACTIONS

A, B, C = "aaaaaaaaaaa.mp4", "bbbbbbbbbbb.mp4", "ccccccccccc.mp4"


def python_2_pickle(value: Any) -> bytes:
    """Protocol 2 as Python 2.7 and numpy 1 write it: text as bytes, numpy.core in the names."""
    return b"\x80\x02" + _write(value) + b"."


def _write(value: Any) -> bytes:
    if isinstance(value, str):
        text = value.encode("latin1")
        return b"T" + struct.pack("<i", len(text)) + text
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, dict):
        return b"}(" + b"".join(_write(k) + _write(v) for k, v in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_write, value)) + b"e"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_write, value)) + b"t"
    assert isinstance(value, np.ndarray)
    dtype = b"cnumpy\ndtype\n" + _write((value.dtype.str[1:], 0, 1)) + b"R"
    dtype += _write((3, "<", None, None, None, -1, -1, 0)) + b"b"
    shape, content = _write(value.shape), _write(value.tobytes().decode("latin1"))
    begin = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _write((0,)) + b"U\x01btR"
    return begin + b"(K\x01" + shape + dtype + b"\x89" + content + b"tb"


def keyframe(frame: int, box: tuple[float, ...], fps: float = 25.0) -> dict[str, Any]:
    return {
        "frameNumber": frame,
        "time": (frame - 0.5) / fps,
        "boundingBox": np.array([box], "f4"),
        "objects": np.zeros((1, 7), "f4"),
        "pose": np.zeros((1, 7, 3), "f4"),
    }


def instance(*keyframes: dict[str, Any], **flags: bool) -> dict[str, Any]:
    return {
        "beginTime": 0.0,
        "endTime": 1.0,
        "keyframes": list(keyframes),
        "flags": {flag: flags.get(flag, False) for flag in FLAGS},
    }


def content() -> dict[str, Any]:
    """Three videos of 50 frames; C is for testing and nothing in it is boxed."""
    whole = (0.0, 0.0, 1.0, 1.0)
    return {
        "labels": list(LABELS),
        "objectList": ["cup"] * 43,
        "joints": ["head"] * 7,
        "splits": [[C]],
        "metadata": {v: {"duration": 2.0, "nbframes_ffmpeg": 50, "fps": 25.0} for v in (A, B, C)},
        "annot": {
            A: {
                "suggestedClass": "Drinking",
                "annot": {
                    "Drinking": [instance(keyframe(30, (0.25, 0.5, 0.75, 1.0)), keyframe(3, whole))],
                    "Phoning": [instance(keyframe(30, (0.0, 0.0, 0.5, 0.5)), isSmall=True)],
                },
            },
            B: {
                "suggestedClass": "Ironing",
                "annot": {"Ironing": [instance(keyframe(50, (-0.01, 0.0, 0.5, 1.02)), isZoom=True)]},
            },
            C: {"suggestedClass": "Drinking", "annot": {}},
        },
    }


def write_video(path: Path, *, frames: int = 50, fps: int = 25, stretch: int = 1) -> None:
    """Frame n, from 1, is of grey level 4 n; every stretch-th only changes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as video:
        stream = video.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 12
        for n in range(frames):
            pixels = np.full((48, 64, 3), 4 * (n // stretch + 1), np.uint8)
            video.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        video.mux(stream.encode())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "daly1.1.0.pkl").write_bytes(python_2_pickle(content()))
    for video in (A, B):
        write_video(tmp_path / "videos" / video)
    return tmp_path


def rewrite(root: Path, **changes: Any) -> None:
    (root / "daly1.1.0.pkl").write_bytes(python_2_pickle({**content(), **changes}))


def test_labels_stand_in_the_order_of_the_paper() -> None:
    begins = dict(zip(ACTIONS, LABELS, strict=True))
    assert (begins["lip"], begins["floor"]) == ("ApplyingMakeUpOnLips", "CleaningFloor")
    assert (begins["fold"], begins["photo"]) == ("FoldingTextile", "TakingPhotosOrVideos")


def test_the_split_and_the_keyframes(root: Path) -> None:
    daly = DALY(root)
    assert daly.split() == ([A, B], [C])
    first, second, third = daly.keyframes([A])
    assert (first.frame, first.action, first.box) == (3, "drink", (0, 0, 1, 1))
    assert {second.action, third.action} == {"drink", "phone"} and second.frame == third.frame == 30
    assert daly.keyframes([B])[0].box == (0.0, 0.0, 0.5, 1.0)
    assert daly.keyframes([B])[0].flags == {"isZoom"}
    assert daly.keyframes([C]) == [] and len(daly.keyframes()) == 4


def test_flags_leave_instances_out(root: Path) -> None:
    daly = DALY(root)
    assert [k.action for k in daly.keyframes(without=["isSmall"])] == ["drink", "drink", "iron"]
    assert len(daly.keyframes(without=FLAGS)) == 2
    with pytest.raises(ActionDatasetError, match="flag 'isTiny' is unknown: use isSmall, isRef"):
        daly.keyframes(without=["isTiny"])


def greys(frames: torch.Tensor) -> list[int]:
    """Numbers of the frames, read from their pixels."""
    return [round(float(f.float().mean()) / 4) for f in frames]


def test_keyframes_become_pictures_and_pixels(root: Path) -> None:
    frames = DALY(root).load([B, C, A], size=(24, 40), progress=False)
    assert frames.frames.shape == (3, 3, 24, 40) and frames.frames.dtype == torch.uint8
    assert greys(frames.frames) == [50, 3, 30] and frames.clips.tolist() == [0, 2, 2]
    assert frames.boxes[0].tolist() == [[0, 0, 20, 24]]
    assert frames.boxes[2].tolist() == [[10, 12, 30, 24], [0, 0, 20, 12]]
    labels = [[ACTIONS[i] for i in label] for label in frames.labels]
    assert labels == [["iron"], ["drink"], ["drink", "phone"]]
    assert [len(f) for f in frames.face_boxes] == [0, 0, 0]
    assert len(DALY(root).load([A], size=(24, 40), frames=1, progress=False)) == 1


def test_faces_are_looked_for_when_asked(root: Path) -> None:
    def detect(frames: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
        assert float(frames.min()) >= 0 and float(frames.max()) <= 1
        return [(torch.ones(2, 4), torch.ones(2, 5, 2)) for _ in frames]

    frames = DALY(root).load([A], size=(24, 40), detect=detect, progress=False)
    assert frames.face_boxes[1].shape == (2, 4) and frames.landmarks[0].shape == (2, 5, 2)
    assert frames.identities[0].tolist() == [-1, -1]


def test_extracted_frames_serve_instead_of_the_video(root: Path) -> None:
    (root / "videos" / A).unlink()
    folder = root / "frames" / A
    folder.mkdir(parents=True)
    for n in (3, 30):
        Image.new("RGB", (64, 48), (4 * n,) * 3).save(folder / f"frame{n:06d}.png")
    assert greys(DALY(root).load([A], size=(24, 32), progress=False).frames) == [3, 30]
    (folder / "frame000030.png").unlink()
    with pytest.raises(ActionDatasetError, match="lacks frame 30 and 0 more of its keyframes"):
        DALY(root).load([A], size=(24, 32), progress=False)


@pytest.mark.parametrize(("fps", "stretch"), [(25, 1), (50, 2)])
def test_every_frame_is_found_by_number(tmp_path: Path, fps: int, stretch: int) -> None:
    """Also in a copy that shows each frame twice, at the double rate."""
    path = tmp_path / "a.mp4"
    write_video(path, frames=50 * stretch, fps=fps, stretch=stretch)
    numbers = list(range(1, 51))
    assert greys(read_frames(path, numbers, rate=25.0, size=(12, 16))) == numbers
    with pytest.raises(ActionDatasetError, match=r"a\.mp4' ends before its frame 53: it is cut"):
        read_frames(path, [53], rate=25.0, size=(12, 16))


def test_missing_and_damaged_videos_are_named(root: Path) -> None:
    path = root / "videos" / A
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(ActionDatasetError, match=r"aaa\.mp4' cannot be decoded \(.*: fetch it ag"):
        DALY(root).load([A], size=(24, 40), progress=False)
    path.unlink()
    with pytest.raises(ActionDatasetError, match=r"lacks the video 'a*\.mp4': put it into videos/"):
        DALY(root).load([A], size=(24, 40), progress=False)
    with pytest.raises(ActionDatasetError, match=r"video 'other\.mp4' has no annotation"):
        DALY(root).load(["other.mp4"], size=(24, 40), progress=False)
    with pytest.raises(ActionDatasetError, match="no keyframe remains in 1 videos without flags"):
        DALY(root).load([C], size=(24, 40), progress=False)


def test_missing_and_refused_annotations_are_named(root: Path) -> None:
    with pytest.raises(ActionDatasetError, match=r"holds no daly1\.1\.0\.pkl: fetch the annotatio"):
        DALY(root / "videos")
    (root / "daly1.1.0.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(DatasetError, match=r"daly1\.1\.0\.pkl' is .*asks for 'os\.system'"):
        DALY(root)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": ["Drinking"]}, "labels are not DALY's ten"),
        ({"splits": [["ddddddddddd.mp4"]]}, r"splits name 'd*\.mp4', which has no annotation"),
        ({"metadata": {}}, r"not laid out as DALY 1\.1\.0 \(KeyError"),
        ({"annot": [1]}, r"not laid out as DALY 1\.1\.0"),
        ({"splits": []}, r"not laid out as DALY 1\.1\.0 \(IndexError"),
    ],
)
def test_another_layout_is_named(root: Path, changes: dict[str, Any], message: str) -> None:
    rewrite(root, **changes)
    with pytest.raises(ActionDatasetError, match=message):
        DALY(root)


@pytest.mark.parametrize(
    ("frame", "box", "message"),
    [
        (51, (0.0, 0.0, 1.0, 1.0), r"has 50 frames and a keyframe 51"),
        (0, (0.0, 0.0, 1.0, 1.0), r"has 50 frames and a keyframe 0"),
        (9, (0.0, 0.0, 1.5, 1.0), r"frame 9: box \[0\.0, 0\.0, 1\.5, 1\.0\] is empty or outside"),
        (9, (0.5, 0.0, 0.5, 1.0), "is empty or outside"),
        (9, (0.0, 0.0, float("nan"), 1.0), "is empty or outside"),
        (9, (0.0, 0.0, 320.0, 240.0), "is empty or outside"),
    ],
)
def test_impossible_keyframes_are_named(root: Path, frame: int, box: tuple[float, ...], message: str) -> None:
    annotation = content()["annot"]
    annotation[B]["annot"]["Ironing"][0]["keyframes"] = [keyframe(frame, box)]
    rewrite(root, annot=annotation)
    with pytest.raises(ActionDatasetError, match=rf"DALY video '{B}'.* {message}"):
        DALY(root)

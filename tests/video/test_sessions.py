"""A method that remembers, in streams and files: one session each, one number for each face."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from anonlib.anonymizers.sessions import Draw, derived_seed
from anonlib.assets import data_path
from anonlib.detection import Faces
from anonlib.errors import ConfigError
from anonlib.video import Models, Settings, Tally, anonymize_files, anonymize_stream
from anonlib.video.ray import Ledger, Worker
from anonlib.video.replacing import Found, replace_faces
from anonlib.video.settings import load_models
from anonlib.video.yuv import YuvPicture
from tests.anonymizers.test_sessions import Painted, People
from tests.video.conftest import everything, faces_at, make_video, picture


def walk(t: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Two faces, 12 pixels a side, which pass each other at a distance."""
    return (10.0 + 2 * t, 8, 22.0 + 2 * t, 20), (70.0 - 2 * t, 40, 82.0 - 2 * t, 52)


class Script:
    """Detections one call after the other."""

    def __init__(self, *calls: tuple[tuple[float, ...], ...]) -> None:
        self.calls = list(calls)

    def __call__(self, frames: Tensor) -> list[Faces]:
        return [faces_at(*self.calls.pop(0))]


def stream(people: Any, script: Script, **options: Any) -> list[np.ndarray]:
    room = np.random.default_rng(0).integers(150, 250, (64, 96, 3)).astype(np.uint8)
    return list(anonymize_stream([room] * len(script.calls), method=people, detector=script, **options))


@pytest.mark.parametrize("options", [{}, {"together": 4}, {"live": True}])
def test_every_face_keeps_its_number_and_gets_a_crop_of_twice_its_box(options: dict[str, Any]) -> None:
    people, tally = People(), Tally()
    out = stream(people, Script(*[walk(t) for t in range(16)]), tally=tally, **options)
    [session] = people.made
    seen = [one for call in session.calls for one in zip(*call, strict=True)]
    assert [track for _, track, _ in seen].count(0) == [track for _, track, _ in seen].count(1) == 16
    for track, (first, step) in {0: (4, 2), 1: (64, -2)}.items():
        places = [x for _, number, (x, _) in seen if number == track]
        assert np.abs(np.subtract(places, [first + step * t for t in range(16)])).max() <= 2
    assert all(abs(side - 24) <= 3 for crop, *_ in seen for side in crop.shape[1:])
    assert people.seeds == [None] and tally.ways == {"swapped": 32} and tally.faces == 32
    for t, frame in enumerate(out):
        assert [int(frame[14, 16 + 2 * t, 0]), int(frame[46, 76 - 2 * t, 0])] == [26, 51]


def test_a_face_that_comes_back_is_another_track() -> None:
    people = People()
    there, wall = ((20.0, 10, 32, 22),), ()
    gone = [there] * 6 + [wall] * 60 + [there] * 6
    room = np.full((64, 96, 3), 200, np.uint8)
    face = room.copy()
    face[10:22, 20:32] = np.random.default_rng(1).integers(0, 255, (12, 12, 3))
    frames = [face if boxes else room for boxes in gone]
    list(anonymize_stream(frames, method=people, detector=Script(*gone), patience=10))
    assert {track for _, tracks, _ in people.made[0].calls for track in tracks} == {0, 1}


def test_a_face_that_is_lost_is_given_as_a_grown_crop() -> None:
    """It is hidden in plain noise, where it cannot be matched: its box is a prediction that grows."""
    people, rng = People(), np.random.default_rng(0)
    script = Script(*[((40.0, 20, 60, 40),)] * 4, *[()] * 9)
    frames = [rng.integers(0, 255, (64, 96, 3)).astype(np.uint8) for _ in range(13)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("anonlib.video.stream.CutFinder.__call__", lambda *_: False)
        list(anonymize_stream(frames, method=people, detector=script))
    sides = [crops[0].shape[2] for crops, *_ in people.made[0].calls]
    assert len(sides) == 13 and sides[0] == 40 and sides == sorted(sides) and sides[-1] >= 56


def test_the_mask_scale_of_the_user_comes_first() -> None:
    people = People()
    stream(people, Script(((40.0, 20, 60, 40),)), enlarge=3.0)
    assert people.made[0].calls[0][0][0].shape == (3, 60, 60)
    assert people.made[0].calls[0][2] == [(20, 0)]


def test_a_mask_scale_that_leaves_part_of_the_face_out_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"enlarge 1\.6: this method needs 2 or more"):
        stream(People(), Script(()), enlarge=1.6)


def test_a_session_that_fails_shows_nothing_more() -> None:
    calls: list[int] = []

    def fail(face: Tensor) -> Tensor:
        calls.append(1)
        return face * (float("nan") if len(calls) == 5 else 1)

    shown = []
    with pytest.raises(Exception, match="NaN"):
        script = Script(*[((40.0, 20, 60, 40),)] * 12)
        for frame in anonymize_stream([picture(0, 64, 96)] * 12, method=People(fail), detector=script):
            shown.append(frame)
    assert len(shown) == 4


class Steps(Painted):
    """Reads faces on one thread and draws them on another, and fails in a step of the fifth picture."""

    def __init__(self, step: str | None) -> None:
        super().__init__()
        self.step, self.threads = step, {"read": list[int](), "draw": list[int]()}

    def read(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> Draw:
        self._note("read")

        def draw() -> list[Tensor]:
            self._note("draw")
            return self.replace(crops, tracks, corners)

        return draw

    def _note(self, step: str) -> None:
        self.threads[step].append(threading.get_ident())
        if step == self.step and len(self.threads[step]) == 5:
            raise OSError(f"cannot {step}")


@pytest.mark.parametrize("step", [None, "read", "draw"])
def test_faces_are_read_while_others_are_drawn_and_errors_come_in_order(step: str | None) -> None:
    session = Steps(step)
    people = People()
    people.session = lambda seed: session  # type: ignore[method-assign]
    script = Script(*[((40.0, 20, 60, 40),)] * 12)
    shown = []
    with pytest.raises(OSError, match=f"cannot {step}") if step else nullcontext():
        for frame in anonymize_stream([picture(0, 64, 96)] * 12, method=people, detector=script):
            shown.append(frame)
    assert len(shown) == (4 if step else 12)
    assert all((frame[20:40, 40:60] == 26).all() for frame in shown)
    read, draw = (set(threads) for threads in session.threads.values())
    assert len(read) == len(draw) == 1 and not read & draw
    assert not [thread for thread in threading.enumerate() if thread.name == "ahead"]


def test_a_seed_needs_a_method_that_draws_people() -> None:
    with pytest.raises(ConfigError, match="seed 3: this method draws no people"):
        anonymize_stream([], method="mask", detector=everything, seed=3)
    with pytest.raises(ConfigError, match="seed 3: method 'mask' draws no people"):
        Settings(method="mask", seed=3)
    with pytest.raises(ConfigError, match="extent head is for method 'swap', not for 'mask'"):
        Settings(method="mask", extent="head")
    with pytest.raises(ConfigError, match="extent 'body': use one of face, head"):
        Settings(method="swap", extent="body")
    with pytest.raises(ConfigError, match="seed -1: use 0 or more"):
        Settings(method="swap", seed=-1)


@pytest.mark.parametrize(("name", "draws"), [("M-state-trained", True), ("M-redraw-start", False)])
def test_a_modifier_takes_a_seed_if_it_draws_people(name: str, draws: bool) -> None:
    settings = Settings(method="modifier", weights=data_path("weights", f"{name}.safetensors"), seed=3)
    if draws:
        assert load_models(settings).anonymizer.session(3) is not None  # type: ignore[attr-defined]
    else:
        with pytest.raises(ConfigError, match=r"seed 3: the M of '.*M-redraw-start.*' draws no people"):
            load_models(settings)


def inputs(root: Path) -> Path:
    root.mkdir()
    make_video(root / "a.mp4", pts=range(4))
    Image.fromarray(picture(0, 24, 32)).save(root / "b.png")
    pages = [Image.fromarray(picture(k, 24, 32)) for k in range(3)]
    pages[0].save(root / "c.tif", save_all=True, append_images=pages[1:])
    return root


def test_every_file_and_every_page_is_a_session_with_a_seed_of_its_own(tmp_path: Path) -> None:
    people, settings = People(), Settings(method="swap", seed=7, device="cpu")
    report = anonymize_files(
        [inputs(tmp_path / "in")],
        settings=settings,
        models=Models(detector=everything, anonymizer=people),
        report=tmp_path / "r.json",
    )
    files = [derived_seed(7, index) for index in range(3)]
    assert people.seeds == [
        files[0],
        derived_seed(files[1], 0),
        *[derived_seed(files[2], k) for k in range(3)],
    ]
    assert len(set(people.seeds)) == 5
    assert [file.ways for file in report.files] == [{"swapped": 4}, {"swapped": 1}, {"swapped": 3}]
    assert report.files[0].lines()[0].endswith(": 4 faces in 4 frames (4 swapped)")
    read = json.loads((tmp_path / "r.json").read_text())
    assert read["settings"]["seed"] == 7 and read["files"][2]["ways"] == {"swapped": 3}


def test_without_a_seed_none_is_made_up_or_reported(tmp_path: Path) -> None:
    people = People()
    models = Models(detector=everything, anonymizer=people)
    anonymize_files(
        [inputs(tmp_path / "in")],
        settings=Settings(method="swap", device="cpu"),
        models=models,
        report=tmp_path / "r.json",
    )
    assert people.seeds == [None] * 5
    assert json.loads((tmp_path / "r.json").read_text())["settings"]["seed"] is None


def test_a_worker_of_ray_gives_the_same_seeds_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    people, ledger = People(), Ledger()
    Image.fromarray(picture(0, 24, 32)).save(tmp_path / "a.png")
    work = Worker(
        settings=Settings(method="swap", seed=7),
        folder=str(tmp_path),
        probe=str(tmp_path / "a.png"),
        ask=lambda method, *args: getattr(ledger, method)(*args),
        load=lambda _: Models(detector=everything, anonymizer=people),
    )
    for index in (5, 2):
        task = {"source": "a.png", "out": f"out/{index}.png", "kind": "image"}
        done = json.loads(work({"index": index, "task": json.dumps(task)})["answer"])
        assert done["report"]["ways"] == {"swapped": 1}
    assert people.seeds == [derived_seed(derived_seed(7, index), 0) for index in (5, 2)]


def test_overlapping_faces_of_a_picture_are_both_hidden(tmp_path: Path) -> None:
    def two(frames: Tensor) -> list[Faces]:
        return [faces_at((20, 10, 35, 30), (35, 10, 50, 30)) for _ in frames]

    Image.fromarray(np.full((40, 70, 3), 240, np.uint8)).save(tmp_path / "a.png")
    models = Models(detector=two, anonymizer=People())
    anonymize_files([tmp_path / "a.png"], tmp_path / "b.png", models=models)
    with Image.open(tmp_path / "b.png") as image:
        after = torch.from_numpy(np.array(image))[..., 0]
    assert set(after[11:29, 21:49].unique().tolist()) == {26, 51}


class Patch:
    """A session that paints a square of each crop."""

    def __init__(self, x: int, y: int, side: int) -> None:
        self.place, self.counts = (slice(y, y + side), slice(x, x + side)), Counter[str]()

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        out = [crop.clone() for crop in crops]
        for face in out:
            face[:, *self.place] = 1 - face[:, *self.place]
        return out


@pytest.mark.parametrize(("x", "y", "side"), [(5, 4, 9), (0, 0, 23), (0, 0, 0)])
def test_only_what_a_session_changes_is_written(x: int, y: int, side: int) -> None:
    """Also colours that no RGB has stay outside the square."""
    rng = np.random.default_rng(0)
    frame = av.VideoFrame.from_ndarray(rng.integers(0, 256, (96, 64), np.uint8), format="yuv420p")
    before = frame.to_ndarray()
    found = Found(picture=YuvPicture(frame), boxes=torch.tensor([[13.0, 15, 36, 38]]), tracks=[0])
    assert replace_faces([found], Patch(x, y, side), enlarge=1.0) == 1
    changed = np.argwhere(before[:64] != frame.to_ndarray()[:64])
    if not side:
        assert not len(changed)
        return
    low, high = changed.min(0), changed.max(0) + 1
    assert (low >= [(15 + y) // 2 * 2, (13 + x) // 2 * 2]).all()
    assert (high <= [(16 + y + side) // 2 * 2, (14 + x + side) // 2 * 2]).all()
    assert len(changed) > 0.8 * side * side

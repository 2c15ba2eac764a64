"""The file of boxes and faces left clear: written, edited, read back, refused if it does not fit."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib import anonymizers
from anonlib.errors import ConfigError, RefusedError
from anonlib.video import Keep, Models, RayEngine, Settings, anonymize_files
from anonlib.video.containers import CONTAINERS
from tests.video.conftest import faces_at, pixels

Make = Callable[..., Path]
LEFT, RIGHT = (8, 8, 32, 40), (60, 8, 84, 40)


def two_faces(frames: Any) -> Any:
    return [faces_at(LEFT, RIGHT) for _ in frames]


def never(frames: Any) -> Any:
    raise AssertionError("the detector ran")


FIND = Models(detector=two_faces, anonymizer=anonymizers.create("mask"))
READ = Models(detector=never, anonymizer=anonymizers.create("mask"))


def run(inputs: Any, out: Path, boxes: Path | None, models: Models = FIND, **options: Any) -> Any:
    settings = Settings(**{"method": "mask", "every": 2, "enlarge": 1, "overwrite": True, **options})
    inputs = inputs if isinstance(inputs, list) else [inputs]
    return anonymize_files(inputs, out, settings=settings, models=models, boxes=boxes)


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


def save(path: Path, kept: list[dict[str, Any]]) -> None:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in kept))
        return
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, kept[0])
        writer.writeheader()
        writer.writerows(kept)


def dark(path: Path, box: tuple[int, ...]) -> list[bool]:
    """Whether the middle of a face is masked, in each picture."""
    x0, y0, x1, y1 = box
    return [bool(p[y0 + 6 : y1 - 6, x0 + 6 : x1 - 6].max() < 45) for p in pixels(path)]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_what_is_written_and_read_back_hides_the_same(
    video: Make, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lossless = replace(CONTAINERS[".mkv"], options={"crf": "0"})  # lossy x264 may vary from run to run
    monkeypatch.setitem(CONTAINERS, ".mkv", lossless)
    source, boxes = video("a.mkv", codec="ffv1"), tmp_path / f"b{suffix}"
    first = run(source, tmp_path / "out.mkv", boxes)
    assert first.notes == [f"boxes -> {boxes}"] and f"boxes -> {boxes}" in first.lines()
    found = rows(boxes)
    assert [str(row["track"]) for row in found[:3]] == ["whole", "0", "1"] and len(found) == 1 + 24
    assert (int(found[0]["until"]), float(found[0]["x1"]), float(found[0]["y1"])) == (11, 96, 64)
    assert float(found[1]["x0"]) == pytest.approx(8, abs=1.5) and float(found[-1]["time"]) == 0.44
    sure = [row.get("confidence") for row in found[1:]]
    assert {str(score) for score in sure} == {"1.0", "" if suffix == ".csv" else "None"}
    before = boxes.read_bytes()
    second = run(source, tmp_path / "again.mkv", boxes, READ)
    assert boxes.read_bytes() == before and (second.files[0].faces, second.files[0].tracks) == (24, 2)
    assert (pixels(tmp_path / "out.mkv") == pixels(tmp_path / "again.mkv")).all()
    words = f"its faces are those of boxes '{boxes}' of '{source}': nobody else was looked for"
    assert second.files[0].warnings == [words]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_person_removes_a_face_and_adds_one(video: Make, tmp_path: Path, suffix: str) -> None:
    source, boxes = video("a.mkv", codec="ffv1"), tmp_path / f"b{suffix}"
    run(source, tmp_path / "out.mkv", boxes)
    kept = [row for row in rows(boxes) if str(row["track"]) != "0"]
    added = {"file": str(source), "frame": 3, "until": 7, "track": 9, "x0": 36, "y0": 20, "x1": 58, "y1": 50}
    save(boxes, [*kept, added])
    report = run(source, tmp_path / "out.mkv", boxes, READ)
    assert not any(dark(tmp_path / "out.mkv", LEFT)) and all(dark(tmp_path / "out.mkv", RIGHT))
    assert dark(tmp_path / "out.mkv", (36, 20, 58, 50)) == [3 <= k <= 7 for k in range(12)]
    assert report.files[0].faces == 12 + 5


def test_boxes_of_pictures_and_pages(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.full((64, 96, 3), 100 + k, np.uint8)) for k in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    boxes = tmp_path / "b.csv"
    run(tmp_path / "a.tif", tmp_path / "out.tif", boxes)
    found = rows(boxes)[1:]
    assert [(row["frame"], row["track"]) for row in found] == [
        ("0", "0"),
        ("0", "1"),
        ("1", "2"),
        ("1", "3"),
        ("2", "4"),
        ("2", "5"),
    ]
    run(tmp_path / "a.tif", tmp_path / "again.tif", boxes, READ)
    assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "again.tif").read_bytes()


def test_of_a_folder_only_what_is_not_named_is_looked_at(video: Make, tmp_path: Path) -> None:
    boxes = tmp_path / "b.csv"
    video("in/a.mkv", codec="ffv1")
    run(tmp_path / "in", tmp_path / "out", boxes)
    (tmp_path / "in/c.png").write_text("no picture")
    video("in/b.mkv", codec="ffv1", pts=range(5))
    seen: list[int] = []

    def detect(frames: Any) -> Any:
        seen.append(1)
        return two_faces(frames)

    report = run(
        tmp_path / "in", tmp_path / "out", boxes, Models(detector=detect, anonymizer=FIND.anonymizer)
    )
    assert [file.status for file in report.files] == ["done", "done", "failed"] and 2 <= len(seen) <= 4
    whole = [row for row in rows(boxes) if row["track"] == "whole"]
    assert [Path(row["file"]).name for row in whole] == ["a.mkv", "b.mkv"]
    assert [row["until"] for row in whole] == ["11", "4"]


def test_boxes_of_another_input_are_refused_by_name(video: Make, tmp_path: Path) -> None:
    source, boxes = video("a.mkv"), tmp_path / "b.csv"
    run(source, tmp_path / "out.mkv", boxes)
    other = video("other.mkv", pts=range(11))
    with pytest.raises(RefusedError, match=r"b\.csv' are of '.*a\.mkv', not of '.*other\.mkv'"):
        run(other, tmp_path / "o.mkv", boxes)
    video("a.mkv", pts=range(13))
    with pytest.raises(RefusedError, match=r"a\.mkv': boxes '.*b\.csv' are of another file of this name"):
        run(source, tmp_path / "o.mkv", boxes)
    with pytest.raises(RefusedError, match="boxes go with files only"):
        run(["-"], tmp_path / "o.mkv", boxes)
    assert not (tmp_path / "o.mkv").exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("until", 20, "the file has 12"),
        ("until", 5, "the file has more"),
        ("x1", 90, "are of 90x64 pixels, not of 96x64"),
    ],
)
def test_an_edited_size_does_not_pass(
    video: Make, tmp_path: Path, key: str, value: int, message: str
) -> None:
    source, boxes = video("a.mkv"), tmp_path / "b.jsonl"
    run(source, tmp_path / "out.mkv", boxes)
    (tmp_path / "out.mkv").unlink()
    whole, *others = rows(boxes)
    save(boxes, [whole | {key: value}, *[row for row in others if row["frame"] < 5]])
    report = run(source, tmp_path / "out.mkv", boxes, READ)
    assert report.files[0].status == "failed" and message in report.files[0].warnings[0]
    assert not (tmp_path / "out.mkv").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x0": "left"}, "row 2: x0 'left' is no number"),
        ({"x0": float("nan")}, "row 2: x0 'nan' is no number"),
        ({"x1": 1}, "row 2: x0 must be less than x1"),
        ({"x0": 500, "x1": 600}, "row 2: the box lies outside the picture of 96x64"),
        ({"frame": 12, "until": 12}, "row 2: frame and until must be 0 to 11"),
        ({"frame": 4, "until": 3}, "row 2: frame and until must be 0 to 11"),
        ({"track": "Ann"}, "row 2: track 'Ann' is no number"),
        ({"track": 1.5}, "row 2: track '1.5' must be a whole number"),
        ({"file": "x"}, "row 2: the row of the track 'whole' of 'x' must come first"),
        ({"track": "whole"}, "row 2: '.*' has two rows of the track 'whole'"),
    ],
)
def test_a_wrong_row_is_named(video: Make, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    source, boxes = video("a.mkv"), tmp_path / "b.jsonl"
    run(source, tmp_path / "out.mkv", boxes)
    whole, first, *_ = rows(boxes)
    save(boxes, [whole, first | change])
    with pytest.raises(ConfigError, match=message):
        run(source, tmp_path / "out.mkv", boxes, READ)


@pytest.mark.parametrize("name", ["b.csv", "b.jsonl"])
def test_what_is_no_file_of_boxes_is_refused(video: Make, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a letter to Ann\n")
    with pytest.raises(ConfigError, match=rf"boxes '.*{name}'"):
        run(video("a.mkv"), tmp_path / "out.mkv", tmp_path / name)
    with pytest.raises(ConfigError, match=r"ends in \.csv or \.jsonl"):
        run(video("a.mkv"), tmp_path / "out.mkv", tmp_path / "b.txt")
    with pytest.raises(RefusedError, match="is an input or a folder"):
        run(video("a.mkv"), tmp_path / "out.mkv", tmp_path)


def test_a_consenting_person_stays_clear_by_region_and_time(video: Make, tmp_path: Path) -> None:
    source = video("a.mkv", codec="ffv1")
    keep = (Keep.parse("50,0,46,64,0.16,0.32"),)
    report = run(source, tmp_path / "out.mkv", None, keep=keep)
    assert dark(tmp_path / "out.mkv", RIGHT) == [not 4 <= k < 8 for k in range(12)]
    assert all(dark(tmp_path / "out.mkv", LEFT))
    assert report.files[0].left_clear == 4 and report.files[0].warnings == ["faces left clear, as asked: 4"]
    run(source, tmp_path / "out.mkv", None, keep=(Keep.parse("0,0,96,64"),))
    assert all(dark(tmp_path / "out.mkv", LEFT)) and all(dark(tmp_path / "out.mkv", RIGHT))  # two are there
    report = run(source, tmp_path / "out.mkv", None, keep=(Keep.parse("40,50,8,8"),))
    assert report.files[0].warnings == ["faces left clear, as asked: none, nobody was there"]


def test_a_consenting_person_stays_clear_by_track(video: Make, tmp_path: Path) -> None:
    source, boxes = video("a.mkv", codec="ffv1"), tmp_path / "b.csv"
    with pytest.raises(ConfigError, match="keep 1: no boxes file has this track"):
        run(source, tmp_path / "out.mkv", boxes, keep=(Keep(track=1),))
    run(source, tmp_path / "out.mkv", boxes)
    run(source, tmp_path / "out.mkv", boxes, READ, keep=(Keep(track=1),))
    assert all(dark(tmp_path / "out.mkv", LEFT)) and not any(dark(tmp_path / "out.mkv", RIGHT))
    with pytest.raises(ConfigError, match="keep 7: no boxes file has this track"):
        run(source, tmp_path / "out.mkv", boxes, READ, keep=(Keep(track=7),))


def test_what_does_not_go_with_keep_is_refused(video: Make, tmp_path: Path) -> None:
    keep = (Keep.parse("0,0,9,9,0,1"),)
    with pytest.raises(ConfigError, match="keep goes with one file, not with 2"):
        run([video("a.mkv"), video("b.mkv")], tmp_path / "out", None, keep=keep)
    Image.new("RGB", (96, 64)).save(tmp_path / "a.png")
    with pytest.raises(ConfigError, match="keep with times is for videos"):
        run(tmp_path / "a.png", tmp_path / "out.png", None, keep=keep)
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="leave --engine ray out"):
        anonymize_files(
            [tmp_path / "a.mkv"], tmp_path / "o.mkv", boxes=tmp_path / "b.csv", engine=RayEngine()
        )


@pytest.mark.parametrize("text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,3,nan", "-1"])
def test_words_that_name_nobody_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"give X,Y,W,H or X,Y,W,H,T0,T1"):
        Keep.parse(text)


@pytest.mark.parametrize("text", ["1,2,0,4", "1,2,3,-4", "1,2,3,4,5,5", "1,2,3,4,-1,5"])
def test_an_empty_region_or_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="T0 comes before T1"):
        Keep.parse(text)


def test_who_walks_through_the_region_is_hidden() -> None:
    keep = Keep.parse("10,10,20,20")
    alone = torch.tensor([[12.0, 12, 28, 28]])
    assert keep.rows(alone, [0], None) == {0}
    assert keep.rows(torch.cat([alone, torch.tensor([[28.0, 28, 60, 60]])]), [0, 1], None) == set()
    assert keep.rows(torch.tensor([[25.0, 25, 60, 60]]), [0], None) == set()  # its centre lies outside

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from anonlib import anonymizers
from anonlib.errors import CheckpointError, RefusedError, VideoError
from anonlib.video import Models, Settings, anonymize_files, jobs as tasks_module, planning
from tests.video.conftest import nothing

Make = Callable[..., Path]


def run(inputs: list[Any], out: Any = None, models: Any = None, **options: Any) -> Any:
    report = options.pop("report", None)
    models = models or Models(detector=nothing, anonymizer=anonymizers.create("mask"))
    return anonymize_files(inputs, out, settings=Settings(**options), models=models, report=report)


def statuses(report: Any) -> dict[str, str]:
    return {Path(file.input).name: file.status for file in report.files}


def photo(path: Path, value: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(path, format="png")
    return path


def below(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_outputs_lie_beside_their_inputs(video: Make, tmp_path: Path) -> None:
    run([str(video("film.mkv"))])
    run([str(photo(tmp_path / "face.png"))])
    assert below(tmp_path) == ["face.anonymized.png", "face.png", "film.anonymized.mkv", "film.mkv"]


def test_a_folder_is_mirrored_and_a_second_run_skips(video: Make, tmp_path: Path) -> None:
    root = tmp_path / "in"
    video("in/sub/a.avi", codec="mpeg4")
    photo(root / "b.png")
    (root / "notes.txt").write_text("words")
    report = run([root], tmp_path / "out")
    assert statuses(report) == {"b.png": "done", "notes.txt": "no media", "a.avi": "done"}
    assert below(tmp_path / "out") == ["b.png", "sub/a.avi.mp4"]
    (tmp_path / "out/b.png").unlink()
    assert statuses(run([root], tmp_path / "out")) == {
        "b.png": "done",
        "notes.txt": "no media",
        "a.avi": "skipped",
    }


def test_the_output_folder_may_lie_in_the_input(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    for _ in range(2):
        run([tmp_path / "in"], tmp_path / "in/out")
    assert below(tmp_path / "in") == ["a.png", "out/a.png"]


def test_contents_decide_and_not_names(video: Make, tmp_path: Path) -> None:
    root = tmp_path / "in"
    video("in/film.jpg", container="mp4")
    photo(root / "face.mp4")
    report = run([root], tmp_path / "out")
    assert {f.kind for f in report.files} == {"image", "video"} and not report.bad
    assert below(tmp_path / "out") == ["face.mp4.png", "film.jpg.mp4"]


def test_one_bad_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "in"
    photo(root / "z.png")
    (root / "a.mp4").write_bytes(b"")
    (root / "b.jpg").write_bytes(b"\xff\xd8\xff broken")
    (root / "c.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (root / "d.png").write_text("a letter")
    Image.new("RGB", (16, 16)).save(root / "raw.dng", format="tiff")
    (root / "empty.txt").write_bytes(b"")
    report = run([root], tmp_path / "out")
    assert statuses(report) == {
        "a.mp4": "failed",
        "b.jpg": "failed",
        "c.heic": "failed",
        "d.png": "failed",
        "empty.txt": "no media",
        "raw.dng": "failed",
        "z.png": "done",
    }
    assert below(tmp_path / "out") == ["z.png"]
    assert report.lines()[-1] == "1 done, 5 failed, 1 no media"
    assert any("d.png' is not a picture that can be read" in line for line in report.lines())


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "in"
    photo(root / "a.png")
    photo(tmp_path / "secret/b.png")
    (root / "b.png").symlink_to(tmp_path / "secret/b.png")
    (root / "c").symlink_to(tmp_path / "secret")
    (root / "d.png").symlink_to(root / "a.png")
    (root / "e.png").symlink_to("nowhere")
    os.mkfifo(root / "f.png")
    report = run([root], tmp_path / "out")
    why = {Path(f.input).name: f.warnings for f in report.files if f.status == "no media"}
    assert why == {
        "b.png": ["the link leads out of the folder"],
        "c": ["links to folders are not followed"],
        "e.png": ["the link leads nowhere"],
        "f.png": ["it is no regular file"],
    }
    assert below(tmp_path / "out") == ["a.png", "d.png"]


def test_an_output_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "in/sub/a.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match=r"in/sub/a\.png': its output .* through a link: remove the link"):
        run([tmp_path / "in"], tmp_path / "out")
    assert below(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("how", ["same", "link", "hard link", "dots", "linked folder"])
@pytest.mark.parametrize("others", [0, 1])
def test_the_input_is_never_the_output(tmp_path: Path, how: str, others: int) -> None:
    source = photo(tmp_path / "x/a.png")
    out = {"same": source.parent, "dots": tmp_path / "x/../x"}.get(how, tmp_path / "y")
    if how == "linked folder":
        out.symlink_to(source.parent)
    out.mkdir(exist_ok=True)
    if how == "link":
        (out / "a.png").symlink_to(source)
    if how == "hard link":
        os.link(source, out / "a.png")
    before = below(tmp_path), source.read_bytes()
    inputs = [source, *(photo(tmp_path / f"z/{n}.png") for n in range(others))]
    with pytest.raises(RefusedError, match=r"x/a\.png': its output '.*a\.png' is an input itself"):
        run(inputs, out, overwrite=True)
    assert set(below(tmp_path)) - set(before[0]) <= {"z/0.png"} and source.read_bytes() == before[1]


def test_the_outputs_of_several_inputs_are_compared_with_all_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`anonlib anonymize a.png b.png -o .` would write over both inputs."""
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        photo(Path(f"{name}.png"))
    with pytest.raises(RefusedError) as refused:
        run(["a.png", "b.png"], ".")
    assert refused.value.reasons == [
        f"'{name}.png': its output '{name}.png' is an input itself: choose another --out, or leave that "
        "input out"
        for name in "ab"
    ]
    photo(Path("a.anonymized.png"))
    with pytest.raises(
        RefusedError, match=r"'a\.png': its output 'a\.anonymized\.png' is an input itself"
    ) as it:
        run(["a.png", "b.png", "a.anonymized.png"])
    assert len(it.value.reasons) == 1
    assert below(tmp_path) == ["a.anonymized.png", "a.png", "b.png"]


@pytest.fixture
def _no_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that takes `A.png` and `a.png` for the same file."""
    stat, samefile = os.stat, os.path.samefile

    def find(path: Any) -> Any:
        path = Path(path)
        same = [p for p in path.parent.iterdir() if p.name.casefold() == path.name.casefold()]
        return same[0] if same else path

    monkeypatch.setattr(planning.os, "stat", lambda path, **options: stat(find(path), **options))
    monkeypatch.setattr(planning.os.path, "samefile", lambda a, b: samefile(find(a), find(b)))


@pytest.mark.usefixtures("_no_case")
def test_names_that_differ_in_case_may_be_one_file(tmp_path: Path) -> None:
    source = photo(tmp_path / "in/a.png")
    with pytest.raises(RefusedError, match=r"its output '.*A\.png' is an input itself"):
        run([source], source.with_name("A.png"), overwrite=True)
    photo(tmp_path / "more/A.png")
    with pytest.raises(RefusedError, match=r"'.*more/A\.png': its output .* is also that of '.*in/a\.png'"):
        run([tmp_path / "in/a.png", tmp_path / "more/A.png"], tmp_path / "out")


def test_names_that_differ_in_case_are_two_files_here(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/A.png")
    if len(below(tmp_path)) == 1:
        pytest.skip("this file system ignores case")
    run([tmp_path / "in"], tmp_path / "2024/01")
    assert below(tmp_path / "2024/01") == ["A.png", "a.png"]


def test_a_folder_is_not_its_own_output(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    with pytest.raises(VideoError, match="is the input itself"):
        run([tmp_path / "in"], tmp_path / "in")


def test_what_exists_is_kept_unless_asked(tmp_path: Path) -> None:
    source, out = photo(tmp_path / "a.png"), photo(tmp_path / "b.png", 7)
    before = out.read_bytes()
    with pytest.raises(RefusedError, match="give --overwrite"):
        run([source], out)
    assert out.read_bytes() == before
    assert run([source], out, overwrite=True).files[0].status == "done"
    assert out.read_bytes() != before


def test_several_files_are_gone_on_with(tmp_path: Path) -> None:
    inputs = [photo(tmp_path / "a.png"), photo(tmp_path / "b.png")]
    run(inputs)
    (tmp_path / "b.anonymized.png").unlink()
    report = run(inputs)
    assert statuses(report) == {"a.png": "skipped", "b.png": "done"}
    assert report.lines()[-1] == "1 done, 1 skipped"


def test_an_output_that_appears_during_the_run_is_kept(tmp_path: Path) -> None:
    inputs = [photo(tmp_path / f"in/{name}.png") for name in "ab"]

    def look(frames: Any) -> Any:
        photo(tmp_path / "out/b.png", 7)
        return nothing(frames)

    report = run(inputs, tmp_path / "out", Models(detector=look, anonymizer=anonymizers.create("mask")))
    assert statuses(report) == {"a.png": "done", "b.png": "skipped"}
    assert np.array(Image.open(tmp_path / "out/b.png")).max() == 7


def test_two_inputs_of_one_name_are_refused(tmp_path: Path) -> None:
    inputs = [photo(tmp_path / "x/a.png"), photo(tmp_path / "y/a.png")]
    with pytest.raises(RefusedError, match=r"y/a\.png': its output .* is also that of '.*x/a\.png'"):
        run(inputs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_input_that_is_named_twice_is_done_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = photo(tmp_path / "a.png")
    (tmp_path / "x").mkdir()
    os.link(source, tmp_path / "x/a.png")
    report = run([source, "a.png", "./a.png", tmp_path / "x/a.png"], tmp_path / "out")
    assert statuses(report) == {"a.png": "done"} and len(report.files) == 1
    report = run([tmp_path / "x", tmp_path / "x/a.png"])
    assert len(report.files) == 2 and not report.bad
    assert below(tmp_path / "x.anonymized") + below(tmp_path / "x") == ["a.png", "a.anonymized.png", "a.png"]


def test_every_refused_input_is_named_and_nothing_starts(tmp_path: Path) -> None:
    good, notes, empty = photo(tmp_path / "a.png"), tmp_path / "notes.txt", tmp_path / "empty"
    notes.write_text("words")
    empty.mkdir()
    with pytest.raises(RefusedError) as refused:
        run([good, notes, empty, tmp_path / "b.png"])
    assert [reason.split("'")[1:] for reason in refused.value.reasons] == [
        [str(tmp_path / "b.png"), " is not there: check the name"],
        [str(notes), " holds no picture and no video: check the name, or leave it out"],
        [str(empty), " holds no picture and no video: check the name, or leave it out"],
    ]
    assert below(tmp_path) == ["a.png", "notes.txt"]


def test_a_name_that_cannot_be_written_is_refused(video: Make, tmp_path: Path) -> None:
    for source, out, message in [
        (photo(tmp_path / "a.png"), tmp_path / "b.mp4", "pictures are written as"),
        (video(), tmp_path / "b.png", "videos are written as"),
        (tmp_path / "a.png", "-", "is a picture: name a file for its output"),
        (tmp_path / "a.png", tmp_path / "x.png", "is a folder"),
    ]:
        (tmp_path / "x.png/a.png").mkdir(parents=True, exist_ok=True)
        with pytest.raises(RefusedError, match=message):
            run([source], out)


def test_a_folder_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "in/a.png")
    photo(tmp_path / "in/locked/b.png")
    scan = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(RefusedError, match=r"in/locked' cannot be read: Permission denied"):
        run([tmp_path / "in"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_that_cannot_be_loaded_end_the_run(tmp_path: Path) -> None:
    settings = Settings(method="modifier", weights=photo(tmp_path / "m.safetensors"), device="cpu")
    with pytest.raises(CheckpointError, match=r"m\.safetensors"):
        anonymize_files([photo(tmp_path / "a.png")], settings=settings)
    assert below(tmp_path) == ["a.png", "m.safetensors"]


def test_what_does_not_fit_is_refused_at_once(tmp_path: Path) -> None:
    photo(tmp_path / "in/a.png")
    for inputs, out, message in [
        ([], None, "nothing to anonymize"),
        (["x.mp4"], None, "'x.mp4' is not there"),
        ([tmp_path / "in"], "-", "does not fit into stdout"),
        ([tmp_path / "in"] * 2, "-", "several inputs do not fit"),
        ([tmp_path / "in"], tmp_path / "in/a.png", "is a file"),
    ]:
        with pytest.raises(VideoError, match=message):
            run(inputs, out)


def test_a_preview_does_the_first_file_again_and_again(tmp_path: Path) -> None:
    for name in "ab":
        photo(tmp_path / f"in/{name}.png")
    for _ in range(2):
        report = run([tmp_path / "in"], preview=True)
        assert statuses(report) == {"a.png": "done"}
    assert below(tmp_path / "in.preview") == ["a.png"]


def test_the_report_says_what_an_auditor_asks(video: Make, tmp_path: Path, mask_all: Models) -> None:
    report = tmp_path / "r.json"
    run([video()], tmp_path / "out.mp4", mask_all, report=report, every=1)
    read = json.loads(report.read_text())
    assert read["weights_sha256"] == {"x": "1"}
    assert read["settings"]["method"] == "swap" and read["settings"]["every"] == 1
    assert {"anonlib", "torch", "av"} <= set(read["versions"])
    [file] = read["files"]
    assert (file["status"], file["frames"], file["faces"]) == ("done", 12, 12)
    assert file["tracks"] >= 1 and file["frames_held"] == file["misses_bridged"] == 0
    assert file["seconds"] >= file["modification_seconds"] > 0


def test_a_report_in_the_place_of_an_input_is_refused(tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    with pytest.raises(VideoError, match="name another file"):
        run([source], report=source)
    with pytest.raises(VideoError, match="is also that of 'the report'"):
        run([source], tmp_path / "b.png", report=tmp_path / "b.png")


def test_a_full_disk_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        photo(tmp_path / f"in/{name}.png")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tasks_module, "anonymize_image", full)
    with pytest.raises(OSError, match="No space"):
        run([tmp_path / "in"], tmp_path / "out", report=tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text())["files"] == []


def test_other_errors_of_a_file_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(tasks_module, "anonymize_image", broken)
    report = run([photo(tmp_path / "a.png")])
    assert report.files[0].warnings[0].endswith("a.png': RuntimeError: out of order")


def test_a_folder_of_many_kinds_ends_in_a_summary_and_a_rerun_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    for number in range(60):
        photo(root / f"{number % 7}/{number:03}.png", 100 + number)
    whole = (root / "0/000.png").read_bytes()
    (root / "broken.png").write_bytes(whole[: len(whole) // 2])
    (root / "text.jpg").write_text("a letter")
    (root / "empty.mp4").write_bytes(b"")
    (root / "notes.txt").write_text("words")
    (root / "copy.png").write_bytes(whole)
    os.link(root / "0/000.png", root / "hard link.png")
    photo(root / "locked.png")
    photo(root / "zz vanishes.png")
    kind_of = planning.kind_of

    def locked(path: Path) -> Any:
        if path.name == "locked.png":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return kind_of(path)

    monkeypatch.setattr(planning, "kind_of", locked)
    calls: list[int] = []

    def detect(frames: Any) -> Any:
        calls.append(1)
        (root / "zz vanishes.png").unlink(missing_ok=True)
        return nothing(frames)

    models = Models(detector=detect, anonymizer=anonymizers.create("mask"))
    report = run([root], out, models)
    assert report.lines()[-1] == "62 done, 5 failed, 1 no media" and len(calls) == 62
    errors = report.lines()[-6:-1]
    for line, name in zip(errors, ("broken", "empty", "locked", "text", "zz vanishes"), strict=True):
        assert line.startswith("error: ") and name in line
    assert [file.status for file in report.bad] == ["failed"] * 5

    monkeypatch.setattr(planning, "kind_of", kind_of)
    (root / "broken.png").write_bytes(whole)
    calls.clear()
    again = run([root], out, models)
    assert again.lines()[-1] == "2 done, 2 failed, 62 skipped, 1 no media" and len(calls) == 2
    assert {name for name, status in statuses(again).items() if status == "done"} == {
        "broken.png",
        "locked.png",
    }

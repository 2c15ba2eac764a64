"""What a video keeps, and what it loses, on its way through."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from anonlib import anonymizers
from anonlib.errors import ConfigError, VideoError
from anonlib.video import Models, Settings, anonymize_video, reader as reader_module
from tests.video.conftest import faces_at, frames_of, picture, pixels, stamps

QUICK = Settings(method="mask", detector="mtcnn", every=1)
Make = Callable[..., Path]
ROTATED = [0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]


def run(source: Any, out: Any, models: Models, **options: Any) -> Any:
    return anonymize_video(source, out, settings=Settings(**{"every": 1, **options}), models=models)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_irregular_stamps_are_kept(video: Make, tmp_path: Path, find_none: Models, suffix: str) -> None:
    source = video(pts=[0, 40, 55, 200, 201, 230, 400], base=Fraction(1, 1000))
    report = run(source, tmp_path / f"out{suffix}", find_none)
    assert stamps(tmp_path / f"out{suffix}") == stamps(source)
    assert (report.status, report.frames, report.warnings) == ("done", 7, [])


@pytest.mark.parametrize("size", [(64, 96), (63, 97), (2, 2), (64, 97)])
def test_size_and_pictures_are_kept(
    video: Make, tmp_path: Path, find_none: Models, size: tuple[int, int]
) -> None:
    source = video("a.mkv", size=size, pixel_format="yuv444p", codec="ffv1")
    run(source, tmp_path / "out.mp4", find_none)
    before, after = pixels(source).astype(int), pixels(tmp_path / "out.mp4").astype(int)
    assert after.shape == before.shape
    if min(size) > 8:  # two pixels of luma share a colour in smaller ones
        assert np.abs(after - before).mean() < 4


def test_a_face_at_the_border_is_masked_and_the_rest_is_not(video: Make, tmp_path: Path) -> None:
    def corner(frames: Any) -> Any:
        return [faces_at((-20, -20, 20, 20)) for _ in frames]

    models = Models(detector=corner, anonymizer=anonymizers.create("mask"))
    source = video(codec="ffv1", name="a.mkv")
    report = run(source, tmp_path / "out.mkv", models, enlarge=1)
    before, after = pixels(source).astype(int), pixels(tmp_path / "out.mkv").astype(int)
    assert after[:, :14, :14].max() < 60
    assert np.abs(after - before)[:, 32:, 32:].mean() < 4
    assert (report.faces, report.tracks) == (12, 1)


def test_fifty_faces(video: Make, tmp_path: Path) -> None:
    boxes = [(x, y, x + 6, y + 6) for y in range(4, 54, 11) for x in range(4, 94, 9)]
    assert len(boxes) == 50
    models = Models(
        detector=lambda frames: [faces_at(*boxes) for _ in frames], anonymizer=anonymizers.create("mask")
    )
    report = run(video(), tmp_path / "out.mp4", models)
    assert report.faces == 50 * 12
    after = pixels(tmp_path / "out.mp4")
    assert all(after[:, y0:y1, x0:x1].mean() < 25 for x0, y0, x1, y1 in boxes)


def test_the_turn_is_kept_and_faces_are_sought_upright(video: Make, tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []

    def top_left(frames: Any) -> Any:
        seen.append(tuple(frames.shape[2:]))
        return [faces_at((0, 0, 24, 24)) for _ in frames]

    source = video("a.mov", matrix=ROTATED)
    models = Models(detector=top_left, anonymizer=anonymizers.create("mask"))
    run(source, tmp_path / "out.mp4", models, enlarge=1)
    assert set(seen) == {(96, 64)}
    frame = frames_of(tmp_path / "out.mp4")[0]
    assert (frame.width, frame.height, frame.rotation) == (96, 64, -90)
    # upright top left is stored bottom left: a quarter clockwise carries it up
    after = pixels(tmp_path / "out.mp4")[0]
    assert after[-22:, :22].max() < 60 and after[:22, :22].mean() > 60


def test_colours_and_their_names_are_kept(video: Make, tmp_path: Path, find_none: Models) -> None:
    names = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}
    source = video(colours=names)
    run(source, tmp_path / "out.mp4", find_none)
    frame = frames_of(tmp_path / "out.mp4")[0]
    assert {name: int(getattr(frame, name)) for name in names} == names


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_full_range_stays_as_bright(video: Make, tmp_path: Path, find_none: Models, suffix: str) -> None:
    source = video("a.mov", codec="mjpeg", pixel_format="yuvj420p")
    run(source, tmp_path / f"out{suffix}", find_none)
    before, after = pixels(source).astype(int), pixels(tmp_path / f"out{suffix}").astype(int)
    assert abs(before.mean() - after.mean()) < 1.5


def sounds(path: Path) -> list[tuple[str, str | None, float]]:
    with av.open(str(path)) as container:
        lengths: dict[int, float] = {}
        for packet in (
            container.demux(audio=0)
            if len(container.streams.audio) == 1
            else (container.demux(*container.streams.audio))
        ):
            if packet.size and packet.duration and packet.time_base:
                seconds = float(packet.duration * packet.time_base)
                lengths[packet.stream.index] = lengths.get(packet.stream.index, 0) + seconds
        return [
            (s.codec_context.name, s.metadata.get("language"), round(lengths.get(s.index, 0), 1))
            for s in container.streams.audio
        ]


def test_every_track_of_sound_is_copied(video: Make, tmp_path: Path, find_none: Models) -> None:
    source = video("a.mkv", sound=["aac", "aac"], pts=range(25))
    run(source, tmp_path / "out.mp4", find_none)
    assert sounds(tmp_path / "out.mp4") == [("aac", "deu", 1.0), ("aac", "ita", 1.0)]


def test_sound_that_the_container_does_not_take_is_encoded(
    video: Make, tmp_path: Path, find_none: Models
) -> None:
    source = video("a.mkv", sound=["aac", "pcm_s16le"], pts=range(25))
    run(source, tmp_path / "out.webm", find_none)
    assert [s[0] for s in sounds(tmp_path / "out.webm")] == ["opus", "opus"]
    assert all(0.9 < s[2] < 1.1 for s in sounds(tmp_path / "out.webm"))
    run(source, tmp_path / "out.mp4", find_none)
    assert [s[0] for s in sounds(tmp_path / "out.mp4")] == ["aac", "aac"]


def test_sound_from_a_broadcast_keeps_in_step(video: Make, tmp_path: Path, find_none: Models) -> None:
    source = video("a.ts", sound=["aac"], pts=range(25))
    run(source, tmp_path / "out.mp4", find_none)
    with av.open(str(source)) as old, av.open(str(tmp_path / "out.mp4")) as new:
        apart = [
            float(c.streams.video[0].start_time * c.streams.video[0].time_base)
            - float(c.streams.audio[0].start_time * c.streams.audio[0].time_base)
            for c in (old, new)
        ]
        assert apart[0] == pytest.approx(apart[1], abs=0.03)
        assert new.start_time < 100_000


def test_sound_can_be_left_out(video: Make, tmp_path: Path, find_none: Models) -> None:
    report = run(video(sound=["aac"]), tmp_path / "out.mp4", find_none, audio=False)
    assert sounds(tmp_path / "out.mp4") == []
    assert report.warnings == ["left out of the file: 1 audio"]


def test_titles_and_places_go_unless_asked_for(video: Make, tmp_path: Path, find_none: Models) -> None:
    source = video("a.mkv", metadata={"title": "Ann at home", "location": "+52+013/"})
    run(source, tmp_path / "out.mkv", find_none)
    assert b"Ann at home" not in (tmp_path / "out.mkv").read_bytes()
    assert b"+52+013/" not in (tmp_path / "out.mkv").read_bytes()
    run(source, tmp_path / "kept.mkv", find_none, keep_metadata=True)
    with av.open(str(tmp_path / "kept.mkv")) as container:
        assert container.metadata["title"] == "Ann at home"


@pytest.mark.parametrize("keep", [False, True])
def test_covers_and_second_videos_never_pass(tmp_path: Path, find_none: Models, keep: bool) -> None:
    source = tmp_path / "a.mkv"
    cover = io.BytesIO()
    av.VideoFrame.from_ndarray(picture(0, 32, 32), format="rgb24").to_image().save(cover, "jpeg")
    with av.open(str(source), "w") as out:
        streams: list[Any] = [out.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, side in zip(streams, (64, 48), strict=True):
            stream.width = stream.height = side
        out.add_attachment("cover.jpg", "image/jpeg", cover.getvalue())
        for stream, side in zip(streams, (64, 48), strict=True):
            for index in range(4):
                frame = av.VideoFrame.from_ndarray(picture(index, side, side), format="rgb24")
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    report = run(source, tmp_path / "out.mkv", find_none, keep_metadata=keep)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [(s.type, s.width) for s in container.streams] == [("video", 64)]
    assert cover.getvalue()[20:200] not in (tmp_path / "out.mkv").read_bytes()
    assert len(report.warnings) == 1 and report.warnings[0].startswith("left out of the file: ")


def test_a_video_that_breaks_off_is_kept_as_far_as_it_goes(
    video: Make, tmp_path: Path, mask_all: Models
) -> None:
    whole = video("whole.mkv", pts=range(100))
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    report = run(cut, tmp_path / "out.mp4", mask_all)
    assert report.status == "partial"
    assert "the file ends early; the intact part is kept" in report.warnings
    assert 20 < report.frames == len(frames_of(tmp_path / "out.mp4")) < 80
    assert pixels(tmp_path / "out.mp4").max() < 60


def test_noise_in_the_middle_is_passed_over(video: Make, tmp_path: Path, mask_all: Models) -> None:
    content = bytearray(video("a.ts", pts=range(100)).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    (tmp_path / "bad.ts").write_bytes(content)
    report = run(tmp_path / "bad.ts", tmp_path / "out.mp4", mask_all)
    assert report.status == "partial" and report.frames > 50
    assert pixels(tmp_path / "out.mp4").max() < 60


def test_a_preview_ends_after_three_seconds(video: Make, tmp_path: Path, find_none: Models) -> None:
    source = video(pts=range(100), sound=["aac"])
    report = run(source, tmp_path / "out.mp4", find_none, preview=True)
    assert (report.status, report.frames) == ("done", 75)


def test_pipes_carry_matroska(video: Make, find_none: Models) -> None:
    class Sink(io.RawIOBase):
        content = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: Any) -> int:
            self.content += bytes(piece)
            return len(piece)

    class Tap:
        def __init__(self, content: bytes) -> None:
            self._stream = io.BytesIO(content)

        def read(self, size: int) -> bytes:
            return self._stream.read(size)

    sink: Any = Sink()
    source: Any = Tap(video("a.mkv", sound=["aac"]).read_bytes())
    report = run(source, sink, find_none)
    with av.open(io.BytesIO(sink.content)) as container:
        assert container.format.name == "matroska,webm"
        assert len(list(container.decode(video=0))) == report.frames == 12


def test_a_camera_that_is_stopped_leaves_a_whole_file(
    video: Make, tmp_path: Path, find_none: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = video("a.mkv", pts=range(60))
    monkeypatch.setattr(reader_module, "open_input", lambda _: av.open(str(source)))
    stop = threading.Event()

    def after_ten(done: int, _: int | None) -> None:
        if done == 10:
            stop.set()

    report = anonymize_video(
        "camera:0", tmp_path / "out.mp4", settings=QUICK, models=find_none, on_frame=after_ten, stop=stop
    )
    assert report.status == "done"
    assert 10 <= report.frames == len(frames_of(tmp_path / "out.mp4")) < 60


def test_a_camera_that_disappears_leaves_what_was_whole(
    video: Make, tmp_path: Path, find_none: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Camera:
        """Twenty packets, then the cable is pulled."""

        def __init__(self) -> None:
            self.inner = av.open(str(video("a.mkv", pts=range(60))))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def demux(self, *streams: Any) -> Any:
            for index, packet in enumerate(self.inner.demux(*streams)):
                if index == 20:
                    raise OSError(19, "No such device")
                yield packet

    monkeypatch.setattr(reader_module, "open_input", lambda _: Camera())
    report = run("camera:0", tmp_path / "out.mp4", find_none)
    assert report.status == "partial"
    assert 15 <= report.frames == len(frames_of(tmp_path / "out.mp4")) <= 20


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"a letter to Ann" * 100, "is not a video, or is damaged at its beginning"),
        (None, "is not there"),
    ],
)
def test_what_is_no_video_is_refused_by_name(
    tmp_path: Path, find_none: Models, content: bytes | None, message: str
) -> None:
    source = tmp_path / "letter.mp4"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(VideoError, match=f"letter.mp4' {message}"):
        run(source, tmp_path / "out.mp4", find_none)
    assert not (tmp_path / "out.mp4").exists()


def test_sound_alone_is_refused(tmp_path: Path, video: Make, find_none: Models) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000)
        frame = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), format="fltp")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(VideoError, match="holds no video"):
        run(tmp_path / "a.mp4", tmp_path / "out.mp4", find_none)


def test_playlists_and_addresses_in_files_are_not_followed(
    video: Make, tmp_path: Path, find_none: Models
) -> None:
    secret = video("secret.ts")
    (tmp_path / "list.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile '{secret}'\n")
    for name in ("list.mp4", "concat.mp4"):
        with pytest.raises(VideoError, match="is not a video"):
            run(tmp_path / name, tmp_path / "out.mp4", find_none)


def test_an_output_of_another_kind_is_refused_at_once(find_none: Models) -> None:
    with pytest.raises(VideoError, match=r"'out.avi': videos are written as .mp4"):
        run("missing.mp4", "out.avi", find_none)


def test_settings_that_hide_nobody_are_refused() -> None:
    with pytest.raises(ConfigError, match="'unanonymized' hides nobody"):
        Settings(method="unanonymized")
    with pytest.raises(ConfigError, match="mask scale"):
        Settings(enlarge=0.5)
    with pytest.raises(ConfigError, match="device 'tpu'"):
        Settings(device="tpu")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(video: Make, tmp_path: Path) -> None:
    code = (
        "import sys, resource, torch; torch.set_num_threads(1)\n"
        "from anonlib import anonymizers; from anonlib.detection import Faces\n"
        "from anonlib.video import *\n"
        "z = torch.zeros\n"
        "none = Faces(boxes=z(0, 4), scores=z(0), landmarks=z(0, 5, 2))\n"
        "models = Models(detector=lambda f: [none for _ in f],"
        " anonymizer=anonymizers.create('mask'))\n"
        "anonymize_video(*sys.argv[1:], settings=Settings(every=5), models=models)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    used = []
    for count in (150, 600):
        source = video(f"{count}.mp4", pts=range(count), size=(360, 640))
        command = [sys.executable, "-c", code, str(source), str(tmp_path / f"o{count}.mp4")]
        used.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert used[1] - used[0] < 80

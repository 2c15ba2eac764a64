"""Videos out of the ordinary: what is kept, converted or refused, and that the report says so."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from av.codec.context import Flags

from anonlib import anonymizers
from anonlib.errors import VideoError
from anonlib.video import Models, Settings, anonymize_video
from anonlib.video.hdr import PQ, for_detector
from anonlib.video.reader import VideoReader
from anonlib.video.yuv import YuvPicture
from tests.video.conftest import faces_at, frames_of, picture, pixels

Make = Callable[..., Path]
FACE = (16, 8, 48, 40)
HDR10 = {"color_trc": PQ, "color_primaries": 9, "colorspace": 9, "color_range": 1}
DISPLAY = (
    "hdr10=1:repeat-headers=1:log-level=error:max-cll=1000,400:"
    "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
ONE_FACE = Models(
    detector=lambda frames: [faces_at(FACE) for _ in frames], anonymizer=anonymizers.create("mask")
)


def run(source: Any, out: Any, models: Models = ONE_FACE, **options: Any) -> Any:
    return anonymize_video(
        source, out, settings=Settings(every=1, enlarge=1, method="mask", **options), models=models
    )


def write(path: Path, codec: str, form: str, pictures: list[np.ndarray], **options: Any) -> Path:
    """A video of RGB or RGBA pictures; `texts` are the stream's metadata, `flags` those of the encoder."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=25, options=options.get("encoder", {}))
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = form
        for flag in options.get("flags", ()):
            stream.codec_context.flags |= flag
        for name, value in options.get("colours", {}).items():
            setattr(stream.codec_context, name, value)
        stream.metadata.update(options.get("texts", {}))
        if chapters := options.get("chapters"):
            out.set_chapters(chapters)
        for index, array in enumerate(pictures):
            kind = "rgba" if array.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(array, format=kind).reformat(format=form)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


SCENE = [picture(index, 64, 96) for index in range(8)]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_hdr10_keeps_ten_bits_and_what_players_need(tmp_path: Path, suffix: str) -> None:
    source = write(
        tmp_path / "a.mkv", "libx265", "yuv420p10le", SCENE, colours=HDR10, encoder={"x265-params": DISPLAY}
    )
    report = run(source, tmp_path / f"out{suffix}")
    old, new = frames_of(source), frames_of(tmp_path / f"out{suffix}")
    before, after = old[3], new[3]
    assert after.format.name == "yuv420p10le"
    assert {name: int(getattr(after, name)) for name in HDR10} == HDR10
    for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        assert bytes(old[0].side_data.get(kind)) == bytes(new[0].side_data.get(kind))
    assert report.warnings == ["10 bits a colour are kept, with the high dynamic range: written as HEVC"]
    luma = [
        np.frombuffer(f.planes[0], np.uint16).reshape(64, -1)[:, :96].astype(int) for f in (before, after)
    ]
    assert np.abs(luma[0] - luma[1])[44:].mean() < 12
    assert abs(luma[1][12:36, 20:44].mean() - 64) < 8  # black in 10 bits


def test_high_dynamic_range_does_not_become_something_else(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", "yuv420p10le", SCENE, colours=HDR10)
    with pytest.raises(VideoError, match=r"a\.mkv' has a high dynamic range, which \.webm cannot hold"):
        run(source, tmp_path / "out.webm")
    assert not (tmp_path / "out.webm").exists()


@pytest.mark.parametrize(
    ("form", "suffix", "after", "words"),
    [
        ("yuv420p10le", ".mp4", "yuv420p10le", "10 bits a colour are kept: written as HEVC"),
        ("yuv420p12le", ".mp4", "yuv420p10le", "12 bits a colour became 10: written as HEVC"),
        ("yuv444p10le", ".mkv", "yuv444p10le", "10 bits a colour are kept: written as HEVC"),
        ("yuv420p10le", ".webm", "yuv420p", "10 bits a colour became 8"),
        ("yuv422p", ".mp4", "yuv420p", "the colours of 4:2:2 became 4:2:0"),
    ],
)
def test_depth_is_kept_or_its_loss_is_said(
    tmp_path: Path, form: str, suffix: str, after: str, words: str
) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", form, SCENE)
    report = run(source, tmp_path / f"out{suffix}")
    assert frames_of(tmp_path / f"out{suffix}")[0].format.name == after
    assert report.warnings == [words]
    shown = pixels(tmp_path / f"out{suffix}").astype(int)
    assert shown[:, 12:36, 20:44].max() < 40
    assert np.abs(shown - pixels(source))[:, 46:].mean() < 6


@pytest.mark.parametrize("form", ["yuv420p10le", "yuv444p10le", "yuva444p10le"])
@pytest.mark.parametrize("size", [None, 12])
def test_ten_bits_are_cut_and_pasted_without_loss(form: str, size: int | None) -> None:
    frame = av.VideoFrame.from_ndarray(SCENE[0], format="rgb24").reformat(format=form)
    before = [bytes(plane) for plane in frame.planes]
    one = YuvPicture(frame)
    one.paste((10, 12, 34, 36), one.crop((10, 12, 34, 36)))
    for plane, old in zip(frame.planes[:3], before, strict=False):
        apart = np.frombuffer(plane, np.int16).astype(int) - np.frombuffer(old, np.int16)
        assert np.abs(apart).max() <= 2
    one.paste((10, 12, 34, 36), torch.ones(3, size or 24, size or 24))
    assert float(one.crop((12, 14, 32, 34), size).min()) > 0.99
    if form.startswith("yuva"):
        assert bytes(frame.planes[3]) == before[3]


def test_the_detector_sees_pq_as_bright_as_an_ordinary_video() -> None:
    values = for_detector(torch.arange(256, dtype=torch.uint8).expand(3, 1, 256), PQ)[0, 0]
    assert values[0] == 0 and values[148] == 255 and 90 < values[100] < 160  # 100 / 255 is about 33 cd/m2
    assert (values[1:].int() >= values[:-1].int()).all()
    assert (for_detector(torch.arange(256, dtype=torch.uint8), 1) == torch.arange(256)).all()


def with_opacity() -> list[np.ndarray]:
    """The upper half is transparent, with bright colours behind."""
    opacity = np.full((64, 96, 1), 255, np.uint8)
    opacity[:32] = 0
    return [np.dstack([scene, opacity]) for scene in SCENE]


OPACITY = [
    ("a.webm", "libvpx-vp9", "yuva420p"),
    ("a.mov", "prores_ks", "yuva444p10le"),
    ("b.mov", "qtrle", "argb"),
]


@pytest.mark.parametrize(("name", "codec", "form"), OPACITY)
@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (".webm", "transparency is kept: written as VP9"),
        (".mov", "transparency is kept: written as ProRes 4444"),
        (".mp4", "transparency was laid on black: name the output .webm or .mov to keep it"),
    ],
)
def test_opacity_is_kept_or_laid_on_black(
    tmp_path: Path, name: str, codec: str, form: str, suffix: str, words: str
) -> None:
    texts = {"alpha_mode": "1"} if codec == "libvpx-vp9" else {}
    options = {"profile": "4444"} if codec == "prores_ks" else {}
    source = write(tmp_path / name, codec, form, with_opacity(), texts=texts, encoder=options)
    report = run(source, tmp_path / f"out{suffix}")
    assert words in report.warnings and report.frames == 8
    with VideoReader(tmp_path / f"out{suffix}") as reader:
        rgba = reader.first.to_ndarray(format="rgba").astype(int)
    assert rgba[44:, :, :3].mean() > 80
    if suffix == ".mp4":
        assert rgba[:28, :, :3].max() < 24
    else:
        assert rgba[:28, :, 3].max() < 8 and rgba[36:, :, 3].min() > 247
    assert rgba[10:28, 18:46, :3].max() < 40  # the face


def test_interlaced_pictures_are_made_whole(tmp_path: Path) -> None:
    fields = []
    for index in range(8):  # a bar that moves between the two fields of each picture
        one = np.full((64, 96, 3), 60, np.uint8)
        one[0::2, 8 * index : 8 * index + 8] = 220
        one[1::2, 8 * index + 4 : 8 * index + 12] = 220
        fields.append(one)
    colours = {"colorspace": 1, "color_primaries": 1, "color_trc": 1, "color_range": 1}
    source = write(
        tmp_path / "a.mkv",
        "libx264",
        "yuv420p",
        fields,
        colours=colours,
        encoder={"crf": "4", "x264-params": "tff=1"},
        flags=(Flags.interlaced_dct, Flags.interlaced_me),
    )
    assert frames_of(source)[0].interlaced_frame
    models = Models(detector=lambda f: [faces_at() for _ in f], anonymizer=anonymizers.create("mask"))
    report = run(source, tmp_path / "out.mp4", models)
    assert report.warnings == ["interlaced pictures were made whole (bwdif)"] and report.frames == 8
    after = frames_of(tmp_path / "out.mp4")
    assert not any(frame.interlaced_frame for frame in after)
    assert {name: int(getattr(after[4], name)) for name in colours} == colours

    def combed(path: Path) -> float:
        rows = pixels(path)[4].astype(int).mean(2)
        return float(np.abs(rows[1:-1] * 2 - rows[:-2] - rows[2:]).mean())

    assert combed(tmp_path / "out.mp4") < 0.3 * combed(source)


def test_a_change_of_size_is_fitted_in_and_said(tmp_path: Path) -> None:
    source = tmp_path / "a.h264"
    with source.open("wb") as file:
        for height, width in ((64, 96), (96, 64)):
            buffer = io.BytesIO()
            with av.open(buffer, "w", format="h264") as out:
                stream: Any = out.add_stream("libx264", rate=25)
                stream.height, stream.width = height, width
                for _ in range(5):
                    white = np.full((height, width, 3), 200, np.uint8)
                    out.mux(stream.encode(av.VideoFrame.from_ndarray(white, format="rgb24")))
                out.mux(stream.encode(None))
            file.write(buffer.getvalue())
    models = Models(detector=lambda f: [faces_at() for _ in f], anonymizer=anonymizers.create("mask"))
    report = run(source, tmp_path / "out.mp4", models)
    shown = pixels(tmp_path / "out.mp4")
    assert shown.shape == (10, 64, 96, 3)
    assert shown[:4].min() > 180 and shown[7, :, 34:62].min() > 180 and shown[7, :, :22].max() < 30
    assert report.warnings == ["its size changes in the middle: all pictures were fitted into 96x64"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_are_kept_and_their_titles_only_with_the_metadata(tmp_path: Path, suffix: str) -> None:
    chapters = [
        {
            "id": k,
            "start": 100 * k,
            "end": 100 * k + 100,
            "time_base": Fraction(1, 1000),
            "metadata": {"title": f"Ann {k}"},
        }
        for k in range(2)
    ]
    source = write(tmp_path / f"a{suffix}", "libx264", "yuv420p", SCENE, chapters=chapters)
    report = run(source, tmp_path / f"out{suffix}")
    assert report.warnings == ["its 2 chapters are kept without their titles"]
    assert b"Ann 1" not in (tmp_path / f"out{suffix}").read_bytes()
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        starts = [float(c["start"] * c["time_base"]) for c in container.chapters()]
    assert starts == [0.0, 0.1]
    run(source, tmp_path / f"kept{suffix}", keep_metadata=True)
    with av.open(str(tmp_path / f"kept{suffix}")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["Ann 0", "Ann 1"]


def test_a_video_too_small_for_a_face_is_copied_and_said(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mkv", "ffv1", "yuv420p", [picture(k, 6, 40) for k in range(4)])
    report = run(source, tmp_path / "out.mkv")
    assert report.warnings == ["40x6 pixels are too small to hold a face: copied as it is"]
    assert pixels(tmp_path / "out.mkv").mean() > 60


def test_sound_is_kept_and_the_terminal_says_what_that_means(video: Make, tmp_path: Path) -> None:
    from anonlib.video import anonymize_files

    for name in ("in/a.mp4", "in/b.mp4"):
        video(name, sound=["aac"])
    settings = Settings(method="mask")
    report = anonymize_files([tmp_path / "in"], tmp_path / "out", settings=settings, models=ONE_FACE)
    words = "note: sound is kept, and a voice can identify a person: --no-audio leaves it out"
    assert report.lines().count(words) == 1 and [file.sound for file in report.files] == [1, 1]
    settings = Settings(method="mask", audio=False)
    report = anonymize_files([tmp_path / "in"], tmp_path / "mute", settings=settings, models=ONE_FACE)
    assert words not in report.lines()

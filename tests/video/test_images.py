from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib import anonymizers
from anonlib.errors import ImageError
from anonlib.video import Models, Settings, anonymize_image
from anonlib.video.image_reader import picture_of
from anonlib.video.image_writer import image_of
from anonlib.video.picture import ArrayPicture
from tests.video.conftest import faces_at

SMALL = 24


def run(source: Path, out: Path, models: Models, **options: Any) -> Any:
    return anonymize_image(source, out, settings=Settings(**options), models=models)


def colours(height: int = SMALL, width: int = 32) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return np.stack([90 + x * 3, 80 + y * 4, 160 + 0 * x], 2).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".gif"])
def test_every_kind_is_masked_and_keeps_its_size(tmp_path: Path, mask_all: Models, suffix: str) -> None:
    Image.fromarray(colours()).save(tmp_path / f"a{suffix}")
    report = run(tmp_path / f"a{suffix}", tmp_path / f"out{suffix}", mask_all)
    with Image.open(tmp_path / f"out{suffix}") as image:
        assert image.size == (32, SMALL)
        assert np.array(image.convert("RGB")).max() < 8
    assert (report.kind, report.frames, report.faces) == ("image", 1, 1)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_modes_are_kept_where_the_kind_has_them(
    tmp_path: Path, find_none: Models, suffix: str, mode: str
) -> None:
    if mode == "I;16":
        image = Image.fromarray(colours()[:, :, 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(colours()).convert(mode)
    source = tmp_path / ("a.tif" if mode in ("CMYK", "I;16") else "a.png")
    image.save(source)
    run(source, tmp_path / f"out{suffix}", find_none)
    with Image.open(tmp_path / f"out{suffix}") as after:
        expected = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
        if suffix == ".webp":
            expected = "RGB"  # libwebp leaves out opacity of 1
        assert after.mode == expected
        if suffix != ".webp" and mode in ("RGB", "RGBA", "L", "LA", "I;16"):
            assert (np.array(after) == np.array(image)).all()


def test_sixteen_bits_are_masked_and_kept(tmp_path: Path, mask_all: Models) -> None:
    Image.fromarray(colours()[:, :, 0].astype(np.uint16) * 200).save(tmp_path / "a.png")
    run(tmp_path / "a.png", tmp_path / "out.png", mask_all)
    with Image.open(tmp_path / "out.png") as after:
        assert after.mode == "I;16" and np.array(after).max() == 0


def test_hidden_colours_behind_transparency_go() -> None:
    array = np.dstack([colours(), np.full((SMALL, 32), 255, np.uint8)])
    array[:10, :, 3] = 0
    cleaned = picture_of(Image.fromarray(array), "a.png").array
    assert (cleaned[:10] == 0).all() and (cleaned[10:] == array[10:]).all()


def test_grey_takes_the_luma_and_opacity_stays() -> None:
    picture = ArrayPicture(np.full((4, 4, 2), 77, np.uint8))
    picture.paste((0, 0, 2, 2), torch.tensor([1.0, 0, 0])[:, None, None].expand(3, 2, 2))
    assert picture.array[0, 0].tolist() == [76, 77]  # 0.299 * 255
    assert picture.small(2).shape == (3, 2, 2)
    assert image_of(picture).mode == "LA"


def with_thumbnail(path: Path, orientation: int) -> bytes:
    """A JPEG turned by EXIF, with place, maker's note and an embedded thumbnail."""
    thumbnail = io.BytesIO()
    Image.fromarray(colours(8, 8)).save(thumbnail, "jpeg")
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x010E] = orientation, "Maker", "Ann"
    exif.get_ifd(0x8769)[0x927C] = b"note" + thumbnail.getvalue()
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    exif.get_ifd(0x8825)[1] = "N"
    head = exif.tobytes()
    Image.fromarray(colours()).save(path, exif=head + thumbnail.getvalue(), comment=b"for Ann")
    return thumbnail.getvalue()


def test_orientation_is_applied_and_metadata_goes(tmp_path: Path, find_none: Models) -> None:
    thumbnail = with_thumbnail(tmp_path / "a.jpg", 6)
    run(tmp_path / "a.jpg", tmp_path / "out.jpg", find_none)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.size == (SMALL, 32)
        assert not image.getexif() and "comment" not in image.info
        # a quarter clockwise: the dark left end, red 90, comes up
        shown = np.array(image)
        assert shown[1, :, 0].mean() < 100 < shown[-2, :, 0].mean()
    assert thumbnail[20:100] not in (tmp_path / "out.jpg").read_bytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_kept_metadata_holds_no_picture_and_no_turn(tmp_path: Path, find_none: Models, suffix: str) -> None:
    thumbnail = with_thumbnail(tmp_path / "a.jpg", 6)
    run(tmp_path / "a.jpg", tmp_path / f"out{suffix}", find_none, keep_metadata=True)
    content = (tmp_path / f"out{suffix}").read_bytes()
    assert thumbnail[20:100] not in content and b"note" not in content
    with Image.open(tmp_path / f"out{suffix}") as image:
        exif = image.getexif()
        assert exif[0x010F] == "Maker" and exif.get(0x0112, 1) == 1
        assert exif.get_ifd(0x8769)[0x9003] == "2020:01:01 00:00:00"
        assert exif.get_ifd(0x8825)[1] == "N"


def test_the_colour_profile_stays(tmp_path: Path, find_none: Models) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(colours()).save(tmp_path / "a.png", icc_profile=profile)
    run(tmp_path / "a.png", tmp_path / "out.jpg", find_none)
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_every_picture_of_an_animation_is_masked(
    tmp_path: Path, mask_all: Models, find_none: Models, suffix: str
) -> None:
    first, *rest = [Image.fromarray(np.roll(colours(), 5 * i, 1)) for i in range(4)]
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=rest, duration=[40, 80, 120, 160])
    run(tmp_path / f"a{suffix}", tmp_path / f"same{suffix}", find_none)
    with Image.open(tmp_path / f"same{suffix}") as image:
        assert image.n_frames == 4
        seen = []
        for index in range(4):
            image.seek(index)
            image.load()
            seen.append(int(image.info["duration"]))
        assert seen == [40, 80, 120, 160]
    report = run(tmp_path / f"a{suffix}", tmp_path / f"out{suffix}", mask_all)
    assert (report.frames, report.faces) == (4, 4)
    with Image.open(tmp_path / f"out{suffix}") as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            assert np.array(image.convert("RGB")).max() < 8


def test_every_page_is_masked_at_its_own_size(tmp_path: Path, mask_all: Models) -> None:
    pages = [Image.fromarray(colours(h, w)) for h, w in ((24, 32), (40, 16), (24, 32))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    report = run(tmp_path / "a.tif", tmp_path / "out.tif", mask_all)
    assert report.faces == 3
    with Image.open(tmp_path / "out.tif") as image:
        sizes = []
        for index in range(3):
            image.seek(index)
            sizes.append(image.size)
            assert np.array(image).max() == 0
    assert sizes == [(32, 24), (16, 40), (32, 24)]


def test_many_pictures_do_not_fit_into_a_jpeg(tmp_path: Path, mask_all: Models) -> None:
    pages = [Image.fromarray(colours()) for _ in range(2)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ImageError, match=r"holds 2 pictures, which JPEG cannot: write it as .tif"):
        run(tmp_path / "a.tif", tmp_path / "out.jpg", mask_all)


def test_further_views_of_a_jpeg_are_left_out(tmp_path: Path, mask_all: Models) -> None:
    pages = [Image.fromarray(np.roll(colours(), i, 0)) for i in range(2)]
    pages[0].save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=pages[1:])
    report = run(tmp_path / "a.jpg", tmp_path / "out.jpg", mask_all)
    assert report.warnings == ["1 further pictures in the file were left out"]
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.format == "JPEG" and np.array(image).max() < 8


@pytest.mark.parametrize("size", [(1, 1), (2000, 3), (7, 300)])
def test_what_is_too_small_for_a_face_is_copied_and_said(
    tmp_path: Path, mask_all: Models, size: tuple[int, int]
) -> None:
    source = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(source).save(tmp_path / "a.png")
    report = run(tmp_path / "a.png", tmp_path / "out.png", mask_all)
    with Image.open(tmp_path / "out.png") as image:
        assert (np.array(image) == source).all()
    words = f"{size[0]}x{size[1]} pixels are too small to hold a face: copied as it is"
    assert report.warnings == [words] and f"note: {tmp_path / 'a.png'}: {words}" in report.lines()


def test_a_long_strip_in_which_nobody_can_be_sought_is_hidden_and_said(
    tmp_path: Path, find_none: Models
) -> None:
    Image.new("RGB", (8000, 30), "white").save(tmp_path / "a.png")
    report = run(tmp_path / "a.png", tmp_path / "out.png", find_none)
    assert report.lines()[-1].endswith("1 frame hidden as a whole")


@pytest.mark.slow
def test_an_8k_picture(tmp_path: Path) -> None:
    Image.new("L", (7680, 4320), 200).save(tmp_path / "a.png")
    models = Models(
        detector=lambda frames: [faces_at((0, 0, 10, 10)) for _ in frames],
        anonymizer=anonymizers.create("mask"),
    )
    run(tmp_path / "a.png", tmp_path / "out.png", models, enlarge=1)
    with Image.open(tmp_path / "out.png") as image:
        after = np.array(image)
    assert after.shape == (4320, 7680)
    assert after[:119, :119].max() == 0 and after[125:].min() == 200


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"words", "is not a picture"), (b"\x89PNG\r\n\x1a\n123", "is not a picture")],
)
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, mask_all: Models, content: bytes, message: str
) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError, match=f"a.png' {message}"):
        run(tmp_path / "a.png", tmp_path / "out.png", mask_all)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]


def test_a_picture_cut_short_is_refused(tmp_path: Path, mask_all: Models) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:1500])
    with pytest.raises(ImageError, match=r"b.jpg' is damaged or cut short"):
        run(tmp_path / "b.jpg", tmp_path / "out.jpg", mask_all)


def test_floats_are_refused(tmp_path: Path, mask_all: Models) -> None:
    Image.fromarray(np.zeros((9, 9), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"a.tif' holds F values"):
        run(tmp_path / "a.tif", tmp_path / "out.tif", mask_all)


def test_a_picture_that_claims_too_much_is_refused(
    tmp_path: Path, mask_all: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anonlib.video.image_reader.LARGEST_IMAGE", 100)
    Image.fromarray(colours()).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="too large with 768 pixels"):
        run(tmp_path / "a.png", tmp_path / "out.png", mask_all)


def test_an_error_of_the_models_leaves_nothing(tmp_path: Path) -> None:
    def broken(frames: Any) -> Any:
        raise RuntimeError("out of order")

    models = Models(detector=broken, anonymizer=anonymizers.create("mask"))
    Image.fromarray(colours()).save(tmp_path / "a.png")
    with pytest.raises(RuntimeError, match="out of order"):
        run(tmp_path / "a.png", tmp_path / "out.png", models)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.png"]

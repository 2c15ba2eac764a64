"""Pictures with more than 8 bits a colour, and formats that Pillow reads but does not write here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from anonlib import anonymizers
from anonlib.errors import ImageError
from anonlib.video import Models, Settings, anonymize_image
from anonlib.video.image_reader import open_image, read_pages
from tests.video.conftest import faces_at

SCENE = np.random.default_rng(0).integers(3000, 65536, (24, 32, 3)).astype(np.uint16)
FACE = (8, 4, 24, 20)


def run(source: Path, out: Path, models: Models, **options: Any) -> Any:
    return anonymize_image(source, out, settings=Settings(**options), models=models)


def deep(path: Path) -> np.ndarray:
    with open_image(path) as image:
        pages, _ = read_pages(image, path)
    return pages[0].array


def white_face() -> Models:
    """Paints one face white."""
    return Models(
        detector=lambda frames: [faces_at(FACE) for _ in frames], anonymizer=lambda faces: faces * 0 + 1
    )


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"byteorder": ">"},
        {"byteorder": ">", "compression": "zlib"},
        {"tile": (16, 16)},
    ],
)
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_sixteen_bits_a_colour_are_kept_beside_a_face(
    tmp_path: Path, how: dict[str, Any], channels: int, suffix: str
) -> None:
    scene = np.dstack([SCENE, np.full((24, 32), 40000, np.uint16)])[:, :, :channels]
    more = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tifffile.imwrite(tmp_path / "a.tif", scene, photometric="rgb", **how, **more)
    report = run(tmp_path / "a.tif", tmp_path / f"out{suffix}", white_face(), enlarge=1)
    after = deep(tmp_path / f"out{suffix}")
    assert after.dtype == np.uint16 and report.warnings == []
    x0, y0, x1, y1 = FACE
    assert (after[y0:y1, x0:x1, :3] == 65535).all() and (after[..., 3:] == 40000).all()
    after[y0:y1, x0:x1] = scene[y0:y1, x0:x1]
    assert (after == scene).all()
    again = run(tmp_path / f"out{suffix}", tmp_path / f"again{suffix}", white_face(), enlarge=1)
    assert again.warnings == [] and (deep(tmp_path / f"again{suffix}")[:4] == scene[:4]).all()


def test_other_programs_read_what_is_written(tmp_path: Path, find_none: Models) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SCENE, photometric="rgb", iccprofile=b"x" * 200)
    for suffix in (".tif", ".png"):
        run(tmp_path / "a.tif", tmp_path / f"out{suffix}", find_none)
    assert (tifffile.imread(tmp_path / "out.tif") == SCENE).all()
    import av

    with av.open(str(tmp_path / "out.png")) as png:
        frame = next(png.decode(video=0))
    assert frame.format.name == "rgb48be" and (frame.to_ndarray() == SCENE).all()
    for suffix in (".tif", ".png"):
        with Image.open(tmp_path / f"out{suffix}") as image:
            assert image.info["icc_profile"] == b"x" * 200


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("colours", [1, 3])
def test_a_face_stays_in_the_range_of_the_camera(tmp_path: Path, bits: int, colours: int) -> None:
    scene = SCENE[:, :, :colours] >> (16 - bits)
    scene[0, 0] = (1 << bits) - 1
    photometric = "rgb" if colours == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", scene.squeeze(), photometric=photometric)
    report = run(tmp_path / "a.tif", tmp_path / "out.tif", white_face(), enlarge=1)
    after = deep(tmp_path / "out.tif")
    assert after.max() == after[FACE[1], FACE[0]].max() == (1 << bits) - 1
    assert report.warnings == [f"the values of its 16 bits end at {(1 << bits) - 1}: taken as {bits} bits"]


def test_the_detector_sees_twelve_bits_in_full_brightness(tmp_path: Path) -> None:
    seen = []

    def look(frames: Any) -> Any:
        seen.append(float(frames.max()))
        return [faces_at() for _ in frames]

    tifffile.imwrite(tmp_path / "a.tif", SCENE >> 4, photometric="rgb")
    models = Models(detector=look, anonymizer=anonymizers.create("mask"))
    run(tmp_path / "a.tif", tmp_path / "out.tif", models)
    assert seen[0] > 0.95


@pytest.mark.parametrize("colours", [1, 3])
def test_a_loss_of_depth_is_said(tmp_path: Path, find_none: Models, colours: int) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SCENE[:, :, :colours].squeeze())
    report = run(tmp_path / "a.tif", tmp_path / "out.jpg", find_none)
    assert report.warnings == ["16 bits became 8"]
    with Image.open(tmp_path / "out.jpg") as image:
        assert abs(np.array(image).mean() - SCENE[:, :, :colours].mean() / 257) < 4


def test_sixteen_bits_that_pillow_cannot_split_are_said_or_refused(tmp_path: Path, find_none: Models) -> None:
    cmyk = np.dstack([SCENE, SCENE[:, :, :1]])
    tifffile.imwrite(tmp_path / "a.tif", cmyk, photometric="separated")
    report = run(tmp_path / "a.tif", tmp_path / "out.tif", find_none)
    assert report.warnings == ["16 bits a colour became 8"]
    planes = SCENE.transpose(2, 0, 1).copy()
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageError, match=r"b\.tif' stores 16-bit colours plane by plane"):
        run(tmp_path / "b.tif", tmp_path / "out.tif", find_none)


def test_metadata_that_a_deep_picture_cannot_keep_is_said(tmp_path: Path, find_none: Models) -> None:
    tifffile.imwrite(tmp_path / "a.tif", SCENE, photometric="rgb", software="Scanner")
    report = run(tmp_path / "a.tif", tmp_path / "out.tif", find_none, keep_metadata=True)
    assert report.warnings == ["its metadata was left out: a TIFF with 16-bit colours gets none"]
    run(tmp_path / "a.tif", tmp_path / "out.png", find_none, keep_metadata=True)
    with Image.open(tmp_path / "out.png") as image:
        assert image.getexif()[0x0131] == "Scanner"


def test_pages_of_several_depths_stay_as_they_are(tmp_path: Path, find_none: Models) -> None:
    small = (SCENE >> 8).astype(np.uint8)
    with tifffile.TiffWriter(tmp_path / "a.tif") as out:
        for page in (SCENE, small, SCENE[:, :, 0], small[:, :, 0]):
            out.write(page, photometric="rgb" if page.ndim == 3 else "minisblack")
    run(tmp_path / "a.tif", tmp_path / "out.tif", find_none)
    with tifffile.TiffFile(tmp_path / "out.tif") as after:
        pages = [page.asarray() for page in after.pages]
    for page, before in zip(pages, (SCENE, small, SCENE[:, :, 0], small[:, :, 0]), strict=True):
        assert page.dtype == before.dtype and (page == before).all()


@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_avif_and_heic_are_masked_upright(tmp_path: Path, mask_all: Models, suffix: str) -> None:
    if suffix == ".heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    y, x = np.mgrid[:24, :32]
    scene = np.stack([90 + x * 4, 80 + y * 4, 160 + 0 * x], 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    Image.fromarray(scene).save(tmp_path / f"a{suffix}", exif=exif)
    report = run(tmp_path / f"a{suffix}", tmp_path / "out.png", mask_all)
    with Image.open(tmp_path / "out.png") as image:
        assert np.array(image).max() == 0 and not image.getexif()
    assert report.faces == 1 and report.warnings == []
    models = Models(detector=lambda f: [faces_at() for _ in f], anonymizer=anonymizers.create("mask"))
    run(tmp_path / f"a{suffix}", tmp_path / "same.png", models)
    with Image.open(tmp_path / "same.png") as image:
        shown = np.array(image)
    if shown.shape[0] > shown.shape[1]:  # a quarter clockwise: the dark left end, red 90, comes up
        assert shown[2, :, 0].mean() < 110 < shown[-3, :, 0].mean()
    else:
        assert suffix == ".heic", "AVIF was not turned"


def test_heic_without_its_package_names_the_extra(
    tmp_path: Path, mask_all: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anonlib.video.image_reader.find_spec", lambda name: None)
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(ImageError, match=r"a\.heic' is a HEIC picture: pip install 'anonlib\[heic\]'"):
        run(tmp_path / "a.heic", tmp_path / "out.png", mask_all)


def test_bmp_is_read(tmp_path: Path, mask_all: Models) -> None:
    Image.new("RGB", (32, 24), "white").save(tmp_path / "a.bmp")
    run(tmp_path / "a.bmp", tmp_path / "out.png", mask_all)
    with Image.open(tmp_path / "out.png") as image:
        assert np.array(image).max() == 0

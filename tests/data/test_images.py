from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib.data.images import read_image
from anonlib.errors import ImageError

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)


def save(folder: Path, picture: Image.Image, name: str = "a.png", **options) -> Path:
    picture.save(folder / name, **options)
    return folder / name


def pixels(path: Path) -> np.ndarray:
    image = read_image(path)
    assert image.dtype == torch.uint8 and image.is_contiguous()
    return image.permute(1, 2, 0).numpy()


def test_rgb(tmp_path):
    assert (pixels(save(tmp_path, Image.fromarray(COLOUR))) == COLOUR).all()


def test_the_tensor_can_be_written_to(tmp_path):
    image = read_image(save(tmp_path, Image.fromarray(COLOUR)))
    image += 1


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_black_and_white_and_palette(tmp_path, mode):
    picture = Image.fromarray(COLOUR).convert(mode)
    expected = np.array(picture.convert("RGB"))
    assert (pixels(save(tmp_path, picture)) == expected).all()
    assert (expected[..., 0] == expected[..., 1]).all() == (mode != "P")


def test_transparent_pixels_are_laid_on_white(tmp_path):
    rgba = np.dstack([COLOUR, np.full((20, 30), 255, np.uint8)])
    rgba[:5, :, 3] = 0
    rgba[5:10, :, 3] = 51  # a fifth
    out = pixels(save(tmp_path, Image.fromarray(rgba))).astype(int)
    assert (out[:5] == 255).all() and (out[10:] == COLOUR[10:]).all()
    assert np.abs(out[5:10] - (0.2 * COLOUR[5:10] + 0.8 * 255)).max() <= 1


@pytest.mark.parametrize("mode", ["LA", "P"])
def test_transparency_of_grey_and_palette_pictures(tmp_path, mode):
    picture = Image.new(mode, (20, 20), 0 if mode == "P" else (0, 0))
    options = {"transparency": 0} if mode == "P" else {}
    assert (pixels(save(tmp_path, picture, **options)) == 255).all()


def test_cmyk(tmp_path):
    picture = Image.new("CMYK", (20, 20), (0, 255, 255, 0))
    out = pixels(save(tmp_path, picture, "a.jpg", quality=100))
    assert np.abs(out.astype(int) - [255, 0, 0]).max() <= 3


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    out = pixels(save(tmp_path, Image.fromarray(GREY16)))
    assert (out == np.round(GREY16 / 257)[..., None]).all()
    out = pixels(save(tmp_path, Image.fromarray(GREY16), "a.tiff"))
    assert (out == np.round(GREY16 / 257)[..., None]).all()


def test_sixteen_bits_a_channel(tmp_path):
    """A PNG of RGB with 16 bits, put together by hand as Pillow does not write it."""
    wide = COLOUR.astype(">u2") * 257
    rows = b"".join(b"\0" + row.tobytes() for row in wide)
    header = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in chunks))
    assert (pixels(path) == COLOUR).all()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


TURNED = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).transpose(1, 0, 2),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path, Image.fromarray(COLOUR), exif=exif)
    assert (pixels(path) == TURNED[orientation](COLOUR)).all()


def test_exif_orientation_of_a_16_bit_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = save(tmp_path, Image.fromarray(GREY16), exif=exif)
    assert (pixels(path)[..., 0] == np.rot90(np.round(GREY16 / 257), -1)).all()


def test_a_16x16_picture_is_enough_and_a_smaller_one_is_not(tmp_path):
    assert read_image(save(tmp_path, Image.new("RGB", (16, 16)))).shape == (3, 16, 16)
    with pytest.raises(ImageError, match=r"a.png' has 15x40 pixels, too few for a face: use 16x16"):
        read_image(save(tmp_path, Image.new("RGB", (15, 40))))


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tiff"])
def test_pictures_cut_short_are_named_or_whole(tmp_path, name):
    """Wherever the file ends: an error that names it, never another exception or grey rows."""
    rng = np.random.default_rng(1)
    path = save(tmp_path, Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)), name)
    whole, data = pixels(path), path.read_bytes()
    refused = 0
    for length in np.linspace(1, len(data) - 1, 23, dtype=int):
        path.write_bytes(data[:length])
        try:
            assert (pixels(path) == whole).all()
        except ImageError as error:
            assert name in str(error)
            refused += 1
    assert refused >= 20


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.bmp", "a.webp", "a.tiff"])
def test_damaged_bytes_never_raise_anything_else(tmp_path, name):
    path = save(tmp_path, Image.fromarray(COLOUR), name)
    data, rng = path.read_bytes(), np.random.default_rng(2)
    for _ in range(60):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 4):
            broken[place] = rng.integers(256)
        path.write_bytes(bytes(broken))
        try:
            assert read_image(path).shape[0] == 3
        except ImageError as error:
            assert name in str(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.jpg' is empty: fetch it again or delete it"),
        (b"hello, this is no picture", "a.jpg' is no picture: use JPEG or PNG"),
        (b"\xff\xd8\xff\xe0", "a.jpg' is"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, message):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "a.jpg")


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(ImageError, match=r"b.jpg' is no file: check the path"):
        read_image(tmp_path / "b.jpg")
    with pytest.raises(ImageError, match="is no file"):
        read_image(tmp_path)


def test_warnings_about_metadata_do_not_reach_the_user(tmp_path):
    path = save(tmp_path, Image.fromarray(COLOUR), "a.jpg", exif=Image.Exif().tobytes() + b"\7" * 9)
    whole = pixels(save(tmp_path, Image.fromarray(COLOUR), "b.jpg"))
    assert (pixels(path) == whole).all()


def test_floating_point_pictures_are_refused(tmp_path):
    picture = Image.fromarray(RNG.random((20, 20), dtype=np.float32))
    with pytest.raises(ImageError, match="floating-point numbers: save it with 8 bits"):
        read_image(save(tmp_path, picture, "a.tiff"))


@pytest.mark.parametrize("side", [9_500, 30_000])
def test_decompression_bombs_are_refused(tmp_path, side):
    """A file of a few kilobytes that claims hundreds of megapixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*c) for c in chunks))
    with pytest.raises(ImageError, match=r"bomb.png' is too large"):
        read_image(path)

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib.data.crop_cache import cache_folder
from anonlib.data.face_crops import crop_face, crop_pictures
from anonlib.detection.mtcnn import MtcnnLandmarks
from anonlib.errors import ImageError, ResultsError
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.types import LazyImages


class Eyes:
    """Stands in for MTCNN: a face in the middle of every picture that is not black."""

    cache_key = "eyes"

    def __init__(self) -> None:
        self.seen = 0

    def __call__(self, pictures):
        self.seen += len(pictures)
        return [self.one(picture) if picture.any() else None for picture in pictures]

    def one(self, picture):
        height, width = picture.shape[1:]
        return CANONICAL_LANDMARKS * 40 + torch.tensor([width / 2 - 20, height / 2 - 20])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def save(path: Path, colour=(200, 100, 50), size=(60, 50)) -> Path:
    Image.new("RGB", size, colour).save(path)
    return path


def placed(scale: float, angle: float, shift: tuple[float, float]) -> torch.Tensor:
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    return (CANONICAL_LANDMARKS - 0.5) @ torch.tensor([[c, s], [-s, c]]) + torch.tensor(shift)


@pytest.mark.parametrize(("scale", "angle", "size"), [(40.0, 0.0, 80), (160.0, 0.4, 64), (300.0, -1.2, 48)])
def test_crops_bring_a_face_upright_to_its_place(scale, angle, size):
    """A spot at each landmark of a turned face must appear at the canonical place."""
    points = placed(scale, angle, (170.0, 150.0))
    y, x = torch.meshgrid(torch.arange(300) + 0.5, torch.arange(340) + 0.5, indexing="ij")
    for k, canonical in enumerate(CANONICAL_LANDMARKS):
        away = ((x - points[k, 0]) ** 2 + (y - points[k, 1]) ** 2) / (0.03 * scale) ** 2
        picture = (255 * torch.exp(-away / 2)).round().to(torch.uint8).expand(3, -1, -1)
        crop, inside = crop_face(picture, points, size=size)
        torch.testing.assert_close(inside[k], canonical * size, atol=1e-3, rtol=0)
        weight = crop[0].double()
        line = torch.arange(size) + 0.5
        centre = torch.stack([(weight.sum(0) * line).sum(), (weight.sum(1) * line).sum()])
        torch.testing.assert_close((centre / weight.sum()).float(), canonical * size, atol=0.1, rtol=0)


def test_reducing_does_not_alias():
    """Stripes finer than a pixel of the crop must come out grey, not striped."""
    stripes = (torch.arange(400) % 2 * 255).to(torch.uint8).expand(3, 400, 400)
    crop, _ = crop_face(stripes, placed(313.0, 0.0, (201.3, 200.0)), size=32)
    assert (crop.float() - 127.5).abs().max() < 12


def test_beyond_the_picture_its_border_is_repeated():
    crop, _ = crop_face(torch.full((3, 40, 40), 90).byte(), placed(60.0, 0.3, (20.0, 20.0)), size=32)
    assert (crop == 90).all()


def test_pictures_without_a_face_are_marked_and_counted_in_order(tmp_path):
    paths = [
        save(tmp_path / "a.png"),
        save(tmp_path / "b.png", (0, 0, 0)),
        save(tmp_path / "c.png", (9, 9, 9)),
    ]
    crops = crop_pictures(paths, size=24, detect=Eyes(), progress=False)
    assert crops.found.tolist() == [True, False, True]
    assert crops.images.shape == (3, 3, 24, 24) and crops.images.dtype == torch.uint8
    assert crops.images[0, :, 12, 12].tolist() == [200, 100, 50] and (crops.images[2] == 9).all()
    torch.testing.assert_close(crops.landmarks[0], CANONICAL_LANDMARKS * 24, atol=1e-3, rtol=0)


def test_large_pictures_are_reduced_first(tmp_path):
    sizes = []

    def detect(pictures):
        sizes.extend(p.shape for p in pictures)
        return [None] * len(pictures)

    crop_pictures([save(tmp_path / "a.png", size=(3000, 1500))], size=24, detect=detect, progress=False)
    assert sizes == [(3, 512, 1024)]


def test_no_pictures_no_crops():
    assert crop_pictures([], size=24, detect=Eyes(), progress=False).images.shape == (0, 3, 24, 24)


def test_a_second_run_reads_the_cache(tmp_path, cache):
    paths = [save(tmp_path / f"{k:03d}.png", (k % 255 + 1, 0, 0)) for k in range(200)]
    eyes = Eyes()
    first = crop_pictures(paths, size=16, detect=eyes, progress=False)
    assert eyes.seen == 200 and (first.images[:, 0, 8, 8] == torch.arange(1, 201)).all()
    again = crop_pictures(paths, size=16, detect=eyes, progress=False)
    assert eyes.seen == 200
    for name in ("images", "landmarks", "found"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not list(cache.rglob("*.part"))


def test_a_changed_picture_size_or_method_is_computed_anew(tmp_path):
    path, eyes = save(tmp_path / "a.bmp"), Eyes()
    length = path.stat().st_size
    crop_pictures([path], size=16, detect=eyes, progress=False)
    save(path, (1, 2, 3))
    os.utime(path, ns=(1, 1))
    assert path.stat().st_size == length  # only the time tells
    assert crop_pictures([path], size=16, detect=eyes, progress=False).images[0, 0, 8, 8] == 1
    assert eyes.seen == 2
    crop_pictures([path], size=20, detect=eyes, progress=False)
    assert eyes.seen == 3
    eyes.cache_key = "other"
    crop_pictures([path], size=20, detect=eyes, progress=False)
    assert eyes.seen == 4


def test_a_method_without_a_key_is_not_remembered(tmp_path, cache):
    eyes = Eyes()
    crop_pictures([save(tmp_path / "a.png")], size=16, detect=lambda p: eyes(p), progress=False)
    assert not cache.exists()


def test_a_damaged_cache_is_replaced(tmp_path, cache):
    path, eyes = save(tmp_path / "a.png"), Eyes()
    expected = crop_pictures([path], size=16, detect=eyes, progress=False)
    (stored,) = cache.rglob("*.npz")
    whole = stored.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], b"PK" + bytes(50)):
        stored.write_bytes(damaged)
        again = crop_pictures([path], size=16, detect=eyes, progress=False)
        assert torch.equal(again.images, expected.images)
        assert stored.read_bytes()[:2] == b"PK" and len(stored.read_bytes()) == len(whole)


def test_crops_that_do_not_fit_into_memory_are_read_from_the_cache(tmp_path, monkeypatch, cache):
    paths = [save(tmp_path / f"{k}.png", colour=(k, 0, 0)) for k in range(200)]
    expected = crop_pictures(paths, size=16, detect=Eyes(), progress=False)
    monkeypatch.setattr("anonlib.types.IN_MEMORY", 0)
    for kept in (True, False):
        if not kept:
            shutil.rmtree(cache)
        crops = crop_pictures(paths, size=16, detect=Eyes(), progress=False)
        assert isinstance(crops.images, LazyImages)
        rows = torch.tensor([150, 3, 150, 127, 128])
        assert torch.equal(crops.images[rows], expected.images[rows])
        assert torch.equal(crops.faces(crops.found).images[:], expected.images[expected.found])
        assert torch.equal(crops.landmarks, expected.landmarks)


def test_crops_that_fit_neither_into_memory_nor_into_the_cache_are_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr("anonlib.types.IN_MEMORY", 0)
    with pytest.raises(ResultsError, match=r"do not fit into memory .*choose another folder"):
        crop_pictures([save(tmp_path / "a.png")], size=16, detect=Eyes(), progress=False)


def test_without_a_writable_cache_the_run_goes_on(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "file"))
    crops = crop_pictures([save(tmp_path / "a.png")], size=16, detect=Eyes(), progress=False)
    assert crops.found.all() and "face crops are not cached" in caplog.text


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, cache, caplog):
    def full(file, **_):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    crop_pictures([save(tmp_path / "a.png")], size=16, detect=Eyes(), progress=False)
    assert "No space left" in caplog.text
    assert [p for p in cache.rglob("*") if p.is_file()] == []


def test_the_cache_lies_in_the_home_folder_by_default(monkeypatch):
    monkeypatch.delenv("ANONLIB_CACHE")
    assert cache_folder() == Path.home() / ".cache" / "anonlib"


def test_a_damaged_picture_is_named(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"none")
    with pytest.raises(ImageError, match=r"a.jpg' is no picture"):
        crop_pictures([tmp_path / "a.jpg"], size=16, detect=Eyes(), progress=False)


@pytest.fixture(scope="module")
def mtcnn() -> MtcnnLandmarks:
    return MtcnnLandmarks()


@pytest.mark.slow  # importing facenet-pytorch takes ten seconds
def test_mtcnn_finds_nobody_where_nobody_is(mtcnn):
    pictures = [torch.zeros(3, 60, 60), torch.full((3, 40, 50), 255), torch.zeros(3, 16, 16)]
    assert mtcnn([p.byte() for p in pictures]) == [None, None, None]


@pytest.mark.slow
def test_mtcnn_finds_real_people_in_pictures_of_several_sizes(mtcnn, shared):
    from anonlib.data.images import read_image

    folder = shared / "datasets" / "lfw" / "lfw-deepfunneled"
    paths = sorted(folder.glob("*/*_0001.jpg"))[:6]
    pictures = [read_image(p) for p in paths]
    pictures[3] = pictures[3][:, 20:230, 10:240]
    found = mtcnn(pictures)
    assert all(points is not None for points in found)
    alone = mtcnn(pictures[3:4])[0]
    torch.testing.assert_close(found[3], alone, atol=0.5, rtol=0)
    for points in found:  # deep-funneled faces are centred and upright
        left, right = points[0], points[1]
        assert 30 < right[0] - left[0] < 60 and points[3:, 1].min() > points[:2, 1].max()

"""The page on which a person checks a run: every track, the doubtful pictures, and no clear face."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from anonlib import anonymizers
from anonlib.detection import Faces
from anonlib.video import Keep, Models, Settings, anonymize_files
from anonlib.video.review import DOUBTFUL
from tests.video.conftest import faces_at

Make = Callable[..., Path]
LEFT, RIGHT = (8, 8, 32, 40), (60, 8, 84, 40)
GREEN = (40, 200, 40)


def run(source: Any, tmp_path: Path, detector: Any, **options: Any) -> str:
    models = Models(detector=detector, anonymizer=anonymizers.create("mask"))
    settings = Settings(method="mask", every=1, enlarge=1, **options)
    page = tmp_path / "page.html"
    out = tmp_path / "out" if Path(source).is_dir() else tmp_path / f"out{Path(source).suffix}"
    report = anonymize_files([source], out, settings=settings, models=models, review=page)
    assert f"review -> {page}" in report.lines()
    return page.read_text()


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(text)))).astype(int) for text in found]


def photo(path: Path) -> Path:
    """Two green faces on grey."""
    array = np.full((64, 96, 3), 120, np.uint8)
    for x0, y0, x1, y1 in (LEFT, RIGHT):
        array[y0:y1, x0:x1] = GREEN
    Image.fromarray(array).save(path)
    return path


def green(array: np.ndarray) -> float:
    return float(((array[..., 1] - array[..., 0]) > 60).mean())


def test_every_track_is_shown_after_the_change_with_its_times(video: Make, tmp_path: Path) -> None:
    page = run(video("a.mkv", pts=range(50)), tmp_path, lambda f: [faces_at(LEFT, RIGHT) for _ in f])
    assert "track 0: 0:00.0 to 0:02.0, 50 pictures, lowest confidence 1.00" in page and "track 1: " in page
    tracks = pictures(page)[:2]
    for array in tracks:
        height, width = array.shape[:2]
        assert array[height // 2 - 4 : height // 2 + 4, width // 2 - 4 : width // 2 + 4].max() < 60
    assert not re.search(r'(src|href)="(?!data:)|<script|url\(', page)


def test_no_clear_face_is_ever_shown(tmp_path: Path) -> None:
    source = photo(tmp_path / "a.png")
    keep = (Keep.parse("50,0,46,64"),)
    page = run(source, tmp_path, lambda f: [faces_at(LEFT, RIGHT) for _ in f], keep=keep)
    with Image.open(tmp_path / "out.png") as out:
        assert green(np.array(out.convert("RGB")).astype(int)) > 0.05  # it is clear in the output
    assert "left clear as asked" in page and '<div class="clear">' in page
    assert len(pictures(page)) == 2 and all(green(array) == 0 for array in pictures(page))


def test_the_doubtful_pictures_are_those_with_the_lowest_confidence(video: Make, tmp_path: Path) -> None:
    calls = iter(range(10_000))

    def detect(frames: Any) -> list[Faces]:
        number = next(calls)
        score = 0.6 if number in (40, 90) else 0.95
        one = faces_at(LEFT)
        return [Faces(boxes=one.boxes, scores=torch.tensor([score]), landmarks=one.landmarks)]

    page = run(video("a.mkv", pts=range(400)), tmp_path, detect)
    doubts = re.findall(r"<figcaption>(\d+:\d\d\.\d), confidence ([\d.]+)", page)
    assert doubts[:2] == [("0:01.6", "0.60"), ("0:03.6", "0.60")]
    assert len(doubts) == DOUBTFUL and len({time.split(".")[0] for time, _ in doubts}) == DOUBTFUL


def test_names_are_escaped_and_failures_are_shown(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo(folder / "<b>&.png")
    (folder / "c.png").write_text("a letter")
    page = run(folder, tmp_path, lambda f: [faces_at(LEFT) for _ in f])
    assert "&lt;b&gt;&amp;.png" in page and "<b>&.png" not in page
    assert "failed: " in page and "is not a picture" in page


@pytest.mark.parametrize("size", [(1, 1), (16, 16)])
def test_small_pictures_have_a_page_too(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size, "white").save(tmp_path / "a.png")
    assert "a.png" in run(tmp_path / "a.png", tmp_path, lambda f: [faces_at((0, 0, 9, 9)) for _ in f])

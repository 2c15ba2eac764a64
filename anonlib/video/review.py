"""A page for checking a run by eye: each face after it was replaced, and the doubtful pictures.

A face that was left clear on request is painted grey.
"""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from anonlib.anonymizers.frames import Corners, face_regions
from anonlib.config import ENLARGE
from anonlib.files import complete
from anonlib.video.picture import Picture, small_size
from anonlib.video.replacing import Found, too_small
from anonlib.video.settings import FileReport

DOUBTFUL = 12
"""How many doubtful pictures of a file are shown, of different seconds."""
AROUND = 2.5
"""How much larger than the face its thumbnail is."""
_FACE, _PICTURE = 160, 360
"""Longer side in pixels of the thumbnail of a face, and of a picture."""
_BETTER = 1.5
"""How many times larger than before a face must be for a new thumbnail."""
_GREY, _YELLOW = 0.5, torch.tensor([1.0, 0.85, 0.0])[:, None, None]
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Faces after anonymization</title>
<style>body{font:15px/1.4 sans-serif;margin:2em;color:#222}h2{font-size:1.1em;margin:2em 0 .3em}
h3{font-size:1em;font-weight:normal;margin:1em 0 .4em}
div{display:flex;flex-wrap:wrap;gap:12px}figure{margin:0;max-width:360px}figcaption{font-size:13px}
img{display:block}.clear{width:160px;height:120px;background:#ccc}.bad{color:#a00}</style>
<h1>Faces after anonymization</h1>
<p>Look for a face that you recognise, and for a face without a yellow frame in the doubtful pictures.
Faces that were left clear because somebody asked for it are grey here. The page shows what is in the
outputs, so keep it as safe as they are.</p>
"""


@dataclass(slots=True)
class _Track:
    """What is shown of one track."""

    first: str
    last: str
    pictures: int = 0
    area: float = 0.0
    jpeg: bytes | None = None
    """None while it was only seen clear."""
    lowest: float | None = None
    clear: bool = False


@dataclass(frozen=True, slots=True)
class _Doubt:
    """A picture in which the detector was unsure."""

    confidence: float
    place: str
    jpeg: bytes


class Review:
    """The page of a run, filled file by file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sections = io.BytesIO()
        self.begin()

    def begin(self) -> None:
        """Starts a file; what was seen of one that was not finished is dropped."""
        self._tracks: dict[int, _Track] = {}
        self._doubts: dict[int, _Doubt] = {}

    def see(self, one: Found[Any]) -> None:
        """Looks at a picture whose faces were replaced."""
        picture, place = one.picture, _place(one)
        hidden = [regions(one.boxes[[row]], picture) for row in range(len(one.tracks))]
        for row, number in enumerate(one.tracks):
            track = self._tracks.setdefault(number, _Track(place, place))
            track.last, track.pictures = place, track.pictures + 1
            track.clear |= row in one.clear
            score = one.confidence[row] if one.confidence else None
            if score is not None and (track.lowest is None or score < track.lowest):
                track.lowest = score
            box = one.boxes[row]
            area = float((box[2] - box[0]) * (box[3] - box[1]))
            if hidden[row] and row not in one.clear and area > _BETTER * track.area:
                around = regions(one.boxes[[row]], picture, AROUND)[0]
                track.area, track.jpeg = area, _jpeg(_cut(one, around, hidden), _FACE)
        self._doubt(one, place, hidden)

    def _doubt(self, one: Found[Any], place: str, hidden: list[list[Corners]]) -> None:
        """Keeps the picture if the detector was less sure than in the others of its second."""
        scores = [score for score in one.confidence if score is not None]
        second = one.index if one.picture.time is None else int(one.picture.time)
        if not scores:
            return
        lowest, before = min(scores), self._doubts.get(second)
        most = max((d.confidence for d in self._doubts.values()), default=0.0)
        full = before is None and len(self._doubts) >= DOUBTFUL
        if lowest >= (before.confidence if before else most if full else 2.0):
            return
        if full:
            del self._doubts[max(self._doubts, key=lambda key: self._doubts[key].confidence)]
        whole = (0, 0, one.picture.width, one.picture.height)
        self._doubts[second] = _Doubt(lowest, place, _jpeg(_cut(one, whole, hidden, frames=True), _PICTURE))

    def end(self, report: FileReport) -> None:
        """Adds the section of a file."""
        parts = [f"<h2>{html.escape(report.input)}</h2>"]
        if report.status in ("failed", "partial"):
            parts.append(f'<p class="bad">{report.status}: {html.escape("; ".join(report.warnings))}</p>')
        if report.status in ("done", "partial"):
            parts.append(f"<h3>{len(self._tracks)} tracks: one picture of each, and when it was seen</h3>")
            parts.append(f"<div>{''.join(_figure(n, track) for n, track in self._tracks.items())}</div>")
            if self._doubts:
                parts.append("<h3>the pictures in which the detector was least sure</h3><div>")
                for doubt in sorted(self._doubts.values(), key=lambda d: d.confidence):
                    words = f"{doubt.place}, confidence {doubt.confidence:.2f}"
                    parts.append(f"<figure>{_img(doubt.jpeg)}<figcaption>{words}</figcaption></figure>")
                parts.append("</div>")
        self._sections.write(("\n".join(parts) + "\n").encode(errors="replace"))
        self.begin()

    def write(self) -> None:
        """Puts the page in its place."""
        with complete(self.path) as file:
            file.write(_HEAD.encode())
            file.write(self._sections.getbuffer())
            file.write(b"</html>\n")


def regions(boxes: Tensor, picture: Picture, enlarge: float = ENLARGE) -> list[Corners]:
    """The places of boxes `(n, 4)`, enlarged, in whole pixels inside the picture."""
    if too_small(picture.height, picture.width):
        return []
    found = face_regions(boxes, height=picture.height, width=picture.width, enlarge=enlarge)
    return [region.corners for region in found]


def _cut(one: Found[Any], part: Corners, hidden: list[list[Corners]], *, frames: bool = False) -> Tensor:
    """A part of the picture `(3, h, w)`, with faces that were left clear in grey, the others in frames."""
    pixels = one.picture.crop(part)
    thick = max(1, max(pixels.shape) // 120)
    for row, places in enumerate(hidden):
        for x0, y0, x1, y1 in places:
            left, right = (min(max(x - part[0], 0), pixels.shape[2]) for x in (x0, x1))
            top, bottom = (min(max(y - part[1], 0), pixels.shape[1]) for y in (y0, y1))
            face = pixels[:, top:bottom, left:right]
            if row in one.clear:
                face[:] = _GREY
            elif frames and face.numel():
                for edge in (face[:, :thick], face[:, -thick:], face[:, :, :thick], face[:, :, -thick:]):
                    edge[:] = _YELLOW
    for row in one.clear:  # a frame may have been drawn on one of them
        for x0, y0, x1, y1 in hidden[row]:
            low, high = max(y0 - part[1], 0), max(y1 - part[1], 0)
            pixels[:, low:high, max(x0 - part[0], 0) : max(x1 - part[0], 0)] = _GREY
    return pixels


def _jpeg(pixels: Tensor, longest: int) -> bytes:
    """Pixels `(3, h, w)` in [0, 1], scaled down, as a JPEG."""
    _, height, width = pixels.shape
    size = small_size(height, width, longest)
    pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0]
    array = (pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    out = io.BytesIO()
    Image.fromarray(array).save(out, "jpeg", quality=80)
    return out.getvalue()


def _figure(number: int, track: _Track) -> str:
    span = track.first if track.first == track.last else f"{track.first} to {track.last}"
    words = f"track {number}: {span}, {track.pictures} pictures"
    if track.lowest is not None:
        words += f", lowest confidence {track.lowest:.2f}"
    if track.clear:
        words += ", left clear as asked"
    shown = _img(track.jpeg) if track.jpeg else '<div class="clear"></div>'
    return f"<figure>{shown}<figcaption>{words}</figcaption></figure>"


def _img(jpeg: bytes) -> str:
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}">'


def _place(one: Found[Any]) -> str:
    """When a picture is shown, as minutes and seconds; or its number in a file without times."""
    if one.picture.time is None:
        return f"picture {one.index + 1}"
    minutes, seconds = divmod(one.picture.time, 60)
    return f"{int(minutes)}:{seconds:04.1f}"

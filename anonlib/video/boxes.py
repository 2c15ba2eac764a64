"""The file of boxes: which faces are hidden in which pictures, for a person to read, edit and give back.

It is CSV or JSON Lines, with the same columns. The first row of each input has the track `whole`: how many
pictures the input has, its size, and a fingerprint of it. Each further row is a box of one track:

    file,frame,until,time,track,x0,y0,x1,y1,confidence,sha256
    talk.mp4,0,239,,whole,0,0,1920,1080,,3f2a...
    talk.mp4,0,0,0.0,0,810.5,200.0,930.0,356.2,0.98,
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from anonlib.errors import ConfigError, VideoError
from anonlib.files import complete
from anonlib.video.replacing import DECIMALS, Found, P

COLUMNS = ("file", "frame", "until", "time", "track", "x0", "y0", "x1", "y1", "confidence", "sha256")
WHOLE = "whole"
_ENDS = 1 << 20
"""Bytes at each end of a file that its fingerprint is made of, with its size."""
_MOST_FRAMES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A face of one track that is hidden in some pictures, in pixels of the upright picture."""

    frame: int
    until: int
    """The last picture in which it is hidden; a row without it is of one picture."""
    track: int
    corners: tuple[float, float, float, float]
    confidence: float | None = None


@dataclass(slots=True, kw_only=True)
class FileBoxes:
    """The boxes of one input, which replace the detector and the tracker."""

    name: str
    """What messages call it."""
    sha256: str
    frames: int
    width: int
    height: int
    boxes: list[Box] = field(default_factory=list)
    _single: dict[int, list[Box]] = field(default_factory=lambda: defaultdict(list))
    _long: list[Box] = field(default_factory=list)

    def add(self, box: Box) -> None:
        """Takes a box."""
        if box.until == box.frame:
            self._single[box.frame].append(box)
        else:
            self._long.append(box)
        self.boxes.append(box)

    def at(self, frame: int) -> list[Box]:
        """The boxes in one picture."""
        return self._single.get(frame, []) + [box for box in self._long if box.frame <= frame <= box.until]

    @property
    def tracks(self) -> set[int]:
        """The numbers of all tracks."""
        return {box.track for box in self.boxes}

    def found(self, pictures: Iterable[P], *, start: int) -> Generator[Found[P], None, None]:
        """The pictures with what must be hidden in them; the first has the number `start` in its file.

        Raises:
            VideoError: there are more pictures than the boxes are of, or of another size.
        """
        for index, picture in enumerate(pictures, start=start):
            if index == 0 and (picture.width, picture.height) != (self.width, self.height):
                here = f"{picture.width}x{picture.height}"
                raise VideoError(f"{self.name} are of {self.width}x{self.height} pixels, not of {here}")
            if index >= self.frames:
                raise VideoError(f"{self.name} are of {self.frames} pictures, but the file has more")
            boxes = self.at(index)
            yield Found(
                picture=picture,
                boxes=torch.tensor([box.corners for box in boxes], dtype=torch.float32).reshape(-1, 4),
                tracks=[box.track for box in boxes],
                index=index,
                confidence=[box.confidence for box in boxes],
            )
            del picture

    def check_end(self, frames: int) -> None:
        """Raises VideoError if the input had another number of pictures."""
        if frames != self.frames:
            raise VideoError(f"{self.name} are of {self.frames} pictures, but the file has {frames}")


class BoxesFile:
    """A file of boxes: what is read from it if it exists, and what is added to it."""

    def __init__(self, path: Path) -> None:
        """Reads the file if it exists.

        Raises:
            ConfigError: its name does not end in .csv or .jsonl, or a row of it is wrong; names the row.
        """
        if path.suffix.lower() not in (".csv", ".jsonl"):
            raise ConfigError(f"boxes '{path}': name a file that ends in .csv or .jsonl")
        self.path, self.as_csv = path, path.suffix.lower() == ".csv"
        self._files: dict[str, FileBoxes] = {}
        self._new, self._own = io.BytesIO(), io.BytesIO()
        self.added = 0
        """Inputs whose boxes were added."""
        if path.exists():
            for number, row in _rows(path, self.as_csv):
                self._take(row, f"boxes '{path}', row {number}")

    @property
    def inputs(self) -> list[str]:
        """The names of the inputs that were read."""
        return list(self._files)

    def only(self) -> FileBoxes:
        """What was read, if it is about one input.

        Raises:
            ConfigError: the file is not there, or is about several inputs.
        """
        if len(self._files) != 1:
            raise ConfigError(
                f"boxes '{self.path}' are of {len(self._files)} inputs: give a file of one input"
            )
        return next(iter(self._files.values()))

    def of(self, source: str | Path) -> FileBoxes | None:
        """What was read about an input; None if the file does not name it.

        Raises:
            VideoError: the boxes are of another file of that name, or of a file that changed.
        """
        if not self._files:
            return None
        mark = fingerprint(Path(source))
        named = self._files.get(str(source))
        if named is None:
            return next((one for one in self._files.values() if one.sha256 == mark), None)
        if named.sha256 != mark:
            raise VideoError(
                f"'{source}': boxes '{self.path}' are of another file of this name, or it has changed since: "
                "leave --boxes out, or name a new file for it"
            )
        return named

    def begin(self, source: str | Path) -> None:
        """Starts the boxes of an input; those of an input that was not finished are dropped."""
        self._source, self._mark = str(source), ""
        with suppress(OSError):  # the input has gone, and will fail
            self._mark = fingerprint(Path(source))
        self._own = io.BytesIO()
        self._size: tuple[int, int] | None = None

    def see(self, one: Found[Any]) -> None:
        """Notes what was hidden in a picture."""
        picture = one.picture
        self._size = self._size or (picture.width, picture.height)
        for box, track, confidence in zip(one.boxes.tolist(), one.tracks, one.confidence, strict=True):
            row = {
                "frame": one.index,
                "until": one.index,
                "time": None if picture.time is None else round(picture.time, 3),
                "track": track,
                **dict(zip(("x0", "y0", "x1", "y1"), (round(value, DECIMALS) for value in box), strict=True)),
                "confidence": None if confidence is None else round(confidence, 3),
            }
            self._own.write(json.dumps(row).encode() + b"\n")

    def end(self, frames: int) -> None:
        """Adds the boxes of the input, which is finished."""
        width, height = self._size or (0, 0)
        whole = {"frame": 0, "until": frames - 1, "track": WHOLE, "x0": 0, "y0": 0, "x1": width, "y1": height}
        self._new.write(self._line({"file": self._source, **whole, "sha256": self._mark}))
        self._own.seek(0)
        for line in self._own:
            self._new.write(self._line({"file": self._source, **json.loads(line)}))
        self._own, self.added = io.BytesIO(), self.added + 1

    def write(self) -> None:
        """Puts the file in its place, with what it held and what was added; nothing if nothing was added."""
        if not self.added:
            return
        before = self.path.read_bytes() if self.path.exists() else b""
        if not before and self.as_csv:
            before = (",".join(COLUMNS) + "\n").encode()
        with complete(self.path) as file:
            file.write(before + b"\n" * bool(before and not before.endswith(b"\n")))
            file.write(self._new.getbuffer())

    def _line(self, row: Mapping[str, Any]) -> bytes:
        if not self.as_csv:
            text = json.dumps({name: row[name] for name in COLUMNS if row.get(name) is not None}) + "\n"
        else:
            line = io.StringIO()
            csv.DictWriter(line, COLUMNS, lineterminator="\n").writerow(row)
            text = line.getvalue()
        return text.encode(errors="surrogateescape")

    def _take(self, row: Mapping[str, Any], where: str) -> None:
        """Checks a row and keeps it."""
        name = str(row.get("file") or "")
        first = _whole(row, "frame", where)
        last = first if row.get("until") in (None, "") else _whole(row, "until", where)
        corners = tuple(_number(row, key, where) for key in ("x0", "y0", "x1", "y1"))
        if not (corners[0] < corners[2] and corners[1] < corners[3]):
            raise ConfigError(f"{where}: x0 must be less than x1, and y0 less than y1")
        if row.get("track") == WHOLE:
            if name in self._files:
                raise ConfigError(f"{where}: '{name}' has two rows of the track '{WHOLE}'")
            self._files[name] = FileBoxes(
                name=f"boxes '{self.path}' of '{name}'",
                sha256=str(row.get("sha256")),
                frames=last + 1,
                width=round(corners[2]),
                height=round(corners[3]),
            )
            return
        if name not in self._files:
            raise ConfigError(f"{where}: the row of the track '{WHOLE}' of '{name}' must come first")
        whole = self._files[name]
        if not first <= last < whole.frames:
            raise ConfigError(f"{where}: frame and until must be 0 to {whole.frames - 1}, in this order")
        if corners[2] <= 0 or corners[3] <= 0 or corners[0] >= whole.width or corners[1] >= whole.height:
            raise ConfigError(f"{where}: the box lies outside the picture of {whole.width}x{whole.height}")
        score = None if row.get("confidence") in (None, "") else _number(row, "confidence", where)
        track = _whole(row, "track", where)
        whole.add(Box(frame=first, until=last, track=track, corners=corners, confidence=score))  # type: ignore[arg-type]


def fingerprint(path: Path) -> str:
    """SHA-256 of a file's size and of a megabyte at each end, so that long videos take no time."""
    size = path.stat().st_size
    mark = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        mark.update(file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        mark.update(file.read(_ENDS))
    return mark.hexdigest()


def _rows(path: Path, as_csv: bool) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a file with their numbers, from 1 on."""
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            if as_csv:
                reader = csv.DictReader(file)
                if not set(COLUMNS) - {"until", "time", "confidence"} <= set(reader.fieldnames or ()):
                    raise ConfigError(f"boxes '{path}': its first line must name {', '.join(COLUMNS)}")
                yield from enumerate(reader, start=2)
                return
            for number, line in enumerate(file, start=1):
                if line.strip():
                    row = json.loads(line)
                    if not isinstance(row, dict):
                        raise ConfigError(f"boxes '{path}', row {number}: it is no JSON object")
                    yield number, row
    except (csv.Error, ValueError) as error:
        raise ConfigError(f"boxes '{path}': not a file of boxes: {error}") from error


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    try:
        value = float(row[name])
    except (KeyError, TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{where}: {name} '{row.get(name)}' is no number")
    return value


def _whole(row: Mapping[str, Any], name: str, where: str) -> int:
    value = _number(row, name, where)
    if value != int(value) or not 0 <= value < _MOST_FRAMES:
        raise ConfigError(f"{where}: {name} '{row.get(name)}' must be a whole number, 0 or more")
    return int(value)

"""What a person decides about the faces of a file: boxes of their own, and faces to leave clear."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torch import Tensor

from anonlib.errors import ConfigError
from anonlib.video.replacing import Found, P

if TYPE_CHECKING:
    from anonlib.video.boxes import FileBoxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A person who agreed to be seen: a region of the picture, with or without times, or a track.

    In a region, a face stays clear if its centre lies there and no other face touches the region. While
    two faces are there, both are hidden, because nobody can say who agreed.
    """

    track: int | None = None
    """Its number in the boxes file."""
    region: tuple[float, float, float, float] | None = None
    """x0, y0, x1, y1 in pixels of the upright picture."""
    span: tuple[float, float] | None = None
    """Begin and end in seconds from the beginning of the video; the end is exclusive."""

    @classmethod
    def parse(cls, text: str) -> Keep:
        """Reads `X,Y,W,H`, `X,Y,W,H,T0,T1` or the number of a track.

        >>> Keep.parse("10,20,30,40,0,2.5")
        Keep(track=None, region=(10.0, 20.0, 40.0, 60.0), span=(0.0, 2.5))
        >>> Keep.parse("3").track
        3
        """
        error = ConfigError(f"keep '{text}': give X,Y,W,H or X,Y,W,H,T0,T1, or a track of the boxes file")
        if text.strip().isdecimal():
            return cls(track=int(text))
        try:
            x, y, width, height, *times = (float(part) for part in text.split(","))
        except ValueError:
            raise error from None
        if len(times) not in (0, 2) or not all(map(math.isfinite, (x, y, width, height, *times))):
            raise error
        if width <= 0 or height <= 0 or (times and not 0 <= times[0] < times[1]):
            raise ConfigError(f"keep '{text}': width and height are above 0, and T0 comes before T1")
        return cls(region=(x, y, x + width, y + height), span=(times[0], times[1]) if times else None)

    def rows(self, boxes: Tensor, tracks: list[int], time: float | None) -> set[int]:
        """The rows of the boxes `(n, 4)` that stay clear in one picture."""
        if self.region is None:
            return {row for row, track in enumerate(tracks) if track == self.track}
        if self.span is not None and (time is None or not self.span[0] <= time < self.span[1]):
            return set()
        x0, y0, x1, y1 = self.region
        touching = [
            row
            for row, box in enumerate(boxes.tolist())
            if box[0] < x1 and box[2] > x0 and box[1] < y1 and box[3] > y0
        ]
        if len(touching) != 1:
            return set()
        left, top, right, bottom = boxes[touching[0]].tolist()
        inside = x0 <= (left + right) / 2 < x1 and y0 <= (top + bottom) / 2 < y1
        return set(touching) if inside else set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """The boxes and clear faces of one file, and the functions that see each picture."""

    boxes: FileBoxes | None = None
    """The faces to hide; the detector does not run."""
    keep: tuple[Keep, ...] = ()
    watchers: tuple[Callable[[Found[Any]], None], ...] = ()
    """Called with each picture after its faces were replaced, before it is written."""

    def marked(self, one: Found[P]) -> Found[P]:
        """The picture, in which the faces that stay clear are marked."""
        if not self.keep or one.hold:
            return one
        time = one.picture.time
        clear = {row for keep in self.keep for row in keep.rows(one.boxes, one.tracks, time)}
        return replace(one, clear=frozenset(clear))

    def check_end(self, frames: int) -> None:
        """Raises VideoError if the file had fewer pictures than its boxes; the output is thrown away then."""
        if self.boxes is not None:
            self.boxes.check_end(frames)


UNGUIDED = Guide()

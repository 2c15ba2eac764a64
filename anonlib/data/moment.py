"""One person in one frame, as the props need to know it."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.data.pen import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One person in one frame: which side works, where the motion stands, where the face is."""

    side: int
    """1 when the working hand is on the right of the image, else -1."""
    phase: float
    """Radians of the action's motion."""
    head: Point
    """Offset of the head from its rest position, in units."""
    mouth: Point
    """Where the mouth is, in units."""
    bottom: float
    """y of the frame's lower edge, in units."""

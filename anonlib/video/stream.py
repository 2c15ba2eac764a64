"""Pictures in, the same pictures without recognisable faces out, in order and in bounded memory.

Detection runs ahead in a thread of its own; tracking and modification follow in the caller's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonlib import anonymizers, detection
from anonlib.anonymizers import SMALLEST_FACE
from anonlib.config import ENLARGE
from anonlib.detection import Faces
from anonlib.detection.likeness import CutFinder, grey_levels
from anonlib.detection.tracking import Cover, Observation, Tracker
from anonlib.errors import ConfigError
from anonlib.files import ahead
from anonlib.video.picture import Grey, Picture, RgbPicture, small_size
from anonlib.video.replacing import Found, replace_faces

P = TypeVar("P", bound=Picture)
LONGEST = 640
"""Longer side in pixels of the picture that the detector sees."""
DEPTH = 4
"""Pictures that wait between detection and modification."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done to a stream, counted while it runs."""

    frames: int = 0
    """Pictures handed out."""
    faces: int = 0
    """Faces replaced, over all pictures."""
    tracks: int = 0
    """Faces followed from their first picture to their last; one who comes back counts again."""
    bridged: int = 0
    """Faces replaced in a picture in which the detector was asked and did not see them."""
    held: int = 0
    """Pictures hidden as a whole."""
    detection_seconds: float = 0.0
    """Spent in the detector."""
    modification_seconds: float = 0.0
    """Spent cutting, anonymizing and replacing faces."""


@dataclass(frozen=True, slots=True)
class _Looked(Generic[P]):
    """A picture that the detector has seen, or passed over."""

    picture: P
    observation: Observation


def anonymize_pictures(
    pictures: Iterable[P],
    *,
    detector: Callable[[Tensor], list[Faces]],
    anonymizer: Callable[[Tensor], Tensor],
    every: int = 1,
    enlarge: float = ENLARGE,
    hold: bool = False,
    live: bool = False,
    together: int = 1,
    patience: int = 30,
    tally: Tally | None = None,
) -> Iterator[P]:
    """The pictures in order, every face replaced in place.

    A face that was seen once is hidden until it has clearly left, see `tracking.Tracker`. If
    the detector or the anonymizer fails, the error is raised and no further picture comes out.
    Pictures under 8 pixels a side come out black, and so narrow ones that the detector would see
    less than 8 pixels of are hidden as a whole.

    At most `every + 5` pictures wait for what follows them, `together` for their batch and five
    in and before the detector.

    Implements Ren et al., section 5, applied to video. Differs from the paper: faces are tracked.

    Args:
        pictures: see `Picture`; they are read in another thread.
        detector: `(1, 3, h, w)` in [0, 1] to the faces of one picture, at most 640 pixels long.
        anonymizer: faces `(N, 3, h, w)` in [0, 1] to the same shape.
        every: pictures from one detection to the next, 1 or more; cuts are always looked at.
        enlarge: factor by which boxes grow about their centres, 1 or more.
        hold: hide the whole picture where a face's place is a guess that neither the detector,
            nor the picture, nor what follows within the look-ahead confirms.
        live: hand every picture out at once, with boxes by prediction alone.
        together: pictures whose faces pass through the anonymizer in one batch.
        patience: pictures for which a face that cannot be found stays hidden.
        tally: counts what is done.

    Yields:
        Each picture, changed.

    Raises:
        ConfigError: `every`, `together`, `patience` or `enlarge` is too small.
    """
    for name, value in (("every", every), ("together", together), ("enlarge", enlarge)):
        if not value >= 1:
            raise ConfigError(f"{name} {value}: use 1 or more")
    if patience < 0:
        raise ConfigError(f"patience {patience}: use 0 or more pictures")
    tally = Tally() if tally is None else tally
    tracker = Tracker(every=every, live=live, patience=patience)
    looked = ahead(_look(pictures, detector, every, tally), 1 if live else DEPTH)
    return _replaced(looked, tracker, anonymizer, enlarge, hold, 1 if live else together, tally)


def anonymize_stream(
    frames: Iterable[NDArray[Any]],
    *,
    method: str | Callable[[Tensor], Tensor] = "modifier-lite",
    detector: str | Callable[[Tensor], list[Faces]] = "ssh",
    device: str = "cpu",
    **options: Any,
) -> Iterator[NDArray[Any]]:
    """Frames of one's own pipeline without recognisable faces, in order.

    Args:
        frames: `(H, W, 3)` uint8 RGB; they are left as they are.
        method: a name of `anonymizers.names()`, or a callable on faces `(N, 3, h, w)` in [0, 1].
        detector: a name of `detection.names()`, or a callable on frames `(B, 3, H, W)`.
        device: where a detector asked for by name runs.
        **options: as for `anonymize_pictures`: `every`, `enlarge`, `hold`, `live`, `together`,
            `patience`, `tally`.

    Yields:
        As many `(H, W, 3)` uint8 arrays, some frames later (at once, if `live`).

    Raises:
        ConfigError: no method or detector has that name, or an option is too small.
        ImageError: a frame is of another shape or type.

    >>> def nobody(frames):
    ...     none = torch.zeros(0)
    ...     return [Faces(boxes=none.reshape(0, 4), scores=none, landmarks=none.reshape(0, 5, 2))
    ...             for _ in frames]
    >>> frames = [np.full((48, 64, 3), level, np.uint8) for level in (10, 20)]
    >>> [int(f.mean()) for f in anonymize_stream(frames, method="mask", detector=nobody)]
    [10, 20]
    """
    hide = anonymizers.create(method) if isinstance(method, str) else method
    look = detection.create(detector, device=device, unsure=True) if isinstance(detector, str) else detector
    pictures = (RgbPicture(np.array(frame)) for frame in frames)
    changed = anonymize_pictures(pictures, detector=look, anonymizer=hide, **options)
    return (picture.array for picture in changed)


def _look(
    pictures: Iterable[P], detector: Callable[[Tensor], list[Faces]], every: int, tally: Tally
) -> Iterator[_Looked[P]]:
    """Every picture with what the detector saw; it is asked at cuts and `every` pictures."""
    cuts, since = CutFinder(), 0
    for picture in pictures:
        levels = grey_levels(picture.grey(LONGEST) if isinstance(picture, Grey) else picture.small(LONGEST))
        cut = cuts(levels[2])
        asked = cut or since + 1 >= every
        since = 0 if asked else since + 1
        asked &= not _blind(*levels[0].shape)
        faces = _detect(detector, picture.small(LONGEST), tally) if asked else None
        yield _Looked(picture, Observation(levels=levels, faces=faces, cut=cut))
        del picture


@torch.no_grad()
def _detect(detector: Callable[[Tensor], list[Faces]], small: Tensor, tally: Tally) -> Faces:
    start = perf_counter()
    [faces] = detector(small[None])
    tally.detection_seconds += perf_counter() - start
    return faces


def _replaced(
    looked: Generator[_Looked[P], None, None],
    tracker: Tracker,
    anonymizer: Callable[[Tensor], Tensor],
    enlarge: float,
    hold: bool,
    together: int,
    tally: Tally,
) -> Iterator[P]:
    """The pictures in batches through the anonymizer."""
    batch: list[Found[P]] = []
    with closing(_followed(looked, tracker, hold, tally)) as followed:
        for found in followed:
            batch.append(found)
            if len(batch) == together:
                yield from _batch_out(batch, anonymizer, enlarge, tally)
    yield from _batch_out(batch, anonymizer, enlarge, tally)


def _batch_out(
    batch: list[Found[P]], anonymizer: Callable[[Tensor], Tensor], enlarge: float, tally: Tally
) -> Iterator[P]:
    """Replaces the faces of a batch, hands its pictures out and forgets them."""
    start = perf_counter()
    tally.faces += replace_faces(batch, anonymizer, enlarge=enlarge)
    tally.modification_seconds += perf_counter() - start
    while batch:
        found = batch.pop(0)
        tally.frames += 1
        tally.held += found.hold
        yield found.picture


def _followed(
    looked: Generator[_Looked[P], None, None], tracker: Tracker, hold: bool, tally: Tally
) -> Generator[Found[P], None, None]:
    """The pictures with what must be hidden in them, as soon as the tracker is certain."""
    waiting: deque[P] = deque()

    def settled(covers: list[Cover]) -> Iterator[Found[P]]:
        for cover in covers:
            tally.bridged += cover.bridged
            tally.tracks = tracker.started
            yield _found(waiting.popleft(), cover, hold)

    with closing(looked):
        for one in looked:
            waiting.append(one.picture)
            yield from settled(tracker.push(one.observation))
    yield from settled(tracker.flush())


def _found(picture: P, cover: Cover, hold: bool) -> Found[P]:
    """A picture with its boxes in its own pixels."""
    height, width = small_size(picture.height, picture.width, LONGEST)
    scale = np.array([picture.width / width, picture.height / height] * 2)
    return Found(
        picture=picture,
        boxes=torch.from_numpy(cover.boxes * scale).float(),
        hold=(hold and cover.unsure) or _blind(height, width),
    )


def _blind(height: int, width: int) -> bool:
    """Whether no detector could find a face in a small picture of this size."""
    return min(height, width) < SMALLEST_FACE

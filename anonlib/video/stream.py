"""Reads frames and returns them in order with the faces replaced, in bounded memory."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anonlib import anonymizers, detection
from anonlib.ahead import ahead
from anonlib.anonymizers.sessions import Session, enlarge_of, session_of
from anonlib.config import DETECTOR, METHOD
from anonlib.detection import Faces
from anonlib.detection.likeness import CutFinder, grey_levels
from anonlib.detection.track import Cover
from anonlib.detection.tracking import Observation, Tracker
from anonlib.errors import ConfigError
from anonlib.video.guide import UNGUIDED, Guide
from anonlib.video.picture import ArrayPicture, small_size
from anonlib.video.replacing import DECIMALS, Found, P, confidence_of, read_faces, too_small

LONGEST = 640
"""Longer side in pixels of the picture that the tracker gets, and a detector without its own `longest`."""
DEPTH = 4
"""Pictures that wait between detection and tracking."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was done to a stream, counted while it runs."""

    frames: int = 0
    """Pictures that came out."""
    faces: int = 0
    """Faces replaced, over all pictures."""
    ways: dict[str, int] = field(default_factory=dict)
    """How many of them went which way, if the method has several: `swapped`, `veiled`."""
    tracks: int = 0
    """Faces tracked; a person who comes back counts again."""
    misses_bridged: int = 0
    """Faces replaced in a picture in which the detector ran and missed them."""
    frames_held: int = 0
    """Pictures hidden as a whole."""
    left_clear: int = 0
    """Faces that were left clear because somebody asked for it, over all pictures."""
    detection_seconds: float = 0.0
    """Spent in the detector."""
    modification_seconds: float = 0.0
    """Spent cutting, anonymizing and replacing faces."""


class Read(NamedTuple, Generic[P]):
    """Pictures whose faces were read, see `replacing.read_faces`."""

    batch: list[Found[P]]
    replace: Callable[[], int]
    """Replaces their faces."""
    seconds: float
    """Spent reading."""


def anonymize_pictures(
    pictures: Iterable[P],
    *,
    detector: Callable[[Tensor], list[Faces]],
    anonymizer: Callable[[Tensor], Tensor],
    every: int = 1,
    enlarge: float | None = None,
    hold: bool = False,
    live: bool = False,
    together: int = 1,
    patience: int = 30,
    seed: int | None = None,
    tally: Tally | None = None,
    guide: Guide = UNGUIDED,
) -> Iterator[P]:
    """The pictures in order, every face replaced in place.

    A face that was detected once is hidden until it has clearly left, see `tracking.Tracker`. If
    the detector or the anonymizer fails, the error is raised and no further picture comes out.
    A picture with a side under 8 pixels holds no face and stays as it is. One that is larger, but not
    when it is scaled down for the detector, is hidden as a whole: nobody could be found in it.

    If the method remembers (`anonymizers.Session`), all pictures are one session: a face keeps its
    new person while it is tracked. Who leaves and comes back is a new track, and so a new person.

    Memory holds at most `every + 5` pictures in the tracker, `together` in a batch, five in or before
    the detector, and five that are read or wait for it or for being replaced.

    Implements Ren et al., section 5, applied to video. Differs from the paper: faces are tracked.

    Args:
        pictures: see `Picture`. They are read, and the detector runs, in another thread. The tracker has a
            third one; unless `live`, a fourth one reads the faces that the next step replaces.
        detector: `(1, 3, h, w)` in [0, 1] to the faces of one picture, at most `detector.longest` pixels
            long, or 640 if it has no such attribute.
        anonymizer: faces `(N, 3, h, w)` in [0, 1] to the same shape.
        every: the detector runs on every n-th picture and at cuts; 1 or more.
        enlarge: factor by which boxes grow about their centres, 1 or more; None for the method's own.
        hold: hides the whole picture if a box in it is only a prediction, see `tracking.Cover`.
        live: lets every picture out at once, with boxes by prediction alone.
        together: pictures whose faces pass through the anonymizer in one batch.
        patience: pictures for which a face that is not located stays hidden.
        seed: repeats the people that a method draws; by default they are new in each run.
        guide: what a person decided: boxes in the place of the detector's, faces to leave clear.

    Raises:
        VideoError: the boxes of the guide do not fit the pictures.
        ConfigError: `every`, `together`, `patience` or `enlarge` is too small, or the method draws
            no people, so that a seed has no meaning.
    """
    for name, value in (("every", every), ("together", together), ("enlarge", enlarge)):
        if value is not None and not value >= 1:
            raise ConfigError(f"{name} {value}: use 1 or more")
    if patience < 0:
        raise ConfigError(f"patience {patience}: use 0 or more pictures")
    session = session_of(anonymizer, seed)
    if session is None and seed is not None:
        raise ConfigError(f"seed {seed}: this method draws no people; leave the seed out")
    if session is not None and enlarge is not None and enlarge < enlarge_of(anonymizer):
        least = enlarge_of(anonymizer)
        raise ConfigError(f"enlarge {enlarge:g}: this method needs {least:g} or more to hide a whole face")
    tally = Tally() if tally is None else tally
    if guide.boxes is not None:
        tally.tracks = len(guide.boxes.tracks)
        found = guide.boxes.found(pictures, start=tally.frames)
    else:
        tracker = Tracker(every=every, live=live, patience=patience)
        thorough = (tracker.lookahead + 1) // every or 1  # what only such a search finds is still hidden
        observed = ahead(_observe(pictures, detector, every, thorough, tally), 1 if live else DEPTH)
        tracked = _track(observed, tracker, hold, tally)
        found = tracked if live else ahead(tracked, 1)  # each thread delays a live picture by two
    factor = (lambda: enlarge_of(anonymizer)) if enlarge is None else (lambda: enlarge)
    read = _read(found, session or anonymizer, factor, 1 if live else together, guide)
    return _replace(read if live else ahead(read, 1), session or anonymizer, tally, guide)


def anonymize_stream(
    frames: Iterable[NDArray[Any]],
    *,
    method: str | Callable[[Tensor], Tensor] = METHOD,
    weights: Path | None = None,
    detector: str | Callable[[Tensor], list[Faces]] = DETECTOR,
    device: str = "cpu",
    **options: Any,
) -> Iterator[NDArray[Any]]:
    """Frames of your own pipeline `(H, W, 3)` uint8 RGB without recognisable faces, in order.

    As many new arrays come out, some frames later; at once, if `live`.

    Args:
        frames: are not changed.
        method: a name of `anonymizers.names()`, or a callable on faces `(N, 3, h, w)` in [0, 1].
        weights: the M that you trained, for method `modifier`; see `anonymizers.create`.
        detector: a name of `detection.names()`, or a callable on frames `(B, 3, H, W)`.
        device: where a method and a detector given by their names run.
        **options: of `anonymize_pictures`, from `every` on.

    Raises:
        ConfigError: no method or detector has that name, an option is too small, or the method needs
            weights or takes none.
        ImageError: a frame has another shape or type.

    >>> def nobody(frames):
    ...     none = torch.zeros(0)
    ...     return [Faces(boxes=none.reshape(0, 4), scores=none, landmarks=none.reshape(0, 5, 2))
    ...             for _ in frames]
    >>> frames = [np.full((48, 64, 3), level, np.uint8) for level in (10, 20)]
    >>> [int(f.mean()) for f in anonymize_stream(frames, method="mask", detector=nobody)]
    [10, 20]
    """
    if isinstance(method, str):
        hide = anonymizers.create(method, weights=weights, device=device)
    elif weights is None:
        hide = method
    else:
        raise ConfigError(f"weights '{weights}' go with method 'modifier', not with a callable")
    look = detection.create(detector, device=device, unsure=True) if isinstance(detector, str) else detector
    pictures = (ArrayPicture(np.array(frame)) for frame in frames)
    changed = anonymize_pictures(pictures, detector=look, anonymizer=hide, **options)
    return (picture.array for picture in changed)


def _observe(
    pictures: Iterable[P], detector: Callable[[Tensor], list[Faces]], every: int, thorough: int, tally: Tally
) -> Iterator[tuple[P, Observation]]:
    """Every picture with its detections; the detector runs at cuts and on every n-th picture.

    If it has a method `quick`, only every `thorough`-th search, and that at a cut, is a whole one.
    """
    cuts, since, searches = CutFinder(), 0, 0  # since: pictures since the detector ran
    for picture in pictures:
        levels = grey_levels(picture.grey(LONGEST))
        cut = cuts(levels[2])
        asked = cut or since + 1 >= every
        since = 0 if asked else since + 1
        asked &= not too_small(*levels[0].shape)
        faces = None
        if asked:
            searches = 0 if cut else (searches + 1) % thorough
            quick = getattr(detector, "quick", None) if searches else None
            longest = LONGEST if quick else getattr(detector, "longest", LONGEST)
            small, start = picture.small(longest), perf_counter()
            with torch.no_grad():
                [faces] = (quick or detector)(small[None])
            height, width = levels[0].shape
            faces = faces.scaled(width / small.shape[2], height / small.shape[1])
            tally.detection_seconds += perf_counter() - start
        yield picture, Observation(levels=levels, faces=faces, cut=cut)
        del picture


def _track(
    observed: Generator[tuple[P, Observation], None, None], tracker: Tracker, hold: bool, tally: Tally
) -> Generator[Found[P], None, None]:
    """The pictures with what must be hidden in them, as soon as the tracker's result is final."""
    waiting: deque[tuple[P, Faces | None]] = deque()
    before, first = tally.tracks, tally.frames

    def covers() -> Iterator[Cover]:
        for picture, observation in observed:
            waiting.append((picture, observation.faces))
            del picture
            yield from tracker.push(observation)
        yield from tracker.flush()

    with closing(observed):
        for index, cover in enumerate(covers(), start=first):
            tally.misses_bridged += cover.bridged
            tally.tracks = before + tracker.started
            picture, faces = waiting.popleft()
            height, width = picture.height, picture.width
            small = small_size(height, width, LONGEST)
            scale = np.array([width / small[1], height / small[0]] * 2)
            one = Found(
                picture=picture,
                boxes=torch.from_numpy((cover.boxes * scale).round(DECIMALS)).float(),
                tracks=[before + number for number in cover.tracks],
                hold=not too_small(height, width) and ((hold and cover.unsure) or too_small(*small)),
                index=index,
                confidence=confidence_of(torch.from_numpy(cover.boxes).float(), faces),
            )
            del picture
            yield one
            del one


def _read(
    found: Generator[Found[P], None, None],
    method: Callable[[Tensor], Tensor] | Session,
    enlarge: Callable[[], float],
    together: int,
    guide: Guide,
) -> Generator[Read[P], None, None]:
    """The pictures, `together` of them in one batch, whose faces were read and can be replaced."""
    with closing(found):
        while batch := [guide.marked(one) for one in islice(found, together)]:
            start = perf_counter()
            replace = read_faces(batch, method, enlarge=enlarge())
            yield Read(batch, replace, perf_counter() - start)
            del batch, replace


def _replace(
    read: Generator[Read[P], None, None],
    method: Callable[[Tensor], Tensor] | Session,
    tally: Tally,
    guide: Guide,
) -> Iterator[P]:
    """The pictures with their faces replaced."""
    before = Counter(tally.ways)
    with closing(read):
        for batch, replace, seconds in read:
            start = perf_counter()
            tally.faces += replace()
            del replace
            tally.modification_seconds += seconds + perf_counter() - start
            if isinstance(method, Session):
                tally.ways = dict(before + method.counts)
            while batch:
                one = batch.pop(0)
                tally.frames += 1
                tally.frames_held += one.hold
                tally.left_clear += len(one.clear)
                for watch in guide.watchers:
                    watch(one)
                yield one.picture
                del one

"""Plays frames, a file or a camera through the anonymizing stream in a thread; nothing here draws."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor

from anonlib.anonymizers.frames import anonymize_crops
from anonlib.anonymizers.sessions import enlarge_of, session_of
from anonlib.detection import Faces
from anonlib.errors import AnonlibError
from anonlib.video.picture import ArrayPicture
from anonlib.video.stream import Tally, anonymize_pictures
from anonlib.widgets.footage import Footage, Timed

Clock = Callable[[], float]
WINDOW = 3.0
"""Seconds over which the frame rate is measured; frames come in batches, so less makes it jump."""
LATE = 0.5
"""A delay of more seconds than this is not made up for."""
LEAVE = 15.0
"""Seconds to wait for the thread to end; a camera may hang."""


class Shot(ArrayPicture):
    """A picture in the stream; `before` is the original, kept only on request."""

    def __init__(self, array: NDArray[Any], *, seconds: float, keep: bool) -> None:
        super().__init__(array.copy())
        self.seconds = seconds
        self.before = array.copy() if keep else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The speed of the stream.

    >>> print(Pace(rate=11.96, faces=3, detection=0.0314, modification=0.0082))
    12.0 frames/s, 3.0 faces a frame; a frame takes the detector 31 ms, the faces 8 ms
    """

    rate: float
    """Frames per second."""
    faces: float
    """Faces replaced per frame."""
    detection: float
    """Seconds per frame for detection."""
    modification: float
    """Seconds per frame for cropping, anonymizing and replacing faces."""

    def __str__(self) -> str:
        return (
            f"{self.rate:.1f} frames/s, {self.faces:.1f} faces a frame; a frame takes the detector "
            f"{_milliseconds(self.detection)}, the faces {_milliseconds(self.modification)}"
        )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.0005 else "under 1 ms"


class Meter:
    """Measures the rate over the last 3 seconds, or over the last two frames if they take longer.

    What a frame takes is the mean since `begin`: the detector is asked ahead, and not for every frame.
    """

    def __init__(self, *, clock: Clock = time.perf_counter) -> None:
        self.clock, self.base = clock, Tally()
        self.samples: deque[tuple[float, Tally]] = deque()

    def begin(self, tally: Tally) -> None:
        """Start all measurements anew."""
        self.base = replace(tally)
        self.reset()

    def tick(self, tally: Tally) -> None:
        """Count another finished frame."""
        now = self.clock()
        self.samples.append((now, replace(tally)))
        while len(self.samples) > 2 and self.samples[0][0] < now - WINDOW:
            self.samples.popleft()

    def reset(self) -> None:
        """Start the measurement of the rate anew, after a pause."""
        self.samples.clear()

    def read(self) -> Pace | None:
        """The current pace; None before the second frame."""
        if len(self.samples) < 2:
            return None
        (begin, first), (end, last) = self.samples[0], self.samples[-1]
        frames, seconds = last.frames - first.frames, end - begin
        if frames < 1 or seconds <= 0:
            return None
        base, since = self.base, last.frames - self.base.frames
        return Pace(
            rate=frames / seconds,
            faces=(last.faces - first.faces) / frames,
            detection=(last.detection_seconds - base.detection_seconds) / since,
            modification=(last.modification_seconds - base.modification_seconds) / since,
        )


class _Chosen:
    """The player's anonymizer of the moment as a session, which begins anew when it is exchanged."""

    def __init__(self, player: Player) -> None:
        self.counts: Counter[str] = Counter()
        self._player, self._last = player, player.anonymizer
        self._session = session_of(self._last)

    @property
    def enlarge(self) -> float:
        """That of the anonymizer of the moment."""
        return enlarge_of(self._player.anonymizer)

    def session(self, seed: int | None) -> _Chosen:
        """Itself."""
        return self

    def replace(self, crops: list[Tensor], tracks: list[int], corners: list[tuple[int, int]]) -> list[Tensor]:
        """The crops with their faces replaced, see `anonymizers.Session`."""
        method = self._player.anonymizer
        if method is not self._last:
            self._last, self._session = method, session_of(method)
        if self._session is not None:
            return self._session.replace(crops, tracks, corners)
        return anonymize_crops(crops, method, margins=[(0, 0, 0, 0)] * len(crops))

    def __call__(self, faces: Tensor) -> Tensor:
        """Faces alone, without a session."""
        return self._player.anonymizer(faces)


class Player:
    """Plays, pauses and stops footage; every picture it hands out is anonymized.

    After any error it hands out nothing more. A camera cannot be paused, so `pause` stops it.

    Args:
        footage: played no faster than it was recorded.
        detector: may be replaced during playback by setting `player.detector`.
        anonymizer: may be replaced in the same way; the tracks of the faces continue, and a method
            that draws people draws new ones.
        on_shot: called with every anonymized picture, in the player's thread.
        on_end: called with the error; `""` if the footage ended or was stopped.
        every: frames from one detection to the next; see `restart`.
        repeat: start a file again at its end.
    """

    def __init__(
        self,
        footage: Footage,
        *,
        detector: Callable[[Tensor], list[Faces]],
        anonymizer: Callable[[Tensor], Tensor],
        on_shot: Callable[[Shot], None],
        on_end: Callable[[str], None],
        every: int = 1,
        repeat: bool = True,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.footage, self.detector, self.anonymizer = footage, detector, anonymizer
        self.on_shot, self.on_end, self.every, self.repeat = on_shot, on_end, every, repeat
        self.clock, self.meter, self.tally = clock, Meter(clock=clock), Tally()
        self.keep_before = False
        self._thread: threading.Thread | None = None
        self._stop, self._going = threading.Event(), threading.Event()
        self._again = False

    @property
    def running(self) -> bool:
        """Whether the thread runs, playing or paused."""
        return self._thread is not None

    @property
    def paused(self) -> bool:
        """Whether the thread waits for `play`, or is about to."""
        return self.running and not self._going.is_set()

    def play(self) -> None:
        """Start, or continue after a pause."""
        self._going.set()
        if not self.running:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, name="player", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Pause a file; stop a camera."""
        if self.footage.live:
            self.stop()
        self._going.clear()

    def restart(self, *, every: int) -> None:
        """Start the footage again with another number of frames between detections."""
        self.every, self._again = every, True

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        self._going.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(LEAVE)

    def preview(self, count: int) -> list[Shot]:
        """The first pictures, anonymized, independent of the playback."""
        frames = self.footage.open(threading.Event())
        with closing(frames), closing(self._changed(frames, Tally())) as shots:
            return list(islice(shots, count))

    def _run(self) -> None:
        stop, words = self._stop, ""
        self._again = True
        try:
            while not stop.is_set():
                if self._again:
                    self.meter.begin(self.tally)
                self._again = False
                self._once(stop)
                if not self._again and (self.footage.live or not self.repeat):
                    break
        except (AnonlibError, OSError) as error:
            words = str(error)
        except Exception as error:
            words = f"{type(error).__name__}: {error}"
        self._thread = None
        self.on_end(words)

    def _once(self, stop: threading.Event) -> None:
        """Play from the beginning to the end, or until `stop` or `restart`."""
        begin: float | None = None
        with closing(self.footage.open(stop)) as frames, closing(self._changed(frames, self.tally)) as shots:
            for shot in shots:
                if not self._going.is_set():
                    self._going.wait()
                    self.meter.reset()
                now = self.clock()
                if begin is None or now - begin - shot.seconds > LATE:
                    begin = now - shot.seconds
                early = begin + shot.seconds - now
                if early > 0 and not self.footage.live:
                    stop.wait(early)
                if stop.is_set() or self._again:
                    return
                self.meter.tick(self.tally)
                self.on_shot(shot)

    def _changed(self, frames: Generator[Timed], tally: Tally) -> Generator[Shot]:
        pictures = (Shot(a, seconds=t, keep=self.keep_before) for t, a in frames)
        changed = anonymize_pictures(
            pictures,
            detector=lambda x: self.detector(x),
            anonymizer=_Chosen(self),
            every=self.every,
            live=self.footage.live,
            tally=tally,
        )
        return cast(Generator[Shot], changed)

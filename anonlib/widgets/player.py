"""Plays footage through the stream in a thread of its own; nothing here draws.

>>> meter = Meter(clock=iter([0.0, 0.5, 1.0]).__next__)
>>> for frames in (1, 2, 3):
...     meter.tick(Tally(frames=frames, faces=4 * frames))
>>> meter.read().rate, meter.read().faces
(2.0, 4.0)
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, cast

from numpy.typing import NDArray
from torch import Tensor

from anonlib.detection import Faces
from anonlib.errors import AnonlibError
from anonlib.video.picture import RgbPicture
from anonlib.video.stream import Tally, anonymize_pictures
from anonlib.widgets.footage import Footage, Timed

Clock = Callable[[], float]
WINDOW = 1.0
"""Seconds over which the frame rate is counted."""
LATE = 0.5
"""Seconds behind from which on lost time is not made up for."""
LEAVE = 15.0
"""Seconds to wait for the thread to end; a camera may hang."""


class Shot(RgbPicture):
    """A picture on its way through the stream; `before` is kept only where it is wanted."""

    def __init__(self, array: NDArray[Any], *, seconds: float, keep: bool) -> None:
        super().__init__(array.copy())
        self.seconds = seconds
        self.before = array.copy() if keep else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast the stream runs."""

    rate: float
    """Frames a second."""
    faces: float
    """Faces replaced in a frame."""
    detection: float
    """Seconds a frame in the detector."""
    modification: float
    """Seconds a frame cutting, anonymizing and replacing faces."""


class Meter:
    """Counts over the last second, or over the last two frames where they take longer."""

    def __init__(self, *, clock: Clock = time.perf_counter, window: float = WINDOW) -> None:
        self.clock, self.window = clock, window
        self.samples: deque[tuple[float, Tally]] = deque()

    def tick(self, tally: Tally) -> None:
        """Another frame has come out."""
        now = self.clock()
        self.samples.append((now, replace(tally)))
        while len(self.samples) > 2 and self.samples[0][0] < now - self.window:
            self.samples.popleft()

    def reset(self) -> None:
        """What is seen next has nothing to do with what was."""
        self.samples.clear()

    def read(self) -> Pace | None:
        """The pace; None before the second frame."""
        if len(self.samples) < 2:
            return None
        (begin, first), (end, last) = self.samples[0], self.samples[-1]
        frames, seconds = last.frames - first.frames, end - begin
        if frames < 1 or seconds <= 0:
            return None
        return Pace(
            rate=frames / seconds,
            faces=(last.faces - first.faces) / frames,
            detection=(last.detection_seconds - first.detection_seconds) / frames,
            modification=(last.modification_seconds - first.modification_seconds) / frames,
        )


class Player:
    """Footage, played, paused and stopped; every picture that comes out is anonymized.

    If anything fails, nothing more comes out and `on_end` is told why. Files begin again at their
    end. A camera cannot wait: to pause it is to stop it.
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
        """Starts nothing.

        Args:
            footage: what is played, no faster than it was taken.
            detector: asked through this object, so that `player.detector` may be exchanged.
            anonymizer: likewise; faces that are followed stay followed.
            on_shot: told of every anonymized picture, in the player's thread.
            on_end: told why it ended, `""` if the footage was over or it was stopped.
            every: frames from one detection to the next; see `restart`.
            repeat: whether a file begins again at its end.
            clock: seconds.
        """
        self.footage, self.detector, self.anonymizer = footage, detector, anonymizer
        self.on_shot, self.on_end, self.every, self.repeat = on_shot, on_end, every, repeat
        self.clock, self.meter, self.tally = clock, Meter(clock=clock), Tally()
        self.keep_before = False
        self._thread: threading.Thread | None = None
        self._stop, self._going = threading.Event(), threading.Event()
        self._again = False

    @property
    def running(self) -> bool:
        """Whether the thread is there, playing or paused."""
        return self._thread is not None

    def play(self) -> None:
        """Begins, or goes on after a pause."""
        self._going.set()
        if not self.running:
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._run, name="player", daemon=True)
            self._thread.start()

    def pause(self) -> None:
        """Holds a file where it is; stops a camera."""
        if self.footage.live:
            self.stop()
        self._going.clear()

    def restart(self, *, every: int) -> None:
        """Begins the footage again with another number of frames between detections."""
        self.every, self._again = every, True

    def stop(self) -> None:
        """Ends the thread."""
        self._stop.set()
        self._going.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(LEAVE)

    def preview(self, count: int) -> list[Shot]:
        """The first pictures, anonymized, whatever is played meanwhile."""
        frames = self.footage.open(threading.Event())
        with closing(frames), closing(self._changed(frames, Tally())) as shots:
            return list(islice(shots, count))

    def _run(self) -> None:
        stop, words = self._stop, ""
        try:
            while not stop.is_set():
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
        """From the beginning to the end, or until it is stopped or begun again."""
        self.meter.reset()
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
            anonymizer=lambda x: self.anonymizer(x),
            every=self.every,
            live=self.footage.live,
            tally=tally,
        )
        return cast(Generator[Shot], changed)

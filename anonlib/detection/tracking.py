"""Tracks faces from frame to frame, and hides each one until it has clearly left.

Every frame is pushed in. The boxes to hide in it come out some frames later, when later frames can
no longer change them; or at once, if `live`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from anonlib.detection.faces import Faces
from anonlib.detection.likeness import Levels, clear_cells, find_patches, sample_cells
from anonlib.detection.track import (
    Array,
    Cover,
    Kind,
    Spot,
    Track,
    apart,
    associate,
    centre_and_size,
    detections,
    inside_detected,
    overlap,
)

LOOK_BACK = 5
"""Number of earlier frames in which a new face is searched, before the last detector run, and in which it is
hidden, before it appears."""
NEAR, FAR = 4, 8
"""How far to search for a face, in cells of 1/16 of its box: if it was located in the frame before, and if it
was not."""
ALIKE = {NEAR: 0.5, FAR: 0.6}
"""Smallest likeness of a match, see `likeness.find_patches`."""
SAME = 0.5
"""Smallest intersection over union of two boxes on one face."""
PATCH_RATE = {Kind.DETECTED: 0.7, Kind.MATCHED: 0.1}
"""Weight of the new frame in the moving average of what a face looks like."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """The input of the tracker for one frame, which was scaled down."""

    levels: Levels
    """Brightness of the small frame, see `likeness.grey_levels`."""
    faces: Faces | None
    """The detections, in pixels of the small frame; None if the detector did not run."""
    cut: bool = False
    """Whether a new scene may begin here; the detector must have run then."""


class Tracker:
    """Tracks every face that was detected once.

    Detections are assigned to tracks by the Hungarian method on overlap and distance. Those with a
    score below `start` continue tracks but never start one (ByteTrack). In a frame without
    a detection, a track moves to the place that looks most like the face. If no place does, it
    continues with falling speed and its box grows. A new face is also tracked backwards through
    the frames that are still held, and hidden in the `LOOK_BACK` frames before the first one in which
    it is recognised, up to a cut, or to the last one in which the detector ran, if that is earlier.

    A face stays hidden until one of these shows that it has left:

    - its grown box lies outside the frame;
    - for max(`patience`, `6 * every`) frames it was neither detected nor matched. While it is
      matched it stays hidden without limit;
    - a cut was suspected, and it was not matched near its place for `LOOK_BACK` frames. The face
      is then not hidden in these frames either, except in live mode.

    Known limit: if a face that was never detected covers part of a detected face, the track may follow
    the nearer face. The farther face is then visible until it is detected again.

    Differs from the paper: all of it. The demo of Ren et al. treats each frame by itself.
    """

    def __init__(self, *, every: int = 1, live: bool = False, patience: int = 30, start: float = 0.5) -> None:
        """Starts without faces.

        Args:
            every: frames from one detection to the next.
            live: whether boxes come out at once, by prediction alone.
            patience: frames for which a face that is not located stays hidden.
            start: smallest score of a detection that starts a track.
        """
        self.every, self.start = every, start
        self.patience = max(patience, 6 * every)
        self.lookahead = 0 if live else every + LOOK_BACK
        self.tracks: list[Track] = []
        self.gone: list[Track] = []
        """Ended tracks that still cover frames not yet returned."""
        self.started = 0
        self.observations: dict[int, Observation] = {}
        self.time = -1
        self.shown = -1

    def push(self, observation: Observation) -> list[Cover]:
        """Takes the next frame; returns the cover of the frame that is now final, if any.

        Raises:
            NumericError: the detector returned NaN or infinity.
        """
        self._end_at_new_size(observation)
        self.time += 1
        self.observations[self.time] = observation
        for track in self.tracks:
            track.predict(self.time)
        if observation.cut:
            self._doubt()
        boxes, scores = detections(observation.faces)
        taken = self._associate(boxes, scores)
        self._follow([t for t in self.tracks if self.time not in t.path])
        self._end()
        self._begin(boxes[~taken & (scores >= self.start)])
        self._remember()
        return self._show(self.time - self.lookahead)

    def flush(self) -> list[Cover]:
        """The covers of the remaining frames, at the end of the video."""
        return self._show(self.time)

    def _end_at_new_size(self, observation: Observation) -> None:
        """Ends all tracks if the size of the frames changes: old places mean nothing then."""
        last = self.observations.get(self.time)
        if last is not None and last.levels[0].shape != observation.levels[0].shape:
            self.gone += self.tracks
            self.tracks = []

    def _doubt(self) -> None:
        """Matches all tracks again after a suspected cut, and doubts those that do not match."""
        for track in self.tracks:
            if track.doubted_since is None:
                track.doubted_since = self.time
        self._follow(self.tracks)

    def _associate(self, boxes: Array, scores: Array) -> Array:
        """Assigns detections to tracks, high scores first; `(n,)` whether each was assigned."""
        taken = np.zeros(len(boxes), dtype=bool)
        for sure in (True, False):
            free = [t for t in self.tracks if t.doubted_since is None and not self._detected(t)]
            candidates = np.flatnonzero(~taken & ((scores >= self.start) == sure))
            if not free or not len(candidates):
                continue
            expected = np.stack([t.box() for t in free])
            lost_for = np.array([self.time - t.last_located for t in free])
            for row, column in associate(expected, lost_for, boxes[candidates]):
                index = candidates[column]
                if self._agrees(free[row], boxes[index]):
                    free[row].place(self.time, *centre_and_size(boxes[index]))
                    taken[index] = True
        return taken

    def _agrees(self, track: Track, box: Array) -> bool:
        """Whether a detection is at the expected place or looks like the face."""
        if overlap(track.box()[None], box[None])[0, 0] >= SAME:
            return True
        levels, place = self.observations[self.time].levels, torch.from_numpy(box)[None]
        _, alike = find_patches(levels, place, track.patch[None], track.weight[None], NEAR)
        return bool(alike[0] >= ALIKE[NEAR])

    def _detected(self, track: Track) -> bool:
        return track.last_detected == self.time and self.time in track.path

    def _follow(self, tracks: list[Track]) -> None:
        """Places tracks without a detection: at the best match, or else at the prediction."""
        found: list[tuple[float, Track, Array]] = []
        for margin in (NEAR, FAR):
            mine = [t for t in tracks if self._margin(t) == margin]
            shifts, alike = self._search(mine, self.time, margin)
            found += list(zip(alike, mine, shifts, strict=True))
        occupied = [t.box() for t in self.tracks if self._detected(t)]
        # Of two tracks on one face, the one that was detected last keeps it.
        for likeness, track, shift in sorted(found, key=lambda f: (-f[1].last_detected, -f[0])):
            box = track.box() + np.tile(shift, 2)
            free = not occupied or overlap(box[None], np.stack(occupied)).max() < SAME
            if likeness >= ALIKE[self._margin(track)] and free:
                occupied.append(box)
                track.place(self.time, track.centre + shift, Kind.MATCHED)
                track.doubted_since = None
            else:
                track.place(self.time, track.centre, Kind.PREDICTED)

    def _margin(self, track: Track) -> int:
        fresh = track.last_located == self.time - 1 and track.doubted_since is None
        return NEAR if fresh else FAR

    def _search(self, tracks: list[Track], time: int, margin: int) -> tuple[Array, Array]:
        """Shifts `(n, 2)` to the best matches of the faces, and their likeness `(n,)`."""
        if not tracks:
            return np.zeros((0, 2)), np.zeros(0)
        boxes = torch.from_numpy(np.stack([t.box() for t in tracks]))
        patches = torch.stack([t.patch for t in tracks])
        weights = torch.stack([t.weight for t in tracks])
        shifts, alike = find_patches(self.observations[time].levels, boxes, patches, weights, margin)
        return shifts.numpy(), alike.numpy()

    def _remember(self) -> None:
        """Updates the patches of located faces by a moving average, where no other box hides them."""
        located = [t for t in self.tracks if t.path[self.time].kind != Kind.PREDICTED]
        if not located:
            return
        boxes = torch.from_numpy(np.stack([t.box() for t in located]))
        others = torch.from_numpy(np.stack([t.box() for t in self.tracks]))
        patches, _ = sample_cells(self.observations[self.time].levels, boxes)
        for track, patch, clear in zip(located, patches, clear_cells(boxes, others), strict=True):
            rate = PATCH_RATE[track.path[self.time].kind]
            share = torch.where(track.weight > 0, rate, 1.0) * clear
            track.patch = (1 - share) * track.patch + share * patch
            track.weight = torch.maximum(track.weight, clear)

    def _end(self) -> None:
        """Ends the tracks of the faces that have clearly left."""
        for track in list(self.tracks):
            doubted = track.doubted_since
            if doubted is not None and self.time - doubted >= LOOK_BACK:
                track.path = {t: s for t, s in track.path.items() if t < doubted}
            elif self.time - track.last_located <= self.patience and not self._outside(track):
                continue
            self.tracks.remove(track)
            self.gone.append(track)

    def _outside(self, track: Track) -> bool:
        """Whether both the expected and the grown box lie outside the frame."""
        height, width = self.observations[self.time].levels[0].shape
        return apart(track.box(), height, width) and apart(track.smooth_box(self.time), height, width)

    def _begin(self, boxes: Array) -> None:
        """Starts tracks, and tracks the new faces backwards through the frames not yet returned."""
        if not len(boxes):
            return
        places = torch.from_numpy(boxes)
        others = torch.from_numpy(np.concatenate([boxes, *[t.box()[None] for t in self.tracks]]))
        patches, _ = sample_cells(self.observations[self.time].levels, places)
        for box, patch, clear in zip(boxes, patches, clear_cells(places, others), strict=True):
            track = Track(number=self.started, patch=patch, weight=clear, last_located=self.time)
            self.started += 1
            track.place(self.time, *centre_and_size(box))
            self._look_back(track)
            self.tracks.append(track)

    def _look_back(self, track: Track) -> None:
        """Adds earlier places of a new face: where it matches, and up to `LOOK_BACK` frames before.

        People turn round: the detector and the match may miss a face that can be recognised already.
        """
        now, asked, lost = track.centre, False, 0
        for time in range(self.time - 1, self.shown, -1):
            before, after = self.observations[time], self.observations[time + 1]
            if before.levels[0].shape != after.levels[0].shape:
                break
            shifts, alike = self._search([track], time, FAR)
            found = bool(alike[0] >= ALIKE[FAR])
            if not found and (after.cut or (asked and lost >= LOOK_BACK)):
                break
            if found:
                track.centre = track.centre + shifts[0]
                track.speed = (now - track.centre) / (self.time - time)
            else:
                track.centre = track.centre - track.speed
            lost = 0 if found else lost + 1
            kind = Kind.MATCHED if found else Kind.PREDICTED
            track.path[time] = Spot(track.centre, track.size, kind)
            asked |= before.faces is not None
        track.centre = now

    def _show(self, until: int) -> list[Cover]:
        """The covers of all frames up to this one that were not shown before."""
        covers = []
        while self.shown < until:
            self.shown += 1
            covers.append(self._cover(self.shown))
            for track in self.tracks + self.gone:
                track.settle(self.shown)
            self.observations.pop(self.shown - 1, None)
        self.gone = [t for t in self.gone if max(t.path, default=-1) > self.shown]
        return covers

    def _cover(self, time: int) -> Cover:
        tracks = [t for t in self.tracks + self.gone if time in t.path]
        tracks.sort(key=lambda t: -t.path[time].kind)
        kinds = np.array([t.path[time].kind for t in tracks])
        boxes = np.array([t.smooth_box(time) for t in tracks]).reshape(-1, 4)
        asked = self.observations[time].faces is not None
        needed = ~inside_detected(boxes, kinds)
        return Cover(
            boxes=boxes[needed],
            tracks=[t.number for t, shown in zip(tracks, needed, strict=True) if shown],
            bridged=int((kinds != Kind.DETECTED).sum()) if asked else 0,
            unsure=any(t.unsure(time) for t in tracks),
        )

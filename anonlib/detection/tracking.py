"""Faces followed from picture to picture, and hidden until they have clearly left.

Every picture is pushed in; the boxes to hide come out some pictures later, when what follows can
no longer change them (at once, if `live`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from anonlib.detection.likeness import Levels, clear_cells, find_patches, sample_cells
from anonlib.detection.mtcnn import Faces
from anonlib.detection.track import Array, Kind, Spot, Track, associate, overlap, remember
from anonlib.errors import NumericError

LOOK_BACK = 5
"""Pictures beyond the last detection over which a new face is followed backwards."""
NEAR, FAR = 4, 8
"""Cells, 16 to a face, looked around for a face found a picture ago, and for one lost."""
ALIKE = {NEAR: 0.5, FAR: 0.6}
"""Likeness from which a place is the face's, see `likeness.find_patches`."""
SAME = 0.5
"""Intersection over union from which two boxes hold one face."""
PATCH_RATE = {Kind.SEEN: 0.7, Kind.FOUND: 0.1}
"""Share of the new picture in what is remembered of a face."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """What is known of one picture before its faces are followed."""

    levels: Levels
    """Brightness of the small picture, see `likeness.grey_levels`."""
    faces: Faces | None
    """What the detector saw, in pixels of the small picture; None where it was not asked."""
    cut: bool = False
    """Whether a new scene may begin here, see `cuts`; the detector must have been asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """What must be hidden in one picture."""

    boxes: Array
    """`(n, 4)` xyxy pixels of the small picture, the least sure first, not enlarged."""
    bridged: int
    """Boxes that the detector was asked about and did not see."""
    unsure: bool
    """Whether a place is a guess that neither the detector, nor the picture, nor what follows
    within the look-ahead confirms."""


class Tracker:
    """Follows every face that the detector saw once.

    A detection is joined to the track it overlaps best (Hungarian assignment on overlap and
    distance); those below `start` continue tracks and never start one (ByteTrack). Between
    detections, and where one is missing, the box follows the place that looks most like the
    face, or else goes on at a falling speed and grows. A new face is followed backwards through
    the pictures still held, at least to the last one the detector was asked about.

    A face has clearly left when one of these holds, and is hidden until then:

    - its box, grown by what is not known, is wholly outside the picture;
    - for `patience` pictures, and `6 * every`, neither did the detector see it nor did the
      picture near its place look like it. While it looks like it, the face is hidden for ever;
    - a cut was suspected, and within `LOOK_BACK` pictures no place near looks like it. Those
      pictures are not covered then, unless live.

    One face may be shown although it was seen: if it is seen while another, which the detector
    has never seen, covers a part of it, the picture of both is taken for the face. Until the
    detector sees it again the track may stay with the nearer one.

    Implements the tracking that Ren et al. leave to the detector: their demo treats each frame by
    itself. Differs from the paper: all of it.
    """

    def __init__(self, *, every: int = 1, live: bool = False, patience: int = 30, start: float = 0.5) -> None:
        """Starts without faces.

        Args:
            every: pictures from one detection to the next.
            live: whether boxes come out at once, by prediction alone.
            patience: pictures for which a face that cannot be found stays hidden.
            start: least score of a detection that starts a track.
        """
        self.every, self.start = every, start
        self.patience = max(patience, 6 * every)
        self.lookahead = 0 if live else every + LOOK_BACK
        self.tracks: list[Track] = []
        self.gone: list[Track] = []
        self.started = 0
        self.glimpses: dict[int, Glimpse] = {}
        self.time = -1
        self.shown = -1

    def push(self, glimpse: Glimpse) -> list[Cover]:
        """Takes the next picture; returns what has become certain, at most one, in order.

        Raises:
            NumericError: the detector returned NaN or infinity.
        """
        self._new_shape(glimpse)
        self.time += 1
        self.glimpses[self.time] = glimpse
        for track in self.tracks:
            track.predict(self.time)
        if glimpse.cut:
            self._doubt()
        boxes, scores = _detections(glimpse.faces)
        taken = self._associate(boxes, scores)
        self._follow([t for t in self.tracks if self.time not in t.path])
        self._part()
        self._begin(boxes[~taken & (scores >= self.start)])
        self._remember()
        return self._show(self.time - self.lookahead)

    def flush(self) -> list[Cover]:
        """What is left at the end of the video, in order."""
        return self._show(self.time)

    def _new_shape(self, glimpse: Glimpse) -> None:
        """Where pictures change their size no place is what it was."""
        last = self.glimpses.get(self.time)
        if last is not None and last.levels[0].shape != glimpse.levels[0].shape:
            self.gone += self.tracks
            self.tracks = []

    def _doubt(self) -> None:
        """At a suspected cut no face is where it was unless the picture says so."""
        for track in self.tracks:
            if track.doubted_since is None:
                track.doubted_since = self.time
        self._follow(self.tracks)

    def _associate(self, boxes: Array, scores: Array) -> Array:
        """Joins detections to tracks, the sure ones first; `(n,)` whether each was joined."""
        taken = np.zeros(len(boxes), dtype=bool)
        for sure in (True, False):
            free = [t for t in self.tracks if t.doubted_since is None and not self._seen(t)]
            candidates = np.flatnonzero(~taken & ((scores >= self.start) == sure))
            if not free or not len(candidates):
                continue
            expected = np.stack([t.box() for t in free])
            lost_for = np.array([self.time - t.last_found for t in free])
            for row, column in associate(expected, lost_for, boxes[candidates]):
                joined = candidates[column]
                if self._agrees(free[row], boxes[joined]):
                    free[row].place(self.time, *_centre_and_size(boxes[joined]))
                    taken[joined] = True
        return taken

    def _agrees(self, track: Track, box: Array) -> bool:
        """Whether a detection is where the face must be, or else looks like it."""
        if overlap(track.box()[None], box[None])[0, 0] >= SAME:
            return True
        levels, place = self.glimpses[self.time].levels, torch.from_numpy(box)[None]
        _, alike = find_patches(levels, place, track.patch[None], track.weight[None], NEAR)
        return bool(alike[0] >= ALIKE[NEAR])

    def _seen(self, track: Track) -> bool:
        return track.last_seen == self.time and self.time in track.path

    def _follow(self, tracks: list[Track]) -> None:
        """Looks for the faces that the detector did not see; guesses where they are not found."""
        found: list[tuple[float, Track, Array]] = []
        for margin in (NEAR, FAR):
            mine = [t for t in tracks if self._margin(t) == margin]
            shifts, alike = self._search(mine, self.time, margin)
            found += list(zip(alike, mine, shifts, strict=True))
        occupied = [t.box() for t in self.tracks if self._seen(t)]
        # The one seen last comes first: of two tracks on one face, the other must go.
        for likeness, track, shift in sorted(found, key=lambda f: (-f[1].last_seen, -f[0])):
            box = track.box() + np.tile(shift, 2)
            free = not occupied or overlap(box[None], np.stack(occupied)).max() < SAME
            if likeness >= ALIKE[self._margin(track)] and free:
                occupied.append(box)
                track.place(self.time, track.centre + shift, Kind.FOUND)
                track.doubted_since = None
            else:
                track.place(self.time, track.centre, Kind.GUESSED)

    def _margin(self, track: Track) -> int:
        fresh = track.last_found == self.time - 1 and track.doubted_since is None
        return NEAR if fresh else FAR

    def _search(self, tracks: list[Track], time: int, margin: int) -> tuple[Array, Array]:
        """Shifts `(n, 2)` to the places most like the faces, and their likeness `(n,)`."""
        if not tracks:
            return np.zeros((0, 2)), np.zeros(0)
        boxes = torch.from_numpy(np.stack([t.box() for t in tracks]))
        patches = torch.stack([t.patch for t in tracks])
        weights = torch.stack([t.weight for t in tracks])
        shifts, alike = find_patches(self.glimpses[time].levels, boxes, patches, weights, margin)
        return shifts.numpy(), alike.numpy()

    def _remember(self) -> None:
        """Keeps what the faces look like now, but for what another may hide."""
        known = [t for t in self.tracks if t.path[self.time].kind != Kind.GUESSED]
        if not known:
            return
        boxes = torch.from_numpy(np.stack([t.box() for t in known]))
        others = torch.from_numpy(np.stack([t.box() for t in self.tracks]))
        patches, _ = sample_cells(self.glimpses[self.time].levels, boxes)
        rates = torch.tensor([PATCH_RATE[t.path[self.time].kind] for t in known])
        remember(known, patches, clear_cells(boxes, others), rates)

    def _part(self) -> None:
        """Ends the tracks of the faces that have clearly left."""
        for track in list(self.tracks):
            doubted = track.doubted_since
            if doubted is not None and self.time - doubted >= LOOK_BACK:
                track.path = {t: s for t, s in track.path.items() if t < doubted}
            elif self.time - track.last_found <= self.patience and not self._outside(track):
                continue
            self.tracks.remove(track)
            self.gone.append(track)

    def _outside(self, track: Track) -> bool:
        height, width = self.glimpses[self.time].levels[0].shape
        return _apart(track.box(), height, width) and _apart(track.smooth_box(self.time), height, width)

    def _begin(self, boxes: Array) -> None:
        """New faces, followed backwards through the pictures not yet shown."""
        if not len(boxes):
            return
        places = torch.from_numpy(boxes)
        others = torch.from_numpy(np.concatenate([boxes, *[t.box()[None] for t in self.tracks]]))
        patches, _ = sample_cells(self.glimpses[self.time].levels, places)
        for box, patch, clear in zip(boxes, patches, clear_cells(places, others), strict=True):
            track = Track(patch=patch, weight=clear, last_found=self.time)
            track.place(self.time, *_centre_and_size(box))
            self._look_back(track)
            self.tracks.append(track)
        self.started += len(boxes)

    def _look_back(self, track: Track) -> None:
        """Adds where the face was before: while it is found, and where nobody looked for it."""
        now, asked = track.centre, False
        for time in range(self.time - 1, self.shown, -1):
            before, after = self.glimpses[time], self.glimpses[time + 1]
            if before.levels[0].shape != after.levels[0].shape:
                break
            shifts, alike = self._search([track], time, FAR)
            found = bool(alike[0] >= ALIKE[FAR])
            if not found and (asked or after.cut):
                break
            if found:
                track.centre = track.centre + shifts[0]
                track.speed = (now - track.centre) / (self.time - time)
            track.path[time] = Spot(track.centre, track.size, Kind.FOUND if found else Kind.GUESSED)
            asked |= before.faces is not None
        track.centre = now

    def _show(self, until: int) -> list[Cover]:
        """Settles the pictures up to this one."""
        covers = []
        while self.shown < until:
            self.shown += 1
            covers.append(self._cover(self.shown))
            for track in self.tracks + self.gone:
                track.settle(self.shown)
            self.glimpses.pop(self.shown - 1, None)
        self.gone = [t for t in self.gone if max(t.path, default=-1) > self.shown]
        return covers

    def _cover(self, time: int) -> Cover:
        tracks = [t for t in self.tracks + self.gone if time in t.path]
        tracks.sort(key=lambda t: -t.path[time].kind)
        kinds = np.array([t.path[time].kind for t in tracks])
        boxes = np.array([t.smooth_box(time) for t in tracks]).reshape(-1, 4)
        asked = self.glimpses[time].faces is not None
        return Cover(
            boxes=boxes[~_inside_seen(boxes, kinds)],
            bridged=int((kinds != Kind.SEEN).sum()) if asked else 0,
            unsure=any(t.unsure(time) for t in tracks),
        )


def _detections(faces: Faces | None) -> tuple[Array, Array]:
    """Boxes `(n, 4)` of a pixel or more a side, and scores `(n,)`."""
    if faces is None:
        return np.zeros((0, 4)), np.zeros(0)
    boxes = faces.boxes.detach().cpu().double().reshape(-1, 4).numpy().copy()
    scores = faces.scores.detach().cpu().double().numpy()
    if not (np.isfinite(boxes).all() and np.isfinite(scores).all()):
        raise NumericError("the detector returned NaN or infinity: its weights are damaged")
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes, scores


def _centre_and_size(box: Array) -> tuple[Array, Kind, Array]:
    return (box[:2] + box[2:]) / 2, Kind.SEEN, box[2:] - box[:2]


def _apart(box: Array, height: int, width: int) -> bool:
    return bool(box[2] <= 0 or box[3] <= 0 or box[0] >= width or box[1] >= height)


def _inside_seen(boxes: Array, kinds: Array) -> Array:
    """`(n,)` whether a box that was not seen lies inside one that was: it hides nothing more."""
    low = (boxes[:, None, :2] >= boxes[None, :, :2]).all(axis=2)
    high = (boxes[:, None, 2:] <= boxes[None, :, 2:]).all(axis=2)
    return (kinds != Kind.SEEN) & (low & high & (kinds == Kind.SEEN)).any(axis=1)

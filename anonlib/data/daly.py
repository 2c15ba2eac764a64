"""DALY: ten daily actions in 510 YouTube videos; its annotations, splits and boxed keyframes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from anonlib.data.images import DetectFaces, action_frames, read_frames, spread
from anonlib.data.pickles import load_pickle
from anonlib.errors import ActionDatasetError
from anonlib.types import ACTIONS, ActionFrames

LABELS = (
    "ApplyingMakeUpOnLips",
    "BrushingTeeth",
    "CleaningFloor",
    "CleaningWindows",
    "Drinking",
    "FoldingTextile",
    "Ironing",
    "Phoning",
    "PlayingHarmonica",
    "TakingPhotosOrVideos",
)
"""DALY's names of the actions, in the order of `ACTIONS` and of the paper's Table 1."""
FLAGS = ("isSmall", "isReflection", "isShotcut", "isZoom", "isAmbiguous", "isOccluded", "isOutsideFOV")
"""What DALY notes about an instance of an action."""
SLACK = 0.05
"""How far a box may reach beyond the frame, as a share of its side; the box is cut there."""
ANNOTATIONS = ("daly1.1.0.pkl", "annotations/daly1.1.0.pkl")
FOLDERS = ("frames", "DALY_frames", "videos", "DALY_videos", "")
"""Where the frames or the file of a video may lie, below DALY's root."""
_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi")
_SEE = "see data/README.md#daly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """One box in one frame of one instance of an action."""

    video: str
    """Name of the video, such as `r5PgP20uu2I.mp4`."""
    action: str
    """One of `ACTIONS`."""
    frame: int
    """Number of the frame, from 1."""
    box: tuple[float, float, float, float]
    """xyxy as shares of width and height, in [0, 1]."""
    flags: frozenset[str]
    """The `FLAGS` that hold for the instance."""


class DALY:
    """Videos, splits and keyframes below a root.

    `ROOT/daly1.1.0.pkl` (or in `annotations/`), and `ROOT/videos/ID.mp4` or frames as
    `ROOT/frames/ID.mp4/frame000001.jpg`, numbered from 1 as ffmpeg does.

    Differs from the paper: the paper does not say which frames of DALY it uses; we use the keyframes,
    the only frames with boxes.
    """

    def __init__(self, root: str | Path) -> None:
        """Reads the annotations. No video is opened.

        Raises:
            ActionDatasetError: the annotations are missing or laid out differently, a box lies outside of
                its frame, or a keyframe after the end of its video.
            DatasetError: as in `load_pickle`.
        """
        self.root = Path(root)
        path = next((self.root / name for name in ANNOTATIONS if (self.root / name).is_file()), None)
        if path is None:
            raise ActionDatasetError(
                f"DALY root '{root}' holds no {ANNOTATIONS[0]}: fetch the annotations, {_SEE}"
            )
        content = load_pickle(path)
        try:
            self._read(content)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raise ActionDatasetError(
                f"'{path}' is not laid out as DALY 1.1.0 ({type(error).__name__}: {error}): fetch the "
                f"annotations again, {_SEE}"
            ) from error

    def _read(self, content: Any) -> None:
        if tuple(content["labels"]) != LABELS:
            raise ValueError("labels are not DALY's ten")
        self.videos: tuple[str, ...] = tuple(sorted(content["annot"]))
        self._test = frozenset(content["splits"][0])
        if unknown := sorted(self._test - set(self.videos)):
            raise ValueError(f"splits name '{unknown[0]}', which has no annotation")
        self._rate = {video: float(content["metadata"][video]["fps"]) for video in self.videos}
        self._keyframes = {}
        for video in self.videos:
            found = _keyframes(video, content["annot"][video]["annot"], content["metadata"][video])
            self._keyframes[video] = sorted(found, key=lambda keyframe: keyframe.frame)

    def split(self) -> tuple[list[str], list[str]]:
        """Names of the training and the test videos: 310 and 200 in DALY 1.1.0."""
        train = [video for video in self.videos if video not in self._test]
        return train, sorted(self._test)

    def keyframes(
        self, videos: Iterable[str] | None = None, *, without: Collection[str] = ()
    ) -> list[Keyframe]:
        """Keyframes of videos, or of all, by video and frame; leaves out instances with a flag of `without`.

        Raises:
            ActionDatasetError: a video has no annotation, or a flag is unknown.
        """
        if unknown := sorted(set(without) - set(FLAGS)):
            raise ActionDatasetError(f"flag '{unknown[0]}' is unknown: use {', '.join(FLAGS)}")
        chosen: list[Keyframe] = []
        for video in self.videos if videos is None else videos:
            if video not in self._keyframes:
                raise ActionDatasetError(
                    f"video '{video}' has no annotation in '{self.root}': use one of its {len(self.videos)} "
                    f"videos, {_SEE}"
                )
            chosen += (k for k in self._keyframes[video] if k.flags.isdisjoint(without))
        return chosen

    def load(
        self,
        videos: Sequence[str] | None = None,
        *,
        size: tuple[int, int],
        frames: int | None = None,
        without: Collection[str] = (),
        detect: DetectFaces | None = None,
        progress: bool = True,
    ) -> ActionFrames:
        """Keyframes stretched to `size`, height and width, with their boxes, actions and faces.

        A frame has a box for each instance in it that has no flag of `without`. `frames` limits the keyframes
        of a video, see `spread`: all of them at 600x800 pixels fill tens of gigabytes. Without `detect` there
        are no faces. A clip's number is the position of its video in `videos`.

        Raises:
            ActionDatasetError: a video is missing, damaged or too short, has no annotation, or no keyframe
                remains.
        """
        names = list(self.videos if videos is None else videos)
        images, boxes, labels, clips = [], [], [], []
        sides = torch.tensor([size[1], size[0], size[1], size[0]])
        for number, name in enumerate(tqdm(names, desc="DALY", unit="video", disable=not progress)):
            keyframes = self.keyframes([name], without=without)
            found = {frame: list(same) for frame, same in groupby(keyframes, key=lambda k: k.frame)}
            if not found:
                continue
            chosen = spread(list(found), frames)
            source = find_frames(self.root, name)
            images.append(read_frames(source, chosen, rate=self._rate[name], size=size))
            boxes += [torch.tensor([k.box for k in found[frame]]) * sides for frame in chosen]
            labels += [torch.tensor([ACTIONS.index(k.action) for k in found[frame]]) for frame in chosen]
            clips += [number] * len(chosen)
        if not images:
            raise ActionDatasetError(
                f"DALY root '{self.root}': no keyframe remains in {len(names)} videos without "
                f"{', '.join(without) or 'flags'}; leave out fewer"
            )
        return action_frames(images, boxes=boxes, labels=labels, clips=clips, detect=detect)


def find_frames(root: Path, video: str) -> Path:
    """The folder with a video's frames, or its file; raises an ActionDatasetError if there is neither."""
    stem = Path(video).stem
    names = (video, stem, *(stem + suffix for suffix in _SUFFIXES))
    for path in (root / folder / name for folder in FOLDERS for name in names):
        if path.exists():
            return path
    raise ActionDatasetError(
        f"DALY root '{root}' lacks the video '{video}': put it into videos/, or its frames into "
        f"frames/{video}/; DALY's authors keep copies of what YouTube lost, {_SEE}"
    )


def _keyframes(video: str, annotation: Any, metadata: Any) -> Iterator[Keyframe]:
    count = int(metadata["nbframes_ffmpeg"])
    for label, instances in annotation.items():
        action = ACTIONS[LABELS.index(label)]
        for instance in instances:
            flags = frozenset(flag for flag in FLAGS if instance["flags"][flag])
            for keyframe in instance["keyframes"]:
                frame = int(keyframe["frameNumber"])
                if not 1 <= frame <= count:
                    raise ActionDatasetError(
                        f"DALY video '{video}' has {count} frames and a keyframe {frame}: fetch the "
                        f"annotations again, {_SEE}"
                    )
                for row in np.asarray(keyframe["boundingBox"], dtype=np.float64).reshape(-1, 4).tolist():
                    box = _box(video, frame, row)
                    yield Keyframe(video=video, action=action, frame=frame, flags=flags, box=box)


def _box(video: str, frame: int, box: Sequence[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in box)
    inside = all(-SLACK <= side <= 1 + SLACK for side in box)
    if not inside or not (x1 < x2 and y1 < y2):
        raise ActionDatasetError(
            f"DALY video '{video}', frame {frame}: box {[round(side, 4) for side in box]} is empty or "
            f"outside of 0 to 1; fetch the annotations again, {_SEE}"
        )
    return x1, y1, x2, y2

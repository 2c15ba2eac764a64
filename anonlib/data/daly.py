"""DALY: ten daily actions in 510 YouTube videos, boxed at keyframes; its annotations and splits."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.data.pickles import load_pickle
from anonlib.errors import ActionDatasetError
from anonlib.types import ACTIONS, ActionFrames

if TYPE_CHECKING:
    from anonlib.data.jhmdb import DetectFaces
import re
from typing import TYPE_CHECKING

from torch.nn import functional as F

from anonlib.data.images import read_image

if TYPE_CHECKING:
    from av.container import InputContainer


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
"""DALY's names of the actions, in the order of `ACTIONS`, which is that of the paper's Table 1."""
FLAGS = ("isSmall", "isReflection", "isShotcut", "isZoom", "isAmbiguous", "isOccluded", "isOutsideFOV")
"""What DALY notes of an instance of an action."""
SLACK = 0.05
"""How far a box may reach beyond the picture, in shares of its side; it is cut there."""
ANNOTATIONS = ("daly1.1.0.pkl", "annotations/daly1.1.0.pkl")
_SEE = "see data/README.md#daly"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """One boxed frame of one instance of an action."""

    video: str
    """Name of the video, such as `r5PgP20uu2I.mp4`."""
    action: str
    """One of `ACTIONS`."""
    frame: int
    """Number of the frame, from 1."""
    box: tuple[float, float, float, float]
    """xyxy in shares of width and height, in [0, 1]."""
    flags: frozenset[str]
    """Those of `FLAGS` that hold for the instance."""


class DALY:
    """Videos, splits and keyframes below a root.

    `ROOT/daly1.1.0.pkl` (or in `annotations/`), and `ROOT/videos/ID.mp4` or frames as
    `ROOT/frames/ID.mp4/frame000001.jpg`, numbered from 1 as ffmpeg writes them.

    Differs from the paper: the paper does not say which frames of DALY it trains and tests on;
    here they are the keyframes, the only ones with boxes.
    """

    def __init__(self, root: str | Path) -> None:
        """Reads the annotations; no video is opened.

        Raises:
            ActionDatasetError: the annotations are missing or laid out differently, or a box lies
                outside of its frame or a keyframe behind the end of its video.
            DatasetError: the pickle is damaged or refused, see `load_pickle`.
        """
        self.root = Path(root)
        paths = [self.root / name for name in ANNOTATIONS]
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            raise ActionDatasetError(
                f"DALY root '{root}' holds no {ANNOTATIONS[0]}: fetch the annotations, {_SEE}"
            )
        content = load_pickle(found)
        try:
            self._read(content)
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raise ActionDatasetError(
                f"'{found}' is not laid out as DALY 1.1.0 ({type(error).__name__}: {error}): fetch "
                f"the annotations again, {_SEE}"
            ) from error

    def _read(self, content: Any) -> None:
        if tuple(content["labels"]) != LABELS:
            raise ValueError("labels are not DALY's ten")
        self.videos: tuple[str, ...] = tuple(sorted(content["annot"]))
        test = frozenset(content["splits"][0])
        if stray := sorted(test - set(self.videos)):
            raise ValueError(f"splits name '{stray[0]}', which has no annotation")
        self._test = test
        self._rate = {v: float(content["metadata"][v]["fps"]) for v in self.videos}
        self._keyframes = {
            video: tuple(
                _keyframes(
                    video,
                    content["annot"][video]["annot"],
                    count=int(content["metadata"][video]["nbframes_ffmpeg"]),
                )
            )
            for video in self.videos
        }

    def split(self) -> tuple[list[str], list[str]]:
        """Names of the training and the test videos: 310 and 200 in DALY 1.1.0."""
        train = [video for video in self.videos if video not in self._test]
        return train, sorted(self._test)

    def keyframes(
        self, videos: Iterable[str] | None = None, *, without: Collection[str] = ()
    ) -> list[Keyframe]:
        """Keyframes of videos, by video and frame.

        Args:
            videos: their names; all by default.
            without: flags; instances for which one of them holds are left out.

        Raises:
            ActionDatasetError: a video has no annotation, or a flag is unknown.
        """
        if unknown := sorted(set(without) - set(FLAGS)):
            raise ActionDatasetError(f"flag '{unknown[0]}' is unknown: use {', '.join(FLAGS)}")
        chosen: list[Keyframe] = []
        for video in self.videos if videos is None else videos:
            if video not in self._keyframes:
                raise ActionDatasetError(
                    f"video '{video}' has no annotation in '{self.root}': use a name of its "
                    f"{len(self.videos)} videos, {_SEE}"
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
        """Keyframes as pictures of one size, with the boxes and actions in them, and the faces.

        Only keyframes are decoded. All of DALY's at 600x800 pixels fill tens of gigabytes: load
        some videos at a time, or few frames of each.

        Args:
            videos: their names; all by default.
            size: height and width the frames are stretched to.
            frames: keyframes a video at most, evenly spread, the first and the last among them.
            without: flags; instances for which one of them holds are left out.
            detect: finds faces; without it there are none.
            progress: whether to show a progress bar.

        Returns:
            A frame for each keyframe, with a box for each instance boxed there. A clip's number
            is the place of its video in `videos`; persons are not known (-1).

        Raises:
            ActionDatasetError: a video is missing, cannot be decoded or is too short, has no
                annotation, or nothing remains.
        """
        names = list(self.videos if videos is None else videos)
        images, boxes, labels, clips = [], [], [], []
        for number, name in enumerate(tqdm(names, desc="DALY", unit="video", disable=not progress)):
            found = _by_frame(self.keyframes([name], without=without), frames)
            if not found:
                continue
            source = find_frames(self.root, name)
            images.append(read_frames(source, list(found), rate=self._rate[name], size=size))
            boxes += [_pixels(same, size) for same in found.values()]
            labels += [torch.tensor([ACTIONS.index(k.action) for k in same]) for same in found.values()]
            clips += [number] * len(found)
        if not images:
            raise ActionDatasetError(
                f"DALY root '{self.root}': no keyframe remains in {len(names)} videos without "
                f"{', '.join(without) or 'flags'}; leave out fewer"
            )
        return _with_faces(torch.cat(images), boxes, labels, clips, detect)


def _with_faces(
    images: Tensor, boxes: list[Tensor], labels: list[Tensor], clips: list[int], detect: DetectFaces | None
) -> ActionFrames:
    faces = [(torch.zeros(0, 4), torch.zeros(0, 5, 2))] * len(images)
    if detect is not None:
        faces = [found for chunk in images.split(32) for found in detect(chunk.float() / 255)]
    return ActionFrames(
        frames=images,
        boxes=boxes,
        labels=labels,
        face_boxes=[box.cpu().float() for box, _ in faces],
        landmarks=[points.cpu().float() for _, points in faces],
        identities=[torch.full((len(box),), -1) for box, _ in faces],
        clips=torch.tensor(clips),
    )


def _keyframes(video: str, annotation: Any, *, count: int) -> list[Keyframe]:
    """All keyframes of a video, sorted by frame."""
    found = []
    for action, instances in annotation.items():
        name = ACTIONS[LABELS.index(action)]
        for instance in instances:
            flags = frozenset(flag for flag in FLAGS if instance["flags"][flag])
            for keyframe in instance["keyframes"]:
                frame = int(keyframe["frameNumber"])
                _check_frame(video, frame, count)
                found += [
                    Keyframe(video=video, action=name, frame=frame, flags=flags, box=_box(video, frame, row))
                    for row in _rows(keyframe["boundingBox"])
                ]
    return sorted(found, key=lambda keyframe: keyframe.frame)


def _rows(boxes: Any) -> Iterator[list[float]]:
    yield from np.asarray(boxes, dtype=np.float64).reshape(-1, 4).tolist()


def _check_frame(video: str, frame: int, count: int) -> None:
    if not 1 <= frame <= count:
        raise ActionDatasetError(
            f"DALY video '{video}' has {count} frames and a keyframe {frame}: fetch the "
            f"annotations again, {_SEE}"
        )


def _box(video: str, frame: int, box: Sequence[float]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in box)
    inside = all(-SLACK <= side <= 1 + SLACK for side in box)
    if not inside or not (x1 < x2 and y1 < y2):
        raise ActionDatasetError(
            f"DALY video '{video}', frame {frame}: box {[round(side, 4) for side in box]} is empty "
            f"or outside of 0 to 1; fetch the annotations again, {_SEE}"
        )
    return x1, y1, x2, y2


def _by_frame(keyframes: Sequence[Keyframe], most: int | None) -> dict[int, list[Keyframe]]:
    """Keyframes of one video by frame, at most so many frames, evenly spread."""
    found = {frame: list(same) for frame, same in groupby(keyframes, key=lambda k: k.frame)}
    if most is None or most >= len(found):
        return found
    places = np.linspace(0, len(found) - 1, most).round().astype(int)
    return {frame: found[frame] for frame in (list(found)[place] for place in places)}


def _pixels(keyframes: Sequence[Keyframe], size: tuple[int, int]) -> Tensor:
    """`(n, 4)` xyxy pixels."""
    height, width = size
    return torch.tensor([k.box for k in keyframes]) * torch.tensor([width, height, width, height])


FOLDERS = ("frames", "DALY_frames", "videos", "DALY_videos", "")
"""Where a video's frames or file may lie, below DALY's root."""
SAME_RATE = 0.01
"""Frame rates that differ by a smaller share are one rate, once rounded."""
_SUFFIXES = (".mp4", ".mkv", ".webm", ".avi")


def find_frames(root: Path, video: str) -> Path:
    """The folder of a video's frames, or its file; another container than .mp4 serves too.

    Raises:
        ActionDatasetError: there is neither.
    """
    stem = Path(video).stem
    names = (video, stem, *(stem + suffix for suffix in _SUFFIXES))
    for path in (root / folder / name for folder in FOLDERS for name in names):
        if path.exists():
            return path
    raise ActionDatasetError(
        f"DALY root '{root}' lacks the video '{video}': put it into videos/, or its frames into "
        f"frames/{video}/; DALY's authors keep copies of what YouTube lost, {_SEE}"
    )


def read_frames(source: Path, numbers: Sequence[int], *, rate: float, size: tuple[int, int]) -> Tensor:
    """Frames of a video by number, stretched to one size.

    In a file, frame n is the one that is shown at (n - 0.5) / rate seconds, so that a copy with
    another frame rate serves too. Nothing is decoded but the way to it from the nearest frame
    before it that can be decoded on its own.

    Args:
        source: a file, or a folder of pictures whose names end in the number.
        numbers: from 1, rising.
        rate: frames a second by which they are numbered.
        size: height and width.

    Returns:
        `(len(numbers), 3, H, W)` uint8 RGB.

    Raises:
        ActionDatasetError: the source is damaged, or ends before a frame.
    """
    if source.is_dir():
        return torch.cat([_stretch(p, size) for p in _pictures(source, numbers)])
    import av

    try:
        with av.open(str(source)) as video:
            return torch.cat([_stretch(_decode(video, n, rate, source), size) for n in numbers])
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ActionDatasetError(
            f"video '{source}' cannot be decoded ({error}): fetch it again, {_SEE}"
        ) from error


def _pictures(folder: Path, numbers: Sequence[int]) -> list[Tensor]:
    places = {
        int(number[1]): path
        for path in folder.iterdir()
        if (number := re.search(r"(\d+)\.(?:jpg|jpeg|png)$", path.name))
    }
    if missing := [n for n in numbers if n not in places]:
        raise ActionDatasetError(
            f"folder '{folder}' lacks frame {missing[0]} and {len(missing) - 1} more of its "
            f"keyframes: extract the frames again, {_SEE}"
        )
    return [read_image(places[n]) for n in numbers]


def _decode(video: InputContainer, number: int, rate: float, source: Path) -> Tensor:
    """The frame of that number, `(3, H, W)` uint8."""
    stream = video.streams.video[0]
    own = float(stream.average_rate or rate)
    base = float(stream.time_base or 1)
    target = (number - 0.5) / (own if abs(own / rate - 1) < SAME_RATE else rate) / base
    target += stream.start_time or 0
    video.seek(int(target), stream=stream, backward=True)
    shown = None
    for frame in video.decode(stream):
        if frame.pts is None or frame.pts > target:
            break
        shown = frame
    if shown is None or shown.pts is None or target - shown.pts > 1.5 / own / base:
        raise ActionDatasetError(
            f"video '{source}' ends before its frame {number}: it is cut short, fetch it again, {_SEE}"
        )
    return torch.from_numpy(shown.to_ndarray(format="rgb24")).permute(2, 0, 1)


def _stretch(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """`(1, 3, H, W)` uint8."""
    small = F.interpolate(picture[None].float(), size=size, mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).to(torch.uint8)

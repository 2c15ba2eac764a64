"""JHMDB: 928 clips of 21 actions, its splits and frames. Boxes are read in `jhmdb_boxes.py`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.data.frames import DetectFaces, action_frames, find_faces, read_clip
from anonlib.data.jhmdb_boxes import ClipBoxes
from anonlib.errors import ActionDatasetError
from anonlib.types import ActionFrames

TOUCHES_FACE = ("brush_hair", "clap", "pour", "shoot_bow", "wave")
"""Actions in which hands or objects come near the face."""
UNSURE = 0.3
"""Training clips whose detected boxes have a lower mean score are left out."""
_SEE = "see data/README.md#jhmdb"
_VIDEOS = ("ReCompress_Videos", "videos")
_IMAGES = ("Rename_Images", "frames")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip of JHMDB."""

    name: str
    """Stem of the file; unique in JHMDB."""
    action: str
    path: Path
    """A video file, or a folder of numbered pictures."""


class JHMDB:
    """Clips and splits below a root in JHMDB's own layout.

    `ROOT/ReCompress_Videos/ACTION/CLIP.avi` (or .mp4, .mkv), or numbered pictures in
    `ROOT/Rename_Images/ACTION/CLIP/`, with `ROOT/splits/ACTION_test_split1.txt`.
    """

    def __init__(self, root: str | Path) -> None:
        """Lists the clips. None is opened.

        Raises:
            ActionDatasetError: the root is missing, or holds no clips.
        """
        self.root = Path(root)
        self.clips = {clip.name: clip for clip in _list_clips(self.root)}
        if not self.clips:
            raise ActionDatasetError(
                f"JHMDB root '{root}' holds no {_VIDEOS[0]}/ACTION/CLIP.avi and no "
                f"{_IMAGES[0]}/ACTION/CLIP/: check the path, {_SEE}"
            )
        self.actions = tuple(sorted({clip.action for clip in self.clips.values()}))

    def split(self, number: int = 1) -> tuple[list[str], list[str]]:
        """Names of the training and the test clips of an official split, 1 to 3.

        Raises:
            ActionDatasetError: a list is missing, damaged, or names a missing clip.
        """
        parts: dict[str, list[str]] = {"1": [], "2": [], "0": []}
        for action in self.actions:
            path = self.root / "splits" / f"{action}_test_split{number}.txt"
            for line in _lines(path):
                name, _, part = line.rpartition(" ")
                if part not in parts:
                    raise ActionDatasetError(
                        f"'{path}': '{line}' is no 'CLIP.avi 1' or 'CLIP.avi 2'; fetch it again, {_SEE}"
                    )
                parts[part].append(self._known(Path(name.strip()).stem, path))
        return parts["1"], parts["2"]

    def boxed_split(self) -> tuple[list[str], list[str]]:
        """The two parts of `ROOT/boxed_dev_split.csv`: clips with true boxes, split by source video.

        Raises:
            ActionDatasetError: the file is missing, damaged, or names a missing clip.
        """
        path = self.root / "boxed_dev_split.csv"
        parts: dict[str, list[str]] = {"train": [], "test": []}
        for row in csv.DictReader(_lines(path)):
            if row.get("part") not in parts:
                raise ActionDatasetError(f"'{path}': 'part' must be train or test, {_SEE}")
            parts[row["part"]].append(self._known(row["clip"], path))
        return parts["train"], parts["test"]

    def _known(self, name: str, path: Path) -> str:
        if name not in self.clips:
            raise ActionDatasetError(
                f"'{path}' names the clip {name}, which '{self.root}' lacks: fetch it, {_SEE}"
            )
        return name

    def load(
        self,
        names: Sequence[str],
        boxes: Mapping[str, ClipBoxes],
        *,
        frames: int | None = None,
        detect: DetectFaces | None = None,
        progress: bool = True,
    ) -> ActionFrames:
        """Frames of clips at JHMDB's own size, with the actor's box, the action and the faces.

        `boxes` come from `jhmdb_boxes`. `frames` limits the frames of a clip: they are evenly spread, with
        the first and the last. `detect` finds the faces; without it there are none. A clip's number is its
        position in `names`.

        Raises:
            ActionDatasetError: a clip cannot be decoded, or does not have one box for each frame.
        """
        images, kept, labels, faces = [], [], [], []
        for name in tqdm(names, desc="clips", unit="clip", disable=not progress):
            clip = self.clips[name]
            video = read_clip(clip.path)
            rows = _spread(len(video), frames)
            images.append(video[rows])
            kept += [box[None] for box in _checked_boxes(clip, boxes.get(name), video)[rows]]
            labels += [torch.tensor([self.actions.index(clip.action)]) for _ in rows]
            faces += find_faces(images[-1], detect)
        counts = torch.tensor([len(part) for part in images])
        clips = torch.repeat_interleave(torch.arange(len(images)), counts)
        return action_frames(torch.cat(images), boxes=kept, labels=labels, clips=clips, faces=faces)


def sure_clips(names: Sequence[str], found: Mapping[str, ClipBoxes], *, least: float = UNSURE) -> list[str]:
    """Clips with hand-made boxes, or with detected boxes whose mean score is `least` or more."""
    scores = {name: found[name].score for name in names if name in found}
    return [name for name in names if (score := scores.get(name)) is None or score >= least]


def _checked_boxes(clip: Clip, found: ClipBoxes | None, video: Tensor) -> Tensor:
    """The boxes `(T, 4)` float of a clip, if there is one in each frame and all lie inside."""
    if found is None:
        raise ActionDatasetError(f"clip {clip.name} has no boxes below the root: {_SEE}")
    boxes, (height, width) = found.boxes, video.shape[2:]
    if len(boxes) != len(video):
        raise ActionDatasetError(
            f"clip '{clip.path}' has {len(video)} frames and {len(boxes)} boxes: one of the two is cut "
            f"short, fetch both again, {_SEE}"
        )
    low, high = boxes[:, :2], boxes[:, 2:] - np.array([width, height])
    wrong = (low < -1).any(1) | (high > 1).any(1) | (boxes[:, 2:] <= boxes[:, :2]).any(1)
    if wrong.any():
        frame = int(wrong.argmax())
        raise ActionDatasetError(
            f"clip {clip.name}, frame {frame + 1}: box {boxes[frame].tolist()} is empty or outside of "
            f"{width}x{height} pixels; correct the box, {_SEE}"
        )
    return torch.from_numpy(boxes).float()


def _spread(count: int, frames: int | None) -> Tensor:
    """Indices of evenly spread frames.

    >>> _spread(10, 4)
    tensor([0, 3, 6, 9])
    """
    if frames is None or frames >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, frames).round().long()


def _list_clips(root: Path) -> list[Clip]:
    """Video files if there are any, else folders of pictures."""
    for inner, wanted in [(v, _is_video) for v in _VIDEOS] + [(i, Path.is_dir) for i in _IMAGES]:
        found = [
            Clip(name=path.stem if path.is_file() else path.name, action=path.parent.name, path=path)
            for path in sorted((root / inner).glob("[!.]*/[!.]*"))
            if wanted(path)
        ]
        if found:
            return found
    return []


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in (".avi", ".mp4", ".mkv") and path.is_file()


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ActionDatasetError(
            f"'{path}' cannot be read ({type(error).__name__}): fetch it, {_SEE}"
        ) from error

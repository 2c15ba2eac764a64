"""JHMDB: 928 clips of 21 actions, its splits and frames. Boxes are read in `jhmdb_boxes.py`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.data.images import DetectFaces, action_frames, read_clip, spread
from anonlib.data.jhmdb_boxes import ClipBoxes
from anonlib.errors import ActionDatasetError
from anonlib.types import ActionFrames

TOUCHES_FACE = ("brush_hair", "clap", "pour", "shoot_bow", "wave")
"""Actions in which hands or objects come near the face."""
UNSURE = 0.3
"""Training clips whose detected boxes have a lower mean score are left out."""
_SEE = "see data/README.md#jhmdb"
_VIDEOS = ("ReCompress_Videos", "videos")
_SUFFIXES = (".avi", ".mp4", ".mkv")
_IMAGES = ("Rename_Images", "frames")


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
        self.clips = _list_clips(self.root)
        """Names of the clips, and the video file or folder of pictures of each."""
        if not self.clips:
            raise ActionDatasetError(
                f"JHMDB root '{root}' holds no {_VIDEOS[0]}/ACTION/CLIP.avi and no "
                f"{_IMAGES[0]}/ACTION/CLIP/: check the path, {_SEE}"
            )
        self.actions = tuple(sorted({path.parent.name for path in self.clips.values()}))

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
            ActionDatasetError: as in `split`.
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

        `boxes` come from `jhmdb_boxes`. `frames` limits the frames of a clip, see `spread`. Without `detect`
        there are no faces. A clip's number is its position in `names`.

        Raises:
            ActionDatasetError: a clip cannot be decoded, or does not have one box for each frame.
        """
        images, kept, labels, clips = [], [], [], []
        for number, name in enumerate(tqdm(names, desc="clips", unit="clip", disable=not progress)):
            path = self.clips[name]
            video = read_clip(path)
            rows = spread(range(len(video)), frames)
            images.append(video[rows])
            kept += [box[None] for box in _checked_boxes(path, boxes.get(name), video)[rows]]
            labels += [torch.tensor([self.actions.index(path.parent.name)])] * len(rows)
            clips += [number] * len(rows)
        return action_frames(images, boxes=kept, labels=labels, clips=clips, detect=detect)


def sure_clips(names: Sequence[str], found: Mapping[str, ClipBoxes], *, least: float = UNSURE) -> list[str]:
    """Clips with hand-made boxes, or with detected boxes whose mean score is `least` or more."""
    return [n for n in names if n not in found or (score := found[n].score) is None or score >= least]


def _checked_boxes(path: Path, found: ClipBoxes | None, video: Tensor) -> Tensor:
    """The boxes `(T, 4)` float of a clip, if there is one in each frame and all lie inside."""
    if found is None:
        raise ActionDatasetError(f"clip {path.stem} has no boxes below the root: {_SEE}")
    boxes, (height, width) = found.boxes, video.shape[2:]
    if len(boxes) != len(video):
        raise ActionDatasetError(
            f"clip '{path}' has {len(video)} frames and {len(boxes)} boxes: one of the two is cut "
            f"short, fetch both again, {_SEE}"
        )
    low, high = boxes[:, :2], boxes[:, 2:] - np.array([width, height])
    wrong = (low < -1).any(1) | (high > 1).any(1) | (boxes[:, 2:] <= boxes[:, :2]).any(1)
    if wrong.any():
        frame = int(wrong.argmax())
        raise ActionDatasetError(
            f"clip {path.stem}, frame {frame + 1}: box {boxes[frame].tolist()} is empty or outside of "
            f"{width}x{height} pixels; correct the box, {_SEE}"
        )
    return torch.from_numpy(boxes).float()


def _list_clips(root: Path) -> dict[str, Path]:
    """Video files if there are any, else folders of pictures."""
    for inner in (*_VIDEOS, *_IMAGES):
        paths = sorted((root / inner).glob("[!.]*/[!.]*"))
        if inner in _IMAGES:
            found = {path.name: path for path in paths if path.is_dir()}
        else:
            found = {p.stem: p for p in paths if p.suffix.lower() in _SUFFIXES and p.is_file()}
        if found:
            return found
    return {}


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ActionDatasetError(
            f"'{path}' cannot be read ({type(error).__name__}): fetch it, {_SEE}"
        ) from error

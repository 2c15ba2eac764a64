"""JHMDB: 928 clips of 21 actions, its splits, and a box round the actor in every frame."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.data.images import read_image
from anonlib.data.jhmdb_boxes import ClipBoxes
from anonlib.errors import ActionDatasetError
from anonlib.types import ActionFrames

TOUCHES_FACE = ("brush_hair", "clap", "pour", "shoot_bow", "wave")
"""Actions about the head: hands or things come near the face."""
UNSURE = 0.3
"""Training clips whose pseudo boxes have a lower mean score are left out."""
_SEE = "see data/README.md#jhmdb"
_VIDEOS = ("ReCompress_Videos", "videos")
_IMAGES = ("Rename_Images", "frames")

DetectFaces = Callable[[Tensor], Sequence[tuple[Tensor, Tensor]]]
"""Frames `(B, 3, H, W)` in [0, 1] to the boxes `(k, 4)` and landmarks `(k, 5, 2)` of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One clip of JHMDB."""

    name: str
    """Stem of the file; no two clips share one."""
    action: str
    path: Path
    """A video file, or a folder of numbered pictures."""


class JHMDB:
    """Clips, splits and boxes below a root in JHMDB's own layout.

    `ROOT/ReCompress_Videos/ACTION/CLIP.avi` (or .mp4), or `ROOT/Rename_Images/ACTION/CLIP/` full
    of numbered pictures, with `ROOT/splits/ACTION_test_split1.txt`.
    """

    def __init__(self, root: str | Path) -> None:
        """Lists the clips; none is opened.

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
            ActionDatasetError: a list is missing, damaged, or names a clip that is not there.
        """
        parts: dict[str, list[str]] = {"1": [], "2": [], "0": []}
        for action in self.actions:
            path = self.root / "splits" / f"{action}_test_split{number}.txt"
            for line in _lines(path):
                name, _, part = line.rpartition(" ")
                if part not in parts:
                    raise ActionDatasetError(
                        f"'{path}': '{line}' is no 'CLIP.avi 1' or 'CLIP.avi 2'; fetch the splits "
                        f"again, {_SEE}"
                    )
                parts[part].append(self._known(Path(name.strip()).stem, path))
        return parts["1"], parts["2"]

    def boxed_split(self) -> tuple[list[str], list[str]]:
        """The two parts of `ROOT/boxed_dev_split.csv`: clips with true boxes, apart by source.

        Raises:
            ActionDatasetError: the file is missing, damaged, or names a clip that is not there.
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
        """Frames of clips, evenly spread, with the actor's box, the action and the faces.

        Args:
            names: clips.
            boxes: of each clip, as `jhmdb_boxes` returns them.
            frames: frames a clip at most, the first and the last among them; None for all.
            detect: finds faces; without it there are none.
            progress: whether to show a progress bar.

        Returns:
            Frames at JHMDB's own size, in the order of `names`; a clip's number is its place there.

        Raises:
            ActionDatasetError: a clip cannot be decoded, or has not one frame for each box.
        """
        images, kept, found = [], [], []
        for name in tqdm(names, desc="clips", unit="clip", disable=not progress):
            video = read_clip(self.clips[name].path)
            mine = _boxes_of(self.clips[name], boxes.get(name), video)
            rows = _spread(len(video), frames)
            images.append(video[rows])
            kept.append(torch.from_numpy(mine).float()[rows])
            found += _faces(video[rows], detect)
        labels = [self.actions.index(self.clips[name].action) for name in names]
        counts = torch.tensor([len(part) for part in images])
        return ActionFrames(
            frames=torch.cat(images),
            boxes=[box[None] for part in kept for box in part],
            labels=[
                torch.tensor([label])
                for label, count in zip(labels, counts.tolist(), strict=True)
                for _ in range(count)
            ],
            face_boxes=[f[0] for f in found],
            landmarks=[f[1] for f in found],
            identities=[torch.full((len(f[0]),), -1) for f in found],
            clips=torch.repeat_interleave(torch.arange(len(images)), counts),
        )


def sure_clips(names: Sequence[str], found: Mapping[str, ClipBoxes], *, least: float = UNSURE) -> list[str]:
    """Clips whose boxes people drew, or a detector found with a mean score of `least` or more."""
    scores = {name: found[name].score for name in names if name in found}
    return [name for name in names if (score := scores.get(name)) is None or score >= least]


def read_clip(path: Path) -> Tensor:
    """All frames of a video file or of a folder of numbered pictures; `(T, 3, H, W)` uint8 RGB.

    Frames are counted as they are decoded: the headers of JHMDB's own files claim too many.

    Raises:
        ActionDatasetError: nothing can be decoded.
    """
    if path.is_dir():
        frames = [read_image(p) for p in sorted(path.glob("*.png")) + sorted(path.glob("*.jpg"))]
    else:
        import av

        try:
            with av.open(str(path)) as video:
                arrays = [f.to_ndarray(format="rgb24") for f in video.decode(video=0)]
        except (av.FFmpegError, IndexError) as error:
            raise ActionDatasetError(
                f"clip '{path}' cannot be decoded ({error}): fetch it again, {_SEE}"
            ) from error
        frames = [torch.from_numpy(a).permute(2, 0, 1) for a in arrays]
    if not frames:
        raise ActionDatasetError(f"clip '{path}' holds no frames: fetch it again, {_SEE}")
    return torch.stack(frames)


def _boxes_of(clip: Clip, found: ClipBoxes | None, video: Tensor) -> np.ndarray:
    """The boxes, if there is one for each frame and all lie inside it."""
    if found is None:
        raise ActionDatasetError(f"clip {clip.name} has no boxes below the root: {_SEE}")
    boxes, (height, width) = found.boxes, video.shape[2:]
    if len(boxes) != len(video):
        raise ActionDatasetError(
            f"clip '{clip.path}' has {len(video)} frames and {len(boxes)} boxes: one of the two is "
            f"cut short, fetch both again, {_SEE}"
        )
    low, high = boxes[:, :2], boxes[:, 2:] - np.array([width, height])
    wrong = (low < -1).any(1) | (high > 1).any(1) | (boxes[:, 2:] <= boxes[:, :2]).any(1)
    if wrong.any():
        frame = int(wrong.argmax())
        raise ActionDatasetError(
            f"clip {clip.name}, frame {frame + 1}: box {boxes[frame].tolist()} is empty or outside "
            f"of {width}x{height} pixels; mend the box, {_SEE}"
        )
    return boxes


def _spread(count: int, frames: int | None) -> Tensor:
    """Numbers of evenly spread frames.

    >>> _spread(10, 4)
    tensor([0, 3, 6, 9])
    """
    if frames is None or frames >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, frames).round().long()


def _faces(frames: Tensor, detect: DetectFaces | None) -> list[tuple[Tensor, Tensor]]:
    if detect is None:
        return [(torch.zeros(0, 4), torch.zeros(0, 5, 2))] * len(frames)
    return [(boxes.cpu().float(), points.cpu().float()) for boxes, points in detect(frames.float() / 255)]


def _list_clips(root: Path) -> list[Clip]:
    """Video files, or folders of pictures, whichever there are."""
    for inner, wanted in [(v, _is_video) for v in _VIDEOS] + [(i, Path.is_dir) for i in _IMAGES]:
        found = [
            Clip(name=path.stem if path.is_file() else path.name, action=folder.name, path=path)
            for folder in sorted((root / inner).glob("[!.]*"))
            if folder.is_dir()
            for path in sorted(folder.glob("[!.]*"))
            if wanted(path)
        ]
        if found:
            return found
    return []


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in (".avi", ".mp4", ".mkv") and path.is_file()


def _lines(path: Path) -> list[str]:
    try:
        return [line for line in islice(path.read_text(encoding="utf-8").splitlines(), 10**6) if line]
    except (OSError, UnicodeDecodeError) as error:
        raise ActionDatasetError(
            f"'{path}' cannot be read ({type(error).__name__}): fetch it, {_SEE}"
        ) from error

"""Which real clips are trained on and which are tested on, and the protocols' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from anonlib import detection
from anonlib.config import Profile
from anonlib.data.clip import ACTIONS
from anonlib.data.daly import ANNOTATIONS, DALY
from anonlib.data.jhmdb import JHMDB, TOUCHES_FACE, DetectFaces, sure_clips
from anonlib.data.jhmdb_boxes import jhmdb_boxes
from anonlib.data.synthetic_actions import FACE_RELATED
from anonlib.data.types import ActionFrames
from anonlib.errors import ConfigError

PROTOCOLS = ("split1", "boxed")
"""`split1`: JHMDB's official split 1, all boxes it has. `boxed`: clips with true boxes only,
parted by the video they come from."""
JHMDB_SHORTER_SIDE = 340
"""Pixels, at most, of JHMDB's frames before A (section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSet:
    """Real clips to train and to test A on."""

    train: ActionFrames
    test: ActionFrames
    actions: tuple[str, ...]
    """Names of the classes."""


def fitted(profile: Profile, root: Path) -> Profile:
    """The profile with the classes of the dataset below `root`, and for JHMDB its frames' shape."""
    if is_daly(root):
        return replace(profile, detector=replace(profile.detector, classes=len(ACTIONS)))
    height = min(profile.detector.frame[0], JHMDB_SHORTER_SIDE)
    frame, classes = (height, round(height * 4 / 3)), len(JHMDB(root).actions)
    return replace(profile, detector=replace(profile.detector, frame=frame, classes=classes))


def is_daly(root: Path) -> bool:
    """Whether DALY's annotations lie there; otherwise it is taken for JHMDB."""
    return any((root / name).is_file() for name in ANNOTATIONS)


def load_actions(
    root: Path, profile: Profile, *, protocol: str = "split1", progress: bool = True
) -> ActionSet:
    """JHMDB or DALY, faces found by the default detector in every frame.

    Implements Ren et al., section 5.1: DALY; JHMDB, split 1.
    Differs from the paper: of JHMDB's training clips those with unsure pseudo boxes are left out;
    of DALY only keyframes are used. Not every frame is used, see `DataConfig.frames`.

    Args:
        root: folder of the dataset in its official layout.
        profile: how many clips, and frames of each.
        protocol: one of the `PROTOCOLS`; DALY has only its own split.
        progress: whether to show progress bars.

    Raises:
        ActionDatasetError: the root is partial or damaged.
        ConfigError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"protocol '{protocol}' is unknown: use one of {', '.join(PROTOCOLS)}")
    load = _load_daly if is_daly(root) else _load_jhmdb
    return load(root, profile, protocol, progress)


def _load_jhmdb(root: Path, profile: Profile, protocol: str, progress: bool) -> ActionSet:
    dataset, found = JHMDB(root), jhmdb_boxes(root)
    train, test = dataset.split(1) if protocol == "split1" else dataset.boxed_split()
    data = profile.data

    def load(names: Sequence[str], most: int) -> ActionFrames:
        return dataset.load(
            spread(names, most), found, frames=data.frames, detect=face_finder(), progress=progress
        )

    return ActionSet(
        train=load(sure_clips(train, found), data.train_clips),
        test=load(test, data.test_clips), actions=dataset.actions,
    )  # fmt: skip


def _load_daly(root: Path, profile: Profile, protocol: str, progress: bool) -> ActionSet:
    dataset, data = DALY(root), profile.data
    train, test = (
        dataset.load(
            spread(names, most), size=profile.detector.frame, frames=data.frames,
            detect=face_finder(), progress=progress,
        )
        for names, most in zip(dataset.split(), (data.train_clips, data.test_clips), strict=True)
    )  # fmt: skip
    return ActionSet(train=train, test=test, actions=ACTIONS)


def face_finder() -> DetectFaces:
    """The default detector in the shape that datasets ask for."""
    detector = detection.create("ssh")
    return lambda frames: [(f.boxes, f.landmarks) for f in detector(frames)]


def spread(names: Sequence[str], most: int) -> list[str]:
    """At most so many of the names, evenly spread over the list."""
    if len(names) <= most:
        return list(names)
    return [names[int(i)] for i in np.linspace(0, len(names) - 1, most).round()]


def faces_found(data: ActionFrames, actions: Sequence[str]) -> list[dict[str, object]]:
    """How often a face is found in frames of each action, and whether the action is about it."""
    rows = []
    for number, action in enumerate(actions):
        mine = [len(f) > 0 for f, label in zip(data.face_boxes, data.labels, strict=True)
                if number in label.tolist()]  # fmt: skip
        rows.append({
            "action": action, "touches_face": action in (*TOUCHES_FACE, *FACE_RELATED),
            "frames": len(mine),
            "share_with_a_face": float(np.mean(mine)) if mine else float("nan"),
        })  # fmt: skip
    return rows

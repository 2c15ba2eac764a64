"""Which real clips are trained on and which are tested on, and the protocols' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch import Tensor

from anonlib import detection
from anonlib.config import Profile
from anonlib.data.jhmdb import JHMDB, TOUCHES_FACE, jhmdb_boxes, sure_clips
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
    """The profile with as many action classes as JHMDB has, and its shape of frame."""
    height = min(profile.detector.frame[0], JHMDB_SHORTER_SIDE)
    frame, classes = (height, round(height * 4 / 3)), len(JHMDB(root).actions)
    return replace(profile, detector=replace(profile.detector, frame=frame, classes=classes))


def load_actions(
    root: Path, profile: Profile, *, protocol: str = "split1", progress: bool = True
) -> ActionSet:
    """JHMDB by one of the `PROTOCOLS`, faces found by the default detector in every frame.

    Implements Ren et al., section 5.1: JHMDB, split 1.
    Differs from the paper: boxes of the training clips may be pseudo boxes; clips with unsure ones
    are left out. Not every frame is used, see `DataConfig.frames`.

    Raises:
        ActionDatasetError: the root is partial or damaged.
        ConfigError: there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError(f"protocol '{protocol}' is unknown: use one of {', '.join(PROTOCOLS)}")
    dataset, found = JHMDB(root), jhmdb_boxes(root)
    train, test = dataset.split(1) if protocol == "split1" else dataset.boxed_split()
    scores = {name: clip.score for name, clip in found.items()}
    boxes = {name: clip.boxes for name, clip in found.items()}
    faces = detection.create("ssh")

    def look(frames: Tensor) -> list[tuple[Tensor, Tensor]]:
        return [(f.boxes, f.landmarks) for f in faces(frames)]

    def load(names: Sequence[str], most: int) -> ActionFrames:
        return dataset.load(
            _spread(names, most), boxes, frames=profile.data.frames, detect=look, progress=progress
        )

    return ActionSet(
        train=load(sure_clips(train, scores), profile.data.train_clips),
        test=load(test, profile.data.test_clips),
        actions=dataset.actions,
    )


def _spread(names: Sequence[str], most: int) -> list[str]:
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
            "action": action, "touches_face": action in TOUCHES_FACE, "frames": len(mine),
            "share_with_a_face": float(np.mean(mine)) if mine else float("nan"),
        })  # fmt: skip
    return rows

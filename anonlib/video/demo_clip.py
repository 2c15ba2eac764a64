"""A short clip of drawn people to try the video commands on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from av import VideoStream
from torch import Tensor

from anonlib.errors import ConfigError
from anonlib.files import complete
from anonlib.types import ACTIONS, ActionFrames
from anonlib.world.actions import Clip, gather
from anonlib.world.actor import Role
from anonlib.world.faces import SyntheticPeople

SCENES = (("drink", "fold", "phone"), ("iron", "lip"))
"""The actions of the people in each scene; most of the face stays visible in them."""
RATE = 12
"""Frames per second."""


def demo_clip(*, frames: int = 36, size: tuple[int, int] = (360, 480), seed: int = 0) -> ActionFrames:
    """Three people in one room, then a cut, then two others in another room.

    Returns `frames` frames of each scene with the boxes of all faces; `clips` numbers the scenes.
    `size` is height and width; a face has about an eighth of the height.

    Raises:
        ConfigError: there are no frames.
    """
    if frames < 1:
        raise ConfigError(f"{frames} frames a scene: use 1 or more")
    heads, shots, seen = SyntheticPeople(), [], []
    first = heads.people("test")[0]
    for scene, actions in enumerate(SCENES):
        person = first + 16 * seed + 8 * scene
        roles = [Role(identity=person + k, label=ACTIONS.index(a)) for k, a in enumerate(actions)]
        rng = np.random.default_rng([seed, scene])
        clip = Clip(roles, heads, frames=frames, split="test", size=size, rng=rng)
        for picture, sightings in clip.shots():
            shots.append(picture)
            seen.append([one for one in sightings if one.face is not None])
    scenes = torch.arange(len(SCENES)).repeat_interleave(frames)
    return gather(shots, seen, size, clips=scenes)


def write_clip(frames: Tensor, path: str | Path, *, rate: int = RATE) -> None:
    """Encodes frames `(N, 3, H, W)` uint8 RGB with even sides as H.264 in .mp4, whole or not at all.

    Raises:
        ConfigError: a side is odd, or there are no frames.
    """
    if not len(frames) or frames.shape[2] % 2 or frames.shape[3] % 2:
        raise ConfigError(f"frames of shape {tuple(frames.shape)}: pass one or more, with even sides")
    with complete(Path(path)) as file, av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate), options={"crf": "18"})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = frames.shape[2:]
        stream.pix_fmt = "yuv420p"
        for frame in frames.permute(0, 2, 3, 1).contiguous().numpy():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))

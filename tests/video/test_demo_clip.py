from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anonlib.errors import ConfigError
from anonlib.video.demo_clip import demo_clip, write_clip
from anonlib.video.reader import VideoReader


def test_two_scenes_of_several_people_whose_faces_are_known() -> None:
    clip = demo_clip(frames=2, size=(120, 160), seed=0)
    assert clip.frames.shape == (4, 3, 120, 160) and clip.frames.dtype == torch.uint8
    assert clip.clips.tolist() == [0, 0, 1, 1]
    assert [len(boxes) for boxes in clip.face_boxes] == [3, 3, 2, 2]
    assert all(b.shape[1] == 4 and (b[:, 2] > b[:, 0]).all() for b in clip.face_boxes)
    first, second = (set(clip.identities[n].tolist()) for n in (0, 2))
    assert not first & second
    again = demo_clip(frames=2, size=(120, 160), seed=0)
    assert torch.equal(clip.frames, again.frames)


def test_a_clip_of_no_frames_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 frames a scene"):
        demo_clip(frames=0)


def test_a_written_clip_is_read_again(tmp_path: Path) -> None:
    frames = torch.full((5, 3, 32, 48), 90, dtype=torch.uint8)
    write_clip(frames, tmp_path / "a.mp4", rate=10)
    with VideoReader(tmp_path / "a.mp4") as reader:
        pictures = list(reader.pictures("yuv420p"))
        assert float(reader.rate) == 10
    assert len(pictures) == 5 and (pictures[0].height, pictures[0].width) == (32, 48)
    assert float((pictures[2].small(640) * 255 - 90).abs().max()) < 4


def test_odd_sides_are_refused_and_leave_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="even sides"):
        write_clip(torch.zeros(2, 3, 31, 48, dtype=torch.uint8), tmp_path / "a.mp4")
    assert list(tmp_path.iterdir()) == []

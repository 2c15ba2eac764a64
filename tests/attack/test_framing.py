"""Pictures with a dark square for a face on a light ground, and a detector that finds squares."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.attack import framing
from anonlib.attack.framing import crop_before_and_after
from anonlib.data.images import read_image
from anonlib.detection import Faces
from anonlib.errors import ConfigError
from anonlib.geometry import CANONICAL_LANDMARKS

SIDE = 24


class Squares:
    """Finds what is at most as bright as `dark`, as one face a picture."""

    def __init__(self, dark: float = 0.3) -> None:
        self.dark, self.seen = dark, 0

    def __call__(self, frames: Tensor) -> list[Faces]:
        self.seen += len(frames)
        return [self.one(frame.amax(0) <= self.dark) for frame in frames]

    def one(self, face: Tensor) -> Faces:
        if not face.any():
            none = torch.zeros(0)
            return Faces(boxes=none.reshape(0, 4), scores=none, landmarks=none.reshape(0, 5, 2))
        ys, xs = face.nonzero().T
        box = torch.stack([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]).float()
        points = box[:2] + (box[2:] - box[:2]) * CANONICAL_LANDMARKS
        return Faces(boxes=box[None], scores=torch.ones(1), landmarks=points[None])


def draw(path: Path, *, at: tuple[int, int] | None, size: tuple[int, int] = (90, 80)) -> Path:
    picture = Image.new("RGB", size, (200, 210, 220))
    if at is not None:
        picture.paste((60, 50, 40), (*at, at[0] + SIDE, at[1] + SIDE))
    picture.save(path)
    return path


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two sizes of picture, turn about, and one that shows nobody."""
    monkeypatch.setenv("ANONLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(framing, "CHUNK", 2)
    return [
        draw(tmp_path / "a.png", at=(20, 20)),
        draw(tmp_path / "b.png", at=(50, 40), size=(120, 100)),
        draw(tmp_path / "c.png", at=None),
        draw(tmp_path / "d.png", at=(30, 24)),
    ]


def test_doing_nothing_leaves_every_bit_and_everybody_is_found_again(paths: list[Path]) -> None:
    seen = crop_before_and_after(
        paths, create("unanonymized"), framing="frame", detector=Squares(), progress=False
    )
    assert seen.original.found.tolist() == seen.modified.found.tolist() == [1, 1, 0, 1]
    assert torch.equal(seen.original.images, seen.modified.images)
    assert torch.equal(seen.original.landmarks, seen.modified.landmarks)
    assert seen.found_again == 1
    assert seen.original.images.shape == (4, 3, 192, 192)
    place = CANONICAL_LANDMARKS.expand(3, -1, -1) * 192
    torch.testing.assert_close(seen.original.landmarks[seen.original.found], place, atol=1e-2, rtol=0)
    assert (seen.original.images[[0, 1, 3], :, 96, 96] == torch.tensor([60, 50, 40])).all()
    assert not seen.original.images[2].any()


def test_the_recogniser_gets_the_anonymized_picture(paths: list[Path]) -> None:
    """A mask reaches 1.6 times as far as the face, and not further."""
    seen = crop_before_and_after(paths, create("mask"), framing="frame", detector=Squares(), progress=False)
    there = seen.original.found
    canonical = seen.modified.images[there]
    assert not canonical[:, :, 20:172, 20:172].any()
    assert seen.original.images[there].any(dim=1).all()


def test_a_face_that_is_lost_keeps_the_landmarks_of_the_original(paths: list[Path]) -> None:
    bright = crop_before_and_after(
        paths, lambda faces: faces * 0 + 0.9, framing="frame", detector=Squares(), progress=False
    )
    assert not bright.modified.found.any() and bright.found_again == 0
    assert torch.equal(bright.modified.landmarks, bright.original.landmarks)
    assert bright.modified.images[[0, 1, 3], :, 96, 96].eq(230).all()


def test_a_face_that_moved_a_little_is_cropped_where_it_is(paths: list[Path]) -> None:
    def shifted(faces: Tensor) -> Tensor:
        return faces.roll(2, dims=3)

    seen = crop_before_and_after(paths, shifted, framing="frame", detector=Squares(), progress=False)
    there = seen.original.found
    assert seen.found_again == 1
    assert torch.equal(
        seen.modified.images[there][:, :, 96, 4:188], seen.original.images[there][:, :, 96, 4:188]
    )


def test_everybody_in_the_picture_is_anonymized(tmp_path: Path) -> None:
    class Two(Squares):
        def one(self, face: Tensor) -> Faces:
            left, right = super().one(face[:, :60]), super().one(face[:, 60:])
            away = torch.tensor([60.0, 0.0])
            return Faces(
                boxes=torch.cat([left.boxes, right.boxes + away.repeat(2)]),
                scores=torch.cat([left.scores, right.scores]),
                landmarks=torch.cat([left.landmarks, right.landmarks + away]),
            )

    path = draw(tmp_path / "two.png", at=(20, 20), size=(120, 80))
    with Image.open(path) as picture:
        picture.paste((1, 1, 1), (80, 50, 92, 62))
        picture.save(path)
    shown: list[Tensor] = []

    def find(frames: Tensor) -> list[Faces]:
        shown.append(frames)
        return Two()(frames)

    crop_before_and_after(
        [path], lambda faces: faces * 0 + 0.5, framing="frame", detector=find, progress=False
    )
    assert (read_image(path) < 70).any() and shown[1].min() > 0.49


def test_crops_are_anonymized_as_they_are(paths: list[Path], monkeypatch) -> None:
    def landmarks(self: object, pictures: list[Tensor]) -> list[Tensor | None]:
        return [f.landmarks[0] if len(f) else None for f in framing.find_faces(Squares(), pictures)]

    monkeypatch.setattr("anonlib.attack.framing.MtcnnLandmarks.__init__", lambda self, device: None)
    monkeypatch.setattr("anonlib.attack.framing.MtcnnLandmarks.__call__", landmarks)
    seen = crop_before_and_after(paths, create("mask"), framing="crop", detector=Squares(), progress=False)
    assert seen.original.images.shape == (4, 3, 128, 128)
    assert not seen.modified.images[seen.original.found].any()
    assert seen.original.found.tolist() == [1, 1, 0, 1] and not seen.modified.found[2]


def test_what_is_found_in_originals_is_remembered(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    squares = Squares()
    monkeypatch.setattr(framing, "MtcnnDetector", lambda device: squares)
    first, second = (
        crop_before_and_after(paths, create("blur8"), framing="frame", progress=False) for _ in range(2)
    )
    assert squares.seen == 3 * len(paths)  # twice before the cache, then of the modified alone
    assert torch.equal(first.original.images, second.original.images)
    assert torch.equal(first.modified.images, second.modified.images)


def test_faces_are_chosen_and_people_renumbered(paths: list[Path]) -> None:
    seen = crop_before_and_after(paths, create("mask"), framing="frame", detector=Squares(), progress=False)
    faces = seen.original.faces(seen.original.found, torch.tensor([4, 7, 8, 9]))
    assert len(faces) == 3 and faces.labels.tolist() == [0, 1, 2]
    assert seen.original.faces(seen.original.found).labels.tolist() == [0, 0, 0]


def test_unknown_framings_are_named(paths: list[Path]) -> None:
    with pytest.raises(ConfigError, match="'box' is unknown: use one of frame, crop"):
        crop_before_and_after(paths, create("mask"), framing="box", detector=Squares())

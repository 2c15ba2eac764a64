"""The same faces before and after anonymizing, cropped for a recogniser.

With framing `frame`, whole pictures are anonymized, as by `anonlib anonymize`, and then the face is cropped.
With framing `crop`, the face is cropped first and the crop is anonymized; M is trained on such crops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from anonlib.anonymizers import Anonymizer
from anonlib.anonymizers.frames import anonymize_frames
from anonlib.data.crop_cache import Arrays, cache_file, cached
from anonlib.data.face_crops import Crops, crop_face, crop_pictures, join_crops
from anonlib.data.images import read_image
from anonlib.detection import Detector, Faces, MtcnnDetector
from anonlib.detection.mtcnn import MtcnnLandmarks, most_prominent
from anonlib.errors import ConfigError, ImageError

SIZES = {"frame": 192, "crop": 128}
"""Side of the crops in pixels: that of the faces in LFW, and that on which M is trained."""
CHUNK = 128
"""Pictures that are in memory at once."""
_CACHE_KEY = "all faces by mtcnn 1"
_Find = Callable[[Sequence[Tensor]], list[Faces]]
_Hide = Callable[[Sequence[Path], list[Tensor], list[Faces]], list[Tensor]]
"""From files, their pictures and the faces in them to the anonymized pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeforeAfter:
    """Crops of the same faces before and after anonymizing."""

    original: Crops
    """`found` says whether the picture holds a face. Crops without a face are black in both."""
    modified: Crops
    """`found` says whether the face is still detected. If it is not, the landmarks are
    those of the original; we assume that an attacker can guess them."""

    @property
    def found_again(self) -> float:
        """Share of the faces that are still detected after anonymizing."""
        return float(self.modified.found[self.original.found].float().mean())


def crop_before_and_after(
    paths: Sequence[Path],
    anonymizer: Anonymizer,
    *,
    framing: str,
    detector: Detector | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> BeforeAfter:
    """Crops of the person whom each picture is about, before and after anonymizing.

    Differs from the paper: the paper verifies crops only, `crop`; `frame` adds face detection.

    Args:
        framing: `frame` or `crop`.
        detector: by default MTCNN, and the faces of the originals are cached.
        device: where MTCNN runs.

    Raises:
        ConfigError: no framing has that name.
        ImageError: a file is not a readable picture.
    """
    check_framing(framing)
    find = partial(find_faces, detector or MtcnnDetector(device=device))
    if framing == "frame":
        key = _CACHE_KEY if detector is None else None
        crop = partial(_crop_after, hide=partial(_hide_faces, anonymizer), find=find, key=key)
    else:
        crop = partial(_crop_first, anonymizer=anonymizer, find=find, detect=MtcnnLandmarks(device=device))
    return _in_chunks(partial(crop, size=SIZES[framing]), paths, progress=progress)


def crop_given(
    originals: Mapping[Path, Path],
    *,
    detector: Detector | None = None,
    device: str = "cpu",
    progress: bool = True,
) -> BeforeAfter:
    """The same for pictures that another program anonymized, as with framing `frame`.

    Args:
        originals: from each original to the anonymized picture of it, of the same height and width.
        detector: by default MTCNN, and the faces of the originals are cached.

    Raises:
        ImageError: a file is not a readable picture, or two pictures are not of one size.
    """
    find = partial(find_faces, detector or MtcnnDetector(device=device))
    key = _CACHE_KEY if detector is None else None
    crop = partial(
        _crop_after, hide=partial(_read_hidden, originals), find=find, key=key, size=SIZES["frame"]
    )
    return _in_chunks(crop, list(originals), progress=progress)


def _in_chunks(
    crop: Callable[[Sequence[Path]], BeforeAfter], paths: Sequence[Path], *, progress: bool
) -> BeforeAfter:
    parts = []
    with tqdm(total=len(paths), desc="faces", unit="picture", disable=not progress) as bar:
        for start in range(0, len(paths), CHUNK):
            part = paths[start : start + CHUNK]
            parts.append(crop(part))
            bar.update(len(part))
    return BeforeAfter(
        original=join_crops([p.original for p in parts]), modified=join_crops([p.modified for p in parts])
    )


def check_framing(framing: str) -> None:
    """Raises ConfigError if no framing has that name."""
    if framing not in SIZES:
        raise ConfigError(f"framing '{framing}' is unknown: use one of {', '.join(SIZES)}")


def _hide_faces(
    anonymizer: Anonymizer, paths: Sequence[Path], pictures: list[Tensor], faces: list[Faces]
) -> list[Tensor]:
    return [
        _rounded(anonymize_frames(picture[None] / 255, [found.boxes], anonymizer))[0]
        for found, picture in zip(faces, pictures, strict=True)
    ]


def _read_hidden(
    others: Mapping[Path, Path], paths: Sequence[Path], pictures: list[Tensor], faces: list[Faces]
) -> list[Tensor]:
    hidden = [read_image(others[path]) for path in paths]
    for path, before, after in zip(paths, pictures, hidden, strict=True):
        if before.shape != after.shape:
            sizes = [f"{one.shape[2]}x{one.shape[1]}" for one in (after, before)]
            raise ImageError(
                f"'{others[path]}' has {sizes[0]} pixels and '{path}' has {sizes[1]}: the faces must stay "
                "where they are, so anonymize without changing the size"
            )
    return hidden


def _crop_after(
    paths: Sequence[Path], *, hide: _Hide, find: _Find, size: int, key: str | None
) -> BeforeAfter:
    """Anonymizes whole pictures, then crops."""
    pictures = [read_image(path) for path in paths]
    before = _cached_faces(lambda: find(pictures), paths, key=key)
    points = [
        most_prominent(faces, centre=(picture.shape[2] / 2, picture.shape[1] / 2))
        for faces, picture in zip(before, pictures, strict=True)
    ]
    hidden = hide(paths, pictures, before)
    again = _found_again(find(hidden), points)
    modified = _crops(hidden, [p if a is None else a for a, p in zip(again, points, strict=True)], size=size)
    return BeforeAfter(
        original=_crops(pictures, points, size=size), modified=replace(modified, found=_present(again))
    )


def _crop_first(
    paths: Sequence[Path], *, anonymizer: Anonymizer, find: _Find, size: int, detect: MtcnnLandmarks
) -> BeforeAfter:
    """Crops pictures, then anonymizes the crops."""
    original = crop_pictures(paths, size=size, detect=detect, progress=False)
    hidden = _rounded(anonymizer(original.images[:] / 255))
    points = [p if f else None for p, f in zip(original.landmarks, original.found, strict=True)]
    again = _found_again(find(list(hidden)), points)
    landmarks = [p if a is None else a for p, a in zip(original.landmarks, again, strict=True)]
    modified = Crops(images=hidden, landmarks=torch.stack(landmarks), found=_present(again))
    return BeforeAfter(original=original, modified=modified)


def find_faces(detector: Detector, pictures: Sequence[Tensor]) -> list[Faces]:
    """The faces of uint8 pictures `(3, H, W)` of any sizes, in order."""
    out: list[Faces] = []
    for _, same_size in groupby(pictures, key=lambda picture: picture.shape):
        out += detector(torch.stack(list(same_size)) / 255)
    return out


def nearest_landmarks(found: Faces, landmarks: Tensor) -> Tensor | None:
    """Landmarks of the detected face at the place of an earlier face with `(5, 2)` landmarks, or None.

    The root mean square distance between old and new landmarks may be at most that of the old ones from their
    centre. For boxes this is about an IoU of 0.5.

    >>> points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [2.0, 2.0], [0.0, 4.0], [4.0, 4.0]])
    >>> def moved(by):
    ...     return Faces(boxes=torch.zeros(1, 4), scores=torch.ones(1), landmarks=points[None] + by)
    >>> nearest_landmarks(moved(1.0), points) is None, nearest_landmarks(moved(2.0), points) is None
    (False, True)
    """
    if not len(found):
        return None
    away = (found.landmarks - landmarks).square().sum(2).mean(1)
    reach = (landmarks - landmarks.mean(0)).square().sum(1).mean()
    best = int(away.argmin())
    return found.landmarks[best] if away[best] <= reach else None


def _found_again(found: list[Faces], points: list[Tensor | None]) -> list[Tensor | None]:
    return [
        None if before is None else nearest_landmarks(faces, before)
        for faces, before in zip(found, points, strict=True)
    ]


def _crops(pictures: list[Tensor], points: list[Tensor | None], *, size: int) -> Crops:
    images = torch.zeros(len(pictures), 3, size, size, dtype=torch.uint8)
    landmarks = torch.zeros(len(pictures), 5, 2)
    for index, (picture, found) in enumerate(zip(pictures, points, strict=True)):
        if found is not None:
            images[index], landmarks[index] = crop_face(picture, found, size=size)
    return Crops(images=images, landmarks=landmarks, found=_present(points))


def _present(points: list[Tensor | None]) -> Tensor:
    return torch.tensor([found is not None for found in points], dtype=torch.bool)


def _rounded(images: Tensor) -> Tensor:
    return (images * 255).round().to(torch.uint8)


def _cached_faces(
    compute: Callable[[], list[Faces]], paths: Sequence[Path], *, key: str | None
) -> list[Faces]:
    """The faces of picture files; cached if there is a key, until a file changes."""

    def arrays() -> Arrays:
        faces = compute()
        return {
            "boxes": np.concatenate([f.boxes.numpy() for f in faces]),
            "scores": np.concatenate([f.scores.numpy() for f in faces]),
            "landmarks": np.concatenate([f.landmarks.numpy() for f in faces]),
            "counts": np.array([len(f) for f in faces]),
        }

    stored = cached(arrays, cache_file(paths, key=key, size=0))
    counts = stored["counts"].tolist()
    boxes, scores, landmarks = (
        torch.from_numpy(stored[name]).split(counts) for name in ("boxes", "scores", "landmarks")
    )
    return [Faces(boxes=b, scores=s, landmarks=p) for b, s, p in zip(boxes, scores, landmarks, strict=True)]

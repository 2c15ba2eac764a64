"""Reads pictures, and frames of videos, as 8-bit RGB."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from anonlib.errors import ActionDatasetError, ImageError
from anonlib.geometry import resize
from anonlib.types import ActionFrames

if TYPE_CHECKING:
    from av.container import InputContainer

SMALLEST_IMAGE = 16
"""Fewest pixels a side; a smaller picture holds no usable face."""
LARGEST_IMAGE = 80_000_000
"""Most pixels in all; a small file may claim more than memory holds."""
SAME_RATE = 0.01
"""Two frame rates count as equal if they differ by less than this share; metadata rounds them."""
_SEE = "see data/README.md"

Item = TypeVar("Item")
DetectFaces = Callable[[Tensor], Sequence[tuple[Tensor, Tensor]]]
"""Takes frames `(B, 3, H, W)` in [0, 1]; returns the boxes `(k, 4)` and landmarks `(k, 5, 2)` of each."""
_LONGEST = 40
"""Frames in which faces are detected at once; no clip of JHMDB is longer."""


def read_image(path: str | Path) -> Tensor:
    """A picture as uint8 RGB `(3, H, W)`, turned as its EXIF orientation says.

    Grey becomes three equal channels. Palettes are looked up. Transparent pixels are laid on white.
    16 bits are scaled to 8 (65535 to 255).

    Raises:
        ImageError: the file is missing, empty, damaged, no picture, a picture of floating-point numbers,
            smaller than 16x16, or larger than 80 megapixels.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("L", (20, 30), 7).save(f"{folder}/grey.png")
    ...     image = read_image(f"{folder}/grey.png")
    >>> image.shape, image.unique()
    (torch.Size([3, 30, 20]), tensor([7], dtype=torch.uint8))
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"'{path}' is no file: check the path")
    if path.stat().st_size == 0:
        raise ImageError(f"'{path}' is empty: fetch it again or delete it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata of a sound picture
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                pixels = _to_rgb(path, picture)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"'{path}' is too large: scale it down ({error})") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"'{path}' is no picture: use JPEG or PNG, or delete it") from error
    except Exception as error:  # Pillow raises many kinds
        raise ImageError(
            f"'{path}' is damaged or cut short: fetch it again or delete it ({error})"
        ) from error
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def resize_picture(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """A uint8 picture `(C, H, W)` at another height and width."""
    return resize(picture[None].float(), size)[0].round().clamp(0, 255).to(torch.uint8)


def _to_rgb(path: Path, picture: Image.Image) -> NDArray[np.uint8]:
    """Pixels `(H, W, 3)` of a picture of any mode."""
    width, height = picture.size
    if min(width, height) < SMALLEST_IMAGE:
        raise ImageError(
            f"'{path}' has {width}x{height} pixels, too few for a face: use "
            f"{SMALLEST_IMAGE}x{SMALLEST_IMAGE} or more"
        )
    if width * height > LARGEST_IMAGE:
        raise ImageError(f"'{path}' is too large with {width}x{height} pixels: scale it down")
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise ImageError(f"'{path}' holds floating-point numbers: save it with 8 bits a channel")
    if picture.mode.startswith("I"):
        pixels = np.asarray(picture)
        if pixels.min() < 0 or pixels.max() > 65535:
            raise ImageError(f"'{path}' holds more than 16 bits a pixel: save it with 8")
        picture = Image.fromarray(((pixels.astype(np.int64) + 128) // 257).astype(np.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(picture.convert("RGB"))


def read_clip(path: Path) -> Tensor:
    """All frames of a video file, or of a folder with numbered pictures; `(T, 3, H, W)` uint8 RGB.

    Decodes all of them, because the headers of JHMDB's videos state too many.

    Raises:
        ActionDatasetError: nothing can be decoded.
    """
    if path.is_dir():
        frames = [read_image(p) for p in sorted(path.glob("*.png")) + sorted(path.glob("*.jpg"))]
    else:
        import av

        try:
            with av.open(str(path)) as video:
                arrays = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
        except (av.FFmpegError, IndexError) as error:
            raise ActionDatasetError(
                f"clip '{path}' cannot be decoded ({error}): fetch it again, {_SEE}"
            ) from error
        frames = [torch.from_numpy(array).permute(2, 0, 1) for array in arrays]
    if not frames:
        raise ActionDatasetError(f"clip '{path}' holds no frames: fetch it again, {_SEE}")
    return torch.stack(frames)


def count_frames(path: Path) -> int:
    """Number of frames of a video file or of a folder of pictures, without decoding; 0 if unreadable."""
    if path.is_dir():
        return sum(1 for _ in path.glob("[!.]*.[pj][np]g"))
    import av

    try:
        with av.open(str(path)) as video:
            return sum(packet.size > 0 for packet in video.demux(video.streams.video[0]))
    except (av.FFmpegError, IndexError, OSError):
        return 0


def read_frames(source: Path, numbers: Sequence[int], *, rate: float, size: tuple[int, int]) -> Tensor:
    """Frames of a video by number, from 1, stretched to one size; `(len(numbers), 3, *size)` uint8 RGB.

    The source is a video file, or a folder of pictures whose names end in the number. Frame n of a file is
    the one shown at (n - 0.5) / rate seconds, so a copy with another frame rate gives the same pictures.

    Raises:
        ActionDatasetError: the source is damaged, or ends before a frame.
    """
    if source.is_dir():
        return torch.stack([resize_picture(read_image(path), size) for path in _numbered(source, numbers)])
    import av

    try:
        with av.open(str(source)) as video:
            return torch.stack([resize_picture(_decode(video, n, rate, source), size) for n in numbers])
    except (av.FFmpegError, IndexError, OSError) as error:
        raise ActionDatasetError(
            f"video '{source}' cannot be decoded ({error}): fetch it again, {_SEE}"
        ) from error


def _numbered(folder: Path, numbers: Sequence[int]) -> list[Path]:
    paths = {
        int(number[1]): path
        for path in folder.iterdir()
        if (number := re.search(r"(\d+)\.(?:jpg|jpeg|png)$", path.name))
    }
    if missing := [n for n in numbers if n not in paths]:
        raise ActionDatasetError(
            f"folder '{folder}' lacks frame {missing[0]} and {len(missing) - 1} more of its keyframes: "
            f"extract the frames again, {_SEE}"
        )
    return [paths[n] for n in numbers]


def _decode(video: InputContainer, number: int, rate: float, source: Path) -> Tensor:
    """The frame with that number, `(3, H, W)` uint8."""
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


def action_frames(
    parts: Sequence[Tensor],
    *,
    boxes: list[Tensor],
    labels: list[Tensor],
    clips: list[int],
    detect: DetectFaces | None,
) -> ActionFrames:
    """Frames of one or more clips, uint8 `(T, 3, H, W)` each, with their boxes and faces.

    Without `detect` there are no faces. The identity of a real face is unknown, -1.
    """
    faces = [(torch.zeros(0, 4), torch.zeros(0, 5, 2))] * len(clips)
    if detect is not None:
        chunks = (chunk for part in parts for chunk in part.split(_LONGEST))
        faces = [face for chunk in chunks for face in detect(chunk.float() / 255)]
    return ActionFrames(
        frames=torch.cat(list(parts)),
        boxes=boxes,
        labels=labels,
        face_boxes=[found.cpu().float() for found, _ in faces],
        landmarks=[points.cpu().float() for _, points in faces],
        identities=[torch.full((len(found),), -1) for found, _ in faces],
        clips=torch.tensor(clips),
    )


def spread(items: Sequence[Item], most: int | None) -> list[Item]:
    """At most `most` of the items, evenly spread, with the first and the last.

    >>> spread(range(10), 4)
    [0, 3, 6, 9]
    """
    if most is None or len(items) <= most:
        return list(items)
    return [items[int(place)] for place in np.linspace(0, len(items) - 1, most).round()]

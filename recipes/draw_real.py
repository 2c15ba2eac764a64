"""Draw people who do not exist before and after `swap`: results/real/people.jpg, strip.jpg.

    python -m recipes.draw_real

The sheet has 64 test people, a row before and the row below it after. The strip has frames of a
clip that went through `anonlib.video.anonymize_video` with default settings.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid

from anonlib.anonymizers.swap import Swap
from anonlib.video import Settings, anonymize_video
from anonlib.video.demo_clip import demo_clip, write_clip
from anonlib.world.faces import SyntheticPeople, synthetic_faces

OUT = Path(__file__).resolve().parents[1] / "results" / "real"
PEOPLE, COLUMNS, SHOWN, WIDEST = 64, 16, (6, 18, 30, 42, 54), 1809


def save(pictures: Tensor, path: Path, *, columns: int) -> None:
    """A grid of pictures in [0, 1] as JPEG, at most `WIDEST` pixels wide."""
    grid = make_grid(pictures, nrow=columns, padding=2, pad_value=1)
    array = (grid * 255).round().clamp(0, 255).byte().permute(1, 2, 0).numpy()
    picture = Image.fromarray(array)
    picture.thumbnail((WIDEST, WIDEST), Image.Resampling.LANCZOS)
    picture.save(path, quality=85, optimize=True, progressive=True)


@torch.inference_mode()
def sheet() -> Tensor:
    """Rows of faces, each row followed by the new people in their place."""
    numbers = SyntheticPeople().people("test")[:PEOPLE]
    before = synthetic_faces(numbers, images=1, size=160, seed=0).images / 255
    swap = Swap()
    after = torch.cat(
        [swap.session(i).replace([face], [0], [(0, 0)])[0][None] for i, face in enumerate(before)]
    )
    rows = [row for pair in zip(before.split(COLUMNS), after.split(COLUMNS), strict=True) for row in pair]
    return torch.nn.functional.interpolate(torch.cat(rows), (80, 80), mode="bilinear", antialias=True)


def strip() -> Tensor:
    """Frames of the demo clip, and below them the same frames of the anonymized file."""
    clip = demo_clip()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "clip.mp4"), Path(folder, "safe.mp4")
        write_clip(clip.frames, source)
        anonymize_video(source, target, settings=Settings(seed=0))
        with av.open(str(target)) as video:
            shots = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    after = torch.from_numpy(np.stack(shots)).permute(0, 3, 1, 2)
    chosen = list(SHOWN)
    return torch.cat([clip.frames[chosen], after[chosen]]) / 255


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    save(sheet(), OUT / "people.jpg", columns=COLUMNS)
    save(strip(), OUT / "strip.jpg", columns=len(SHOWN))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()

"""Anonymizes every file of a folder with everything taken for a face; run by `test_fuzz`.

A line a file is printed before and after, so that a crash or a hang is told by name.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from anonlib import anonymizers
from anonlib.detection import Faces
from anonlib.errors import AnonlibError
from anonlib.video import Models, Settings, anonymize_image, anonymize_video
from anonlib.video.kinds import kind_of

DARK = 90
"""Brighter means a pixel that was not masked; the inputs are brighter than 170 throughout."""


def everything(frames: Tensor) -> list[Faces]:
    height, width = frames.shape[2:]
    return [
        Faces(
            boxes=torch.tensor([[0.0, 0.0, width, height]]),
            scores=torch.ones(1),
            landmarks=torch.zeros(1, 5, 2),
        )
        for _ in frames
    ]


def brightest(path: Path) -> int:
    """Of all pictures in an output."""
    if path.suffix == ".mp4":
        with av.open(str(path)) as container:
            assert [s.type for s in container.streams].count("video") == 1
            found = [f.to_ndarray(format="gray").max() for f in container.decode(video=0)]
        assert found
        return int(max(found))
    with Image.open(path) as image:
        pages = [np.array(page.convert("L")) for page in ImageSequence.Iterator(image)]
    return int(max(page.max() for page in pages))


def anonymize(path: Path, models: Models) -> str:
    """What became of it in a word; an error that is none of ours is raised."""
    try:
        kind = kind_of(path)
        if kind is None:
            return "other"
        out = path.with_name(path.name + (".mp4" if kind == "video" else ".tif"))
        run = anonymize_video if kind == "video" else anonymize_image
        report = run(path, out, settings=Settings(every=1), models=models)
    except AnonlibError:
        return "refused"
    assert brightest(out) < DARK, f"a clear frame in {out}"
    return report.status


def main() -> None:
    torch.set_num_threads(1)
    models = Models(detector=everything, anonymizer=anonymizers.create("mask"))
    for path in sorted(Path(sys.argv[1]).iterdir()):
        print(path.name, flush=True, end=" ")
        print(anonymize(path, models), flush=True)


if __name__ == "__main__":
    main()

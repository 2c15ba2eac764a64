"""Faces that YuNet finds, as `benchmarks/detection.py` asks for them.

The package yuface holds libfacedetection, whose network is YuNet (Wu et al., 2023). Runs under a
Python that has it and Pillow, which needs nothing of anonlib:

    python benchmarks/yunet_boxes.py FRAMES.npz OUT.npz [--enlarge 2] [--threshold 0.5]

Frames and finds are those of `deface_boxes.py`. Frames are searched at 960 pixels at most, the
largest that the package takes without a warning.
"""

from __future__ import annotations

import argparse

import numpy as np
import yuface
from PIL import Image

LARGEST = 960


def find(frame: np.ndarray, *, enlarge: float, threshold: float) -> np.ndarray:
    """Rows of box, score and landmarks in one frame."""
    scale = min(enlarge, LARGEST / max(frame.shape))
    size = (round(frame.shape[1] * scale), round(frame.shape[0] * scale))
    picture = np.asarray(Image.fromarray(frame).resize(size))[:, :, ::-1]
    scores, boxes, points = yuface.detect(np.ascontiguousarray(picture), threshold)
    x0, y0, wide, high = boxes.astype(float).T / scale
    corners = [x0, y0, x0 + wide, y0 + high]
    return np.column_stack([*corners, scores / 100, points.astype(float).reshape(-1, 10) / scale])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames")
    parser.add_argument("out")
    parser.add_argument("--enlarge", type=float, default=1.0)
    parser.add_argument("--threshold", type=float, default=0.5, help="yuface's default")
    options = parser.parse_args()
    found = {}
    with np.load(options.frames) as subsets:
        for name in subsets.files:
            rows = []
            for number, frame in enumerate(subsets[name]):
                faces = find(frame, enlarge=options.enlarge, threshold=options.threshold)
                rows.append(np.column_stack([np.full(len(faces), number), faces]))
            found[name] = np.concatenate(rows)
    np.savez(options.out, **found)


if __name__ == "__main__":
    main()

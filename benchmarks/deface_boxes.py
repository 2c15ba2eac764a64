"""Faces that the package deface finds, as `benchmarks/detection.py` asks for them.

Runs under a Python that has deface, which needs nothing of anonlib:

    python benchmarks/deface_boxes.py FRAMES.npz OUT.npz [--scale WxH] [--threshold 0.2]

Each array in FRAMES.npz is a stack of frames `(n, H, W, 3)` uint8 RGB. OUT.npz holds for each the
finds as rows: number of the frame, x0, y0, x1, y1, score, then x and y of five landmarks.
"""

from __future__ import annotations

import argparse

import numpy as np
from deface.centerface import CenterFace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames")
    parser.add_argument("out")
    parser.add_argument("--scale", help="WxH, as deface's own option")
    parser.add_argument("--threshold", type=float, default=0.2, help="deface's default")
    arguments = parser.parse_args()
    shape = tuple(int(v) for v in arguments.scale.split("x")) if arguments.scale else None
    network = CenterFace(in_shape=shape)
    found = {}
    with np.load(arguments.frames) as subsets:
        for name in subsets.files:
            rows = []
            for number, frame in enumerate(subsets[name]):
                faces, points = network(np.ascontiguousarray(frame), threshold=arguments.threshold)
                rows.append(np.column_stack([np.full(len(faces), number), faces, points]))
            found[name] = np.concatenate(rows)
    np.savez(arguments.out, **found)


if __name__ == "__main__":
    main()

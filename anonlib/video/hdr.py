"""High dynamic range: pictures for the detector, and the metadata that players need."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from av import VideoFrame
from torch import Tensor

PQ, HLG = 16, 18
"""libav's numbers of the two transfer curves of high dynamic range."""
_SDR_WHITE = 203.0
"""Brightness in cd/m2 that ordinary white has in such a video (ITU-R BT.2408)."""
_DYNAMIC = {"DOVI_METADATA": "Dolby Vision", "DOVI_RPU_BUFFER": "Dolby Vision", "DYNAMIC_HDR_PLUS": "HDR10+"}


def is_hdr(frame: VideoFrame) -> bool:
    """Whether the frame has one of the curves of high dynamic range."""
    return frame.color_trc in (PQ, HLG)


def for_detector(rgb: Tensor, trc: int) -> Tensor:
    """Colours `(3, h, w)` uint8 with the brightness of an ordinary video, for the detector.

    PQ leaves four tenths of its values to highlights, so faces are dark in it. HLG looks ordinary.

    >>> for_detector(torch.tensor([[[0, 148, 255]]], dtype=torch.uint8), PQ).tolist()
    [[[0, 255, 255]]]
    """
    return _ordinary()[rgb.long()] if trc == PQ else rgb


@lru_cache
def _ordinary() -> Tensor:
    """`(256,)` uint8: the ordinary value of each value of PQ. Implements SMPTE ST 2084, Eq. 4.1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    value = (np.arange(256) / 255) ** (1 / m2)
    light = 10_000 * (np.maximum(value - c1, 0) / (c2 - c3 * value)) ** (1 / m1)
    return torch.from_numpy((255 * np.clip(light / _SDR_WHITE, 0, 1) ** (1 / 2.4)).round().astype(np.uint8))


def left_out(frame: VideoFrame) -> list[str]:
    """Notes for the report on data of a frame's dynamic range that are not written."""
    found = {name for kind, name in _DYNAMIC.items() if frame.side_data.get(kind) is not None}
    return [
        f"the data of {name} were left out; the picture that other players show is kept"
        for name in sorted(found)
    ]


def x265_params(frame: VideoFrame) -> str:
    """x265's parameters for the mastering display of an HDR10 video; empty for other videos."""
    if frame.color_trc != PQ:
        return ""
    words = ["hdr10=1", "repeat-headers=1"]
    side: Any = frame.side_data
    if (display := side.get("MASTERING_DISPLAY_METADATA")) is not None:
        words += _display(np.frombuffer(display, np.int32))
    if (light := side.get("CONTENT_LIGHT_LEVEL")) is not None:
        brightest, mean = np.frombuffer(light, np.uint32)[:2]
        words.append(f"max-cll={brightest},{mean}")
    return ":".join(words)


def _display(values: np.ndarray) -> list[str]:
    """The mastering display in x265's units, from libav's AVMasteringDisplayMetadata."""
    if len(values) < 22 or not (values[20] and values[21]):
        return []
    parts = [Fraction(int(a), int(b)) if b else Fraction(0) for a, b in values[:20].reshape(10, 2)]
    points = [(round(x * 50_000), round(y * 50_000)) for x, y in zip(parts[0:8:2], parts[1:8:2], strict=True)]
    red, green, blue, white = points
    named = zip(("G", "B", "R", "WP"), (green, blue, red, white), strict=True)
    darkest, brightest = round(parts[8] * 10_000), round(parts[9] * 10_000)
    places = "".join(f"{name}({x},{y})" for name, (x, y) in named)
    return [f"master-display={places}L({brightest},{darkest})"]

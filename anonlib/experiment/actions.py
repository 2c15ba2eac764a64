"""Action detection on anonymized frames (sections 5.1 and 5.3)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from anonlib.anonymizers import Anonymizer
from anonlib.anonymizers.frames import anonymize_frames
from anonlib.networks import ActionDetector
from anonlib.types import ActionFrames

BATCH = 16
Detections = list[dict[str, Tensor]]


@torch.inference_mode()
def anonymize_clips(
    data: ActionFrames, anonymizer: Anonymizer, *, only: Tensor | None = None
) -> ActionFrames:
    """The frames v' with anonymized faces, rounded to 8 bits; boxes and labels stay.

    Frames that are not in `only`, `(n,)` indices, become black. None anonymizes all frames.
    """
    out = torch.zeros_like(data.frames)
    for rows in (torch.arange(len(data)) if only is None else only).split(BATCH):
        boxes = [data.face_boxes[row] for row in rows.tolist()]
        modified = anonymize_frames(data.frames[rows].float() / 255, boxes, anonymizer)
        out[rows] = (modified * 255).round().to(torch.uint8)
    return replace(data, frames=out)


@torch.inference_mode()
def detect_actions(detector: ActionDetector, data: ActionFrames) -> Detections:
    """Boxes, scores and classes that A finds in every frame, as float32 on the CPU."""
    detector.eval()
    device = next(detector.parameters()).device
    found: Detections = []
    for frames in data.frames.split(BATCH):
        images = (frames.float() / 255).contiguous(memory_format=torch.channels_last)
        for detection in detector(images.to(device)):
            found.append({k: (v.float() if v.is_floating_point() else v).cpu() for k, v in detection.items()})
    return found


def ground_truth(data: ActionFrames) -> Detections:
    """The true boxes and classes of every frame, in the form of detections."""
    return [{"boxes": boxes, "labels": labels} for boxes, labels in zip(data.boxes, data.labels, strict=True)]

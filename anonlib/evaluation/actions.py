"""Action detection on anonymized frames (sections 5.1 and 5.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from anonlib.anonymizers.frames import anonymize_frames
from anonlib.data.types import ActionFrames
from anonlib.networks import ActionDetector

BATCH = 16
Detections = list[dict[str, Tensor]]


@torch.inference_mode()
def anonymize_clips(data: ActionFrames, anonymizer: Callable[[Tensor], Tensor]) -> ActionFrames:
    """v' of every frame, rounded to 8 bits; boxes and labels are those of the clear frames."""
    out = []
    for start in range(0, len(data), BATCH):
        rows = slice(start, start + BATCH)
        frames = data.frames[rows].float() / 255
        modified = anonymize_frames(frames, data.face_boxes[rows], anonymizer)
        out.append((modified * 255).round().to(torch.uint8))
    return replace(data, frames=torch.cat(out))


@torch.inference_mode()
def detect_actions(detector: ActionDetector, data: ActionFrames) -> Detections:
    """Boxes, scores and classes that A finds in every frame."""
    detector.eval()
    device = next(detector.parameters()).device
    found: Detections = []
    for frames in data.frames.split(BATCH):
        images = (frames.float() / 255).contiguous(memory_format=torch.channels_last)
        found += [{k: v.cpu() for k, v in d.items()} for d in detector(images.to(device))]
    return found


def ground_truth(data: ActionFrames) -> Detections:
    """The true boxes and classes in the shape of detections."""
    return [
        {"boxes": boxes, "labels": labels}
        for boxes, labels in zip(data.boxes, data.labels, strict=True)
    ]

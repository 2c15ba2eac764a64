"""A stronger action detector A for JHMDB, whose training a CPU finishes in minutes.

A is Faster R-CNN on a MobileNetV2 that has seen ImageNet, see `nsfw_mobilenet`. Its first eleven blocks are
not trained, so OpenVINO runs them. `measure_stronger` trains and tests it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import MultiScaleRoIAlign

from anonlib.experiment.actions import Detections
from anonlib.networks.compiled import compiled_if_possible
from anonlib.training.batches import frame_batch
from anonlib.training.detector import augment_frames
from anonlib.types import ActionFrames

SAVE_EVERY = 500
"""Steps between two checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How A is built and trained. Chosen so that a training ends in minutes, not by results."""

    frozen: int = 11
    """Blocks of MobileNetV2 that are not trained. They end at a stride of 16, with 64 channels."""
    channels: int = 128
    """Of the one feature map, at a stride of 16."""
    hidden: int = 256
    dropout: float = 0.5
    frames: int = 8
    steps: int = 1500
    learning_rate: float = 1e-3
    backbone_rate: float = 3e-4
    """Of the layers that come from the package."""
    weight_decay: float = 0.05


class _Heads(nn.Module):
    """Flattened regions to hidden features, with dropout."""

    def __init__(self, inputs: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, regions: Tensor) -> Tensor:
        return self.layers(regions)


class _Pyramid(nn.Module):
    """The trained blocks, and the two strides 16 and 32 merged into one map at a stride of 16."""

    def __init__(self, blocks: nn.Sequential, frozen: int, channels: int) -> None:
        super().__init__()
        self.middle, self.top = blocks[frozen:14], blocks[14:]
        self.from_middle, self.from_top = nn.Conv2d(96, channels, 1), nn.Conv2d(1280, channels, 1)
        self.smooth = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU())
        self.out_channels = channels

    def forward(self, maps: Tensor) -> Tensor:
        middle = self.middle(maps)
        top = F.interpolate(self.from_top(self.top(middle)), middle.shape[2:])
        return self.smooth(self.from_middle(middle) + top)


class StrongerDetector(nn.Module):
    """A with MobileNetV2, from the maps of the blocks that are not trained.

    Implements Ren et al., section 3.1, Eq. (1), as `ActionDetector` does.
    Differs from the paper: MobileNetV2 in place of ResNet-101; its first blocks are not trained.
    Maps are `(B, 64, H / 16, W / 16)` of frames `(B, 3, H, W)`; classes count from 0.
    """

    def __init__(
        self, blocks: nn.Sequential, *, classes: int, frame: tuple[int, int], settings: Settings
    ) -> None:
        super().__init__()
        self.frame = frame
        sizes = (tuple(round(min(frame) * s) for s in (0.4, 0.7, 1.0)),)
        self.network = FasterRCNN(
            _Pyramid(blocks, settings.frozen, settings.channels),
            rpn_anchor_generator=AnchorGenerator(sizes, ((0.75, 1.25, 2.0),)),
            box_roi_pool=MultiScaleRoIAlign(featmap_names=["0"], output_size=7, sampling_ratio=1),
            box_head=_Heads(settings.channels * 49, settings.hidden, settings.dropout),
            box_predictor=FastRCNNPredictor(settings.hidden, classes + 1),
            rpn_pre_nms_top_n_train=200,
            rpn_pre_nms_top_n_test=100,
            rpn_post_nms_top_n_train=40,
            rpn_post_nms_top_n_test=30,
            rpn_batch_size_per_image=64,
            box_batch_size_per_image=16,
            box_detections_per_img=20,
            box_score_thresh=0.02,
        ).to(memory_format=torch.channels_last)

    def train(self, mode: bool = True) -> StrongerDetector:
        """As `nn.Module.train`, but batch norm keeps its statistics."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def losses(self, maps: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> Tensor:
        """The sum of the four losses of Faster R-CNN; boxes and labels as for `ActionDetector`."""
        targets = [{"boxes": b.float(), "labels": t + 1} for b, t in zip(boxes, labels, strict=True)]
        features, images = self._features(maps)
        proposals, found = self.network.rpn(images, features, targets)
        _, more = self.network.roi_heads(features, proposals, images.image_sizes, targets)
        return torch.stack([*found.values(), *more.values()]).sum()

    @torch.inference_mode()
    def detect(self, maps: Tensor) -> Detections:
        """Boxes, scores and classes in each frame."""
        features, images = self._features(maps)
        proposals, _ = self.network.rpn(images, features)
        found, _ = self.network.roi_heads(features, proposals, images.image_sizes)
        return [{**d, "labels": d["labels"] - 1} for d in found]

    def _features(self, maps: Tensor) -> tuple[dict[str, Tensor], ImageList]:
        """The map in float32 and the size of the frames, in torchvision's form."""
        maps = maps.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            features = self.network.backbone(maps).float()
        blank = torch.empty(len(maps), 1, *self.frame)
        return {"0": features}, ImageList(blank, [self.frame] * len(maps))


@torch.no_grad()
def calibrate(blocks: nn.Sequential, frames: Tensor) -> None:
    """Sets mean and variance of every batch norm to those in `(N, 3, H, W)` uint8 frames.

    Those of the package are coarse, because its numbers have eight bits.
    """
    for norm in [m for m in blocks.modules() if isinstance(m, nn.BatchNorm2d)]:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    for part in frames.split(16):
        blocks(part.float() / 255)
    blocks.eval()


def stem(blocks: nn.Sequential, settings: Settings, frame: tuple[int, int]) -> nn.Module:
    """The blocks that are not trained, fast: frames `(B, 3, H, W)` in [0, 1] to maps."""
    return compiled_if_possible(blocks[: settings.frozen], torch.zeros(16, 3, *frame), threads=1)


def train(
    detector: StrongerDetector,
    stem: nn.Module,
    clips: ActionFrames,
    settings: Settings,
    *,
    seed: int,
    checkpoint: Path | None = None,
    report: Callable[[str], None] = print,
) -> None:
    """Trains A in place by AdamW; the rates rise for a twentieth of the steps and fall as a cosine.

    Half of the frames are mirrored, all have the zoom and light of `augment_frames`. The batch of a step
    depends on the seed and the step alone. A run with a `checkpoint` resumes there.
    """
    own = [p for name, p in detector.named_parameters() if _shipped(name) and p.requires_grad]
    new = [p for name, p in detector.named_parameters() if not _shipped(name) and p.requires_grad]
    rates = (settings.backbone_rate, settings.learning_rate)
    groups = [{"params": g, "lr": r, "start": r} for g, r in zip((own, new), rates, strict=True)]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
    first = 0
    if checkpoint is not None and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        detector.load_state_dict(state["detector"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    detector.train()
    total, begun = 0.0, time.time()
    for step in range(first, settings.steps):
        torch.manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            rise, done = min(1.0, 20 * (step + 1) / settings.steps), step / settings.steps
            group["lr"] = group["start"] * rise * (1 + math.cos(math.pi * done)) / 2
        batch = augment_frames(frame_batch(clips, settings.frames, seed=seed, step=step))
        with torch.no_grad():
            maps = stem(batch.frames).bfloat16()
        loss = detector.losses(maps, batch.boxes, batch.labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(detector.parameters(), 10.0, error_if_nonfinite=True)
        optimizer.step()
        total += float(loss.detach())
        if (step + 1) % 100 == 0:
            report(f"step {step + 1}: loss {total / 100:.3f}, {time.time() - begun:.0f} s")
            total = 0.0
        if checkpoint is not None and (step + 1) % SAVE_EVERY == 0:
            kept = {"detector": detector.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            torch.save(kept, checkpoint)


def _shipped(name: str) -> bool:
    """Whether the package has weights for a parameter."""
    return ".middle." in name or ".top." in name


def detect_in(detector: StrongerDetector, stem: nn.Module, frames: Tensor) -> Detections:
    """What A finds in `(N, 3, H, W)` uint8 frames."""
    detector.eval()
    with torch.inference_mode():
        parts = [stem(part.float() / 255).bfloat16() for part in frames.split(16)]
    return [found for part in parts for found in detector.detect(part)]

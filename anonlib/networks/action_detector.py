"""Action detector A: torchvision's Faster R-CNN over action classes."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.ops import MultiScaleRoIAlign

from anonlib.config import DetectorConfig
from anonlib.networks.blocks import batch_norm_layer


class SmallBackbone(nn.Sequential):
    """Seven convolutions to one feature map; where channels grow, the resolution halves."""

    def __init__(self, width: int) -> None:
        channels = (3, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 4 * width)
        super().__init__(*[batch_norm_layer(i, o, stride=2 if o > i else 1) for i, o in pairwise(channels)])
        self.out_channels = 4 * width


def _small_detector(config: DetectorConfig) -> FasterRCNN:
    """One feature map and few proposals, so that a CPU trains it in minutes."""
    backbone = SmallBackbone(config.width)
    side = min(config.frame)
    sizes = (tuple(round(side * s) for s in (0.4, 0.7, 1.0)),)
    pool = MultiScaleRoIAlign(featmap_names=["0"], output_size=7, sampling_ratio=2)
    return FasterRCNN(
        backbone,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.75, 1.25, 2.0),)),
        box_roi_pool=pool,
        box_head=TwoMLPHead(backbone.out_channels * 49, 8 * config.width),
        box_predictor=FastRCNNPredictor(8 * config.width, config.classes + 1),
        rpn_pre_nms_top_n_train=200,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_train=60,
        rpn_post_nms_top_n_test=30,
        rpn_batch_size_per_image=64,
        box_batch_size_per_image=32,
        box_detections_per_img=20,
        box_score_thresh=0.02,
        min_size=side,
        max_size=max(config.frame),
    )


def _resnet_detector(config: DetectorConfig) -> FasterRCNN:
    backbone = resnet_fpn_backbone(
        backbone_name=config.backbone, weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5
    )
    return FasterRCNN(backbone, config.classes + 1, min_size=min(config.frame), max_size=max(config.frame))


class ActionDetector(nn.Module):
    """A: detects actions in frames, as boxes with class and score.

    Implements Ren et al., section 3.1, Eq. (1): the loss is the sum of the four losses of Faster
    R-CNN, classification and regression of the RPN and of Fast R-CNN.
    Differs from the paper: ResNet-101 has a feature pyramid instead of one map; the `small`
    backbone of the laptop profile is ours.

    Classes are numbered from 0; torchvision's label 0, the background, is hidden.
    """

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        make = _small_detector if config.backbone == "small" else _resnet_detector
        self.network = make(config)

    def losses(self, frames: Tensor, boxes: list[Tensor], labels: list[Tensor]) -> dict[str, Tensor]:
        """The four losses of L_A(v', b, t), scalars by torchvision's names.

        Frames are `(B, 3, H, W)` in [0, 1]; each has `(n, 4)` boxes, xyxy pixels, and `(n,)` labels.
        """
        targets = [
            {"boxes": b.float().reshape(-1, 4), "labels": t + 1} for b, t in zip(boxes, labels, strict=True)
        ]
        return self.network(list(frames), targets)

    def forward(self, frames: Tensor) -> list[dict[str, Tensor]]:
        """`boxes` `(n, 4)`, `scores` `(n,)` and `labels` `(n,)` in each frame of `(B, 3, H, W)` in [0, 1]."""
        detections = self.network(list(frames))
        return [{**d, "labels": d["labels"] - 1} for d in detections]

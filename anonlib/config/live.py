"""Live de-identification (Gafni et al., ICCV 2019) at 64 pixels and its training."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.config.checks import require, to_dict

LIVE_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Settings of the dial of live de-identification, shares of the strongest lambda."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """Shape of the network of live de-identification at 64 pixels (Gafni et al., ICCV 2019)."""

    width: int = 16
    """Channels at 64 pixels."""
    bottleneck: int = 128
    """Numbers that the encoder passes on; up to 1,024 in the paper (from memory)."""
    features: int = 64
    """Length of the target's descriptor."""

    def __post_init__(self) -> None:
        fits = self.width > 0 and self.width % 4 == 0 and self.bottleneck > 0 and self.features > 0
        require(fits, f"live {to_dict(self)}: use a width that is a multiple of 4, and positive numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTraining:
    """Hyper-parameters of live de-identification. No public code exists; the paper's are from memory."""

    train_steps: int = 2800
    """Updates of the critic and of the network; some 100,000 in the paper."""
    warm_steps: int = 500
    """The first of these steps, in which lambda is 0."""
    ramp_steps: int = 500
    """The next steps, in which lambda rises evenly; in the paper it rises in three steps."""
    batch: int = 16
    """Faces; 32 or 64 in the paper."""
    lr: float = 1e-3
    """1e-4 in the paper."""
    lr_drop: float = 0.85
    """Fraction of the steps after which the learning rate falls to a tenth."""
    pixel_weight: float = 1.0
    """Weight of `losses.redraw_loss`."""
    square_weight: float = 50.0
    """Weight of the squared errors of drawing and blend, against spots of colour. Not in the paper."""
    attract_weight: float = 0.1
    """Weight of `losses.attractor_loss`."""
    repel_weight: float = 0.3
    """-lambda at strength 1; 2e-6 in the paper, whose losses are sums."""
    repel_until: float = 1.1
    """Distance at which `losses.repeller_loss` stops at strength 1, times the root of other strengths: there
    the cosine of the two descriptors is about 1 minus the strength. Not in the paper."""
    critic_weight: float = 0.1
    """Weight of `losses.realism_loss`."""
    mask_size: float = 3e-3
    mask_edges: float = 1e-2
    """Weights of the mean and of the gradients of the mask."""
    jitter: float = 0.8
    """Standard deviation in pixels of places and landmarks before a face network sees the faces. Ours."""

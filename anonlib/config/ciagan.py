"""CIAGAN (Maximov et al., CVPR 2020) at 64 pixels and its training."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.config.checks import require, to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class CiaganConfig:
    """Shape of CIAGAN's generator at 64 pixels (Maximov et al., CVPR 2020)."""

    people: int = 64
    """Training people, one of whom is drawn; 1,200 in the paper."""
    width: int = 20
    """Channels at 32 pixels; 64 in the public code."""
    blocks: int = 2
    """Residual blocks at 4 pixels; 4 in the public code."""
    face: bool = False
    """Whether it sees the whole clear face where the drawing of landmarks was: an ablation of the talk."""

    def __post_init__(self) -> None:
        fits = self.people > 1 and self.width > 1 and self.width % 2 == 0 and self.blocks > 0
        require(fits, f"CIAGAN {to_dict(self)}: use two people or more, an even width and a block or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class CiaganTraining:
    """Hyper-parameters of CIAGAN's training. Where nothing is said, they are those of its public code."""

    adversarial_steps: int = 200
    """Iterations of the loop, each with the updates below; 100 epochs in the public code."""
    pretrain_steps: int = 600
    """Updates of the identity network by Proxy-NCA beforehand, as in the talk; 0 in the public code."""
    pair_steps: int = 3200
    """Updates of the generator by `losses.redraw_loss` beforehand; 0 in the paper, which has no pairs."""
    pair_weight: float = 10.0
    """Weight of `losses.redraw_loss` in the loop; 0 in the paper."""
    pair_lr: float = 1e-3
    batch: int = 8
    """Pairs of pictures; 16 in the public code."""
    identity_updates: int = 1
    critic_updates: int = 1
    generator_updates: int = 3
    lr: float = 1e-4
    """Of generator and critic, as in the public code; 1e-5 in the paper."""
    identity_lr: float = 1e-4
    lr_drop: float = 0.8
    """Fraction of the steps after which the learning rates fall to a tenth; never in the public code."""
    classifier: bool = False
    """Whether the identity network names the person, by cross-entropy on the dot products with one weight
    vector for each, instead of comparing two pictures: an ablation of the talk. It guides the generator by
    the cross-entropy of the wanted person."""
    margin: float = 3.0
    identity_weight: float = 0.05
    """Weight of the identity loss beside `losses.realism_loss`; 0.5 is the public code's. With 0.5 and four
    times the `lr` the generator learned to fool the identity network by bright patterns instead of faces."""

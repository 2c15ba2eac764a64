"""The password-conditioned face identity transformer (Gu et al., ECCV 2020) at 64 pixels and its training."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.config.checks import require, to_dict


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """Shape of the password-conditioned transformer T at 64 pixels (Gu et al., ECCV 2020)."""

    bits: int = 8
    """Of a password; 16 in the paper."""
    code: int = 192
    """Numbers of a face that the password turns in pairs; none in the paper."""
    width: int = 40
    """Channels of the two networks that predict details; the paper's T has 64 to 256."""

    def __post_init__(self) -> None:
        fits = 0 < self.bits <= 16 and self.width > 0 and self.code % 2 == 0 < self.code
        require(fits, f"FIT {to_dict(self)}: use 1 to 16 bits, a positive width and an even code")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTraining:
    """Hyper-parameters of the training of T. Where nothing is said, they are those of its public code."""

    detail_steps: int = 250
    """Updates of the networks that predict details, before the directions are found; 0 in the paper."""
    detail_lr: float = 2e-3
    pairs: int = 1200
    """Pairs of pictures of two people in one scene, from which the directions are found; 0 in the paper."""
    pretrain_steps: int = 150
    """Updates of the recogniser F alone beforehand; the public code starts from a trained SphereFace."""
    adversarial_steps: int = 50
    """Iterations of the game; 30 epochs of CASIA-WebFace in the public code."""
    batch: int = 12
    """Faces; 48 in the public code."""
    lr: float = 1e-4
    """Of T, the critics and the password reader Q."""
    recogniser_lr: float = 1e-3
    """Of F alone; a hundredth of it in the game."""
    lr_drop: float = 0.9
    """Fraction of the steps after which the learning rates fall to a tenth; never in the public code."""
    restored_weight: float = 100.0
    """Of the mean absolute error of R."""
    change_weight: float = 2.0
    """Of the mean absolute error of A and W to I; 10 in the public code."""
    identity_weight: float = 0.5
    """Of `losses.password_identity_loss`; 2 in the public code. With 2 and twice the `lr`, 200 iterations
    made faces uglier."""
    realism_weight: float = 4.0
    """Of the critics; 2 in the public code, whose `losses.realism_loss` is twice ours."""
    ceiling: float = 7.0
    """A face with a larger A-Softmax loss adds no gradient to T; no such bound in the paper."""

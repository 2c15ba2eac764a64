"""One interface for everything that hides a face, learned or not.

>>> import torch
>>> hide = create("blur8")
>>> hide(torch.rand(2, 3, 48, 48)).shape
torch.Size([2, 3, 48, 48])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from anonlib.anonymizers import handcrafted
from anonlib.anonymizers.learned import LearnedAnonymizer
from anonlib.errors import ConfigError, ImageError, NumericError

Anonymizer = Callable[[Tensor], Tensor]
"""Float RGB faces `(B, 3, H, W)` in [0, 1] to the same shape and range."""

SMALLEST_FACE = 8
"""Pixels a face must have a side."""

_HANDCRAFTED: dict[str, Anonymizer] = {
    "unanonymized": handcrafted.unanonymized,
    "blur8": partial(handcrafted.blur, grid=8),
    "blur16": partial(handcrafted.blur, grid=16),
    "blur24": partial(handcrafted.blur, grid=24),
    "noise0.1": partial(handcrafted.noise, variance=0.1),
    "noise0.3": partial(handcrafted.noise, variance=0.3),
    "noise0.5": partial(handcrafted.noise, variance=0.5),
    "mask": handcrafted.mask,
    "edge": handcrafted.edge,
    "superpixel": handcrafted.superpixel,
}
_LEARNED = "modifier"
SHIPPED = "modifier-lite"
"""The modifier for real faces that ships with its weights."""


def names() -> tuple[str, ...]:
    """The methods of the paper: no protection, the hand-crafted ones, and the learned one last.

    `create` also knows `modifier-lite`, which is for faces of real people.

    >>> names()[0], names()[-1]
    ('unanonymized', 'modifier')
    """
    return (*_HANDCRAFTED, _LEARNED)


def create(name: str, modifier: nn.Module | None = None, *, device: str = "cpu") -> Anonymizer:
    """The anonymizer of that name.

    Args:
        name: one of `names()`, or `modifier-lite`.
        modifier: the trained modifier M, for `modifier` only; see `LearnedAnonymizer`.
        device: where `modifier-lite` runs, `cpu` or `cuda`.

    Returns:
        A callable on float RGB faces `(B, 3, H, W)` in [0, 1]. An image comes out the same
        whatever else is in its batch. Its `size` is the side that the learned ones work at, else
        None. It raises `ImageError` for another shape, type or range
        or for faces under 8 pixels a side, and `NumericError` for NaN or infinity.

    Raises:
        ConfigError: no anonymizer has that name, or the modifier is missing.
    """
    if name == SHIPPED:
        from anonlib.anonymizers.learned import lite_anonymizer

        return _Method(lite_anonymizer(device=device))
    if name not in names():
        known = ", ".join((*names(), SHIPPED))
        raise ConfigError(f"anonymizer '{name}' is unknown: use one of {known}")
    if name != _LEARNED:
        return _Method(_HANDCRAFTED[name])
    if modifier is None:
        raise ConfigError(
            "anonymizer 'modifier' needs a trained modifier: pass one, as read from a checkpoint"
        )
    return _Method(LearnedAnonymizer(modifier))


@dataclass(frozen=True, slots=True)
class _Method:
    """A way to hide faces that refuses what are none."""

    method: Anonymizer

    @property
    def size(self) -> int | None:
        """Side of the images it works at, if there is one such size."""
        size: int | None = getattr(self.method, "size", None)
        return size

    def __call__(self, faces: Tensor) -> Tensor:
        _check_faces(faces)
        return self.method(faces) if len(faces) else faces.clone()


def _check_faces(faces: Tensor) -> None:
    shape = tuple(faces.shape)
    if len(shape) != 4 or shape[1] != 3:
        raise ImageError(f"faces of shape {shape}: pass RGB images as (B, 3, H, W)")
    if not faces.is_floating_point():
        raise ImageError(f"faces of type {faces.dtype}: pass float in [0, 1], as `faces / 255`")
    if min(shape[2:]) < SMALLEST_FACE:
        raise ImageError(
            f"faces of {shape[2]}x{shape[3]} pixels cannot be anonymized: "
            f"pass {SMALLEST_FACE}x{SMALLEST_FACE} or more"
        )
    if not len(faces):
        return
    bad = ~torch.isfinite(faces).flatten(1).all(dim=1)
    if bad.any():
        raise NumericError(f"face {int(bad.int().argmax())} of the batch holds NaN or infinity")
    low, high = (float(x) for x in faces.aminmax())
    if low < -1e-3 or high > 1 + 1e-3:
        raise ImageError(f"faces range from {low:g} to {high:g}: scale them to [0, 1]")

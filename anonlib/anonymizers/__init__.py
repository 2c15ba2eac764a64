"""All methods that anonymize faces, hand-crafted or learned, with one interface.

>>> import torch
>>> hide = create("blur8")
>>> hide(torch.rand(2, 3, 48, 48)).shape
torch.Size([2, 3, 48, 48])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from anonlib.anonymizers import handcrafted as handcrafted
from anonlib.anonymizers.ciagan import load_ciagan
from anonlib.anonymizers.conditions import Conditions as Conditions, conditions_of as conditions_of
from anonlib.anonymizers.fit import load_fit
from anonlib.anonymizers.frames import SMALLEST_FACE as SMALLEST_FACE, anonymize_frames as anonymize_frames
from anonlib.anonymizers.learned import learned, load_anonymizer
from anonlib.anonymizers.live import load_live
from anonlib.anonymizers.sessions import Session as Session, enlarge_of as enlarge_of
from anonlib.anonymizers.swap import Swap
from anonlib.errors import ConfigError, ImageError, NumericError

Anonymizer = Callable[[Tensor], Tensor]
"""Float RGB faces `(B, 3, H, W)` in [0, 1] to the same shape and range."""

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
SHIPPED = "modifier-photo"
"""M-state for faces of real people, which ships with its weights."""
SWAP = "swap"
"""Replaces each face by that of a new person."""
CIAGAN = "ciagan"
"""Draws one of CIAGAN's drawn training people into the hole that the face leaves."""
FIT = "fit"
"""Makes another face from a face and a password; the password undoes it."""
LIVE = "live"
"""Draws each face again, less like its own person, at a chosen strength."""
EXTENTS = ("face", "head")
"""How much of a person `swap` replaces: the skin of the face, or hair, ears and neck too."""
NEEDS = {
    _LEARNED: "needs --weights FILE, the M that you trained: "
    "weights/modifier.safetensors in the --out of `anonlib reproduce`"
}
"""What a method needs besides its name, as text for the command line."""


def names() -> tuple[str, ...]:
    """The methods of the paper: first no protection, then the hand-crafted ones, then M.

    `create` also knows `modifier-photo` and `swap`, which are for faces of real people, `ciagan`, `fit`
    and `live`.

    >>> names()[0], names()[-1]
    ('unanonymized', 'modifier')
    """
    return (*_HANDCRAFTED, _LEARNED)


def create(
    name: str,
    modifier: nn.Module | None = None,
    *,
    weights: Path | None = None,
    device: str = "cpu",
    extent: str | None = None,
    seed: int | None = None,
    strength: float | None = None,
    password: str | None = None,
    recover: bool = False,
) -> Anonymizer:
    """The anonymizer of that name, one of `names()`, `modifier-photo`, `swap`, `ciagan`, `fit` or `live`.

    Each face is treated by itself, whatever else is in the batch. The attribute `size` is the side
    in pixels at which M works, None for other methods. `enlarge` is how much larger than the detector's
    box its crops are. `session` makes a `Session` of a method that treats files, None for others.
    Calling it raises `ImageError` for another shape, type or range and for faces under 8 pixels a side,
    and `NumericError` for NaN or infinity.

    Args:
        modifier: the trained M, for `modifier` only; see `learned.learned`.
        weights: a file with the trained M instead, for `modifier`, see `learned.load_modifier`; or with the
            networks of `ciagan`, `fit` or `live`, by default the shipped ones.
        device: where the networks of learned methods and of `swap` run, `cpu` or `cuda`.
        extent: how much of a person `swap` replaces, one of `EXTENTS`; by default the face.
        seed: chooses the people that `swap`, `ciagan` or a `modifier` draws at random, and the passwords of
            `fit`; by default they differ in each run.
        strength: how far `live` goes, one of `config.LIVE_STRENGTHS`; by default as far as it can.
        password: of `fit`; by default each face gets a random one. Whoever tries all of them undoes it.
        recover: whether `fit` undoes the password instead.

    Raises:
        ConfigError: no anonymizer has that name, or M is missing, or given twice or for another name;
            or the extent, strength or password is unknown or for another name.
        CheckpointError: the file of weights is missing, damaged or of another network.
        FaceDatasetError: the shipped weights are missing.
    """
    known = (*names(), SHIPPED, SWAP, CIAGAN, LIVE, FIT)
    if name not in known:
        raise ConfigError(f"anonymizer '{name}' is unknown: use one of {', '.join(known)}")
    if extent is not None and (name != SWAP or extent not in EXTENTS):
        raise ConfigError(f"extent '{extent}': use one of {', '.join(EXTENTS)}, with method '{SWAP}' alone")
    if strength is not None and name != LIVE:
        raise ConfigError(f"strength {strength:g} is for method '{LIVE}' alone")
    trained = (_LEARNED, CIAGAN, LIVE, FIT)
    if weights is not None and (name not in trained or modifier is not None):
        raise ConfigError(
            f"weights '{weights}' are for method {', '.join(map(repr, trained))} alone, without another M"
        )
    if name != FIT and (password is not None or recover):
        raise ConfigError(f"a password is for method '{FIT}' alone, not for '{name}'")
    if name == FIT:
        return _Checked(load_fit(weights, password=password, recover=recover, device=device, seed=seed))
    if name == LIVE:
        return _Checked(load_live(weights, device=device, strength=strength))
    if name == CIAGAN:
        return _Checked(load_ciagan(weights, device=device, seed=seed))
    if name == SWAP:
        return _Checked(Swap(extent=extent or EXTENTS[0], device=device, seed=seed))
    if name == SHIPPED:
        return _Checked(load_anonymizer(device=device))
    if name != _LEARNED:
        return _Checked(_HANDCRAFTED[name])
    if weights is not None:
        return _Checked(load_anonymizer(weights, device=device, seed=seed))
    if modifier is None:
        raise ConfigError(f"anonymizer '{_LEARNED}' {NEEDS[_LEARNED]}")
    return _Checked(learned(modifier, seed=seed))


@dataclass(frozen=True, slots=True)
class _Checked:
    """An anonymizer that refuses faces of another shape, type or range."""

    method: Anonymizer

    @property
    def size(self) -> int | None:
        """Side in pixels at which M works, None for other methods."""
        return getattr(self.method, "size", None)

    @property
    def enlarge(self) -> float:
        """How much larger than the detector's box its crops are."""
        return enlarge_of(self.method)

    @property
    def session(self) -> Callable[[int | None], Session] | None:
        """Makes a session for a file from a seed or None; None for methods that do not remember."""
        return getattr(self.method, "session", None)

    def __call__(self, faces: Tensor) -> Tensor:
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
            return faces.clone()
        bad = ~torch.isfinite(faces).flatten(1).all(dim=1)
        if bad.any():
            raise NumericError(f"face {int(bad.int().argmax())} of the batch holds NaN or infinity")
        low, high = (float(x) for x in faces.aminmax())
        if low < -1e-3 or high > 1 + 1e-3:
            raise ImageError(f"faces range from {low:g} to {high:g}: scale them to [0, 1]")
        return self.method(faces)

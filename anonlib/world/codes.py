"""Codes of drawn people: which person M-state draws."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from anonlib.networks.state_modifier import CODE
from anonlib.world.face_model import FaceModel
from anonlib.world.hair import TRAITS

_FORM = 8
"""The last numbers of a code are the form of the hair."""
_SAMPLE = range(600_000_000, 600_004_000)
"""Training people whose covariance defines the code. D and A never see them."""


class PersonCodes:
    """The drawn person that a code stands for.

    A code has `CODE` numbers of about unit variance: principal components of the identities, and the form of
    the hair. It leaves out the strands, so people who are drawn from codes have smooth hair.

    >>> codes = PersonCodes()
    >>> people = codes.of([0, 1])
    >>> people.shape, len(codes.identity(people))
    (torch.Size([2, 48]), 2)
    """

    @cached_property
    def model(self) -> FaceModel:
        """The face model that draws the people."""
        return FaceModel.load()

    @cached_property
    def _axes(self) -> tuple[Tensor, Tensor]:
        """Mean `(L,)` and principal components `(CODE - 8, L)` of the learned coefficients."""
        known = self.model.identity(_SAMPLE)[:, :-TRAITS]
        mean, count = known.mean(0), CODE - _FORM
        _, values, vectors = torch.linalg.svd(known - mean, full_matrices=False)
        return mean, vectors[:count] * values[:count, None] / len(known) ** 0.5

    def of(self, people: Sequence[int]) -> Tensor:
        """The codes `(B, CODE)` of these person numbers."""
        mean, axes = self._axes
        learned, traits = self.model.identity(people).split([len(mean), TRAITS], 1)
        scores = (learned - mean) @ axes.T / axes.square().sum(1)
        return torch.cat([scores, traits[:, :_FORM]], 1)

    def identity(self, codes: Tensor) -> Tensor:
        """The identity `(B, K)` of the face model for each code."""
        mean, axes = self._axes
        strands = codes.new_zeros(len(codes), TRAITS - _FORM)
        return torch.cat([mean + codes[:, :-_FORM] @ axes, codes[:, -_FORM:], strands], 1)

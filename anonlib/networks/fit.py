"""The password-conditioned face identity transformer T at 64 pixels, and the password reader Q.

Its critics are four of `networks.critic.PatchCritic`, its recogniser is `networks.ciagan.identity_network`.
"""

from __future__ import annotations

from itertools import pairwise, product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.config import FitConfig
from anonlib.networks.critic import PatchCritic

SIZE = 64
"""Side in pixels of the faces that T takes and returns."""
PLANES = 16
"""Directions into which a password is encoded."""
_SLOPE = 0.2
LOW = SIZE // 2
"""Side of the picture in which the code is read."""
_SEED = 101


def all_passwords(bits: int) -> Tensor:
    """Every password, `(2^bits, bits)` of -1 and 1, counted as in binary.

    >>> all_passwords(2).tolist()
    [[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]]
    """
    return torch.tensor(list(product((-1.0, 1.0), repeat=bits)))


def password_planes(faces: Tensor, password: Tensor) -> Tensor:
    """`(B, 3 + bits, S, S)`: faces `(B, 3, S, S)`, then each bit of `(B, bits)` as a plane of -0.5 or 0.5.

    Implements the input of T in Gu et al. (ECCV 2020). `FaceTransformer` does not use it.

    >>> password_planes(torch.zeros(1, 3, 2, 2), torch.tensor([[1.0, -1]]))[0, 3:, 0, 0]
    tensor([ 0.5000, -0.5000])
    """
    planes = (password / 2)[:, :, None, None].expand(-1, -1, *faces.shape[2:])
    return torch.cat([faces, planes], 1)


def odd_subsets(bits: int) -> Tensor:
    """`(PLANES, bits)` bool: random sets of an odd number of bits, each bit in one or more of them.

    >>> sets = odd_subsets(8)
    >>> bool((sets.sum(1) % 2 == 1).all() and sets.any(0).all())
    True
    """
    draw = torch.Generator().manual_seed(_SEED)
    sets = torch.rand(PLANES, bits, generator=draw) < 0.5
    sets[:, 0] ^= sets.sum(1) % 2 == 0
    return sets


def encoded(password: Tensor) -> Tensor:
    """The code `(B, PLANES)` of -1 and 1 for passwords `(B, bits)` of -1 and 1.

    Each number is the product of an odd number of bits, so the code of -p is that of p with all signs
    flipped. The codes of two passwords of 8 bits differ in four or more: a password that is wrong by one bit
    is hardly better than another. Differs from the paper: there each bit is a plane.

    >>> p = torch.tensor([[1.0, -1, 1, 1, -1, 1, -1, -1]])
    >>> torch.equal(encoded(-p), -encoded(p))
    True
    """
    sets = odd_subsets(password.shape[1]).to(password.device)
    return torch.where(sets, password[:, None], password.new_ones(())).prod(2)


def turned(code: Tensor, directions: Tensor) -> Tensor:
    """Each pair of neighbours in `(B, 2n)` turned by 90 degrees, pair k as plane k modulo `PLANES` says.

    >>> turned(torch.tensor([[1.0, 2.0]]), torch.ones(1, 16))
    tensor([[-2.,  1.]])
    """
    pairs = code.unflatten(1, (-1, 2))
    signs = directions[:, torch.arange(pairs.shape[1]) % PLANES]
    return (torch.stack([-pairs[..., 1], pairs[..., 0]], 2) * signs[..., None]).flatten(1)


def halved(images: Tensor) -> tuple[Tensor, Tensor]:
    """The Haar transform of `(B, C, S, S)`: means `(B, C, S/2, S/2)`, doubled, and details `(B, 3C, ...)`."""
    phases = F.pixel_unshuffle(images, 2).unflatten(1, (-1, 4))  # (B, C, 4, S/2, S/2)
    parts = torch.einsum("ij,bcjhw->bcihw", _HAAR.to(images), phases)
    return parts[:, :, 0], parts[:, :, 1:].flatten(1, 2)


def doubled(means: Tensor, details: Tensor) -> Tensor:
    """The inverse of `halved`."""
    parts = torch.cat([means[:, :, None], details.unflatten(1, (-1, 3))], 2)
    phases = torch.einsum("ij,bcihw->bcjhw", _HAAR.to(means), parts)
    return F.pixel_shuffle(phases.flatten(1, 2), 2)


_HAAR = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2


class _Details(nn.Sequential):
    """Predicts the details of a picture from its means: `(B, 3, S, S)` to `(B, 9, S, S)`; at first 0."""

    def __init__(self, width: int) -> None:
        layers: list[nn.Module] = []
        for a, b in pairwise((3, width, width, width)):
            layers += [nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect"), nn.LeakyReLU(_SLOPE)]
        last = nn.Conv2d(width, 9, 3, padding=1, padding_mode="reflect")
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        super().__init__(*layers, last)


class FaceTransformer(nn.Module):
    """T(I, p): a face I becomes another face A under a password p, and T(A, -p) is I again.

    A password is `(B, bits)` of -1 and 1, one for each face; -p has all bits flipped. T straightens the
    picture: it subtracts those details that the means predict. There it reads a code, turns each pair of its
    numbers by 90 degrees to the left or to the right, as the password says, and goes back. Every step can be
    undone, so T(T(I, p), -p) = I for any weights, but for rounding and for colours beyond black and white.

    Implements what T of Gu et al. (ECCV 2020) does. Differs from the paper: there T is an encoder and decoder
    that sees the password as constant planes, and restoring is learned; their batch norm removes a password
    that a whole batch shares, here is no norm; 64 pixels, 8 bits, see `FitConfig`.

    >>> network = FaceTransformer(FitConfig(code=16, width=4))
    >>> faces, password = torch.rand(2, 3, 64, 64) / 4 + 0.4, torch.ones(2, 8)
    >>> torch.allclose(network(network(faces, password), -password), faces, atol=1e-4)
    True
    """

    def __init__(self, config: FitConfig) -> None:
        super().__init__()
        self.config = config
        self.fine, self.coarse = _Details(config.width), _Details(config.width)
        self.mean = nn.Parameter(torch.zeros(3 * LOW**2))
        self.trust = nn.Parameter(torch.ones(3 * LOW**2))
        """Weight of each pixel when the code is read; small where the background varies."""
        self.directions = nn.Parameter(0.01 * torch.randn(config.code, 3 * LOW**2))
        """What one unit of each number of the code adds to the straightened picture."""

    def forward(self, faces: Tensor, password: Tensor) -> Tensor:
        """Other faces, `(B, 3, SIZE, SIZE)` in [0, 1] to the same; passwords are `(B, bits)` of -1 and 1."""
        return self.turn(faces, encoded(password))

    def turn(self, faces: Tensor, directions: Tensor) -> Tensor:
        """The same for the code of a password, `(B, PLANES)` of -1 and 1."""
        straight, high = self.straightened(faces)
        flat = straight.flatten(1)
        code = self.code(flat)
        flat = flat + (turned(code, directions) - code) @ self.directions
        return self.drawn(flat.view_as(straight), high).clamp(0, 1)

    def code(self, flat: Tensor) -> Tensor:
        """The codes `(B, config.code)` of straightened pictures `(B, 3 LOW^2)`, by weighted least squares."""
        weighted = self.directions * self.trust
        return torch.linalg.solve(weighted @ self.directions.T, weighted @ (flat - self.mean).T).T

    def straightened(self, faces: Tensor) -> tuple[Tensor, Tensor]:
        """The means `(B, 3, LOW, LOW)` and details `(B, 9, LOW, LOW)`, without what the means predict."""
        low, high = halved(faces - 0.5)
        lower, middle = halved(low)
        return doubled(lower, middle - self.coarse(lower)), high - self.fine(low)

    def drawn(self, straight: Tensor, high: Tensor) -> Tensor:
        """The inverse of `straightened`."""
        lower, middle = halved(straight)
        low = doubled(lower, middle + self.coarse(lower))
        return doubled(low, high + self.fine(low)) + 0.5


class PasswordReader(nn.Module):
    """Q: guesses the code of the password from a face before and after T, as `(B, PLANES)` logits of 1.

    Implements the auxiliary network of Gu et al. (ECCV 2020). Differs from the paper: each plane has its own
    logit, not each group of four bits; widths are a quarter.

    >>> PasswordReader(width=4)(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 16])
    """

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in pairwise((6, width, 2 * width, 4 * width, 8 * width)):
            layers += [nn.Conv2d(a, b, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE)]
        layers += [nn.Conv2d(8 * width, 8 * width, 4), nn.LeakyReLU(_SLOPE), nn.Flatten()]
        self.layers = nn.Sequential(*layers, nn.Linear(8 * width, PLANES))

    def forward(self, before: Tensor, after: Tensor) -> Tensor:
        """Faces are `(B, 3, SIZE, SIZE)` in [0, 1]."""
        return self.layers(torch.cat([before, after], 1) * 2 - 1)


class FitCritics(nn.Module):
    """Four critics: one each for faces A, R and W, and one of half the size for all of them.

    Implements the discriminators of Gu et al. (ECCV 2020). Differs from the paper: spectral norm instead of
    batch norm and of a pool of old faces; three strides of width `width`.
    """

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        self.anonymized, self.restored, self.wrong, self.small = (PatchCritic(width=width) for _ in range(4))

    def forward(self, kind: str, faces: Tensor) -> Tensor:
        """The ratings `(B, N)` of all patches of both sizes; `kind` is anonymized, restored or wrong."""
        small = F.avg_pool2d(faces, 2)
        return torch.cat([getattr(self, kind)(faces).flatten(1), self.small(small).flatten(1)], 1)

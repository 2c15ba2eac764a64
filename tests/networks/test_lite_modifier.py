from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import LiteModifierConfig
from anonlib.errors import ConfigError
from anonlib.networks.modifier import LiteModifier, veil, veil_mask

TINY = LiteModifierConfig(size=32, width=4, blocks=1, cells=8)


def shuffled_in_cells(faces: Tensor, *, cells: int, where: Tensor) -> Tensor:
    """Faces whose pixels changed places inside every cell that lies wholly in `where`."""
    out, side = faces.clone(), faces.shape[-1] // cells
    for y in range(0, side * cells, side):
        for x in range(0, side * cells, side):
            if where[y : y + side, x : x + side].all():
                cell = faces[:, :, y : y + side, x : x + side]
                order = torch.randperm(side * side)
                out[:, :, y : y + side, x : x + side] = cell.flatten(2)[..., order].view_as(cell)
    return out


def picture(size: int) -> Tensor:
    """Pixels of which sums and means are exact in float."""
    return torch.randint(0, 256, (2, 3, size, size)).float() / 256


@pytest.mark.parametrize("size", [32, 128])
def test_the_whole_box_before_the_enlargement_is_veiled_and_the_corners_are_not(size: int):
    mask = veil_mask(size)[0, 0]
    low, high = round(size * (0.5 - 0.5 / 1.6)), round(size * (0.5 + 0.5 / 1.6))
    assert (mask[low:high, low:high] == 1).all()
    assert mask[0, 0] == mask[0, -1] == mask[-1, 0] == mask[-1, -1] == 0
    torch.testing.assert_close(mask, mask.flip(0, 1))
    assert mask.min() >= 0 and mask.max() <= 1


def test_a_veil_by_hand():
    faces = torch.tensor([[0.0, 1.0], [0.5, 0.1]]).expand(1, 3, 2, 2)
    mask = torch.tensor([[1.0, 0.0], [0.5, 0.0]])[None, None]  # the mean is 0.4
    expected = torch.tensor([[0.4, 1.0], [0.45, 0.1]]).expand(1, 3, 2, 2)
    torch.testing.assert_close(veil(faces, cells=1, mask=mask), expected)


def test_outside_the_veil_pixels_pass_and_in_its_feather_detail_fades():
    mask, faces = veil_mask(64), picture(64)
    other = shuffled_in_cells(faces, cells=8, where=torch.ones(64, 64))
    a, b = (veil(x, cells=8, mask=mask) for x in (faces, other))
    outside = (mask == 0).expand_as(a)
    assert torch.equal(a[outside], faces[outside])
    torch.testing.assert_close(a - b, (1 - mask) * (faces - other), atol=1e-6, rtol=0)


def test_faces_alike_up_to_the_cells_of_the_veil_come_out_the_same():
    network = LiteModifier(TINY).eval()
    faces = picture(32)
    other = shuffled_in_cells(faces, cells=8, where=network.mask[0, 0] == 1)
    assert (faces != other).float().mean() > 0.3
    with torch.no_grad():
        assert torch.equal(network(faces), network(other))
        moved = network((faces + 0.2 * (network.mask == 1)).clamp(0, 1))
    assert not torch.equal(network(faces), moved)  # what is coarse does pass


def test_a_network_that_adds_nothing_returns_the_veiled_face():
    network = LiteModifier(TINY)
    last = network.decoder[-2]
    assert isinstance(last, nn.Conv2d) and last.bias is not None
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    faces = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(network(faces), veil(faces, cells=8, mask=network.mask))


def test_shape_and_range_are_kept_whatever_is_drawn():
    network = LiteModifier(TINY)
    nn.init.normal_(network.decoder[-2].weight, std=9.0)  # type: ignore[arg-type]
    out = network(torch.rand(2, 3, 32, 32))
    assert out.shape == (2, 3, 32, 32)
    assert out.min() == 0 and out.max() == 1


def test_a_face_alone_is_modified_as_in_a_batch():
    network, faces = LiteModifier(TINY).eval(), torch.rand(3, 3, 32, 32)
    alone = torch.cat([network(face[None]) for face in faces])
    torch.testing.assert_close(network(faces), alone, atol=1e-5, rtol=0)


def test_gradients_reach_every_weight():
    network = LiteModifier(TINY)
    (network(torch.rand(1, 3, 32, 32)) - 0.3).square().sum().backward()
    for name, p in network.named_parameters():
        if name.endswith("weight"):
            assert p.grad is not None and p.grad.any(), name


def test_weights_hold_no_mask():
    assert "mask" not in LiteModifier(TINY).state_dict()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 20}, "size 20: use a multiple of 8"),
        ({"cells": 0}, "cells 0: use 1 to 128"),
        ({"size": 16, "cells": 17}, "cells 17: use 1 to 16"),
        ({"width": 0}, "width and blocks must be positive"),
    ],
)
def test_shapes_that_cannot_be_are_refused(wrong: dict[str, int], message: str):
    with pytest.raises(ConfigError, match=message):
        LiteModifierConfig(**wrong)

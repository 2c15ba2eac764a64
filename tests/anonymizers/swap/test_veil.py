from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from anonlib.anonymizers import create
from anonlib.anonymizers.swap.veil import CELLS, veil, veil_ellipse

SIDE = 128


def box(factor: float, enlarge: float = 2.0) -> torch.Tensor:
    """`(128, 128)` whether a pixel lies in the ellipse of the detector's box times a factor."""
    line = ((torch.arange(SIDE) + 0.5) / SIDE * 2 - 1) * enlarge / factor
    return torch.hypot(line[:, None], line[None]) <= 1


@pytest.mark.parametrize("enlarge", [1.6, 2.0, 2.8])
def test_the_ellipse_holds_the_box_times_1_3_and_ends_soon_after(enlarge: float) -> None:
    hidden = veil_ellipse(SIDE, SIDE, enlarge=enlarge)[0, 0]
    assert (hidden[box(1.3, enlarge)] == 1).all()
    assert (hidden[~box(1.47, enlarge)] == 0).all()
    assert ((hidden > 0) & (hidden < 1)).any()


def test_a_face_of_one_colour_stays_and_the_background_does_not_bleed() -> None:
    faces = torch.full((1, 3, SIDE, SIDE), 0.2)
    faces[..., box(1.47)] = 0.7
    assert (veil(faces, enlarge=2.0) - faces).abs().max() < 1e-3


def test_only_the_means_of_16_cells_pass() -> None:
    """Faces that differ within the cells alone are the same behind the veil."""
    faces = 0.5 + 0.2 * torch.rand(2, 3, SIDE, SIDE)
    change = torch.zeros_like(faces)
    sign = (torch.arange(SIDE)[:, None] + torch.arange(SIDE)) % 2 * 2 - 1
    change[..., box(1.0)] = (0.3 * sign).float()[box(1.0)]
    one, two = veil(faces, enlarge=2.0), veil(faces + change, enlarge=2.0)
    assert (one - two)[..., box(1.0)].abs().max() < 0.01
    assert change.abs().max() > 0.29


@pytest.mark.parametrize("width", [12, 16, 20, 24])
def test_the_veil_is_coarser_than_the_strongest_blur(width: int) -> None:
    """Contrast that is left of stripes, in the middle of the face: 60% as much or less."""
    inside = box(0.8)
    stripes = (torch.arange(SIDE) // width % 2).float().expand(1, 3, SIDE, SIDE)
    spread = [
        float(hide(stripes)[..., inside].std()) for hide in (create("blur8"), lambda x: veil(x, enlarge=2.0))
    ]
    assert spread[1] < 0.6 * spread[0], spread


def test_the_fill_has_no_steps() -> None:
    faces = torch.rand(4, 3, SIDE, SIDE)
    faces = F.interpolate(F.interpolate(faces, (CELLS, CELLS)), (SIDE, SIDE), mode="nearest")
    after = veil(faces, enlarge=2.0)[..., box(1.2)[60:68].any(0)][..., 60:68, :]
    assert after.diff(dim=-1).abs().max() < 0.08  # the cells themselves differ by up to 1


def test_what_is_in_front_is_kept_and_does_not_colour_the_fill() -> None:
    faces = torch.full((1, 3, SIDE, SIDE), 0.6)
    keep = torch.zeros(1, 1, SIDE, SIDE)
    keep[..., 60:70, :] = 1
    faces[..., 60:70, :] = 0.0
    after = veil(faces, enlarge=2.0, keep=keep)
    assert torch.equal(after[..., 60:70, :], faces[..., 60:70, :])
    assert (after[..., 30:60, 40:90] - 0.6).abs().max() < 0.01


def test_a_face_that_is_wholly_covered_is_left_alone() -> None:
    faces = torch.rand(1, 3, SIDE, SIDE)
    assert torch.equal(veil(faces, enlarge=2.0, keep=torch.ones(1, 1, SIDE, SIDE)), faces)


@pytest.mark.parametrize("size", [(8, 8), (9, 40), (64, 11)])
def test_small_and_narrow_crops_work_and_input_is_unchanged(size: tuple[int, int]) -> None:
    faces = torch.rand(2, 3, *size)
    kept = faces.clone()
    after = veil(faces, enlarge=2.0)
    assert after.shape == faces.shape and torch.equal(faces, kept)
    assert after.min() >= 0 and after.max() <= 1
    alone = torch.cat([veil(face[None], enlarge=2.0) for face in faces])
    torch.testing.assert_close(after, alone)

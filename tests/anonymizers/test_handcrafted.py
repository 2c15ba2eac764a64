from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from anonlib.anonymizers.handcrafted import blur, edge, mask, noise, superpixel, unanonymized

FACE = F.interpolate(
    torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0)), (48, 48), mode="bicubic"
).clamp(0, 1)


def test_unanonymized_is_a_copy():
    out = unanonymized(FACE)
    assert torch.equal(out, FACE) and out.data_ptr() != FACE.data_ptr()


def test_mask_leaves_nothing():
    assert mask(FACE).count_nonzero() == 0


@pytest.mark.parametrize("grid", [8, 16, 24])
def test_blur_leaves_a_grid_of_numbers(grid):
    """Faces that agree after the reduction cannot be told apart."""
    small = F.interpolate(FACE, (grid, grid), mode="bilinear", antialias=True)
    expected = F.interpolate(small, (48, 48), mode="bilinear")
    torch.testing.assert_close(blur(FACE, grid=grid), expected)
    rank = torch.linalg.matrix_rank(blur(torch.rand(1, 1, 48, 48), grid=grid)[0, 0], rtol=1e-4)
    assert rank <= grid


def test_blur_keeps_a_flat_face_and_its_mean():
    flat = torch.full((1, 3, 50, 30), 0.3)
    torch.testing.assert_close(blur(flat, grid=8), flat)
    assert blur(FACE, grid=8).mean() == pytest.approx(float(FACE.mean()), abs=0.02)


def test_blur_loses_more_on_a_coarser_grid():
    lost = [(blur(FACE, grid=g) - FACE).abs().mean() for g in (24, 16, 8)]
    assert lost[0] < lost[1] < lost[2]


@pytest.mark.parametrize("variance", [0.1, 0.3, 0.5])
def test_noise_has_the_variance_it_is_named_by(variance):
    """A pixel of grey stays inside [0, 1] as often as a normal number within half a range."""
    out = noise(torch.full((1, 3, 256, 256), 0.5), variance=variance)
    inside = ((out > 0) & (out < 1)).float().mean()
    normal = torch.distributions.Normal(0.0, variance**0.5)
    assert inside == pytest.approx(float(2 * normal.cdf(torch.tensor(0.5)) - 1), abs=0.01)
    assert out.mean() == pytest.approx(0.5, abs=0.01)


def test_noise_follows_the_image_alone():
    faces = torch.rand(4, 3, 16, 16)
    together = noise(faces, variance=0.1)
    torch.manual_seed(99)
    alone = torch.cat([noise(face[None], variance=0.1) for face in faces])
    assert torch.equal(together, alone)


def test_images_do_not_share_their_noise():
    faces = torch.full((2, 3, 64, 64), 0.5)
    faces[1, 0, 0, 0] += 2 / 255
    one, other = noise(faces, variance=0.01) - 0.5
    correlation = torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
    assert correlation.abs() < 0.05


def test_edges_lie_where_the_picture_steps():
    disc = torch.zeros(1, 3, 40, 40)
    y, x = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(40) - 19.5, indexing="ij")
    radius = (x**2 + y**2).sqrt()
    disc[:, :, radius < 12] = 1
    out = edge(disc)
    assert set(out.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(out[:, 0], out[:, 1]) and torch.equal(out[:, 0], out[:, 2])
    on = radius[out[0, 0] == 1]
    assert (on - 12).abs().max() < 1.5 and len(on) > 50


def test_a_flat_face_has_no_edges():
    assert edge(torch.full((1, 3, 20, 20), 0.7)).count_nonzero() == 0


def test_superpixels_are_flat_and_few():
    out = superpixel(FACE)[0].flatten(1).T
    colours = out.unique(dim=0)
    assert 30 <= len(colours) <= 90
    torch.testing.assert_close(out.mean(0), FACE[0].flatten(1).mean(1))  # means keep the mean


def test_superpixels_follow_the_picture():
    halves = torch.zeros(1, 3, 32, 32)
    halves[..., 13:] = 1
    torch.testing.assert_close(superpixel(halves), halves)

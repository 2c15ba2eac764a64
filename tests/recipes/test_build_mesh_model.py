from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from anonlib.anonymizers.swap.model import TEXTURE, MeshModel
from anonlib.anonymizers.swap.render import mesh_places, sample_texture
from recipes import build_mesh_model as recipe


@pytest.fixture(scope="module")
def model() -> MeshModel:
    return MeshModel.load()


@pytest.fixture(scope="module")
def plane(model: MeshModel) -> recipe.Plane:
    return recipe.texture_plane(model.uv, model.triangles)


def _smooth(height: int, width: int) -> Tensor:
    y, x = torch.linspace(0, 1, height)[:, None], torch.linspace(0, 1, width)
    return torch.stack([0.2 + 0.5 * x + 0 * y, 0.3 + 0.4 * y + 0 * x, 0.5 + 0.3 * x * y])


def test_a_mirror_exchanges_the_sides_of_the_face(model: MeshModel):
    index = recipe.mirror_index(model.rest)
    assert index[[33, 61, 145]].tolist() == [263, 291, 374]
    assert index[[10, 152, 1]].tolist() == [10, 152, 1]
    assert torch.equal(index[index], torch.arange(468))


def test_the_mean_shape_is_level_and_symmetric(model: MeshModel):
    generator = torch.Generator().manual_seed(0)
    pitch = 0.3 + 0.05 * torch.randn(60, generator=generator)
    noise = 0.02 * torch.randn(60, 468, 3, generator=generator)
    nodding = torch.stack(
        [shape @ recipe._nod(-p) for shape, p in zip(model.rest + noise, pitch, strict=True)]
    )
    rest, mirror = recipe.mean_shape(40 * nodding + 100)
    assert torch.allclose(rest[mirror] * torch.tensor([-1.0, 1, 1]), rest, atol=1e-3)
    _, state = recipe.upright(40 * nodding + 100, rest)
    assert abs(float(recipe.turn(state)[:, 1].median())) < 0.01
    assert float(state.scale.mean()) == pytest.approx(40, rel=0.03)


def test_a_split_separates_what_varies_within_and_between_people():
    generator = torch.Generator().manual_seed(0)
    people = np.repeat(np.arange(400), 10)
    own = torch.randn(400, 2, generator=generator) * torch.tensor([3.0, 0])
    values = own[people] + torch.randn(4000, 2, generator=generator) * torch.tensor([1.0, 2])
    found = recipe.split(values, people)
    assert found.within.diag().tolist() == pytest.approx([1, 4], rel=0.1)
    assert found.between.diag().tolist() == pytest.approx([9, 0], rel=0.2, abs=0.1)
    assert found.differences.reshape(400, 10, 2).mean(1).abs().max() < 1e-5


def test_people_with_few_pictures_count_neither_within_nor_between():
    many = recipe.split(torch.randn(100, 1), np.repeat(np.arange(10), 10))
    values = torch.cat([many.differences, torch.tensor([[1e3], [-1e3]])])
    people = np.append(np.repeat(np.arange(10), 10), [10, 10])
    assert recipe.split(values, people).within.item() == pytest.approx(many.within.item(), rel=1e-4)


def test_the_plane_agrees_with_the_shipped_one(model: MeshModel, plane: recipe.Plane):
    assert (plane.inside == model.inside).float().mean() > 0.99
    weights = plane.weights.sum(1)
    assert torch.allclose(weights, torch.ones_like(weights), atol=1e-4)


def test_a_texture_comes_back_from_a_picture(model: MeshModel, plane: recipe.Plane):
    texture, points = _smooth(*TEXTURE), model.rest * 60 + 100
    places, _ = mesh_places(points, model, height=220, width=200)
    picture = sample_texture(texture, places)
    difference = (recipe.unrolled(picture, points, plane) - texture).abs()[:, plane.inside]
    assert difference.quantile(0.9) < 0.02


def test_light_and_exposure_do_not_remain_in_the_rows(plane: recipe.Plane):
    rows = recipe.without_light(torch.stack([_smooth(*TEXTURE), 0.5 * _smooth(*TEXTURE)]), plane)
    assert torch.allclose(rows[0], rows[1], atol=1e-4)
    assert rows[0].abs().mean() < 0.05
    assert rows.shape[1] == 27033


def test_what_covers_a_face_is_found(plane: recipe.Plane):
    luma = torch.zeros(TEXTURE)
    luma[80:110, 60:90] = -0.6
    small = plane.inside[::2, ::2].sum()
    residual = torch.cat([luma[plane.inside], torch.zeros(2 * int(small))])[None]
    unlike = recipe.misfit(residual, plane)[0]
    assert unlike[80:110, 60:90].all() and unlike.sum() < 46 * 46


def test_the_look_is_learned_from_the_context():
    generator = torch.Generator().manual_seed(0)
    contexts = torch.rand(2000, 5, generator=generator)
    weights = 30 * torch.randn(5, 20, generator=generator)
    scores = contexts @ weights + torch.randn(2000, 20, generator=generator)
    look, spread, explained = recipe.look_from_context(contexts, scores, np.repeat(np.arange(200), 10))
    assert explained > 0.5
    assert look.shape == (20, 6)
    expected = look[:, 0] + contexts[0] @ look[:, 1:].T
    assert (expected - scores[0]).abs().mean() < 2 * spread.mean()


def test_a_byte_each_loses_little():
    rows = torch.randn(3, 1000) * torch.tensor([[1.0], [10], [0.1]])
    stored, scale = recipe.bytes_of(rows)
    assert stored.dtype is torch.int8
    assert torch.allclose(stored * scale[:, None], rows, atol=0.2)

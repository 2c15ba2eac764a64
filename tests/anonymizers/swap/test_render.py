from __future__ import annotations

import torch

from anonlib.anonymizers.swap.model import TEXTURE, MeshModel
from anonlib.anonymizers.swap.render import fill_polygon, mesh_places, place_mesh, sample_texture
from anonlib.anonymizers.swap.state import read_state
from tests.anonymizers.swap.conftest import posed, turned


def test_the_outline_of_the_drawing_is_the_seen_one(model: MeshModel) -> None:
    points = posed(model.rest, turned(yaw=0.3, roll=0.2))
    outline = points[model.oval, :2] + torch.tensor([3.0, -2.0])
    mesh = place_mesh(model.rest + model.shapes[0], read_state(points[None], model), outline, model)
    torch.testing.assert_close(mesh[model.oval, :2], outline, atol=1e-3, rtol=0)


def test_points_inside_move_less_than_the_outline(model: MeshModel) -> None:
    assert torch.allclose(model.follow.sum(1), torch.ones(468), atol=1e-4)
    assert (model.follow > -1e-5).all() and model.follow[1].max() < 0.2  # 1 is the tip of the nose


def test_a_texture_that_holds_its_own_place_is_drawn_at_the_points(model: MeshModel) -> None:
    """Each point of the mesh gets the colour that its place in the texture has."""
    height, width = TEXTURE
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij"
    )
    points = posed(model.rest, turned(), scale=60.0)
    places, drawn = mesh_places(points, model, height=256, width=256)
    picture = sample_texture(torch.stack([x, y, 0 * x]), places)
    front = [1, 4, 50, 280, 9, 152, 61, 291]
    for point in front:
        column, row = points[point, :2].int().tolist()
        if drawn[row, column]:
            torch.testing.assert_close(picture[:2, row, column], model.uv[point], atol=0.02, rtol=0)
    assert drawn.float().mean() > 0.2


def test_what_faces_away_is_hidden(model: MeshModel) -> None:
    """At a strong turn the far cheek takes less room than the near one."""
    height, width = TEXTURE
    left = (torch.arange(width) < width / 2).float().expand(3, height, width)
    points = posed(model.rest, turned(yaw=0.8), scale=60.0)
    places, drawn = mesh_places(points, model, height=256, width=256)
    picture = sample_texture(left, places)
    near, far = (picture[0] > 0.5) & drawn, (picture[0] < 0.5) & drawn
    assert near.sum() > 2 * far.sum()


def test_a_polygon_covers_its_area() -> None:
    square = torch.tensor([[10.0, 10.0], [20.0, 10.0], [20.0, 30.0], [10.0, 30.0]])
    inside = fill_polygon(square, height=40, width=40)
    assert 180 <= int(inside.sum()) <= 231 and inside[20, 15] and not inside[20, 25]

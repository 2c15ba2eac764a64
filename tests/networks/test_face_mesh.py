from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from anonlib.errors import CheckpointError
from anonlib.networks.compiled import compiled_if_possible
from anonlib.networks.face_mesh import FaceMesh, load_face_mesh, topology
from anonlib.world.face_model import FaceModel

SOME = [10, 152, 33, 263, 1, 13, 14]
"""Forehead, chin, outer corners of the eyes, tip of the nose, lips."""
EXPECTED = [
    [
        [95.63, 48.77, -7.81],
        [95.14, 166.29, 5.20],
        [63.15, 85.39, 3.95],
        [126.14, 86.38, 7.41],
        [96.28, 113.97, -22.63],
        [95.41, 131.62, -6.63],
        [95.47, 134.38, -5.55],
    ],
    [
        [101.97, 50.25, -15.37],
        [91.57, 167.09, 14.84],
        [63.38, 84.41, -1.67],
        [129.77, 88.87, 7.38],
        [98.90, 116.24, -23.88],
        [95.30, 131.57, -5.51],
        [95.23, 141.36, -1.30],
    ],
]
LOGITS = [34.98, 40.75]


@pytest.fixture(scope="module")
def network() -> FaceMesh:
    return load_face_mesh()


def drawn() -> Tensor:
    """Two drawn people, `(2, 3, 192, 192)`, before grey."""
    model = FaceModel.load()
    pose, expression = torch.tensor([[0.0, 0, 0], [1, 1, 1]]), torch.tensor([[0.0, 0], [1, 1]])
    heads = model.render(
        model.identity([1, 2]), pose=pose, expression=expression, illumination=torch.zeros(2, 3), size=192
    )
    return heads.rgb * heads.alpha + 0.5 * (1 - heads.alpha)


def test_points_of_drawn_people_are_those_of_the_original_file(network: FaceMesh):
    """Expected: `face_landmark.tflite` run by OpenVINO. Half precision moves points by up to 0.05 pixels."""
    with torch.no_grad():
        points, logits = network(drawn())
    torch.testing.assert_close(points[:, SOME], torch.tensor(EXPECTED), atol=0.1, rtol=0)
    torch.testing.assert_close(logits, torch.tensor(LOGITS), atol=0.1, rtol=0)


def test_the_compiled_network_finds_the_same_points(network: FaceMesh):
    pictures = drawn()
    fast = compiled_if_possible(network, pictures, threads=1, exact=True)
    with torch.no_grad():
        for found, expected in zip(fast(pictures), network(pictures), strict=True):
            torch.testing.assert_close(found, expected, atol=0.01, rtol=0)


def test_a_batch_of_one_is_a_batch_of_many(network: FaceMesh):
    pictures = drawn()
    with torch.no_grad():
        together, single = network(pictures), [network(one[None]) for one in pictures]
    torch.testing.assert_close(together[0], torch.cat([points for points, _ in single]), atol=1e-3, rtol=0)
    torch.testing.assert_close(together[1], torch.cat([logit for _, logit in single]), atol=1e-3, rtol=0)


def test_the_triangles_are_one_disc_with_the_oval_as_its_edge():
    triangles, oval = topology()
    edges = [tuple(e) for a, b, c in triangles.tolist() for e in ((a, b), (b, c), (c, a))]
    assert len(set(edges)) == len(edges)  # neighbours are turned the same way round
    assert 468 - len({frozenset(edge) for edge in edges}) + len(triangles) == 1
    border = {(a, b) for a, b in edges if (b, a) not in edges}
    assert border == set(zip(oval.tolist(), oval.roll(-1).tolist(), strict=True))


def test_the_triangles_face_the_viewer(network: FaceMesh):
    with torch.no_grad():
        points = network(drawn()[:1])[0][0, :, :2]
    corners = points[topology().triangles]
    (ax, ay), (bx, by) = (corners[:, 1:] - corners[:, :1]).permute(1, 2, 0)
    assert ((ax * by - ay * bx) > 0).float().mean() > 0.95


def test_weights_of_another_network_are_refused(tmp_path: Path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"w": torch.zeros(1)}, metadata={"config": "{}"}))
    with pytest.raises(CheckpointError, match=r"other\.safetensors are not the face mesh's: restore"):
        load_face_mesh(path)
    with pytest.raises(CheckpointError, match=r"gone\.safetensors are missing or damaged"):
        load_face_mesh(tmp_path / "gone.safetensors")

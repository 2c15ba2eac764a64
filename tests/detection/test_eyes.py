from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from anonlib.detection.eyes import EyeLandmarks, eye_opening
from anonlib.detection.mesh import MeshLandmarks
from anonlib.errors import CheckpointError
from anonlib.networks.eye_mesh import load_eye_mesh
from anonlib.world.face_model import FaceModel

CONTOUR = [[22.72, 34.52], [35.43, 38.42], [46.58, 33.82], [31.27, 27.51]]


@pytest.fixture(scope="module")
def crops() -> Tensor:
    """Two drawn people before grey, `(2, 3, 256, 256)`."""
    model, zeros = FaceModel.load(), torch.zeros
    heads = model.render(
        model.identity([1, 2]), pose=zeros(2, 3), expression=zeros(2, 2), illumination=zeros(2, 3), size=192
    )
    return F.pad(heads.rgb * heads.alpha + 0.5 * (1 - heads.alpha), (32, 32, 32, 32), value=0.5)


def test_eyelids_are_where_the_mesh_has_eyes_and_upper_lids_are_above(crops: Tensor):
    points, _ = MeshLandmarks()(crops)
    eyelids = EyeLandmarks()(crops, points)
    corners = points[:, [[33, 133], [263, 362]], :2]  # outer, inner
    width = (corners[:, :, 0] - corners[:, :, 1]).norm(dim=-1)
    assert ((eyelids[:, :, [0, 8]] - corners).norm(dim=-1) < 0.35 * width[..., None]).all()
    assert (eyelids[:, :, 9:, 1] < eyelids[:, :, 1:8, 1]).all()
    assert ((eye_opening(eyelids) > 0.1) & (eye_opening(eyelids) < 0.6)).all()


def test_a_mirrored_face_has_mirrored_eyes(crops: Tensor):
    points, _ = MeshLandmarks()(crops)
    find = EyeLandmarks()
    eyelids = find(crops, points)
    mirrored = points.clone()
    pairs = [[33, 133, 362, 263], [263, 362, 133, 33]]
    mirrored[:, pairs[0]] = points[:, pairs[1]]
    mirrored[..., 0] = 256 - mirrored[..., 0]
    found = find(crops.flip(3), mirrored)
    back = torch.stack([256 - found[..., 0], found[..., 1]], -1).flip(1)
    torch.testing.assert_close(back, eyelids, atol=0.05, rtol=0)


def test_points_of_a_pattern_are_those_of_the_original_file():
    """Expected: `iris_landmark.tflite` run by OpenVINO. Half precision moves points by 0.01 pixels."""
    with torch.no_grad():
        contour = load_eye_mesh()(pattern())
    torch.testing.assert_close(contour[0, [0, 4, 8, 12]], torch.tensor(CONTOUR), atol=0.05, rtol=0)


def pattern() -> Tensor:
    """A dark disc in a light ellipse on skin colour, `(1, 3, 64, 64)`."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    skin = torch.tensor([0.8, 0.6, 0.5])[:, None, None].expand(3, 64, 64)
    eye = (((x - 32) / 14) ** 2 + ((y - 32) / 6) ** 2 < 1).float()
    iris = ((x - 34) ** 2 + (y - 32) ** 2 < 25).float() * eye
    return (skin * (1 - eye) + 0.9 * (eye - iris) + 0.2 * iris)[None]


def test_opening_by_hand():
    """Eyes 20 pixels wide and 8 high."""
    eyelids = torch.zeros(1, 2, 16, 2)
    eyelids[0, :, 3:6, 1], eyelids[0, :, 11:14, 1] = 4.0, -4.0
    eyelids[0, 0, 8, 0] = 20.0  # outer corner at 0
    eyelids[0, 1, 0, 0] = 20.0  # inner corner at 0
    torch.testing.assert_close(eye_opening(eyelids), torch.full((1, 2), 0.4))


def test_no_faces_no_eyes():
    assert EyeLandmarks()([], torch.zeros(0, 468, 3)).shape == (0, 2, 16, 2)


def test_weights_of_another_network_are_refused(tmp_path: Path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"w": torch.zeros(1)}, metadata={"config": "{}"}))
    with pytest.raises(CheckpointError, match=r"other\.safetensors are not the eye mesh's: restore"):
        load_eye_mesh(path)

"""Replacing a whole head: what is drawn, what is left of the old one, what stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from anonlib.anonymizers.swap.head import HeadModel, HeadStyle, heads_file
from anonlib.anonymizers.swap.head_frame import HeadFrame
from anonlib.anonymizers.swap.surrounding import fill
from anonlib.detection.mesh import MeshLandmarks
from anonlib.errors import CheckpointError, ImageError
from anonlib.world.face_model import FaceModel


@pytest.fixture(scope="module")
def heads() -> HeadModel:
    return HeadModel.load()


@pytest.fixture(scope="module")
def crop() -> Tensor:
    """A drawn head before a blue wall, `(3, 300, 300)`."""
    rest = torch.zeros(1, 3)
    model = FaceModel.load()
    head = model.render(model.identity([3]), pose=rest, expression=rest[:, :2], illumination=rest, size=192)
    wall = torch.tensor([0.3, 0.4, 0.6])[:, None, None]
    return F.pad(head.rgb[0] - wall, (54, 54, 60, 48)) * F.pad(head.alpha[0], (54, 54, 60, 48)) + wall


@pytest.fixture(scope="module")
def points(crop: Tensor) -> Tensor:
    found, scores = MeshLandmarks()([crop])
    assert scores[0] > 0.9
    return found[0]


@pytest.fixture(scope="module")
def style(heads: HeadModel, crop: Tensor, points: Tensor) -> HeadStyle:
    return heads.style(crop, points, torch.Generator().manual_seed(1))


def test_the_head_is_replaced_and_the_rest_stays(
    heads: HeadModel, crop: Tensor, points: Tensor, style: HeadStyle
):
    before = crop.clone()
    new = heads.replace(crop, points, style)
    assert new.crop.shape == crop.shape and new.front.shape == (1, 300, 300) and new.tone.shape == (3,)
    assert float(new.crop.min()) >= 0 and float(new.crop.max()) <= 1
    assert float(new.front.min()) >= 0 and 0.9 < float(new.front.max()) <= 1
    torch.testing.assert_close(crop, before, rtol=0, atol=0)
    assert torch.equal(new.crop[:, :10], crop[:, :10]) and torch.equal(new.crop[:, :, :10], crop[:, :, :10])
    middle = (slice(None), slice(80, 200), slice(110, 190))
    assert float((new.crop - crop)[middle].abs().mean()) > 0.05


def test_a_seed_repeats_a_head_and_another_seed_draws_another(
    heads: HeadModel, crop: Tensor, points: Tensor, style: HeadStyle
):
    again = heads.style(crop, points, torch.Generator().manual_seed(1))
    other = heads.style(crop, points, torch.Generator().manual_seed(2))
    first, second, third = (heads.replace(crop, points, s) for s in (style, again, other))
    assert torch.equal(first.crop, second.crop) and torch.equal(first.front, second.front)
    assert float((first.crop - third.crop).abs().mean()) > 0.005


def test_nothing_of_the_old_hair_is_left(heads: HeadModel, crop: Tensor, points: Tensor, style: HeadStyle):
    frame = HeadFrame.of(points)
    y, x = torch.meshgrid(torch.arange(300) + 0.5, torch.arange(300) + 0.5, indexing="ij")
    x, y = (x - frame.origin[0]) / frame.unit, (y - frame.origin[1]) / frame.unit
    scalp = ((x / 0.5) ** 2 + ((y + 0.15) / 0.55) ** 2 < 1) & (y < -0.35)
    striped = torch.where(scalp, (6 * x).sin().sign() * 0.5 + 0.5, crop)
    plain, changed = (heads.replace(picture, points, style).crop for picture in (crop, striped))
    difference = (plain - changed).abs().mean(0)
    assert float((crop - striped).abs().mean(0)[scalp].mean()) > 0.3
    assert float(difference[scalp].mean()) < 0.02


def test_it_moves_with_the_picture(heads: HeadModel, crop: Tensor, points: Tensor, style: HeadStyle):
    moved = heads.replace(crop.roll(8, 2), points + torch.tensor([8.0, 0, 0]), style)
    still = heads.replace(crop, points, style)
    assert float((moved.crop.roll(-8, 2) - still.crop)[:, 20:-20, 20:-20].abs().mean()) < 2e-3


def test_the_frame_and_the_picture_are_inverse(points: Tensor):
    frame = HeadFrame.of(points)
    y, x = torch.meshgrid(torch.arange(300) + 0.5, torch.arange(300) + 0.5, indexing="ij")
    there = F.grid_sample(
        torch.stack([x, y])[None], frame.to_frame(200, height=300, width=300), align_corners=False
    )
    back = F.grid_sample(there, frame.to_picture(height=300, width=300), align_corners=False)
    torch.testing.assert_close(back[0, :, 100:200, 100:200], torch.stack([x, y])[:, 100:200, 100:200])
    middle = frame.of_picture(points[[234, 454]]).mean(0)
    torch.testing.assert_close(middle, torch.zeros(2), atol=1e-5, rtol=0)


def test_a_hole_is_filled_from_its_surroundings():
    known = torch.ones(1, 1, 16, 16)
    known[:, :, 4:12, 4:12] = 0
    values = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    filled = fill(values * known, known)
    torch.testing.assert_close(filled * known, values * known)
    assert float((filled - values).abs().max()) < 0.25


@pytest.mark.parametrize("shape", [(1, 300, 300), (1, 3, 300, 300)])
def test_other_shapes_are_refused(heads: HeadModel, style: HeadStyle, shape: tuple[int, ...]):
    with pytest.raises(ImageError, match=r"pass \(3, h, w\) and \(468, 3\)"):
        heads.replace(torch.zeros(shape), torch.zeros(468, 3), style)


def test_a_damaged_or_foreign_file_is_refused(tmp_path: Path):
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(heads_file().read_bytes()[:1000])
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign, metadata={"config": "{}"})
    for path in (damaged, foreign, tmp_path / "missing.safetensors"):
        with pytest.raises(CheckpointError):
            HeadModel.load(path)

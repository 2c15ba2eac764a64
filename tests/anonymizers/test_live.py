from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anonlib.anonymizers import create
from anonlib.anonymizers.aligned import TEMPLATE, aligned_window, five_points
from anonlib.anonymizers.conditions import into_picture
from anonlib.anonymizers.live import LiveAnonymizer, load_live
from anonlib.anonymizers.sessions import Session
from anonlib.config import LiveConfig, to_dict
from anonlib.detection.mesh import MeshLandmarks
from anonlib.detection.windows import Window, view
from anonlib.errors import CheckpointError, ConfigError, NumericError
from anonlib.networks.live import SIZE, LiveNetwork, face_network
from anonlib.training.checkpoints import save_weights
from anonlib.types import FaceImages
from anonlib.video import Settings
from anonlib.world.faces import synthetic_faces

TINY = LiveConfig(width=4, bottleneck=8, features=8)


@pytest.fixture(scope="module")
def faces() -> FaceImages:
    return synthetic_faces([800_000_000, 800_000_001], images=2, size=64, seed=3)


@pytest.fixture(scope="module")
def mesh(faces: FaceImages) -> Tensor:
    found, scores = MeshLandmarks()(list(faces.images.float() / 255))
    assert (scores > 0.5).all()
    return found


class Known:
    """Finds the given mesh in pictures of 64 pixels, and nothing in others."""

    def __init__(self, mesh: Tensor) -> None:
        self.mesh = mesh

    def __call__(self, crops: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        found = torch.tensor([1.0 if crop.shape[1] == 64 else 0.0 for crop in crops])
        return self.mesh[:1].expand(len(crops), -1, -1), found


@pytest.fixture
def method(mesh: Tensor) -> LiveAnonymizer:
    torch.manual_seed(0)
    return LiveAnonymizer(LiveNetwork(TINY), face_network(1, width=4, features=8), find=Known(mesh))


def test_the_five_points_of_a_mesh_are_the_landmarks_of_drawn_faces(faces: FaceImages, mesh: Tensor):
    found = torch.stack([five_points(each) for each in mesh])
    assert (found - faces.landmarks).norm(dim=2).mean() < 1


def test_an_aligned_crop_shows_the_mean_face():
    turn = torch.tensor([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]])
    placed = 2.5 * (TEMPLATE - 32) @ turn.T + torch.tensor([200.0, 120.0])
    window = aligned_window(placed)
    assert window == pytest.approx(Window(200.0, 120.0, 0.3, 160.0), abs=1e-3)
    torch.testing.assert_close(window.placed(TEMPLATE, SIZE), placed, atol=1e-3, rtol=0)


def test_a_turned_crop_returns_to_its_place():
    x = torch.linspace(0, 3, 64).sin()
    picture = torch.stack([x.expand(64, -1), x[:, None].expand(-1, 64), torch.outer(x, x)])
    window = Window(30.0, 33.0, 0.4, 60.0)
    back = into_picture(view(picture, window, SIZE)[None], window, (64, 64))
    inside = into_picture(torch.ones(1, 1, SIZE, SIZE), window, (64, 64))[0] > 0.99
    assert 0.5 < inside.float().mean() < 0.9
    torch.testing.assert_close(back[:, inside], picture[:, inside], atol=0.02, rtol=0)


def test_the_face_changes_and_the_border_stays(method: LiveAnonymizer, faces: FaceImages):
    crop = faces.images[:1].float() / 255
    out = method(crop)
    changed = (out != crop).any(1)[0]
    assert (
        out.shape == crop.shape
        and changed[32, 32]
        and not changed[0].any()
        and 0 <= out.min() <= out.max() <= 1
    )


def test_a_track_keeps_its_target_and_a_face_without_a_mesh_is_veiled(
    method: LiveAnonymizer, faces: FaceImages
):
    session, crops = method.session(), list(faces.images[:3].float() / 255)
    assert isinstance(session, Session)
    unknown = torch.rand(3, 40, 36)
    out = session.replace([*crops, unknown], [7, 7, 8, 9], [(0, 0)] * 4)
    assert set(session.targets) == {7, 8} and session.counts == {"redrawn": 3, "veiled": 1}
    assert torch.equal(out[0], method(crops[0][None])[0]) and torch.equal(out[2], method(crops[2][None])[0])
    assert not torch.equal(out[1], method(crops[1][None])[0])  # its target is the first picture
    assert out[3].shape == unknown.shape and out[3].std() < 0.5 * unknown.std()


def test_a_diverged_network_is_refused(method: LiveAnonymizer, faces: FaceImages):
    nn.init.constant_(method.network.image.weight, float("nan"))
    with pytest.raises(NumericError, match="NaN or infinity for face 0"):
        method(faces.images[:1].float() / 255)


def test_weights_come_back_and_foreign_ones_are_refused(
    tmp_path: Path, method: LiveAnonymizer, faces: FaceImages
):
    path, batch = tmp_path / "live.safetensors", faces.images[:2].float() / 255
    both = nn.ModuleDict({"network": method.network, "face": method.face})
    config = {"network": to_dict(TINY), "face": to_dict(method.face.config)}
    save_weights(path, both, config=config, bits=8)
    weak, strong = (create("live", weights=path, strength=strength)(batch) for strength in (0.25, None))
    assert weak.shape == batch.shape and not torch.equal(weak, strong)
    assert load_live(path).strength == 1 and load_live(path).network.config == TINY
    save_weights(path, both, config={"size": 64})
    with pytest.raises(CheckpointError, match="do not fit live de-identification"):
        load_live(path)


def test_only_the_settings_of_the_dial_are_taken():
    with pytest.raises(ConfigError, match=r"strength 0.3: use one of 0, 0.25, 0.5, 0.75, 1"):
        Settings(method="live", strength=0.3)
    with pytest.raises(ConfigError, match="strength 0 hides nobody"):
        Settings(method="live", strength=0)
    with pytest.raises(ConfigError, match=r"strength 0.5 is for method 'live', not for 'swap'"):
        Settings(strength=0.5)
    with pytest.raises(ConfigError, match=r"strength 0.5 is for method 'live' alone"):
        create("blur8", strength=0.5)
    assert Settings(method="live", strength=0.5).strength == 0.5

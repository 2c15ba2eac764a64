from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anonlib import assets as paths
from anonlib.assets import data_path
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.world.face_model import FaceModel, normals
from anonlib.world.faces import BACKGROUND, PEOPLE, SyntheticPeople, backgrounds, synthetic_faces

TEST = PEOPLE["test"]


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def render(model: FaceModel, people: list[int], **changes: torch.Tensor):
    count = len(people)
    settings = {
        "pose": torch.zeros(count, 3),
        "expression": torch.zeros(count, 2),
        "illumination": torch.zeros(count, 3),
        "size": 64,
    }
    return model.render(model.identity(people), **(settings | changes))


def test_same_seed_same_faces_and_another_seed_other_faces():
    first = synthetic_faces(TEST[:3], images=2, size=48, seed=5)
    again = synthetic_faces(TEST[:3], images=2, size=48, seed=5)
    other = synthetic_faces(TEST[:3], images=2, size=48, seed=6)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.landmarks, again.landmarks)
    assert not torch.equal(first.images, other.images)


def test_a_face_does_not_depend_on_who_else_is_drawn():
    together = synthetic_faces([4, 8, 15], images=2, size=48, seed=0)
    alone = synthetic_faces([8], images=2, size=48, seed=0)
    difference = together.images[2:4].int() - alone.images.int()
    assert difference.abs().max() <= 1  # one grey level, where rounding falls the other way
    torch.testing.assert_close(together.landmarks[2:4], alone.landmarks, atol=1e-3, rtol=0)


def test_labels_follow_the_order_of_people():
    faces = synthetic_faces([9, 2, 7], images=2, size=32, seed=0)
    assert faces.labels.tolist() == [0, 0, 1, 1, 2, 2]
    swapped = synthetic_faces([2, 9, 7], images=2, size=32, seed=0)
    torch.testing.assert_close(faces.landmarks[:2], swapped.landmarks[2:4], atol=1e-3, rtol=0)


def test_images_are_stored_as_bytes_and_use_their_range():
    faces = synthetic_faces(TEST[:8], images=2, size=64, seed=0)
    assert faces.images.dtype is torch.uint8
    assert faces.images.shape == (16, 3, 64, 64)
    assert faces.landmarks.shape == (16, 5, 2)
    assert faces.images.float().std() > 20


def test_splits_are_disjoint_and_large():
    people = SyntheticPeople()
    ranges = sorted((people.people(split) for split in PEOPLE), key=lambda r: r.start)
    assert all(a.stop <= b.start for a, b in pairwise(ranges))
    assert all(len(r) >= 10**6 for r in ranges)


def test_unknown_split_is_named():
    with pytest.raises(ConfigError, match="split 'holdout' is unknown: use train, validation, test"):
        SyntheticPeople().people("holdout")


def test_mean_landmarks_lie_at_the_canonical_place(model):
    heads = render(model, list(range(200)))
    torch.testing.assert_close(heads.landmarks.mean(0) / 64, CANONICAL_LANDMARKS, atol=0.02, rtol=0)


def test_landmarks_follow_pose_and_expression(model):
    people = [1, 2, 3]
    rest = render(model, people).landmarks
    right = render(model, people, pose=torch.tensor([[1.5, 0, 0]] * 3)).landmarks
    down = render(model, people, pose=torch.tensor([[0, 1.5, 0]] * 3)).landmarks
    rolled = render(model, people, pose=torch.tensor([[0, 0, 2.0]] * 3)).landmarks
    smile = render(model, people, expression=torch.tensor([[0, 1.5]] * 3)).landmarks
    nose = rest[:, 2] - rest[:, :2].mean(1)
    assert ((right[:, 2] - right[:, :2].mean(1) - nose)[:, 0] > 1).all()
    assert ((down[:, 2] - down[:, :2].mean(1) - nose)[:, 1] > 0.3).all()
    assert ((rolled[:, 1] - rolled[:, 0])[:, 1] > (rest[:, 1] - rest[:, 0])[:, 1] + 1).all()
    width = (rest[:, 4] - rest[:, 3])[:, 0]
    assert ((smile[:, 4] - smile[:, 3])[:, 0] > width + 0.5).all()


def test_light_from_the_right_brightens_the_right_cheek(model):
    left = render(model, [1, 2], illumination=torch.tensor([[-1.5, 0, 0]] * 2)).rgb
    right = render(model, [1, 2], illumination=torch.tensor([[1.5, 0, 0]] * 2)).rgb
    change = (right - left).mean(1)[:, 30:48]
    assert (change[:, :, 38:46].mean((1, 2)) > change[:, :, 18:26].mean((1, 2)) + 0.02).all()


def test_brightness_brightens(model):
    dark = render(model, [1, 2], illumination=torch.tensor([[0, 0, -1.5]] * 2)).rgb
    bright = render(model, [1, 2], illumination=torch.tensor([[0, 0, 1.5]] * 2)).rgb
    assert ((bright - dark)[:, :, 24:48, 24:40].mean((1, 2, 3)) > 0.03).all()


def test_the_head_is_opaque_and_the_corners_are_clear(model):
    alpha = render(model, list(range(50))).alpha
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    assert (alpha[:, :, 24:52, 24:40] > 0.99).float().mean() > 0.99
    assert alpha[:, :, :4, :4].mean() < 0.05


def test_batch_of_one_equals_batch_of_n(model):
    together, alone = render(model, [3, 4, 5]), render(model, [4])
    for field in ("rgb", "alpha", "landmarks"):
        torch.testing.assert_close(getattr(together, field)[1:2], getattr(alone, field), atol=1e-3, rtol=0)


def test_sizes_show_the_same_face(model):
    small, large = render(model, [6], size=32), render(model, [6], size=128)
    shrunk = torch.nn.functional.interpolate(large.rgb, size=(32, 32), mode="area")
    inside = small.alpha > 0.99
    assert ((small.rgb - shrunk).abs().mean(1, keepdim=True)[inside]).mean() < 0.03
    torch.testing.assert_close(small.landmarks * 4, large.landmarks, atol=1e-3, rtol=1e-4)


def test_one_person_is_nearer_to_himself_than_to_others(model):
    faces = synthetic_faces(TEST[:40], images=4, size=64, seed=0)
    skin = faces.images[:, :, 26:54, 22:42].float()
    rows = torch.nn.functional.avg_pool2d(skin, 2).flatten(1)
    rows = (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True)
    distance = torch.cdist(rows, rows)
    same = faces.labels[:, None] == faces.labels
    others = distance[~same].mean()
    own = distance[same & ~torch.eye(len(rows), dtype=torch.bool)].mean()
    assert own < 0.9 * others


def test_a_clip_keeps_its_look_and_moves_smoothly():
    people = SyntheticPeople()
    clip = people.heads(TEST[0], seed=3, frames=6, size=48)
    steps = (clip.landmarks[1:] - clip.landmarks[:-1]).norm(dim=-1)
    assert steps.max() < 5
    assert steps.max() > 0.05
    assert (clip.rgb[1:] - clip.rgb[:-1]).abs().mean() < 0.05
    longer = people.heads(TEST[0], seed=3, frames=9, size=48)
    torch.testing.assert_close(longer.landmarks[:6], clip.landmarks, atol=1e-3, rtol=0)


def test_backgrounds_differ_and_stay_in_range():
    scenes = backgrounds(torch.randn(5, BACKGROUND, generator=torch.Generator().manual_seed(0)), 40)
    assert scenes.shape == (5, 3, 40, 40)
    assert scenes.min() >= 0
    assert scenes.max() <= 1
    assert (scenes[1:] - scenes[:-1]).abs().mean((1, 2, 3)).min() > 0.02


def test_normals_are_normal_and_cut_off():
    draws = normals(1, shape=(20_000,))
    assert abs(draws.mean()) < 0.03
    assert draws.std() == pytest.approx(0.98, abs=0.03)
    assert draws.abs().max() <= 2.3


def test_normals_are_these_on_every_machine():
    expected = np.array(NORMALS, np.float32)
    np.testing.assert_allclose(normals(7, 11, shape=(4,)).numpy(), expected, rtol=1e-6)


NORMALS = [-0.5629591, -0.1149045, 1.5702754, 1.7340776]


def test_the_file_is_small():
    assert data_path("face_model", "face_model.safetensors").stat().st_size <= 8 * 10**6


def test_missing_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "_PLACES", (tmp_path,))
    with pytest.raises(FaceDatasetError, match=r"face_model.safetensors' is not in .*ANONLIB_DATA"):
        FaceModel.load()


@pytest.mark.parametrize("keep", [0, 100, 100_000])
def test_truncated_file_is_named(tmp_path: Path, keep: int):
    damaged = tmp_path / "face_model.safetensors"
    damaged.write_bytes(data_path("face_model", "face_model.safetensors").read_bytes()[:keep])
    with pytest.raises(FaceDatasetError, match=r"cannot be read .* build it with recipes"):
        FaceModel.load(damaged)


def test_file_of_something_else_is_named(tmp_path: Path):
    other = tmp_path / "face_model.safetensors"
    save_file({"weight": torch.zeros(2)}, other)
    with pytest.raises(FaceDatasetError, match=r"cannot be read .*texture.basis"):
        FaceModel.load(other)


def test_the_file_holds_no_pictures():
    tensors = load_file(data_path("face_model", "face_model.safetensors"))
    assert len(tensors["texture.basis"]) < 400  # components, far fewer than training pictures


@pytest.mark.slow
@pytest.mark.parametrize("size", [48, 64, 128])
def test_mtcnn_finds_synthetic_faces(size: int):
    mtcnn = pytest.importorskip("facenet_pytorch").MTCNN(keep_all=True)
    faces = synthetic_faces(TEST[100:130], images=1, size=size, seed=0)
    canvas = backgrounds(torch.randn(30, BACKGROUND, generator=torch.Generator().manual_seed(0)), 160)
    canvas = (canvas * 255).to(torch.uint8)
    canvas[:, :, 16 : 16 + size, 16 : 16 + size] = faces.images
    found = [mtcnn.detect(frame.permute(1, 2, 0).numpy())[0] for frame in canvas]
    assert sum(boxes is not None for boxes in found) >= 29

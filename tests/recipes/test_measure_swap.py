from __future__ import annotations

import numpy as np
import pytest
import torch

from anonlib.anonymizers.swap.model import MeshModel
from anonlib.anonymizers.swap.state import State, turn
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.metrics.verification import Pairs
from anonlib.networks.face_mesh import topology
from recipes.adapted_attackers import GAMMA, RIDGE, KernelRidge, memberships, signed_roots, targets, unit
from recipes.attacked_pictures import FIVE, NUDGE, five_landmarks, matches, moved
from recipes.face_context import CHIN, LEFT, RIGHT, TOP, filled, head_outline, inside, scaled_oval
from recipes.measure_swap import auc, figures, zoom_of
from recipes.state_measures import MESH, correlations, learned_metric, measures


def upright_mesh() -> np.ndarray:
    """A round face of radius 20 about (50, 50)."""
    mesh = np.full((468, 2), 50.0)
    oval = topology().oval.numpy()
    angles = 2 * np.pi * np.arange(36) / 36
    mesh[oval] = 50 + 20 * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    mesh[TOP], mesh[CHIN], mesh[LEFT], mesh[RIGHT] = (50, 30), (50, 70), (30, 50), (70, 50)
    return mesh


def test_the_outline_grows_about_its_centre():
    mesh = upright_mesh()
    one, two = scaled_oval(mesh, 1.0), scaled_oval(mesh, 2.0)
    np.testing.assert_allclose(one.mean(axis=0), two.mean(axis=0))
    np.testing.assert_allclose(two - two.mean(axis=0), 2 * (one - one.mean(axis=0)), atol=1e-9)


def test_the_head_holds_hair_ears_and_neck_in_every_rotation():
    mesh = upright_mesh()
    places = np.array([[50, 15], [25, 50], [75, 50], [45, 85], [55, 85]])  # hair, ears, neck
    beyond = np.array([[50, -2], [2, 50], [98, 50], [20, 85], [80, 85]])
    for angle in (0.0, 0.5, -1.2):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

        def seen(points: np.ndarray, turn: np.ndarray = turn) -> np.ndarray:
            return (points - 50) @ turn.T + 100

        mask = inside(head_outline(seen(mesh)), 200, 200)
        for points, expected in ((places, True), (beyond, False)):
            x, y = seen(points).astype(int).T
            assert (mask[y, x] == expected).all()


def test_pixels_inside_a_square_and_at_most_one_around_it():
    for shift in (0.0, 0.2, 0.5, 0.7):
        square = np.array([[[2.0, 3.0], [6.0, 3.0], [6.0, 5.0], [2.0, 5.0]]]) + shift
        mask = inside(square, 8, 10)
        assert mask[3 + (shift > 0.5) : 5 + (shift > 0.5), 2 + (shift > 0.5) : 6 + (shift > 0.5)].all()
        mask[2:7, 1:8] = False
        assert not mask.any()


def test_the_mask_gets_its_mean_colour_and_the_rest_stays():
    image = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    mask = np.zeros((4, 4), bool)
    mask[1, 1:3] = True  # 5 and 6, 21 and 22, 37 and 38
    out = filled(image, mask)
    np.testing.assert_array_equal(out[:, mask], [[6, 6], [22, 22], [38, 38]])  # halves round to even
    np.testing.assert_array_equal(out[:, ~mask], image[:, ~mask])
    np.testing.assert_array_equal(filled(image, np.zeros((4, 4), bool)), image)


def test_the_field_reads_no_pixel_outside_the_mask():
    rng = np.random.default_rng(0)
    image, mask = rng.integers(0, 256, (3, 30, 30), dtype=np.uint8), np.zeros((30, 30), bool)
    mask[8:22, 10:20] = True
    other = np.where(mask, image, 255 - image).astype(np.uint8)
    np.testing.assert_array_equal(filled(image, mask, 3.0)[:, mask], filled(other, mask, 3.0)[:, mask])
    wide = filled(image, mask, 1000.0)[:, mask].astype(int)
    assert np.abs(wide - image[:, mask].mean(axis=1)[:, None]).max() <= 1


def test_auc_against_hand_values():
    same = np.array([True, True, False, False])
    assert auc(np.array([0.9, 0.8, 0.2, 0.1]), same) == 1
    assert auc(np.array([0.9, 0.3, 0.5, 0.1]), same) == 0.75  # three of four comparisons
    assert auc(np.array([0.5, 0.5, 0.5, 0.5]), same) == 0.5
    assert auc(np.array([0.9, 0.5, 0.5, 0.1]), same) == 0.875  # one tie


def test_intervals_hold_the_value_and_vanish_for_perfect_scores():
    rng = np.random.default_rng(1)
    same, fold = np.tile([True, False], 100), np.repeat(np.arange(5), 40)
    pairs = Pairs(first=np.arange(200), second=np.arange(200), same=same, fold=fold)
    found = figures(same + 0.8 * rng.normal(size=200), pairs)
    assert found["accuracy_lo"] < found["accuracy"] < found["accuracy_hi"] <= 1
    assert 0 <= found["auc_lo"] < found["auc"] < found["auc_hi"] <= 1
    assert set(figures(same.astype(float), pairs).values()) == {1.0}
    one = Pairs(first=pairs.first, second=pairs.second, same=same, fold=np.zeros(200, np.int64))
    assert set(figures(same.astype(float), one).values()) == {1.0}


def test_five_landmarks_turn_with_the_mesh():
    mesh = np.zeros((468, 2))
    for points, at in zip(FIVE, (CANONICAL_LANDMARKS * 100).numpy(), strict=True):
        mesh[list(points)] = at
    expected = CANONICAL_LANDMARKS * 100 + NUDGE * 100
    torch.testing.assert_close(five_landmarks(mesh), expected, atol=1e-3, rtol=0)
    quarter = np.array([[0.0, -2.0, 7.0], [2.0, 0.0, 3.0]])
    turned = torch.from_numpy(moved(expected.double().numpy(), quarter)).float()
    torch.testing.assert_close(five_landmarks(moved(mesh, quarter)), turned, atol=1e-3, rtol=0)


def test_people_near_a_test_person_are_dropped_with_all_their_pictures():
    features = np.array([[0.0, 0.0], [0.4, 0.0], [5.0, 0.0], [0.0, 0.5]])
    part, person = np.array(["test", "train", "train", "train"]), np.array(["a", "b", "b", "c"])
    assert matches(features, part, person) == ["b"]


def test_targets_lie_between_picture_and_person():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    target, mean = targets(features, np.array(["a", "a", "b"]))
    torch.testing.assert_close(mean, torch.zeros(2))
    torch.testing.assert_close(target.norm(dim=1), torch.ones(3))
    assert target[0, 0] > target[0, 1] > 0 and target[1, 1] > target[1, 0] > 0
    torch.testing.assert_close(target[2], torch.full((2,), -(0.5**0.5)))


def test_kernel_ridge_against_the_formula():
    rng = np.random.default_rng(2)
    known, seen, target = rng.normal(size=(6, 5)), rng.normal(size=(3, 5)), rng.normal(size=(6, 2))

    def prepared(values: np.ndarray) -> np.ndarray:
        roots = np.sign(values) * np.abs(values) ** 0.5 - (np.sign(known) * np.abs(known) ** 0.5).mean(axis=0)
        return np.concatenate([unit(roots[:, :2]), unit(roots[:, 2:])], axis=1)

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.exp(GAMMA * (a @ b.T / 2 - 1))

    a, b = prepared(known), prepared(seen)
    expected = kernel(b, a) @ np.linalg.inv(kernel(a, a) + RIDGE * np.eye(6)) @ target
    np.testing.assert_allclose(KernelRidge(known, target, split=2)(seen), expected, rtol=1e-3)
    np.testing.assert_allclose(signed_roots(np.array([-4.0, 9.0])), [-2, 3])


def test_everybody_counts_the_same():
    table = memberships(np.array(["b", "a", "b"]))
    np.testing.assert_allclose(table, [[0, 0.5**0.5], [1, 0], [0, 0.5**0.5]])
    np.testing.assert_allclose((table**2).sum(axis=0), 1)


def test_attackers_look_further_where_more_is_filled():
    face = {
        zoom_of(method) for method in ("context:1.0", "context:1.2", "field:0.5", "swap", "modifier-photo")
    }
    head = {zoom_of(method) for method in ("context:1.4", "context:head", "field:0.5:head", "swap:head")}
    assert len(face) == len(head) == 1 and max(head) < min(face)


@pytest.mark.parametrize(("yaw", "pitch"), [(0.0, 0.0), (0.4, 0.0), (0.0, -0.3), (-0.5, 0.2)])
def test_angles_of_a_turned_shape_are_those_of_the_state(yaw: float, pitch: float):
    up = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    side = np.array([[np.cos(yaw), 0, -np.sin(yaw)], [0, 1, 0], [np.sin(yaw), 0, np.cos(yaw)]])
    rotation = side @ up
    rest = MeshModel.load().rest.numpy()[list(MESH)].astype(float)
    seen = State(torch.from_numpy(rotation)[None].float(), *(torch.zeros(1),) * 3)
    found = measures(30 * (rest @ rotation.T)[:, :2] + 80, rest)
    np.testing.assert_allclose(found[:2], turn(seen)[0, :2], atol=1e-5)
    assert found[2:].min() > 0


def test_a_mouth_that_opens_by_a_tenth_is_measured():
    rest = MeshModel.load().rest.numpy()[list(MESH)].astype(float)
    open_mouth = rest.copy()
    open_mouth[[65, 66, 67], 1] += 0.1
    low, high = (measures(50 * shape[:, :2], rest)[2] for shape in (rest, open_mouth))
    np.testing.assert_allclose(high - low, 0.1, atol=2e-3)


def test_the_learned_metric_makes_differences_within_people_round():
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(50), 6)
    values = 5 * rng.normal(size=(50, 2))[people] + rng.normal(size=(300, 2)) @ np.array(
        [[2.0, 1.0], [0.0, 0.3]]
    )
    after = values @ learned_metric(values, people)
    within = after - np.stack([after[people == p].mean(axis=0) for p in people])
    np.testing.assert_allclose(within.T @ within / 250, np.eye(2), atol=1e-9)


def test_correlations_of_each_measure():
    before = np.random.default_rng(4).normal(size=(20, 5))
    found = correlations(before, before * [1, -1, 2, 1, 1])
    assert list(found.values()) == [1, -1, 1, 1, 1]

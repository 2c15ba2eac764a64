"""The state is all that passes; it must be what was seen, and nothing of the person."""

from __future__ import annotations

import pytest
import torch

from anonlib.anonymizers.swap.model import MEASURES, MeshModel, expression_measures
from anonlib.anonymizers.swap.state import KEPT, read_state, turn
from tests.anonymizers.swap.conftest import posed, turned


@pytest.mark.parametrize("angles", [(0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.3, -0.2, 0.5)])
def test_turn_place_and_size_are_read_from_the_points(model: MeshModel, angles: tuple[float, ...]) -> None:
    yaw, pitch, roll = angles
    points = posed(model.rest, turned(yaw=yaw, pitch=pitch, roll=roll), scale=37.0, place=(80, 60))
    state = read_state(points[None], model)
    torch.testing.assert_close(turn(state)[0], torch.tensor(angles), atol=0.01, rtol=0)
    torch.testing.assert_close(state.scale[0], torch.tensor(37.0), atol=0.3, rtol=0)
    torch.testing.assert_close(state.place[0, :2], torch.tensor([80.0, 60.0]), atol=0.5, rtol=0)


def test_the_nose_points_to_the_right_at_positive_yaw_and_down_at_positive_pitch(model: MeshModel) -> None:
    nose, between_eyes = 1, 168
    right, down = posed(model.rest, turned(yaw=0.4)), posed(model.rest, turned(pitch=0.4))
    straight = posed(model.rest, turned())
    assert (right[nose] - right[between_eyes])[0] > (straight[nose] - straight[between_eyes])[0] + 2
    assert (down[nose] - down[between_eyes])[1] > (straight[nose] - straight[between_eyes])[1] + 2


@pytest.mark.parametrize("measure", range(len(MEASURES)))
def test_an_expression_passes_to_the_share_that_is_kept(model: MeshModel, measure: int) -> None:
    shape = model.rest + 0.1 * model.expression[measure]
    expression = read_state(posed(shape, turned(yaw=0.2))[None], model).expression[0]
    expected = torch.zeros(len(MEASURES))
    expected[measure] = 0.1 * KEPT[measure]
    torch.testing.assert_close(expression, expected, atol=0.06, rtol=0)


def test_the_shape_of_a_person_does_not_pass(model: MeshModel) -> None:
    """Two standard deviations between people change no measure by more than two within people."""
    still = read_state(posed(model.rest, turned())[None], model).expression
    usual = torch.tensor([0.1, 0.1, 0.06, 0.03, 0.03, 0.06, 0.06])
    for shape in model.shapes:
        state = read_state(posed(model.rest + 2 * shape, turned())[None], model)
        assert ((state.expression - still).abs() < 2 * usual).all()


def test_measures_are_those_of_the_mean_face(model: MeshModel) -> None:
    torch.testing.assert_close(expression_measures(model.rest[None])[0], model.measures, atol=0.05, rtol=0)


@pytest.mark.parametrize(("opening", "share"), [(0.31, 0.0), (0.0, -1.0), (0.62, 0.65)])
def test_a_closed_eye_closes_and_an_open_one_is_drawn_nearer_to_the_mean(
    model: MeshModel, opening: float, share: float
) -> None:
    points = posed(model.rest, turned())[None]
    state = read_state(points, model, openings=torch.tensor([[opening, 0.31]]))
    torch.testing.assert_close(state.expression[0, 3], share * model.measures[3], atol=1e-4, rtol=0)
    torch.testing.assert_close(state.expression[0, 4], torch.tensor(0.0), atol=1e-4, rtol=0)

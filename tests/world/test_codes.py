from __future__ import annotations

import pytest
import torch

from anonlib.world.codes import PersonCodes
from anonlib.world.faces import draw_heads

PEOPLE = [10**8 + k for k in range(12)]


@pytest.fixture(scope="module")
def codes() -> PersonCodes:
    return PersonCodes()


def test_codes_depend_on_the_person_alone(codes: PersonCodes):
    found = codes.of(PEOPLE)
    assert torch.equal(PersonCodes().of(PEOPLE), found)
    torch.testing.assert_close(codes.of(PEOPLE[3:5]), found[3:5], atol=1e-5, rtol=1e-4)


def test_codes_of_people_who_did_not_define_them_vary_by_about_one(codes: PersonCodes):
    numbers = codes.of(range(400))
    assert numbers.mean(0).abs().max() < 0.3
    assert numbers.std(0).min() > 0.7 and numbers.std(0).max() < 1.3


def test_a_code_comes_back_from_its_identity(codes: PersonCodes):
    wanted = codes.of(PEOPLE)
    mean, axes = codes._axes
    known = codes.identity(wanted)
    scores = (known[:, : len(mean)] - mean) @ torch.linalg.pinv(axes)
    torch.testing.assert_close(scores, wanted[:, :-8], atol=1e-3, rtol=0)
    torch.testing.assert_close(known[:, len(mean) : len(mean) + 8], wanted[:, -8:])


def test_most_people_who_are_drawn_from_codes_are_nearest_to_their_originals(codes: PersonCodes):
    draw = torch.zeros(len(PEOPLE), 8 + codes.model.components)
    own = draw_heads(codes.model, codes.model.identity(PEOPLE), draw, 32)
    again = draw_heads(codes.model, codes.identity(codes.of(PEOPLE)), draw, 32)
    distance = torch.cdist(*[(heads.rgb * heads.alpha).flatten(1) for heads in (own, again)], p=1.0)
    right = distance.argmin(1) == torch.arange(len(PEOPLE))
    assert right.sum() >= 9  # of 12; the code leaves out the strands of the hair
    assert distance.diagonal().mean() < 0.8 * distance.mean()

"""M-state as an anonymizer: one track is one person."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from anonlib.anonymizers import anonymize_frames, create
from anonlib.anonymizers.learned import LearnedAnonymizer, learned, load_modifier
from anonlib.anonymizers.m_state import StateAnonymizer
from anonlib.anonymizers.sessions import Session, session_of
from anonlib.config import ModifierConfig, to_dict
from anonlib.errors import NumericError
from anonlib.networks import Modifier, StateModifier
from anonlib.training.checkpoints import save_weights

TINY = ModifierConfig(size=32, width=4, blocks=1, reads="state")
CORNER = (0, 0)


def modifier() -> StateModifier:
    """A random M whose reader finds nothing outside the ellipse and nothing in front of it."""
    network = StateModifier(TINY)
    nn.init.zeros_(network.reader.parts.weight)
    nn.init.constant_(network.reader.parts.bias, -30.0)  # type: ignore[arg-type]
    return network


@pytest.fixture
def method() -> StateAnonymizer:
    return StateAnonymizer(modifier(), seed=1)


@pytest.fixture
def crops() -> list[Tensor]:
    """Of three sizes."""
    return [torch.rand(3, 40, 36), torch.rand(3, 32, 32), torch.rand(3, 20, 24)]


def replaced(session: Session, crops: list[Tensor], tracks: list[int]) -> list[Tensor]:
    return session.replace(crops, tracks, [CORNER] * len(crops))


def test_a_track_is_one_person_and_two_tracks_are_two(method: StateAnonymizer, crops: list[Tensor]):
    session, codes = method.session(), [method.code_for(crop) for crop in crops]
    assert not torch.equal(codes[0], codes[1])
    first = replaced(session, crops[:2], [7, 3])
    later = replaced(session, [crops[2], crops[2]], [3, 7])  # in a later frame
    expected = method.redraw([*crops[:2], crops[2], crops[2]], [codes[0], codes[1], codes[1], codes[0]])
    for found, wanted in zip([*first, *later], expected, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)
    assert not torch.equal(*later)
    assert session.counts == {"redrawn": 4}


def test_crops_keep_their_shapes_and_what_is_outside_the_ellipse(
    method: StateAnonymizer, crops: list[Tensor]
):
    for face, crop in zip(replaced(method.session(), crops, [0, 1, 2]), crops, strict=True):
        assert face.shape == crop.shape and face.min() >= 0 and face.max() <= 1
        assert torch.equal(face[:, 0, :2], crop[:, 0, :2]) and torch.equal(face[:, -1, -2:], crop[:, -1, -2:])
        middle = (..., slice(6, -6), slice(6, -6))
        assert (face[middle] != crop[middle]).float().mean() > 0.99


def test_a_seed_is_repeated_and_without_one_nobody_can_tell(crops: list[Tensor]):
    network = modifier()
    one, same, other = (StateAnonymizer(network, seed=s).session() for s in (1, 1, 2))
    secret, another = (StateAnonymizer(network).session() for _ in range(2))
    pictures = [replaced(session, crops, [0, 1, 2])[0] for session in (one, same, other, secret, another)]
    assert torch.equal(pictures[0], pictures[1])
    assert not any(torch.equal(pictures[0], picture) for picture in pictures[2:])
    assert not torch.equal(pictures[3], pictures[4])
    again = replaced(StateAnonymizer(network).session(1), crops, [0, 1, 2])
    assert torch.equal(again[0], pictures[0])


def test_each_face_of_a_batch_is_treated_by_itself(method: StateAnonymizer):
    faces = torch.rand(18, 3, 32, 32)  # more than run at once
    alone = torch.cat([method(face[None]) for face in faces[14:]])
    torch.testing.assert_close(method(faces)[14:], alone, atol=1e-5, rtol=0)
    assert not method.modifier.training and not alone.requires_grad


def test_a_diverged_modifier_is_named_with_its_face(method: StateAnonymizer, crops: list[Tensor]):
    nn.init.constant_(method.modifier.decoder[-1].bias, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(NumericError, match="NaN or infinity for face 0: its training diverged"):
        method(torch.rand(2, 3, 32, 32))
    with pytest.raises(NumericError, match="diverged"):
        replaced(method.session(), crops, [0, 1, 2])


def test_frames_change_in_the_ellipse_of_each_face_alone():
    hide = create("modifier", modifier(), seed=4)
    frames = torch.rand(2, 3, 60, 70)
    boxes = [torch.tensor([[30.0, 20, 50, 40]]), torch.zeros(0, 4)]  # 32 px, enlarged
    out = anonymize_frames(frames, boxes, hide)
    differs = (out != frames).any(1)
    assert not differs[1].any()
    y, x = differs[0].nonzero().T
    assert (y.min() >= 14 and y.max() < 46) and (x.min() >= 24 and x.max() < 56)
    assert differs[0, 18:42, 30:50].all() and not differs[0, 14, 24]
    assert torch.equal(out, anonymize_frames(frames, boxes, hide))


@pytest.mark.parametrize("box", [(-8.0, 10, 12, 30), (55, 45, 75, 65), (0, 0, 70, 60)])
def test_a_face_at_the_border_is_replaced_up_to_it(box: tuple[float, ...]):
    frame = torch.rand(1, 3, 60, 70)
    out = anonymize_frames(frame, [torch.tensor([box])], create("modifier", modifier(), seed=0))
    assert out.shape == frame.shape and torch.isfinite(out).all()
    x0, y0 = (max(int(v), 0) for v in box[:2])
    inside = (out != frame).any(1)[0, y0 : int(box[3]), x0 : int(box[2])]
    assert inside.float().mean() > 0.9


def test_a_modifier_decides_how_it_is_used():
    hide = create("modifier", modifier(), seed=2)
    assert session_of(hide) is not None and hide.size == 32  # type: ignore[attr-defined]
    assert isinstance(learned(Modifier(ModifierConfig(size=16, width=4, blocks=1))), LearnedAnonymizer)
    faces = torch.rand(2, 3, 24, 24)
    assert torch.equal(hide(faces), create("modifier", modifier_like(hide), seed=2)(faces))


def modifier_like(hide: object) -> StateModifier:
    return hide.method.modifier  # type: ignore[attr-defined, no-any-return]


def test_weights_come_back_as_the_modifier_that_reads_the_state(tmp_path: Path):
    path, network = tmp_path / "m.safetensors", modifier()
    save_weights(path, network, config=to_dict(TINY))
    found = load_modifier(path)
    assert isinstance(found, StateModifier) and found.config == TINY and not found.training
    for name, value in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name
    faces = torch.rand(2, 3, 40, 28)
    assert torch.equal(
        create("modifier", weights=path, seed=3)(faces), StateAnonymizer(network, seed=3)(faces)
    )

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from anonlib.config import ModifierConfig
from anonlib.geometry import resize
from anonlib.networks import FaceReader, Modifier, StateModifier
from anonlib.networks.face_reader import STATE
from anonlib.networks.state_modifier import CODE, SKETCH
from anonlib.training import loop
from anonlib.training.pretraining import fit_sketch, pair_batches, redraw, train_on_pairs, train_reader
from anonlib.world.codes import PersonCodes
from anonlib.world.faces import draw_heads
from anonlib.world.pairs import RedrawnPairs, portrait_pairs

TINY = ModifierConfig(size=32, width=4, blocks=1, reads="state")


@pytest.fixture(scope="module")
def codes() -> PersonCodes:
    return PersonCodes()


@pytest.fixture(scope="module")
def pairs(codes: PersonCodes) -> RedrawnPairs:
    """Four portraits with a bar in front of them."""
    drawn = portrait_pairs(codes, range(4), codes.of(range(4, 8)), size=32, seed=0)
    for plane in (drawn.images, drawn.redrawn, drawn.front):
        plane[:, :, 20:24] = 255
    return drawn


def modifier(seed: int = 0) -> StateModifier:
    torch.manual_seed(seed)
    return StateModifier(TINY)


def small_reader(seed: int) -> FaceReader:
    torch.manual_seed(seed)
    return FaceReader(width=2)


def test_where_m_does_not_draw_the_first_picture_is_wanted(pairs: RedrawnPairs):
    network, images, redrawn = modifier(), pairs.images / 255, pairs.redrawn / 255
    modified, wanted = redraw(network, pairs)
    kept = network.remove_head(images, pairs.head / 255, pairs.front / 255)[1][:, 0] == 0
    assert torch.equal(modified.movedim(1, 3)[kept], images.movedim(1, 3)[kept])
    assert kept[:, 20:24].all() and kept[:, 0, 0].all() and not kept[:, 8:18, 10:22].any()
    torch.testing.assert_close(wanted[:, :, 8:18, 10:22], redrawn[:, :, 8:18, 10:22])
    torch.testing.assert_close(wanted.movedim(1, 3)[kept], images.movedim(1, 3)[kept])


def test_a_modifier_that_reads_the_picture_gets_the_pair_as_it_is(pairs: RedrawnPairs):
    network = Modifier(ModifierConfig(size=32, width=4, blocks=1)).eval()
    modified, wanted = redraw(network, pairs)
    torch.testing.assert_close(modified, network(pairs.images / 255), atol=1e-5, rtol=0)
    torch.testing.assert_close(wanted, pairs.redrawn / 255)


def test_m_learns_the_pairs_and_its_reader_does_not(pairs: RedrawnPairs):
    network = modifier()
    before = {name: value.clone() for name, value in network.reader.state_dict().items()}
    history = train_on_pairs(network, lambda step: pairs, steps=21, seed=0, lr=6e-3, progress=False)
    assert history[-1]["difference"] < 0.8 * history[0]["difference"]
    assert all(torch.equal(value, before[name]) for name, value in network.reader.state_dict().items())


def test_the_reader_learns_both_pictures(pairs: RedrawnPairs):
    reader = FaceReader(width=4)
    history = train_reader(reader, lambda step: pairs, steps=32, seed=0, lr=1e-2, progress=False)
    first, last = history[0], history[-2]  # of the first pictures, where the head is known
    assert set(first) >= {"state", "landmarks", "front", "head"}
    assert all(last[name] < 0.8 * first[name] for name in ("landmarks", "front", "head"))


@pytest.mark.parametrize("make", [modifier, small_reader], ids=["M", "reader"])
def test_resuming_equals_an_uninterrupted_run_bit_for_bit(
    pairs: RedrawnPairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
):
    monkeypatch.setattr(loop, "SAVE_EVERY", 2)
    stop = [99]

    def batch(step: int) -> RedrawnPairs:
        if step == stop[0]:
            raise KeyboardInterrupt
        return pairs.rows(torch.tensor([step % 4, (step + 1) % 4]))

    def train(network: nn.Module, checkpoint: Path) -> Any:
        torch.manual_seed(9)  # of the critic
        work: Any = train_on_pairs if isinstance(network, StateModifier) else train_reader
        return work(network, batch, steps=4, seed=3, checkpoint=checkpoint, progress=False)

    whole, stopped, resumed = make(1), make(1), make(2)
    history = train(whole, tmp_path / "whole.pt")
    stop[0] = 3
    with pytest.raises(KeyboardInterrupt):
        train(stopped, tmp_path / "run.pt")
    stop[0] = 99
    assert train(resumed, tmp_path / "run.pt") == history
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_a_fitted_sketch_is_nearer_to_new_heads_than_their_mean(codes: PersonCodes):
    network = modifier()
    fit_sketch(network, heads=250, seed=0)
    people, state = codes.of(range(20)), torch.randn(20, len(STATE))
    draw = torch.cat([state, torch.zeros(20, codes.model.components)], 1)
    heads = draw_heads(codes.model, codes.identity(people), draw, 2 * SKETCH)
    planes = torch.cat([(heads.rgb * 2 - 1) * heads.alpha, heads.alpha], 1)
    wanted = resize(planes, (SKETCH, SKETCH)).flatten(1)
    assert network.sketch.in_features == CODE + network.config.state
    with torch.no_grad():
        drawn = network.sketch(torch.cat([people, state], 1))
    assert (drawn - wanted).square().mean() < 0.7 * (wanted.mean(0) - wanted).square().mean()


def equal(one: RedrawnPairs, other: RedrawnPairs) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in RedrawnPairs.__slots__)


def of_clips(batch: RedrawnPairs, pairs: RedrawnPairs) -> list[bool]:
    known: Tensor = pairs.images.flatten(1)
    return [bool((known == image).all(1).any()) for image in batch.images.flatten(1)]


def test_half_of_each_batch_is_new_and_half_from_the_clips(pairs: RedrawnPairs):
    batch_of = pair_batches(pairs, size=32, count=4, seed=7)
    first = batch_of(0)
    assert len(first) == 4 and of_clips(first, pairs) == [False, False, True, True]
    assert equal(first, batch_of(0)) and not equal(first, batch_of(1))
    assert not torch.equal(first.codes[0], first.codes[1])


def test_one_person_is_drawn_for_everybody(codes: PersonCodes, pairs: RedrawnPairs):
    batch = pair_batches(pairs, size=32, count=4, seed=7, person=0)(0)
    torch.testing.assert_close(batch.codes[:2], codes.of([0]).expand(2, -1))

"""Training before Algorithm 1: the reader of M-state, and M on pairs of one picture with two people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from anonlib.geometry import resize
from anonlib.losses import critic_loss, realism_loss, redraw_loss
from anonlib.networks import FaceReader, Modifier, StateModifier
from anonlib.networks.critic import PatchCritic
from anonlib.networks.face_reader import STATE
from anonlib.networks.state_modifier import LARGEST, SKETCH
from anonlib.training.loop import History, RunOptions, TrainingState, training_steps
from anonlib.training.processes import gradient_step
from anonlib.world.codes import PersonCodes
from anonlib.world.faces import draw_heads
from anonlib.world.pairs import RedrawnPairs, join, portrait_pairs

CRITIC_WEIGHT = 0.02
"""Weight of the critic's term in the loss of M."""
LR_DROP = 0.8
"""Fraction of the steps after which the learning rates fall to a tenth."""
_PEOPLE = 10**8
"""People below this number are for training. The people of codes have this number or a larger one."""


def pair_batches(
    clips: RedrawnPairs, *, size: int, count: int, seed: int, person: int | None = None
) -> Callable[[int], RedrawnPairs]:
    """The batch of each step: half of it new portraits, half of it from the pairs of clips.

    With a `person` the portraits, too, are all redrawn with that one.
    """
    codes = PersonCodes()

    def batch(step: int) -> RedrawnPairs:
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        people, others = torch.randint(_PEOPLE, (2, count // 2), generator=generator)
        rows = torch.randint(len(clips), (count - count // 2,), generator=generator)
        drawn = codes.of((others + _PEOPLE).tolist() if person is None else [person] * len(people))
        portraits = portrait_pairs(codes, people.tolist(), drawn, size=size, seed=seed + step)
        return join([portraits, clips.rows(rows)])

    return batch


def train_reader(
    reader: FaceReader,
    batch_of: Callable[[int], RedrawnPairs],
    *,
    steps: int,
    seed: int,
    lr: float = 3e-3,
    **options: Unpack[RunOptions],
) -> History:
    """Trains the reader in place, on pictures and on redrawn pictures alternately.

    Differs from the paper: the paper has no reader.
    """
    optimizer = Adam(reader.parameters(), lr=lr)
    state = TrainingState(modules={"reader": reader.train()}, optimizers={"optimizer": optimizer})
    for step, losses in training_steps(
        state, name="reader", steps=steps, seed=seed, lr_drop=LR_DROP, **options
    ):
        found = reading_losses(reader, batch_of(step), redrawn=step % 2 == 1)
        gradient_step(torch.stack(list(found.values())).sum(), optimizer)
        losses |= {name: loss.detach() for name, loss in found.items()}
    return state.history


def reading_losses(reader: FaceReader, pairs: RedrawnPairs, *, redrawn: bool) -> dict[str, Tensor]:
    """Weighted losses of the reader on one side of the pairs; the head is known for the first alone."""
    images, points = (pairs.redrawn, pairs.redrawn_landmarks) if redrawn else (pairs.images, pairs.landmarks)
    reading = reader(as_floats(images))
    found = {
        "state": (reading.state - pairs.state).square().mean(),
        "landmarks": 0.1 * (reading.landmarks - points).abs().mean(),
        "front": 2 * F.binary_cross_entropy_with_logits(reading.front, pairs.front.float() / 255),
    }
    if not redrawn:
        found["head"] = 2 * F.binary_cross_entropy_with_logits(reading.head, pairs.head.float() / 255)
    return found


@torch.no_grad()
def fit_sketch(modifier: StateModifier, *, heads: int = 4000, seed: int) -> None:
    """Fits the sketch of M-state, a linear layer, to heads of random people, by least squares."""
    codes, size = PersonCodes(), 2 * SKETCH
    generator = torch.Generator().manual_seed(seed)
    people = codes.of((torch.randint(_PEOPLE, (heads,), generator=generator) + _PEOPLE).tolist())
    state = torch.randn(heads, len(STATE), generator=generator).clamp(-LARGEST, LARGEST)
    drawn = []
    for person, now in zip(people.split(200), state.split(200), strict=True):
        rest = torch.zeros(len(now), codes.model.components)
        head = draw_heads(codes.model, codes.identity(person), torch.cat([now, rest], 1), size)
        drawn.append(resize(torch.cat([(head.rgb * 2 - 1) * head.alpha, head.alpha], 1), (SKETCH, SKETCH)))
    set_sketch(modifier, torch.cat([people, state[:, : modifier.config.state]], 1), torch.cat(drawn))


@torch.no_grad()
def set_sketch(modifier: StateModifier, numbers: Tensor, drawn: Tensor) -> None:
    """Fits the linear layer by least squares, from codes and states to coarse heads.

    Args:
        numbers: `(N, CODE + config.state)`.
        drawn: `(N, 4, s, s)` what is added to the filled scene, in [-1, 1], and its opacity; s is the side of
            the sketch.
    """
    known = torch.cat([numbers, torch.ones(len(numbers), 1)], 1)
    solution = torch.linalg.lstsq(known, drawn.flatten(1)).solution
    modifier.sketch.weight.copy_(solution[:-1].T)
    modifier.sketch.bias.copy_(solution[-1])


def train_on_pairs(
    modifier: Modifier,
    batch_of: Callable[[int], RedrawnPairs],
    *,
    steps: int,
    seed: int,
    lr: float = 2e-3,
    **options: Unpack[RunOptions],
) -> History:
    """Trains M in place to draw another person into the same picture, with a critic.

    M-state draws the person of the pair's code. An M that reads the picture has no code: it draws the same
    person for everybody, who must be the one of all `redrawn` pictures.

    Differs from the paper: the paper does not say how M is initialised, and has no critic.
    """
    critic = PatchCritic(width=16).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    wanted = [p for p in modifier.parameters() if p.requires_grad]
    optimizers = {
        "M optimizer": Adam(wanted, lr=lr, betas=(0.5, 0.999)),
        "critic optimizer": Adam(critic.parameters(), lr=4e-4, betas=(0.5, 0.999)),
    }
    state = TrainingState(modules={"M": modifier.train(), "critic": critic}, optimizers=optimizers)
    for step, losses in training_steps(
        state, name="M on pairs", steps=steps, seed=seed, lr_drop=LR_DROP, **options
    ):
        modified, redrawn = redraw(modifier, batch_of(step))
        critic.requires_grad_(False)
        realism = realism_loss(critic(modified))
        critic.requires_grad_(True)
        difference = redraw_loss(modified, redrawn)
        gradient_step(difference + CRITIC_WEIGHT * realism, optimizers["M optimizer"])
        judged = critic_loss(critic(redrawn), critic(modified.detach()))
        gradient_step(judged, optimizers["critic optimizer"])
        losses |= {"difference": difference.detach(), "realism": realism.detach(), "critic": judged.detach()}
    return state.history


def redraw(modifier: Modifier, pairs: RedrawnPairs) -> tuple[Tensor, Tensor]:
    """M's pictures and their targets; where M does not draw, both are the first picture.

    M-state is given the true parts and the true state, without noise, instead of what its reader finds. So it
    learns to draw exactly the state that it is given.
    """
    images, redrawn = as_floats(pairs.images), as_floats(pairs.redrawn)
    if not isinstance(modifier, StateModifier):
        return modifier(images), redrawn
    codes = torch.cat([pairs.codes, torch.zeros(len(pairs), modifier.config.state)], 1)
    seen, opacity = modifier.remove_head(images, pairs.head.float() / 255, pairs.front.float() / 255)
    place = modifier.place(pairs.landmarks)
    modified = torch.lerp(images, modifier.draw(seen, pairs.state, codes, place=place), opacity)
    return modified, torch.where(opacity > 0, redrawn, images)


def as_floats(images: Tensor) -> Tensor:
    """uint8 images in [0, 1], channels last."""
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)

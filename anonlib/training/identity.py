"""The start of the modifier M: returning the face it is given."""

from __future__ import annotations

from pathlib import Path

from torch.optim import Adam

from anonlib.config import TrainingConfig
from anonlib.losses import photorealistic_loss
from anonlib.networks import Modifier
from anonlib.training.batches import face_batch
from anonlib.training.loop import History, Losses, Trainee, run_steps
from anonlib.types import FaceImages


def train_identity(
    modifier: Modifier,
    faces: FaceImages,
    config: TrainingConfig,
    *,
    steps: int,
    seed: int,
    checkpoint: Path | None = None,
    progress: bool = True,
) -> History:
    """Trains M by the photorealistic loss alone, so that the game starts from faces, not from grey.

    Implements Ren et al., Eq. (3), without the other terms.
    Differs from the paper: which starts M from random weights and has 12 epochs to get there.

    Args:
        modifier: M, trained in place.
        faces: training images F.
        config: batch size and learning rate.
        steps: number of updates.
        seed: of batches.
        checkpoint: file to save to and resume from.
        progress: whether to show a progress bar.

    Returns:
        The mean absolute difference, every ten steps.
    """
    optimizer = Adam(modifier.parameters(), lr=config.pretrain_lr, betas=config.betas)
    device = next(modifier.parameters()).device

    def update(step: int) -> Losses:
        batch = face_batch(faces, config.faces, seed=seed, step=step, device=device)
        loss = photorealistic_loss(modifier(batch.images), batch.images)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return {"L_l1": loss.detach()}

    trainee = Trainee(modules={"modifier": modifier}, optimizers={"optimizer": optimizer})
    modifier.train()
    return run_steps(
        trainee,
        update,
        name="modifier M, start",
        steps=steps,
        seed=seed,
        lr_drop=config.lr_drop,
        checkpoint=checkpoint,
        progress=progress,
    )

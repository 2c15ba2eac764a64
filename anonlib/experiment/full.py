"""`anonlib reproduce --full`: every method before a retrained attacker, and what Algorithm 1 adds.

Beside the methods of Fig. 4 there are M before Algorithm 1, M without the gradient of D, M without the
gradient of A, and, on real faces, `swap`.
"""

from __future__ import annotations

from functools import partial

from anonlib.anonymizers import SWAP, Anonymizer, create, names
from anonlib.experiment.attack_stages import attack_without_game
from anonlib.experiment.methods import (
    NO_CLASSIFIER,
    NO_DETECTOR,
    OURS,
    START,
    Experiment,
    measure,
    reads_state,
    train_modifier,
)
from anonlib.training.start import starting_modifier


def measure_fully(experiment: Experiment) -> None:
    """Makes and keeps the predictions for strongest.csv and ablation_game.csv."""
    others = {name: create(name) for name in names() if name != OURS}
    for name, anonymizer in {**others, **compared(experiment)}.items():
        run = partial(attack_without_game, experiment, name, anonymizer)
        experiment.run.stage(f"attacks-{name}", run)


def compared(experiment: Experiment) -> dict[str, Anonymizer]:
    """Trains and measures the methods that Fig. 4 does not show."""
    run = experiment.run
    start = None if reads_state(run.profile) else run.start
    modifier = starting_modifier(run.profile, seed=run.seed, start=start, device=run.device).eval()
    hide = {START: create(OURS, modifier, seed=run.seed)}
    if run.faces:
        hide[SWAP] = create(SWAP, device=run.device)
    for name, anonymizer in hide.items():
        measure(experiment, name, anonymizer, experiment.classifier)
    for name in (NO_CLASSIFIER, NO_DETECTOR):
        players = train_modifier(experiment, name)
        hide[name] = create(OURS, players.modifier, seed=run.seed)
        measure(experiment, name, hide[name], players.classifier, detector=players.detector)
    return hide

"""Masks for only some of the people or pictures: a baseline curve in Fig. 4 that a new method must beat."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces, face_features, similarities, verify_scores
from anonlib.experiment.predictions import load_cosines, load_matches, load_pairs, read_arrays, save_arrays
from anonlib.metrics.average_precision import Matches, matched_precision
from anonlib.metrics.verification import Pairs
from anonlib.networks import SphereFace
from anonlib.types import FaceImages

if TYPE_CHECKING:
    from anonlib.experiment.methods import Experiment

MASKED = ("person", "picture")
"""What is masked at random: people, in all of their pictures, or single pictures."""
SHARES = (0.25, 0.5, 0.75)
"""Shares that are masked."""
_ENDS = ("unanonymized", "mask")
_TOSSES = 20


def mix(experiment: Experiment) -> dict[str, Any]:
    """Makes the predictions for both curves and keeps them: D on test faces of which a share is masked."""
    run, data = experiment.run, experiment.data
    cosines = mixture_cosines(experiment.classifier, data.test_faces, data.pairs, seed=run.seed)
    save_arrays(run.predictions / "mixtures.npz", cosines)
    return {}


def mixture_cosines(
    classifier: SphereFace, faces: FaceImages, pairs: Pairs, *, seed: int
) -> dict[str, np.ndarray]:
    """Cosines `(P,)` of all pairs by D when a share of the faces is masked; keys as `person-0.25`."""
    clear = face_features(classifier, faces)
    masked = face_features(classifier, anonymize_faces(faces, create("mask")))
    rng = np.random.default_rng(seed)
    of_people = rng.random(int(faces.labels.max()) + 1)[faces.labels.numpy()]
    coins = dict(zip(MASKED, (of_people, rng.random(len(faces))), strict=True))
    cosines = {}
    for what, share in product(MASKED, SHARES):
        mixed = np.where(coins[what][:, None] < share, masked, clear)
        cosines[f"{what}-{share}"] = similarities(mixed, mixed, pairs).astype(np.float16)
    return cosines


def mixtures(folder: Path) -> list[dict[str, Any]]:
    """Both curves from the predictions of a run, a row for each share, from nobody to everybody.

    A share of the clips is masked. The A that was trained on masked frames sees these clips, the A that was
    trained on clear frames the others. The mAP is a mean over 20 choices of the clips.

    Implements Ren et al., Fig. 4. Differs from the paper: these curves are ours.
    """
    pairs, stored = load_pairs(folder), read_arrays(folder / "mixtures.npz")
    ends = {share: load_cosines(folder, name) for share, name in enumerate(_ENDS)}
    precision = {share: action_map(folder, share) for share in (0, *SHARES, 1)}
    rows = []
    for what, share in product(MASKED, precision):
        scores = ends[int(share)] if share in ends else stored[f"{what}-{share}"].astype(np.float64)
        found = verify_scores(scores, pairs)
        rows.append(
            {
                "masked": what,
                "share": share,
                "verification_error": 1 - found.accuracy,
                "verification_error_lo": 1 - found.hi,
                "verification_error_hi": 1 - found.lo,
                "action_map": precision[share],
            }
        )
    return rows


def action_map(folder: Path, share: float, *, seed: int = 0) -> float:
    """mAP when a share of the clips is masked, from the predictions of a run."""
    clear, masked = (load_matches(folder, name) for name in _ENDS)
    clips, clip = np.unique(read_arrays(folder / "test.npz")["clip"], return_inverse=True)
    rng, found = np.random.default_rng(seed), []
    for _ in range(_TOSSES):
        hidden = (rng.random(len(clips)) < share)[clip]  # of each frame
        found.append(matched_precision(_mixed(clear, masked, hidden)).mean)
    return float(np.mean(found))


def _mixed(clear: Matches, masked: Matches, hidden: np.ndarray) -> Matches:
    """The detections in clear frames by one A, those in hidden ones by the other, by falling score."""
    rows = ((clear, ~hidden[clear.image]), (masked, hidden[masked.image]))
    joined = {
        name: np.concatenate([getattr(matches, name)[kept] for matches, kept in rows])
        for name in ("score", "image", "label", "hit")
    }
    order = np.argsort(-joined["score"], kind="stable")
    return Matches(**{name: values[order] for name, values in joined.items()}, positives=clear.positives)

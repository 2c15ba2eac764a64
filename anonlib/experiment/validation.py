"""The validation score by which Algorithm 1 keeps the best checkpoint of M and D."""

from __future__ import annotations

import math
from collections.abc import Callable

from anonlib.anonymizers import create
from anonlib.attack.verification import anonymize_faces, face_features, recognisability
from anonlib.training import Players
from anonlib.types import FaceImages

CLEAR_ENOUGH = 0.96
"""1 - EER of D on clear validation faces below which a state is penalized."""


def validation_score(faces: FaceImages, players: Players) -> Callable[[], float] | None:
    """A function that scores the current M and D on validation people; lower is better.

    The score is 1 - EER of D on the modified faces. A D that no longer recognizes clear faces is useless, so
    ten times what D lacks there of `CLEAR_ENOUGH` is added. Clear faces are tested only where the state could
    be the best so far. Returns None if there are fewer than two validation people.
    """
    if len(faces.labels.unique()) < 2:
        return None
    lowest = math.inf

    def score() -> float:
        nonlocal lowest
        modified = anonymize_faces(faces, create("modifier", players.modifier))
        found = recognisability(face_features(players.classifier, modified), faces.labels)
        if found < lowest:
            clear = recognisability(face_features(players.classifier, faces), faces.labels)
            found += 10 * max(0.0, CLEAR_ENOUGH - clear)
            lowest = min(lowest, found)
        players.modifier.train()
        players.classifier.train()
        return found

    return score

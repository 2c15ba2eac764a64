"""A simulated participant, to try a study with. What it answers says nothing about people."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anonlib.evaluation.identity import DIGITS, face_features
from anonlib.evaluation.user_study import DIFFERENT, NO, NO_IDEA, SAME, YES, Question, Study
from anonlib.networks import SphereFace

SPREAD = 0.05
"""How far simulated participants' thresholds lie apart: standard deviation of a cosine."""

Rater = Callable[[Question], str]


def simulated_rater(study: Study, classifier: SphereFace, *, participant: int) -> Rater:
    """Somebody who sees with D's eyes and decides by a threshold of their own.

    Q1 is `same` where two faces are more alike than the study's pairs are on the whole, more or
    less by the participant. In Q2 the name is that of the introduced person who is most alike; or
    `no idea` where the second comes close. Q3 is `yes` for those who named fewer than half in Q2.

    Differs from the paper: which asked people.

    Args:
        study: what is asked.
        classifier: D.
        participant: number, which with the study's seed draws the threshold and the doubt.
    """
    rng = np.random.default_rng([study.seed, participant, 1])
    clear, hidden = (face_features(classifier, x) for x in (study.before, study.after))
    pairs = [q for q in study.questions if q.kind == "Q1"]
    middle = np.median([_alike(hidden, q) for q in pairs])
    threshold = middle + SPREAD * rng.standard_normal()
    doubt = abs(SPREAD * rng.standard_normal())

    def answer(question: Question) -> str:
        if question.kind == "Q1":
            return SAME if _alike(hidden, question) >= threshold else DIFFERENT
        if question.kind == "Q3":
            faces = [q for q in study.questions if q.kind == "Q2"]
            return YES if 2 * sum(answer(q) == q.truth for q in faces) < len(faces) else NO
        features = clear if question.kind == "known" else hidden
        return _name(study, clear, features[question.faces[0]], doubt)

    return answer


def _alike(features: np.ndarray, pair: Question) -> float:
    first, second = pair.faces
    return round(float(features[first] @ features[second]), DIGITS)


def _name(study: Study, clear: np.ndarray, face: np.ndarray, doubt: float) -> str:
    """The person whose introduction is most like this face, if nobody else's comes close."""
    pictures = {q.truth: q.faces for q in study.questions if q.kind == "known"}
    pictures |= {label: shown for label, shown in study.introduced.items() if shown}
    alike = {label: float((clear[list(p)] @ face).mean()) for label, p in pictures.items()}
    best, second = sorted(alike, key=lambda label: -alike[label])[:2]
    return best if alike[best] - alike[second] >= doubt else NO_IDEA

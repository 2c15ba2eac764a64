"""Simulated participants, to try a study with. What they answer says nothing about people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from anonlib.attack.verification import DIGITS, face_features
from anonlib.networks import SphereFace
from anonlib.study.answers import SIMULATED, Answer, AnswerSheet, read_answers
from anonlib.study.questions import DIFFERENT, NO, NO_IDEA, SAME, YES, Question, Study

SPREAD = 0.05
"""How far simulated participants' thresholds lie apart: standard deviation of a cosine."""

Rater = Callable[[Question], str]


def simulate(
    study: Study, classifier: SphereFace, folder: str | Path, *, participants: int = 10
) -> list[Answer]:
    """Lets simulated participants, 0 and up, answer what they have not answered yet.

    Their files are called `simulated-NUMBER.csv` and are never counted with people's.

    Args:
        study: what is asked.
        classifier: D, with whose eyes they see.
        folder: where answers are kept.
        participants: how many.

    Returns:
        All simulated answers in the folder.
    """
    clear, hidden = (face_features(classifier, x) for x in (study.before, study.after))
    for number in range(participants):
        sheet = AnswerSheet(study, folder, participant=number, rater=SIMULATED)
        rater = simulated_rater(study, clear, hidden, participant=number)
        for question in sheet.left():
            sheet.record(question, rater(question))
    return read_answers(folder, rater=SIMULATED)


def simulated_rater(study: Study, clear: np.ndarray, hidden: np.ndarray, *, participant: int) -> Rater:
    """Somebody who sees with D's eyes and decides by a threshold of their own.

    Q1 is `same` where two faces are more alike than the study's pairs are on the whole, more or
    less by the participant. In Q2 the name is that of the introduced person who is most alike; or
    `no idea` where the second comes close. Q3 is `yes` for those who named fewer than half in Q2.

    Differs from the paper: which asked people.

    Args:
        study: what is asked.
        clear: `(N, F)` unit features of its pictures.
        hidden: `(N, F)` unit features of the modified ones.
        participant: number, which with the study's seed draws the threshold and the doubt.
    """
    rng = np.random.default_rng([study.seed, participant, 1])
    pairs = [q for q in study.questions if q.kind == "Q1"]
    threshold = np.median([_alike(hidden, q) for q in pairs]) + SPREAD * rng.standard_normal()
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

"""Simulated participants, to try a study out. Their answers say nothing about people."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from anonlib.attack.verification import DIGITS, face_features
from anonlib.networks import SphereFace
from anonlib.study.answers import SIMULATED, Answer, AnswerSheet, read_answers
from anonlib.study.questions import DIFFERENT, NO, NO_IDEA, SAME, YES, Question, Study

SPREAD = 0.05
"""Standard deviation of the simulated participants' thresholds, which are cosines."""

Rater = Callable[[Question], str]


def simulate(
    study: Study, classifier: SphereFace, folder: str | Path, *, participants: int = 10
) -> list[Answer]:
    """Lets simulated participants answer what they have not answered yet; returns all simulated answers.

    They compare the features of D, the classifier. Their files are called `simulated-NUMBER.csv`, from number
    0, and are never counted with those of people.
    """
    clear, hidden = (face_features(classifier, x) for x in (study.before, study.after))
    for number in range(participants):
        sheet = AnswerSheet(study, folder, participant=number, rater=SIMULATED)
        rater = simulated_rater(study, clear, hidden, participant=number)
        for question in sheet.left():
            sheet.record(question, rater(question))
    return read_answers(folder, rater=SIMULATED)


def simulated_rater(study: Study, clear: np.ndarray, hidden: np.ndarray, *, participant: int) -> Rater:
    """A participant who compares `(N, F)` unit features of clear and hidden pictures with a threshold.

    Q1: `same` if the two faces are more similar than the threshold, which is the median over all pairs plus a
    random number. Q2: the introduced person who is most similar, or `no idea` if the second is almost as
    similar. Q3: `yes` if the participant named fewer than half of the faces in Q2. The study's seed and the
    participant's number determine the random numbers.

    Differs from the paper: the paper asked people.
    """
    rng = np.random.default_rng([study.seed, participant, 1])
    pairs = [q for q in study.questions if q.kind == "Q1"]
    threshold = np.median([_similarity(hidden, q) for q in pairs]) + SPREAD * rng.standard_normal()
    doubt = abs(SPREAD * rng.standard_normal())

    def answer(question: Question) -> str:
        if question.kind == "Q1":
            return SAME if _similarity(hidden, question) >= threshold else DIFFERENT
        if question.kind == "Q3":
            faces = [q for q in study.questions if q.kind == "Q2"]
            return YES if 2 * sum(answer(q) == q.truth for q in faces) < len(faces) else NO
        features = clear if question.kind == "known" else hidden
        return _name(study, clear, features[question.faces[0]], doubt)

    return answer


def _similarity(features: np.ndarray, pair: Question) -> float:
    first, second = pair.faces
    return round(float(features[first] @ features[second]), DIGITS)


def _name(study: Study, clear: np.ndarray, face: np.ndarray, doubt: float) -> str:
    """The person whose clear pictures are most similar to this face, unless the second is close."""
    pictures = {q.truth: q.faces for q in study.questions if q.kind == "known"}
    pictures |= {label: shown for label, shown in study.introduced.items() if shown}
    alike = {label: float((clear[list(p)] @ face).mean()) for label, p in pictures.items()}
    best, second = sorted(alike, key=lambda label: -alike[label])[:2]
    return best if alike[best] - alike[second] >= doubt else NO_IDEA

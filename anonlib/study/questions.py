"""The user study of section 5.5: the questions and their right answers.

Q1: do two modified faces show the same person? Q2: who is this modified face, or 'no idea'? Q3: would this
protect your own privacy? Between Q2 and Q3 a participant names clear pictures (`known`), because the paper
counts Q2 only for the celebrities that a subject knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from anonlib.anonymizers import Anonymizer
from anonlib.attack.verification import anonymize_faces
from anonlib.data.face_folders import FaceFolder
from anonlib.detection.mtcnn import DetectLandmarks, MtcnnLandmarks
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.experiment.people import join_people
from anonlib.metrics.verification import verification_pairs
from anonlib.types import FaceImages
from anonlib.world import PEOPLE, synthetic_faces

PAIRS = 12
"""Pairs of the same person in Q1, and as many pairs of different people."""
FACES = 16
"""Modified faces in Q2."""
SHOWN = 12
"""Modified faces that Q3 shows together."""
IMAGES = 10
"""Pictures of each person from which the study chooses."""
SAME, DIFFERENT, NO_IDEA, YES, NO = "same", "different", "no idea", "yes", "no"
NAMES = ("Alex", "Billie", "Charlie", "Dana", "Eli", "Frankie", "Gray", "Harper")
"""Names of synthetic people; they fit any face, because people are drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about one or more pictures."""

    kind: str
    """`Q1`, `Q2`, `known` or `Q3`."""
    item: int
    """Number of the question among those of its kind."""
    faces: tuple[int, ...]
    """Indices of the pictures shown; they are clear for `known` and modified for the others."""
    truth: str
    """The right answer: `same`, `different` or the label of a person; empty for Q3."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """The pictures of a study and the questions about them."""

    key: str
    """Identifies the study: depends on the method, the pictures chosen and the people introduced."""
    seed: int
    before: FaceImages
    after: FaceImages
    """The same pictures, modified."""
    names: dict[str, str]
    """Name of each person in Q2, by label as in `Question.truth`."""
    introduced: dict[str, tuple[int, ...]]
    """Clear pictures that introduce each of these people, by label; may be empty."""
    questions: tuple[Question, ...]

    def choices(self, kind: str) -> tuple[str, ...]:
        """The possible answers to questions of this kind."""
        if kind == "Q1":
            return (SAME, DIFFERENT)
        return (YES, NO) if kind == "Q3" else (*self.names, NO_IDEA)

    def in_order(self, participant: int) -> tuple[Question, ...]:
        """The questions in one participant's order: shuffled within each kind."""
        rng = np.random.default_rng([self.seed, participant])
        kinds = dict.fromkeys(question.kind for question in self.questions)
        groups = [[q for q in self.questions if q.kind == kind] for kind in kinds]
        return tuple(group[i] for group in groups for i in rng.permutation(len(group)))


def build_study(
    faces: FaceImages,
    anonymizer: Anonymizer,
    *,
    method: str,
    names: Sequence[str] | None = None,
    people: int = 6,
    introduce: int = 3,
    seed: int = 0,
) -> Study:
    """Chooses the pictures and modifies all of them.

    Implements Ren et al., section 5.5: 12 + 12 pairs, 16 faces, one question about trust.
    Differs from the paper: participants do not know the people in Q2, so clear pictures introduce them first;
    answers are chosen, not written. The paper does not say how it found out whom a subject knows; here a
    participant must name one more clear picture. The 16 faces show six people. With `people=16, introduce=0`,
    Q2 shows each of 16 people once, for people whom participants know.

    Args:
        method: name of the anonymizer; answers about different methods are never counted together.
        names: a name for each label; `NAMES` by default.
        people: number of people in Q2.
        introduce: number of clear pictures that introduce each of them.

    Raises:
        FaceDatasetError: too few people or pictures for Q2.
        ConfigError: too few for the pairs, or Q2 about fewer than two people.
    """
    if people < 2 or introduce < 0:
        raise ConfigError(f"Q2 about {people} people, {introduce} pictures each: use 2 and 0 or more")
    rng = np.random.default_rng(seed)
    labels = faces.labels.numpy()
    each = -(-FACES // people)
    pictures = introduce + each + 1
    enough = np.flatnonzero(np.bincount(labels) >= pictures)
    if len(enough) < people:
        raise FaceDatasetError(
            f"Q2 needs {people} people with {pictures} pictures or more and there are {len(enough)}: "
            "add pictures, or use smaller numbers for `people` or `introduce`"
        )
    chosen = rng.permutation(enough)[:people].tolist()
    own = {p: rng.permutation(np.flatnonzero(labels == p)).tolist() for p in chosen}
    unnamed = [*NAMES, *(f"person {i + 1}" for i in range(len(NAMES), people))][:people]
    called = unnamed if names is None else [names[p] for p in chosen]
    introduced = {str(p): tuple(own[p][:introduce]) for p in chosen}
    rest = {p: own[p][introduce:pictures] for p in chosen}
    questions = (*_pairs(labels, seed), *_named(rest))
    shown = tuple(question.faces[0] for question in questions[:SHOWN])
    questions = (*questions, Question(kind="Q3", item=0, faces=shown, truth=""))
    text = repr((method, seed, len(labels), called, introduced, questions))
    return Study(
        key=blake2b(text.encode(), digest_size=4).hexdigest(),
        seed=seed,
        before=faces,
        after=anonymize_faces(faces, anonymizer),
        questions=questions,
        introduced=introduced,
        names={str(p): name for p, name in zip(chosen, called, strict=True)},
    )


def _pairs(labels: np.ndarray, seed: int) -> list[Question]:
    drawn = verification_pairs(labels, pairs=2 * PAIRS, folds=2, seed=seed)
    columns = zip(drawn.first.tolist(), drawn.second.tolist(), drawn.same, strict=True)
    return [
        Question(kind="Q1", item=i, faces=(a, b), truth=SAME if same else DIFFERENT)
        for i, (a, b, same) in enumerate(columns)
    ]


def _named(pictures: dict[int, list[int]]) -> list[Question]:
    """Q2 about the people in turn, and `known` about the last picture of each."""
    each = -(-FACES // len(pictures))
    turns = [(p, own[k]) for k in range(each) for p, own in pictures.items()]
    clear = [(p, own[-1]) for p, own in pictures.items()]
    return [
        Question(kind=kind, item=i, faces=(face,), truth=str(p))
        for kind, shown in (("Q2", turns[:FACES]), ("known", clear))
        for i, (p, face) in enumerate(shown)
    ]


def synthetic_study(
    anonymizer: Anonymizer, *, method: str, people: int = 40, size: int = 64, seed: int = 0
) -> Study:
    """A study with pictures of that size of synthetic test people; six of the `people` are in Q2."""
    start = PEOPLE["test"].start + 1000 * seed
    faces = synthetic_faces(range(start, start + people), images=IMAGES, size=size, seed=seed)
    return build_study(faces, anonymizer, method=method, seed=seed)


def folder_study(
    root: str | Path,
    anonymizer: Anonymizer,
    *,
    method: str,
    size: int = 128,
    people: int = 6,
    introduce: int = 3,
    seed: int = 0,
    detect: DetectLandmarks | None = None,
) -> Study:
    """A study with up to ten pictures of each person of a folder, `root/NAME/*.jpg`, see data/README.md.

    Ask all people in the pictures for their consent first. To protect them, their faces are not kept in the
    cache. `size` is the side of the crops, as the anonymizer expects it. `detect` finds five landmarks, by
    default with MTCNN. See `build_study` for the rest; use `introduce=0` if all participants know the people.

    Raises:
        FaceDatasetError: the folder is missing, or people or pictures are too few.
        ConfigError: people or pictures are too few for the pairs.
        ImageError: a picture cannot be read.
    """
    detector = detect or MtcnnLandmarks()
    # Crops are cached only for detectors with a `cache_key`, and a lambda has none.
    folder = FaceFolder(root, detect=lambda pictures: detector(pictures), progress=False)
    names, parts = [], []
    for name in folder.people_with(2):
        with suppress(FaceDatasetError):  # fewer than two of the pictures show a face
            parts.append(folder.load([name], images=IMAGES, size=size, minimum=2))
            names.append(name.replace("_", " "))
    if not parts:
        raise FaceDatasetError(
            f"face root '{root}' has nobody with two faces: put two pictures or more into each folder"
        )
    return build_study(
        join_people(parts),
        anonymizer,
        method=method,
        people=people,
        names=names,
        introduce=introduce,
        seed=seed,
    )

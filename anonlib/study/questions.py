"""The user study: which pictures are asked about, and what the right answers are.

Q1: do two modified faces show one person? Q2: who is this modified face, or 'no idea'? Q3: would
this protect your own privacy? Between Q2 and Q3 stands a question about clear pictures, `known`:
the paper counts Q2 among the celebrities that a subject knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from anonlib.anonymizers import Anonymizer
from anonlib.attack.verification import anonymize_faces
from anonlib.data.face_folders import FaceFolder
from anonlib.detection.mtcnn import DetectLandmarks, MtcnnLandmarks
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.experiment.datasets import join_people
from anonlib.metrics.verification import verification_pairs
from anonlib.types import FaceImages
from anonlib.world.faces import PEOPLE, synthetic_faces

PAIRS = 12
"""Pairs of one person in Q1, and pairs of two people."""
FACES = 16
"""Modified faces in Q2."""
SHOWN = 12
"""Modified faces that are shown together in Q3."""
IMAGES = 10
"""Pictures of each person to choose from."""
SAME, DIFFERENT, NO_IDEA, YES, NO = "same", "different", "no idea", "yes", "no"
NAMES = ("Alex", "Billie", "Charlie", "Dana", "Eli", "Frankie", "Gray", "Harper")
"""What synthetic people are called, in the order in which they are introduced: names that fit any
face, as people are drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing that a participant is asked."""

    kind: str
    """`Q1`, `Q2`, `known` or `Q3`."""
    item: int
    """Its number among those of its kind."""
    faces: tuple[int, ...]
    """Pictures shown; modified ones, but for `known`."""
    truth: str
    """The right answer: `same` or `different`, a person's label, or empty where none is right."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Study:
    """Pictures, and what is asked about them."""

    key: str
    """Changes with the method, with the pictures chosen and with the people introduced."""
    seed: int
    before: FaceImages
    after: FaceImages
    """The same pictures modified."""
    names: dict[str, str]
    """Label, as in `Question.truth`, to name, of the people in Q2."""
    introduced: dict[str, tuple[int, ...]]
    """Label to the clear pictures by which that person is introduced; maybe none."""
    questions: tuple[Question, ...]

    def choices(self, kind: str) -> tuple[str, ...]:
        """The answers that may be given to questions of this kind."""
        if kind == "Q1":
            return (SAME, DIFFERENT)
        return (YES, NO) if kind == "Q3" else (*self.names, NO_IDEA)

    def in_order(self, participant: int) -> tuple[Question, ...]:
        """The questions as one participant meets them: shuffled within each kind."""
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
    """Chooses the pictures and modifies all of them once.

    Implements Ren et al., section 5.5: 12 + 12 pairs, 16 faces, one question of trust.
    Differs from the paper: Q2 is about people who are introduced with clear pictures, as nobody
    knows them, and answers are chosen, not written; the paper does not say how it learned whom
    a subject knows, here they must name one more clear picture; 16 faces are of six people.
    With `people=16, introduce=0` Q2 is about 16 people once each, whom participants know.

    Args:
        faces: people and their pictures.
        anonymizer: what the study is about.
        method: its name; answers about two methods are never counted together.
        names: a name for each label; `NAMES` for the people in Q2 by default.
        people: how many are asked for in Q2.
        introduce: clear pictures by which each of them is introduced.
        seed: another one chooses other pictures.

    Raises:
        FaceDatasetError: people or pictures are too few.
        ConfigError: they are too few for the pairs, or Q2 is to be about fewer than two people.
    """
    if people < 2 or introduce < 0:
        raise ConfigError(f"Q2 about {people} people, {introduce} pictures each: use 2 and 0 or more")
    rng = np.random.default_rng(seed)
    labels = faces.labels.numpy()
    each = -(-FACES // people)
    chosen = _well_known(labels, people=people, pictures=introduce + each + 1, rng=rng)
    own = {p: rng.permutation(np.flatnonzero(labels == p)).tolist() for p in chosen}
    called = [names[p] for p in chosen] if names is not None else _called(people)
    introduced = {str(p): tuple(own[p][:introduce]) for p in chosen}
    questions = (*_pairs(labels, seed), *_named(own, introduce=introduce, each=each))
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


def _called(people: int) -> list[str]:
    more = [f"person {i + 1}" for i in range(len(NAMES), people)]
    return [*NAMES, *more][:people]


def _well_known(labels: np.ndarray, *, people: int, pictures: int, rng: np.random.Generator) -> list[int]:
    """Labels of people with that many pictures, in a random order."""
    enough = np.flatnonzero(np.bincount(labels) >= pictures)
    if len(enough) < people:
        raise FaceDatasetError(
            f"Q2 needs {people} people with {pictures} pictures or more and there are "
            f"{len(enough)}: add pictures, ask for other `people`, or `introduce` with fewer"
        )
    return [int(p) for p in rng.permutation(enough)[:people]]


def _pairs(labels: np.ndarray, seed: int) -> list[Question]:
    drawn = verification_pairs(labels, pairs=2 * PAIRS, folds=2, seed=seed)
    columns = zip(drawn.first.tolist(), drawn.second.tolist(), drawn.same, strict=True)
    return [
        Question(kind="Q1", item=i, faces=(a, b), truth=SAME if same else DIFFERENT)
        for i, (a, b, same) in enumerate(columns)
    ]


def _named(own: dict[int, list[int]], *, introduce: int, each: int) -> list[Question]:
    """Modified faces, and one more clear picture of everybody; no picture serves twice."""
    turns = [(p, pictures[introduce + k]) for k in range(each) for p, pictures in own.items()]
    modified = [
        Question(kind="Q2", item=i, faces=(face,), truth=str(p)) for i, (p, face) in enumerate(turns[:FACES])
    ]
    clear = [
        Question(kind="known", item=i, faces=(pictures[introduce + each],), truth=str(p))
        for i, (p, pictures) in enumerate(own.items())
    ]
    return [*modified, *clear]


def synthetic_study(
    anonymizer: Anonymizer, *, method: str, people: int = 40, size: int = 64, seed: int = 0
) -> Study:
    """A study with test people who do not exist.

    Args:
        anonymizer: what the study is about.
        method: its name.
        people: of whom the pairs are drawn; six of them are introduced.
        size: side of the pictures in pixels.
        seed: another one draws other people, pictures and pairs.
    """
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
    """A study with the people of a folder, `root/NAME/*.jpg`; folder names are the names.

    Ask everybody who is in the pictures before you show them. Up to ten pictures of each are
    read; none of them is remembered between runs.

    Args:
        root: the folder, see data/README.md for the layout.
        anonymizer: what the study is about.
        method: its name.
        size: side of the crops in pixels; of the size that the anonymizer was made for.
        people: as for `build_study`, and so are `introduce` and `seed`.
        introduce: clear pictures a person; 0 for people whom every participant may know.
        seed: another one chooses other pictures.
        detect: finds five landmarks; MTCNN by default.

    Raises:
        FaceDatasetError: the folder is missing, or people or pictures are too few.
        ConfigError: people or pictures are too few for the pairs.
        ImageError: a picture cannot be read.
    """
    # The bound method has no `cache_key`, so that no face is left in the cache.
    folder = FaceFolder(root, detect=detect or MtcnnLandmarks().__call__, progress=False)
    found = {name: load_person(folder, name, size=size) for name in folder.people_with(2)}
    kept = {name: faces for name, faces in found.items() if faces is not None}
    if not kept:
        raise FaceDatasetError(
            f"face root '{root}' shows nobody twice: put two pictures or more into each folder"
        )
    return build_study(
        join_people(list(kept.values())),
        anonymizer,
        method=method,
        people=people,
        names=[name.replace("_", " ") for name in kept],
        introduce=introduce,
        seed=seed,
    )


def load_person(folder: FaceFolder, name: str, *, size: int) -> FaceImages | None:
    """A person's faces, or None where fewer than two are found."""
    try:
        return folder.load([name], images=IMAGES, size=size, minimum=2)
    except FaceDatasetError:
        return None

"""The answers to the user study and the shares of right answers, with confidence intervals.

Each participant has a file. It holds no names: participants and the people in the pictures are numbers.
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from anonlib.errors import ConfigError, ResultsError
from anonlib.files import write_atomically
from anonlib.metrics.intervals import accuracy_interval, proportion_interval
from anonlib.study.questions import YES, Question, Study

PERSON, SIMULATED = "person", "simulated"
"""Who answered; file names start with it, so that the two are never counted together."""
KINDS = ("Q1", "Q2", "known", "Q3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line of a participant's file."""

    study: str
    """Key of the study."""
    participant: int
    question: str
    """Kind of the question: `Q1`, `Q2`, `known` or `Q3`."""
    item: int
    truth: str
    answer: str

    @property
    def right(self) -> bool:
        """Whether the answer is right; for Q3, whether it is yes."""
        return self.answer == (YES if self.question == "Q3" else self.truth)


COLUMNS = tuple(field.name for field in fields(Answer))


class AnswerSheet:
    """One participant's answers and the file with them, which exists from the first answer on."""

    def __init__(
        self, study: Study, folder: str | Path, *, participant: int | None = None, rater: str = PERSON
    ) -> None:
        """Starts a sheet in a folder, or continues that of a `participant`; `rater` is a person or simulated.

        Raises:
            ResultsError: the file is damaged, or belongs to another study.
        """
        folder = Path(folder)
        self.study = study
        self.participant = _new_number(folder, rater) if participant is None else participant
        self.path = folder / f"{rater}-{self.participant:04d}.csv"
        self.answers = tuple(read_sheet(self.path)) if self.path.exists() else ()
        if any(answer.study != study.key for answer in self.answers):
            raise ResultsError(
                f"{self.path} holds answers to another study: build that one again, or use another folder"
            )

    def record(self, question: Question, answer: str) -> None:
        """Adds an answer and writes the whole file; after an error the old file is still there.

        Raises:
            ConfigError: the answer is not one of the choices, or the question has an answer.
            ResultsError: the file cannot be written; the answer does not count then.
        """
        choices = self.study.choices(question.kind)
        if answer not in choices:
            raise ConfigError(f"'{answer}' does not answer {question.kind}: use {', '.join(choices)}")
        if question not in self.left():
            raise ConfigError(f"{question.kind} {question.item} has an answer: answers cannot be changed")
        added = Answer(
            study=self.study.key,
            participant=self.participant,
            question=question.kind,
            item=question.item,
            truth=question.truth,
            answer=answer,
        )
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, fieldnames=COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(one) for one in (*self.answers, added))
        write_atomically(self.path, buffer.getvalue().encode())
        self.answers = (*self.answers, added)

    def left(self) -> tuple[Question, ...]:
        """The questions without an answer, in this participant's order."""
        done = {(answer.question, answer.item) for answer in self.answers}
        order = self.study.in_order(self.participant)
        return tuple(question for question in order if (question.kind, question.item) not in done)


def _new_number(folder: Path, rater: str) -> int:
    taken = {path.name for path in folder.glob(f"{rater}-*.csv")}
    free = [n for n in range(1000, 10_000) if f"{rater}-{n}.csv" not in taken]
    if not free:
        raise ResultsError(f"all participant numbers are taken in {folder}: choose another folder")
    return secrets.choice(free)


def read_sheet(path: Path) -> list[Answer]:
    """The answers in one file.

    Raises:
        ResultsError: the file is damaged, is no such file, or holds an answer twice.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"its columns are not {','.join(COLUMNS)}")
            answers = [_answer(row) for row in reader]
        if _has_duplicates(answers):
            raise ValueError("a question is answered twice")
    except (ValueError, csv.Error) as error:
        raise ResultsError(f"{path} is damaged ({error}): restore it from a copy, or move it away") from error
    return answers


def _answer(row: dict[str, str]) -> Answer:
    if None in row or None in row.values() or row["question"] not in KINDS:
        raise ValueError(f"a line reads {','.join(str(value) for value in row.values())}")
    participant, item = int(row.pop("participant")), int(row.pop("item"))
    return Answer(participant=participant, item=item, **row)


def _has_duplicates(answers: list[Answer]) -> bool:
    return len({(a.participant, a.question, a.item) for a in answers}) < len(answers)


def read_answers(folder: str | Path, *, rater: str = PERSON) -> list[Answer]:
    """All participants' answers to one study, from the files in a folder; a missing one has none.

    Raises:
        ResultsError: a file is damaged, two belong to different studies, or two are copies.
    """
    paths = sorted(Path(folder).glob(f"{rater}-*.csv"))
    answers = [answer for path in paths for answer in read_sheet(path)]
    keys = sorted({answer.study for answer in answers})
    if len(keys) > 1:
        raise ResultsError(
            f"{folder} holds answers to {len(keys)} studies ({', '.join(keys)}): give each its own folder"
        )
    if _has_duplicates(answers):
        raise ResultsError(f"{folder} holds one participant twice: move the copy away")
    return answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One question's share of right answers (of yes for Q3), with 95% intervals."""

    question: str
    right: int
    asked: int
    participants: int
    share: float
    lo: float
    hi: float
    """Ends of Wilson's interval."""
    people_lo: float
    people_hi: float
    """Ends of the interval over participants; NaN for fewer than two participants and for Q3."""


def statistics(answers: Iterable[Answer]) -> list[Share]:
    """The paper's three numbers: right answers in Q1, right names in Q2 for known people, yes in Q3.

    A participant knows a person if he or she named this person's clear picture (`known`). A question without
    answers has no row. A participant who always gives one name seems to know that person and to name him or
    her: look for such sheets before you trust Q2.

    Neither interval is exact. Wilson's treats all answers as independent. It is too narrow, because
    participants differ in skill and pairs in difficulty. Student's t over the participants' own shares says
    how other people would answer about the *same* pictures. Neither covers the choice of pictures.

    Implements Ren et al., section 5.5. Differs from the paper: the paper gives no intervals.
    """
    answers = list(answers)
    known = {(a.participant, a.truth) for a in answers if a.question == "known" and a.right}
    counted = [a for a in answers if a.question != "Q2" or (a.participant, a.truth) in known]
    groups = {kind: [a for a in counted if a.question == kind] for kind in ("Q1", "Q2", "Q3")}
    return [_share(kind, group) for kind, group in groups.items() if group]


def _share(question: str, answers: list[Answer]) -> Share:
    outcomes: dict[int, list[bool]] = {}
    for answer in answers:
        outcomes.setdefault(answer.participant, []).append(answer.right)
    right = sum(answer.right for answer in answers)
    lo, hi = proportion_interval(right, len(answers))
    people_lo = people_hi = float("nan")
    if len(outcomes) > 1 and question != "Q3":
        people_lo, people_hi = accuracy_interval([sum(own) / len(own) for own in outcomes.values()])
    return Share(
        question=question,
        right=right,
        asked=len(answers),
        participants=len(outcomes),
        share=right / len(answers),
        lo=lo,
        hi=hi,
        people_lo=people_lo,
        people_hi=people_hi,
    )

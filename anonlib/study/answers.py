"""Answers to the user study: kept at once, one file a participant.

A participant is a number that is drawn, and people in the pictures are numbers, too: the files
hold no name.
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
from anonlib.study.questions import YES, Question, Study

PERSON, SIMULATED = "person", "simulated"
"""Who answered; the first word of a file's name, so that the two are never counted together."""
KINDS = ("Q1", "Q2", "known", "Q3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line of a file."""

    study: str
    """Key of the study."""
    participant: int
    question: str
    """Its kind: `Q1`, `Q2`, `known` or `Q3`."""
    item: int
    truth: str
    answer: str

    @property
    def right(self) -> bool:
        """Whether it is the right one; for Q3, whether it is yes."""
        return self.answer == (YES if self.question == "Q3" else self.truth)


COLUMNS = tuple(field.name for field in fields(Answer))


class AnswerSheet:
    """One participant's answers; the file is whole after each of them.

    There is no file before the first answer.
    """

    def __init__(
        self, study: Study, folder: str | Path, *, participant: int | None = None, rater: str = PERSON
    ) -> None:
        """Begins a sheet, or goes on with one.

        Args:
            study: what is answered.
            folder: of all sheets of this study.
            participant: a number drawn before, to go on; a new one by default.
            rater: `person`, or `simulated` for what a program answers.

        Raises:
            ResultsError: the file is damaged, or belongs to another study.
        """
        folder = Path(folder)
        self.study = study
        self.participant = _new_number(folder, rater) if participant is None else participant
        self.path = folder / f"{rater}-{self.participant:04d}.csv"
        self.answers: tuple[Answer, ...] = ()
        if self.path.exists():
            self.answers = tuple(read_sheet(self.path))
        if any(answer.study != study.key for answer in self.answers):
            raise ResultsError(
                f"{self.path} answers another study: build that one again, or choose another folder"
            )

    def record(self, question: Question, answer: str) -> None:
        """Adds an answer and writes the file anew, under another name until it is complete.

        Raises:
            ConfigError: the answer is none of the choices, or the question was answered before.
            ResultsError: the file cannot be written; the answer then does not count.
        """
        if answer not in self.study.choices(question.kind):
            raise ConfigError(f"'{answer}' is no answer to {question.kind}: use one of its choices")
        if question not in self.left():
            raise ConfigError(f"{question.kind} {question.item} was answered: answers stand")
        added = Answer(
            study=self.study.key,
            participant=self.participant,
            question=question.kind,
            item=question.item,
            truth=question.truth,
            answer=answer,
        )
        write_atomically(self.path, _to_csv((*self.answers, added)))
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
        raise ResultsError(f"{folder} has no number left: choose another folder")
    return secrets.choice(free)


def _to_csv(answers: Iterable[Answer]) -> bytes:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(answer) for answer in answers)
    return buffer.getvalue().encode()


def read_sheet(path: Path) -> list[Answer]:
    """The answers in one file.

    Raises:
        ResultsError: it is no such file, it was damaged, or an answer is there twice.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, strict=True)
            if tuple(reader.fieldnames or ()) != COLUMNS:
                raise ValueError(f"its columns are not {','.join(COLUMNS)}")
            answers = [_answer(row) for row in reader]
        if len({(a.participant, a.question, a.item) for a in answers}) < len(answers):
            raise ValueError("a question is answered twice")
    except (ValueError, csv.Error) as error:
        raise ResultsError(f"{path} is damaged ({error}): restore it from a copy, or move it away") from error
    return answers


def _answer(row: dict[str, str]) -> Answer:
    values = dict(row)
    if None in values or None in values.values() or values["question"] not in KINDS:
        raise ValueError(f"a line reads {','.join(str(value) for value in values.values())}")
    participant, item = int(values.pop("participant")), int(values.pop("item"))
    return Answer(participant=participant, item=item, **values)


def read_answers(folder: str | Path, *, rater: str = PERSON) -> list[Answer]:
    """All participants' answers to one study, from a folder into which files were put together.

    Args:
        folder: of sheets; a missing one holds none.
        rater: `person` or `simulated`.

    Raises:
        ResultsError: a file is damaged, two belong to different studies, or two are copies.
    """
    sheets = {path: read_sheet(path) for path in sorted(Path(folder).glob(f"{rater}-*.csv"))}
    answers = [answer for sheet in sheets.values() for answer in sheet]
    keys = {answer.study for answer in answers}
    if len(keys) > 1:
        raise ResultsError(
            f"{folder} holds answers to {len(keys)} studies ({', '.join(sorted(keys))}): "
            "give each a folder of its own"
        )
    if len({(a.participant, a.question, a.item) for a in answers}) < len(answers):
        raise ResultsError(f"{folder} holds one participant twice: move the copy away")
    return answers

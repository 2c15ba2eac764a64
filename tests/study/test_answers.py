"""Answers are whole after each click, belong to one study, and hold no name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anonlib.errors import ConfigError, ResultsError
from anonlib.study.answers import AnswerSheet, read_answers, read_sheet
from anonlib.study.questions import Study, build_study
from anonlib.types import FaceImages


def make_study(method: str = "invert") -> Study:
    faces = FaceImages(
        images=torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8),
        labels=torch.arange(8).repeat_interleave(8),
        landmarks=torch.zeros(64, 5, 2),
    )
    return build_study(faces, lambda x: 1 - x, method=method)


@pytest.fixture(scope="module")
def study() -> Study:
    return make_study()


def answer_all(sheet: AnswerSheet, limit: int | None = None) -> AnswerSheet:
    for question in sheet.left()[:limit]:
        sheet.record(question, sheet.study.choices(question.kind)[0])
    return sheet


def test_no_file_before_the_first_answer_and_a_whole_one_after_each(study: Study, tmp_path: Path) -> None:
    sheet = AnswerSheet(study, tmp_path / "new", participant=12)
    assert not sheet.path.parent.exists()
    for n, question in enumerate(sheet.left()[:3], start=1):
        sheet.record(question, "same")
        assert sheet.path.read_text().count("\n") == n + 1
        assert tuple(read_sheet(sheet.path)) == sheet.answers
    assert [path.name for path in sheet.path.parent.iterdir()] == ["person-0012.csv"]
    first = sheet.answers[0]
    assert (first.participant, first.study, first.answer) == (12, study.key, "same")
    assert first.right == (first.truth == "same")


def test_going_on_begins_where_it_stopped(study: Study, tmp_path: Path) -> None:
    sheet = answer_all(AnswerSheet(study, tmp_path), limit=30)
    again = AnswerSheet(study, tmp_path, participant=sheet.participant)
    assert again.left() == study.in_order(sheet.participant)[30:]
    assert answer_all(again).left() == ()
    assert len(read_answers(tmp_path)) == len(study.questions)


def test_numbers_are_drawn_and_none_is_given_twice(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[int] = []
    monkeypatch.setattr("secrets.choice", lambda free: offered.extend(free) or free[0])
    first = answer_all(AnswerSheet(study, tmp_path), limit=1)
    assert (first.participant, offered) == (1000, list(range(1000, 10_000)))
    assert AnswerSheet(study, tmp_path).participant == 1001


def test_a_yes_is_what_counts_in_q3(study: Study, tmp_path: Path) -> None:
    answers = answer_all(AnswerSheet(study, tmp_path)).answers
    assert (answers[-1].question, answers[-1].answer, answers[-1].right) == ("Q3", "yes", True)


def test_files_hold_no_names(study: Study, tmp_path: Path) -> None:
    text = answer_all(AnswerSheet(study, tmp_path)).path.read_text()
    assert not [name for name in study.names.values() if name in text]


def test_answers_stand_and_are_choices(study: Study, tmp_path: Path) -> None:
    sheet = AnswerSheet(study, tmp_path)
    question = sheet.left()[0]
    with pytest.raises(ConfigError, match="'maybe' does not answer Q1: use same, different"):
        sheet.record(question, "maybe")
    sheet.record(question, "same")
    with pytest.raises(ConfigError, match="has an answer: answers cannot be changed"):
        sheet.record(question, "different")
    assert sheet.answers[0].answer == "same"


def test_an_answer_that_cannot_be_written_does_not_count(study: Study, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    sheet = AnswerSheet(study, tmp_path / "taken")
    with pytest.raises(ResultsError, match="could not write"):
        sheet.record(sheet.left()[0], "same")
    assert sheet.answers == ()


def test_another_studys_answers_are_not_gone_on_with(study: Study, tmp_path: Path) -> None:
    sheet = answer_all(AnswerSheet(study, tmp_path), limit=1)
    with pytest.raises(ResultsError, match="holds answers to another study"):
        AnswerSheet(make_study("other"), tmp_path, participant=sheet.participant)


def test_pooling_takes_all_people_and_no_simulated_one(study: Study, tmp_path: Path) -> None:
    for participant, rater in ((1, "person"), (2, "person"), (3, "simulated")):
        answer_all(AnswerSheet(study, tmp_path, participant=participant, rater=rater), limit=2)
    assert [a.participant for a in read_answers(tmp_path)] == [1, 1, 2, 2]
    assert [a.participant for a in read_answers(tmp_path, rater="simulated")] == [3, 3]
    assert read_answers(tmp_path / "nothing") == []


def test_pooling_refuses_two_studies_and_copies(study: Study, tmp_path: Path) -> None:
    sheet = answer_all(AnswerSheet(study, tmp_path, participant=1), limit=2)
    copy = sheet.path.with_name("person-0002.csv")
    copy.write_bytes(sheet.path.read_bytes())
    with pytest.raises(ResultsError, match="holds one participant twice"):
        read_answers(tmp_path)
    copy.unlink()
    answer_all(AnswerSheet(make_study("other"), tmp_path, participant=2), limit=1)
    with pytest.raises(ResultsError, match=r"answers to 2 studies .*its own folder"):
        read_answers(tmp_path)


HEAD = "study,participant,question,item,truth,answer\n"
LINE = "ab,7,Q1,3,same,same\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "its columns are not study,"),
        (HEAD.replace(",", ";"), "its columns are not study,"),
        (HEAD + "ab,7,Q1", "a line reads ab,7,Q1,None"),
        (HEAD + "ab,7,Q9,3,same,same\n", "a line reads ab,7,Q9"),
        (HEAD + "ab,seven,Q1,3,same,same\n", "seven"),
        (HEAD + LINE + LINE, "a question is answered twice"),
        (HEAD + "ab,7,Q1,3,same,same,more\n", "a line reads"),
        ("\xff", "decode"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "person-0007.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ResultsError, match=f"person-0007.csv is damaged.*{reason}.*move it away"):
        read_sheet(path)

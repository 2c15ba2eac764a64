"""From the first page to the last by clicks, and what each leaves on the disk."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image

from anonlib.study.answers import read_answers
from anonlib.study.questions import Study, build_study
from anonlib.types import FaceImages
from anonlib.widgets.questionnaire import PAUSE, UserStudy, row_png


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def study() -> Study:
    faces = FaceImages(
        images=torch.randint(256, (64, 3, 8, 8), dtype=torch.uint8),
        labels=torch.arange(8).repeat_interleave(8),
        landmarks=torch.zeros(64, 5, 2),
    )
    return build_study(faces, lambda x: 1 - x, method="invert")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shown(study: Study, clock: Clock, tmp_path: Path) -> UserStudy:
    return UserStudy(study, folder=tmp_path, participant=1234, clock=clock)


def click(shown: UserStudy, clock: Clock, name: str) -> None:
    clock.now += 1
    next(b for b in shown.offered if b.description == name).click()


def names(shown: UserStudy) -> list[str]:
    return [button.description for button in shown.offered]


def go_to(shown: UserStudy, clock: Clock, kind: str) -> None:
    """Answers, the first choice always, until a page stands before this kind of question."""
    while shown.question is not None and shown.question.kind != kind:
        click(shown, clock, names(shown)[0])


def test_a_page_stands_first_and_writes_nothing(shown: UserStudy, tmp_path: Path) -> None:
    assert "24 pairs of modified faces" in shown.title.value
    assert names(shown) == ["Begin"]
    assert "participant=1234" in shown.status.value
    assert list(tmp_path.iterdir()) == []


def test_an_answer_is_on_the_disk_before_the_next_question(
    shown: UserStudy, clock: Clock, study: Study, tmp_path: Path
) -> None:
    click(shown, clock, "Begin")
    assert "(1 of 24)" in shown.title.value
    assert names(shown) == ["same", "different"]
    picture, first, buttons = shown.picture.value, shown.question, shown.offered
    click(shown, clock, "different")
    assert "(2 of 24)" in shown.title.value
    assert shown.picture.value != picture
    assert shown.offered is buttons  # the keyboard's focus stays
    (answer,) = read_answers(tmp_path)
    assert first is study.in_order(1234)[0]
    assert (answer.item, answer.answer) == (first.item, "different")


def test_the_second_half_of_a_double_click_is_no_answer(shown: UserStudy, clock: Clock) -> None:
    click(shown, clock, "Begin")
    clock.now += PAUSE / 2
    shown.choices["Q1"]["same"].click()
    assert "(1 of 24)" in shown.title.value
    click(shown, clock, "same")
    shown.choices["Q1"]["same"].click()
    assert "(2 of 24)" in shown.title.value


def test_people_are_introduced_by_name_before_they_are_asked_for(
    shown: UserStudy, clock: Clock, study: Study
) -> None:
    go_to(shown, clock, "Q2")
    assert "Meet the next people" in shown.title.value
    assert "16 modified faces" in shown.title.value
    assert re.findall("<figcaption>(.*?)</figcaption>", shown.picture.value) == list(study.names.values())
    click(shown, clock, "Begin")
    assert names(shown) == [*study.names.values(), "no idea"]
    assert 'alt="one modified face"' in shown.picture.value
    question = shown.question
    click(shown, clock, study.names[question.truth])
    assert shown.sheet.answers[-1].right


def test_clear_pictures_are_shown_where_they_should_be(shown: UserStudy, clock: Clock, study: Study) -> None:
    go_to(shown, clock, "known")
    assert "6 pictures that are not modified" in shown.title.value
    click(shown, clock, "Begin")
    source = re.search('base64,([^"]+)"', shown.picture.value)
    clear, hidden = (row_png(x, shown.question.faces) for x in (study.before, study.after))
    assert b64decode(source[1]) == clear != hidden


def test_at_the_end_stand_the_shares_and_where_the_answers_are(shown: UserStudy, clock: Clock) -> None:
    go_to(shown, clock, "Q3")
    click(shown, clock, "Begin")
    assert 'alt="12 modified faces"' in shown.picture.value
    click(shown, clock, "yes")
    assert shown.question is None
    assert names(shown) == []
    assert "<td>12 of 24</td><td>50% [31%, 69%]</td>" in shown.picture.value
    assert "would feel protected</td><td>yes</td>" in shown.picture.value
    assert "person-1234.csv" in shown.status.value
    assert shown.description.startswith("user study: 47 of 47 questions")


def test_going_on_says_how_many_are_left(
    shown: UserStudy, clock: Clock, study: Study, tmp_path: Path
) -> None:
    for name in ("Begin", "same", "different"):
        click(shown, clock, name)
    again = UserStudy(study, folder=tmp_path, participant=1234)
    assert "22 pairs" in again.title.value
    again.begin.click()
    assert "(3 of 24)" in again.title.value


def test_what_cannot_be_written_is_said_and_asked_again(
    shown: UserStudy, clock: Clock, tmp_path: Path
) -> None:
    click(shown, clock, "Begin")
    shown.sheet.path.mkdir()  # nothing can be renamed to a folder
    click(shown, clock, "same")
    assert "Not recorded: could not write" in shown.status.value
    assert "(1 of 24)" in shown.title.value
    shown.sheet.path.rmdir()
    click(shown, clock, "same")
    assert "(2 of 24)" in shown.title.value


def test_people_known_to_all_are_not_introduced(study: Study, tmp_path: Path) -> None:
    known = replace(study, introduced=dict.fromkeys(study.introduced, ()))
    clock = Clock()
    shown = UserStudy(known, folder=tmp_path, clock=clock)
    go_to(shown, clock, "Q2")
    assert "known to you by name" in shown.title.value
    assert shown.picture.value == ""


def test_names_cannot_smuggle_html(study: Study, tmp_path: Path) -> None:
    named = replace(study, names=dict.fromkeys(study.names, "<b>Bo"))
    clock = Clock()
    shown = UserStudy(named, folder=tmp_path, clock=clock)
    go_to(shown, clock, "Q2")
    assert "<b>Bo" not in shown.picture.value
    assert "&lt;b&gt;Bo" in shown.picture.value


def test_pictures_stand_in_rows_of_six_with_white_between(study: Study) -> None:
    sheet = Image.open(BytesIO(row_png(study.after, range(8))))
    assert sheet.size == (6 * 136, 2 * 136)
    assert sheet.getpixel((2, 2)) == sheet.getpixel((3 * 136, 200)) == (255, 255, 255)
    last = Image.open(BytesIO(row_png(study.after, [5, 6, 7])))
    assert sheet.crop((136, 136, 272, 272)).tobytes() == last.crop((272, 0, 408, 136)).tobytes()


def test_without_a_front_end_there_is_a_picture(shown: UserStudy) -> None:
    data, _ = shown._repr_mimebundle_()
    assert Image.open(BytesIO(b64decode(data["image/png"]))).size == (962, 702)
    assert data["text/plain"].startswith("user study: 0 of 47 questions are answered")


def test_the_focus_goes_to_new_buttons_and_stays_on_old_ones(
    shown: UserStudy, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    focused: list[str] = []
    monkeypatch.setattr(type(shown.begin), "focus", lambda button: focused.append(button.description))
    click(shown, clock, "Begin")
    assert focused == ["same"]
    click(shown, clock, "same")
    assert focused == ["same"]
    visible = [b.description for b in shown.buttons.children if b.layout.display != "none"]
    assert visible == ["same", "different"]
    go_to(shown, clock, "Q3")
    assert focused[-1] == "Begin"


def test_question_and_picture_scroll_into_view_with_the_buttons_below(shown: UserStudy, clock: Clock) -> None:
    click(shown, clock, "Begin")
    assert shown.view.children[:3] == (shown.picture, shown.title, shown.buttons)
    height = int(re.search('height="([0-9]+)"', shown.picture.value)[1])
    margin = int(re.search("scroll-margin-top: ([0-9]+)px", shown.view.children[-1].value)[1])
    assert height + 60 < margin < 400
    assert "anonlib-study" in shown.buttons._dom_classes

"""The user study as a participant sees it: pictures and buttons.

Each answer is written to the participant's file before the next question appears. It cannot be
changed, because the study asks for first impressions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import torch.nn.functional as F
from torchvision.utils import make_grid

from anonlib.errors import ResultsError
from anonlib.study import AnswerSheet, Question, Study, statistics
from anonlib.types import FaceImages
from anonlib.viz.pictures import plot_questions
from anonlib.widgets.static import MimeBundle, figure_png, image_tag, mime_bundle, picture_png

PAUSE = 0.3
"""Seconds after a question appears in which a click is ignored, as part of a double click."""
STYLE = (
    "<style>.anonlib-study button { scroll-margin-top: 340px }"
    ".anonlib-study button.anonlib-begin { scroll-margin-top: 440px }</style>"
)
"""Where the focus scrolls to a button, the pictures and the text above it come on the screen, too."""
COLUMNS = 6
"""Largest number of pictures in a row."""
BESIDE = "display: inline-block; margin: 0 1em 0 0"
MET_SIDE = 88
"""Side of a picture of somebody who is introduced; six people and the button fit on a small screen."""
ASKED = {
    "Q1": "Do both faces show the same person?",
    "Q2": "Who is this?",
    "known": "Not modified: who is this?",
    "Q3": "Would you feel that your identity was protected, if faces in videos were changed so?",
}
BEFORE = {
    "Q1": "You will see {count} pairs of modified faces. Half of them show one person twice, half "
    "two people. Say what you think at once; you cannot go back.",
    "Q2": "{met} Then {count} modified faces follow: say who it is, or 'no idea'. You cannot come "
    "back to this page.",
    "known": "Now {count} pictures that are not modified, to learn whom you know.",
    "Q3": "At last some more modified faces, together, and one question.",
}
MET = ("The next people are known to you by name.", "Meet the next people; take your time.")


class UserStudy:
    """The study for one participant; the keyboard works too: `Tab`, and `Space` to answer.

    Each participant runs this once. Answers are written to `folder/person-NUMBER.csv`, see
    `AnswerSheet`; names are not recorded. Without a front end, it is a picture of one question of
    each kind. To continue an unfinished study, give the `participant` number that was shown.

    Implements Ren et al., section 5.5. Differs from the paper: see `anonlib.study.build_study`.

    Raises:
        ResultsError: the participant's file is damaged, or belongs to another study.
    """

    def __init__(
        self,
        study: Study,
        *,
        folder: str | Path = "answers",
        participant: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.study, self.clock = study, clock
        self.sheet = AnswerSheet(study, folder, participant=participant)
        self.title, self.picture, self.status = (widgets.HTML() for _ in range(3))
        self.begin = widgets.Button(description="Begin", tooltip="show the first question")
        self.begin.add_class("anonlib-begin")
        self.begin.on_click(self._begun)
        kinds = dict.fromkeys(question.kind for question in study.questions)
        self.choices = {kind: self._buttons(kind) for kind in kinds}
        every = [button for kind in self.choices.values() for button in kind.values()]
        self.buttons = widgets.HBox([self.begin, *every], layout={"flex_flow": "row wrap"})
        self.buttons.add_class("anonlib-study")
        style = widgets.HTML(STYLE, layout={"display": "none"})
        self.view = widgets.VBox([self.picture, self.title, self.buttons, self.status, style])
        self.begun = ""
        self.offered: tuple[Any, ...] = ()
        self._show()

    def _buttons(self, kind: str) -> dict[str, Any]:
        """A button per answer; questions of one kind share the buttons, so the focus stays."""
        buttons = {}
        for choice in self.study.choices(kind):
            name = self.study.names.get(choice, choice)
            buttons[choice] = widgets.Button(description=name, tooltip=f"answer: {name}")
            buttons[choice].on_click(partial(self._chosen, choice))
        return buttons

    @property
    def question(self) -> Question | None:
        """The first question without an answer; None when all are answered."""
        return next(iter(self.sheet.left()), None)

    def _begun(self, _: Any) -> None:
        if self.question is not None:
            self.begun = self.question.kind
        self._show()

    def _chosen(self, choice: str, _: Any = None) -> None:
        question = self.question
        if question is None or self.clock() - self.since < PAUSE:
            return
        try:
            self.sheet.record(question, choice)
        except ResultsError as error:
            self.status.value = f"<p role='alert'>Not recorded: {escape(str(error))}</p>"
            return
        self._show()

    def _show(self) -> None:
        question, number = self.question, self.sheet.participant
        self.status.value = (
            f"<p>You are participant {number}. To stop and go on later, run the cell again with "
            f"<code>user_study(..., participant={number})</code>.</p>"
        )
        if question is None:
            self._show_end()
        elif question.kind != self.begun:
            self._show_page(question.kind)
        else:
            self._show_question(question)
        self.since = self.clock()

    def _offer(self, *offered: Any) -> None:
        """Show these buttons alone. The focus brings new ones, and the picture above, on the screen."""
        if offered == self.offered:
            return
        for button in self.buttons.children:
            button.layout.display = None if button in offered else "none"
        if self.offered and offered:
            offered[0].focus()
        self.offered = offered

    def _show_page(self, kind: str) -> None:
        """The page before the questions of a kind; it counts only the unanswered ones."""
        count = sum(question.kind == kind for question in self.sheet.left())
        met = MET[any(self.study.introduced.values())]
        self.title.value = f"<p>{BEFORE[kind].format(count=count, met=met)}</p>"
        self.picture.value = people_html(self.study) if kind == "Q2" else ""
        self._offer(self.begin)

    def _show_question(self, question: Question) -> None:
        kind = question.kind
        count = len([q for q in self.study.questions if q.kind == kind])
        left = len([q for q in self.sheet.left() if q.kind == kind])
        where = f"{count - left + 1} of {count}"
        self.title.value = f"<p role='status'><b>{ASKED[kind]}</b> ({where})</p>"
        faces = self.study.before if kind == "known" else self.study.after
        look = "clear" if kind == "known" else "modified"
        words = f"{len(question.faces)} {look} faces" if question.faces[1:] else f"one {look} face"
        width = (side_of(question.faces) + 8) * min(len(question.faces), COLUMNS)
        self.picture.value = image_tag(row_png(faces, question.faces), description=words, width=width)
        self._offer(*self.choices[kind].values())

    def _show_end(self) -> None:
        self.title.value = "<p role='status'>That was all. Thank you!</p>"
        self.picture.value = shares_html(self.sheet)
        self._offer()
        self.status.value = f"<p>Your answers are in <code>{escape(str(self.sheet.path))}</code></p>"

    @property
    def description(self) -> str:
        """The current state in words."""
        done, count = len(self.sheet.answers), len(self.study.questions)
        return f"user study: {done} of {count} questions are answered; below, one of each kind"

    def _repr_mimebundle_(self, **kwargs: Any) -> MimeBundle:
        study, first = self.study, {question.kind: question for question in reversed(self.study.questions)}
        hidden, clear = (x.images[:].float() / 255 for x in (study.after, study.before))
        figure = plot_questions(
            pair=hidden[list(first["Q1"].faces)],
            face=hidden[first["Q2"].faces[0]],
            together=hidden[list(first["Q3"].faces)],
            people={study.names[p]: clear[faces[0]] for p, faces in study.introduced.items() if faces},
        )
        return mime_bundle(self.view, png=figure_png(figure, dpi=130), description=self.description)


def row_png(faces: FaceImages, indices: Sequence[int]) -> bytes:
    """Pictures in rows of up to `COLUMNS` with white gaps, as a PNG."""
    side = side_of(indices)
    images = faces.images[list(indices)].float() / 255
    large = F.interpolate(images, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    framed = F.pad(large, (4, 4, 4, 4), value=1)
    return picture_png(make_grid(framed, nrow=COLUMNS, padding=0, pad_value=1))


def side_of(indices: Sequence[int]) -> int:
    """Pixels along a side of each picture; one or two are larger."""
    return 256 if len(indices) <= 2 else 128


def people_html(study: Study) -> str:
    """The pictures of each person who is introduced, with the name below; people stand side by side."""
    parts = []
    for label, faces in study.introduced.items():
        if faces:
            name, width = study.names[label], MET_SIDE * len(faces)
            picture = image_tag(row_png(study.before, faces), description=name, width=width)
            caption = f"<figcaption>{escape(name)}</figcaption>"
            parts.append(f"<figure style='{BESIDE}'>{picture}{caption}</figure>")
    return "".join(parts)


def shares_html(sheet: AnswerSheet) -> str:
    """A table of this participant's results; the shares have Wilson intervals."""
    shares = {share.question: share for share in statistics(sheet.answers)}
    what = {"Q1": "pairs judged rightly; guessing: 50%", "Q2": "faces of known people named rightly"}
    rows = ["<tr><th></th><th>answers</th><th>share, 95% interval</th></tr>"]
    for kind, words in what.items():
        s = shares.get(kind)
        count = f"{s.right} of {s.asked}" if s else "none"
        share = f"{s.share:.0%} [{s.lo:.0%}, {s.hi:.0%}]" if s else "you named no clear picture rightly"
        rows.append(f"<tr><td>{words}</td><td>{count}</td><td>{share}</td></tr>")
    if felt := shares.get("Q3"):
        rows.append(
            f"<tr><td>would feel protected</td><td>{'yes' if felt.right else 'no'}</td><td></td></tr>"
        )
    style = "<style>.anonlib-shares :is(th, td) { text-align: left; padding-right: 1.5em }</style>"
    return f"{style}<table class='anonlib-shares'>{''.join(rows)}</table>"

"""What the answers to the user study come to: the paper's three numbers, with intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anonlib.metrics.intervals import accuracy_interval, proportion_interval
from anonlib.study.answers import Answer


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
    """Ends of the interval over participants; NaN where they are fewer than two, and for Q3."""


def statistics(answers: Iterable[Answer]) -> list[Share]:
    """The paper's three numbers: right in Q1, right in Q2 among those known, yes in Q3.

    Somebody is known to a participant who named their clear picture (`known`). Questions that
    nobody answered have no row. Whoever says one name throughout knows that person by this rule
    and names them every time: look for such sheets before you trust Q2.

    Two intervals, as neither is right alone. Wilson's takes all answers for independent trials of
    one chance; but a participant is good or bad at all pairs, and a pair is easy or hard for all
    participants, so that it is too narrow. The other, Student's t over the participants' own
    shares, takes participants for the independent trials, however much an answer of theirs
    resembles the next. It says how other people would answer about the *same* pictures; neither
    says what other pictures would give.

    Implements Ren et al., section 5.5. Differs from the paper: which gives no intervals.
    """
    answers = list(answers)
    known = {(a.participant, a.truth) for a in answers if a.question == "known" and a.right}
    counted = {
        "Q1": [a for a in answers if a.question == "Q1"],
        "Q2": [a for a in answers if a.question == "Q2" and (a.participant, a.truth) in known],
        "Q3": [a for a in answers if a.question == "Q3"],
    }
    return [count(kind, group) for kind, group in counted.items() if group]


def count(question: str, answers: Iterable[Answer]) -> Share:
    """The share of right ones among answers that all count, one or more."""
    outcomes: dict[int, list[bool]] = {}
    for answer in answers:
        outcomes.setdefault(answer.participant, []).append(answer.right)
    right, asked = sum(map(sum, outcomes.values())), sum(map(len, outcomes.values()))
    lo, hi = proportion_interval(right, asked)
    people = (float("nan"), float("nan"))
    if len(outcomes) > 1 and question != "Q3":
        people = accuracy_interval([sum(own) / len(own) for own in outcomes.values()])
    return Share(
        question=question,
        right=right,
        asked=asked,
        participants=len(outcomes),
        share=right / asked,
        lo=lo,
        hi=hi,
        people_lo=people[0],
        people_hi=people[1],
    )

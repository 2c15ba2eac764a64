from __future__ import annotations

import math

import pytest

from anonlib.metrics.intervals import accuracy_interval, proportion_interval
from anonlib.study.answers import Answer, Share, statistics


def answers(participant: int, kind: str, *given: tuple[str, str]) -> list[Answer]:
    return [
        Answer(study="s", participant=participant, question=kind, item=i, truth=truth, answer=said)
        for i, (truth, said) in enumerate(given)
    ]


def by_kind(shares: list[Share]) -> dict[str, Share]:
    return {share.question: share for share in shares}


def test_the_papers_numbers_come_from_answers_like_its_own() -> None:
    """10 subjects: 128 of 240 right, 16 of 81 known faces named, 8 of 10 yes."""
    found = []
    for n in range(10):
        right = 13 if n < 8 else 12
        found += answers(n, "Q1", *[("same", "same")] * right, *[("same", "different")] * (24 - right))
        knows = 8 + (n == 0)
        named = 2 if n < 8 else 0
        found += answers(n, "known", *[(str(p), str(p) if p < knows else "no idea") for p in range(16)])
        found += answers(n, "Q2", *[(str(p), str(p) if p < named else "no idea") for p in range(16)])
        found += answers(n, "Q3", ("", "yes" if n < 8 else "no"))
    shares = by_kind(statistics(found))
    assert list(shares) == ["Q1", "Q2", "Q3"]
    assert [(s.right, s.asked) for s in shares.values()] == [(128, 240), (16, 81), (8, 10)]
    assert [f"{s.share:.4f}" for s in shares.values()] == ["0.5333", "0.1975", "0.8000"]
    for share in shares.values():
        assert (share.lo, share.hi) == proportion_interval(share.right, share.asked)
        assert share.participants == 10


def test_who_is_not_known_does_not_count_in_q2() -> None:
    found = answers(1, "Q2", ("3", "3"), ("4", "4"), ("5", "no idea"))
    found += answers(1, "known", ("3", "3"), ("4", "5"), ("5", "no idea"))
    found += answers(2, "known", ("4", "4"))  # another participant's knowledge
    assert [(s.right, s.asked) for s in statistics(found)] == [(1, 1)]


def test_participants_own_shares_give_the_second_interval() -> None:
    right, wrong = ("same", "same"), ("same", "different")
    found = [
        *answers(1, "Q1", right, right, right, right),
        *answers(2, "Q1", right, wrong),
        *answers(3, "Q1", wrong, wrong, right, wrong),
    ]
    (share,) = statistics(found)
    assert (share.right, share.asked, share.participants) == (6, 10, 3)
    assert (share.people_lo, share.people_hi) == accuracy_interval([1, 0.5, 0.25])


@pytest.mark.parametrize("kind", ["Q1", "Q3"])
def test_one_participant_or_one_answer_each_has_no_second_interval(kind: str) -> None:
    found = answers(1, kind, ("same", "same")) + (answers(2, "Q3", ("", "yes")) * (kind == "Q3"))
    assert all(math.isnan(end) for s in statistics(found) for end in (s.people_lo, s.people_hi))


def test_nobody_has_no_statistics() -> None:
    assert statistics([]) == []

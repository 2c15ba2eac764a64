"""The user study (section 5.5): questions, answers and their statistics."""

from anonlib.study.answers import Answer, AnswerSheet, Share, read_answers, statistics
from anonlib.study.questions import Question, Study, build_study, folder_study, synthetic_study
from anonlib.study.rater import simulate

__all__ = [
    "Answer",
    "AnswerSheet",
    "Question",
    "Share",
    "Study",
    "build_study",
    "folder_study",
    "read_answers",
    "simulate",
    "statistics",
    "synthetic_study",
]

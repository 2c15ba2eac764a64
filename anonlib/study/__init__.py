"""The user study (section 5.5): questions, answers and their statistics; and exercises of the course."""

from anonlib.study.answers import (
    Answer as Answer,
    AnswerSheet as AnswerSheet,
    Share as Share,
    read_answers as read_answers,
    statistics as statistics,
)
from anonlib.study.exercises import beside as beside, choose as choose, same_as as same_as
from anonlib.study.leaderboard import (
    COURSE as COURSE,
    TRIAL as TRIAL,
    UNSEEN as UNSEEN,
    Standing as Standing,
    check_method as check_method,
    load_method as load_method,
    standing as standing,
)
from anonlib.study.questions import (
    Question as Question,
    Study as Study,
    build_study as build_study,
    folder_study as folder_study,
    synthetic_study as synthetic_study,
)
from anonlib.study.rater import simulate as simulate
from anonlib.study.updates import Scene as Scene, same_update as same_update, scene as scene
from anonlib.study.usefulness import Bench as Bench, read_state as read_state, state_kept as state_kept

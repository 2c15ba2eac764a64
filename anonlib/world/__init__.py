"""Drawn people, clips and scenes: data that needs no download and shows no real person."""

from anonlib.types import ACTIONS as ACTIONS
from anonlib.world.actions import (
    ACTION_NAMES as ACTION_NAMES,
    FACE_RELATED as FACE_RELATED,
    render_clips as render_clips,
)
from anonlib.world.clip_pairs import clip_pairs as clip_pairs
from anonlib.world.codes import PersonCodes as PersonCodes
from anonlib.world.faces import (
    PEOPLE as PEOPLE,
    FolderPeople as FolderPeople,
    SyntheticPeople as SyntheticPeople,
    synthetic_faces as synthetic_faces,
)

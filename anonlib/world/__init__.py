"""Drawn people, clips and scenes: data that needs no download and shows no real person."""

from anonlib.types import ACTIONS
from anonlib.world.actions import ACTION_NAMES, FACE_RELATED, render_clips
from anonlib.world.faces import PEOPLE, FolderPeople, SyntheticPeople, synthetic_faces

__all__ = [
    "ACTIONS",
    "ACTION_NAMES",
    "FACE_RELATED",
    "PEOPLE",
    "FolderPeople",
    "SyntheticPeople",
    "render_clips",
    "synthetic_faces",
]

"""Loaders of real faces and real actions: LFW, CASIA-WebFace, folders of faces, JHMDB and DALY."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anonlib.data.daly import DALY
    from anonlib.data.face_folders import CASIAWebFace, FaceFolder
    from anonlib.data.images import read_image
    from anonlib.data.jhmdb import JHMDB
    from anonlib.data.lfw import LFW, LfwPair, lfw_pairs, load_lfw_pairs, pairs_file, people_in_folds

_MODULES = {
    "CASIAWebFace": "face_folders",
    "DALY": "daly",
    "FaceFolder": "face_folders",
    "JHMDB": "jhmdb",
    "LFW": "lfw",
    "LfwPair": "lfw",
    "lfw_pairs": "lfw",
    "load_lfw_pairs": "lfw",
    "pairs_file": "lfw",
    "people_in_folds": "lfw",
    "read_image": "images",
}
__all__ = [
    "DALY",
    "JHMDB",
    "LFW",
    "CASIAWebFace",
    "FaceFolder",
    "LfwPair",
    "lfw_pairs",
    "load_lfw_pairs",
    "pairs_file",
    "people_in_folds",
    "read_image",
]


def __getattr__(name: str) -> object:
    """Imports a name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'anonlib.data' has no attribute '{name}'")
    return getattr(import_module(f"anonlib.data.{_MODULES[name]}"), name)

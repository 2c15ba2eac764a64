"""Loaders of real faces and real actions: LFW, CASIA-WebFace, folders of faces, JHMDB and DALY."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anonlib.data.daly import DALY
    from anonlib.data.face_folders import CASIAWebFace, FaceFolder
    from anonlib.data.jhmdb import JHMDB
    from anonlib.data.lfw import LFW, load_lfw_pairs, pairs_file

_MODULES = {
    "CASIAWebFace": "face_folders",
    "DALY": "daly",
    "FaceFolder": "face_folders",
    "JHMDB": "jhmdb",
    "LFW": "lfw",
    "load_lfw_pairs": "lfw",
    "pairs_file": "lfw",
}
__all__ = ["DALY", "JHMDB", "LFW", "CASIAWebFace", "FaceFolder", "load_lfw_pairs", "pairs_file"]


def __getattr__(name: str) -> object:
    """Imports a name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'anonlib.data' has no attribute '{name}'")
    return getattr(import_module(f"anonlib.data.{_MODULES[name]}"), name)

"""Loaders of real faces and real actions: LFW, CASIA-WebFace, folders of faces, JHMDB and DALY."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anonlib.data.daly import DALY
    from anonlib.data.face_folders import CASIAWebFace, FaceFolder
    from anonlib.data.jhmdb import JHMDB
    from anonlib.data.lfw import LFW, pairs_file

__all__ = ["DALY", "JHMDB", "LFW", "CASIAWebFace", "FaceFolder", "pairs_file"]
_MODULES = {"CASIAWebFace": "face_folders", "FaceFolder": "face_folders", "pairs_file": "lfw"}


def __getattr__(name: str) -> object:
    """Imports a name when it is first used."""
    if name not in __all__:
        raise AttributeError(f"module 'anonlib.data' has no attribute '{name}'")
    return getattr(import_module(f"anonlib.data.{_MODULES.get(name, name.lower())}"), name)

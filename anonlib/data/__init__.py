"""Synthetic people and actions, and loaders of real faces and actions."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anonlib.data.casia import CASIAWebFace
    from anonlib.data.daly import DALY
    from anonlib.data.jhmdb import JHMDB
    from anonlib.data.lfw import LFW

__all__ = ["DALY", "JHMDB", "LFW", "CASIAWebFace"]
_HOMES = {"LFW": "lfw", "CASIAWebFace": "casia", "JHMDB": "jhmdb", "DALY": "daly"}


def __getattr__(name: str) -> object:
    """The loaders of the paper's data sets, imported when they are asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'anonlib.data' has no attribute '{name}'")
    return getattr(import_module(f"anonlib.data.{_HOMES[name]}"), name)

"""Interactive widgets for notebooks; each is also a static picture where nobody can click.

Each name is loaded at its first use, because some widgets need libraries for video or for the
user study.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_CLASS_OF = {
    "TrainingMonitor": ("monitor", "TrainingMonitor"),
    "before_after": ("viewer", "BeforeAfter"),
    "explore_consistency": ("explorer", "ConsistencyExplorer"),
    "live_demo": ("demo", "LiveDemo"),
    "user_study": ("questionnaire", "UserStudy"),
    "Meter": ("player", "Meter"),
}
"""The name in notebooks to the module and the class."""


def __getattr__(name: str) -> Any:
    if name not in _CLASS_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    module, class_name = _CLASS_OF[name]
    return getattr(import_module(f"{__name__}.{module}"), class_name)


def __dir__() -> list[str]:
    return sorted(_CLASS_OF)

"""Interactive widgets for notebooks; each is also a static picture where nobody can click.

Each name is loaded at its first use, because some widgets need libraries for video or for the
user study.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULE_OF = {
    "TrainingMonitor": "monitor",
    "before_after": "viewer",
    "explore_consistency": "explorer",
    "live_demo": "demo",
    "user_study": "questionnaire",
    "Meter": "player",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)

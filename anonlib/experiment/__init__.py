"""From a profile to the tables and figures of the paper, and the record of each run.

Names are imported from their modules when they are first used:

>>> from anonlib.experiment import anonymize_clips
>>> anonymize_clips.__module__
'anonlib.experiment.actions'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_MODULES = {
    "actions": ("anonymize_clips", "detect_actions", "ground_truth"),
    "chapter_data": ("own_data",),
    "datasets": ("AT_THE_FACE",),
    "people": ("LFW_TEST_FOLDS", "unreal_faces"),
    "identity_consistency": (
        "blend_faces",
        "consecutive_similarity",
        "consistency",
        "face_track",
        "flicker",
        "pair_similarities",
        "similarity",
        "strength_sweep",
    ),
    "full_tables": ("paired_differences",),
    "missed_faces": ("Forgetful", "exposure", "since_seen"),
    "own_method": ("place",),
    "predictions": ("summarize",),
    "records": ("agreement", "bars", "check_results", "describe", "recorded_runs"),
    "run": ("read_json",),
    "tables": ("ablation_classifier",),
    "validation": ("validation_score",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)

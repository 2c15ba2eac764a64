"""Arrays and tables in, matplotlib figures and text tables out.

A figure is not registered with pyplot. Save it with `figure.savefig(path)`, or let a notebook
display it. Each name is loaded at its first use, so text tables do not load matplotlib.

>>> from anonlib.viz import style
>>> style("mask").label
'Masked'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_NAMES = {
    "classes": "classes_of plot_class_gains plot_class_precision plot_gains plot_table1",
    "curves": "plot_curves plot_losses plot_margin plot_precision_recall plot_roc",
    "detection": "plot_actions plot_boxes plot_exposure plot_face_steps plot_faces plot_overlaps",
    "identification": "plot_consecutive plot_decisions plot_folds plot_similarities plot_similarity "
    "plot_strength plot_tries",
    "leaderboard": "plot_leaderboard",
    "pictures": "plot_baselines plot_before_after plot_people plot_pictures plot_questions plot_strip "
    "plot_words",
    "pipeline": "plot_pipeline",
    "results": "plot_accuracies plot_by_attacker plot_figure4_panels plot_kept plot_privacy_utility "
    "plot_shares",
    "styles": "Style style",
    "tables": "format_table format_table1",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted(_MODULE_OF)

"""Where the files that come with anonlib lie: the face model, the weights, the paper's numbers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from anonlib.errors import FaceDatasetError

_REPOSITORY = Path(__file__).resolve().parents[2] / "data"
_INSTALLED = Path(sys.prefix) / "share" / "anonlib"


def data_path(*parts: str) -> Path:
    """A shipped file: under `$ANONLIB_DATA`, else in the repository's `data/`, else installed.

    Raises:
        FaceDatasetError: the file is in none of the three places.

    >>> data_path("face_model", "MODEL_CARD.md").name
    'MODEL_CARD.md'
    """
    chosen = os.environ.get("ANONLIB_DATA")
    roots = [Path(chosen)] if chosen else [_REPOSITORY, _INSTALLED]
    for root in roots:
        if (found := root.joinpath(*parts)).exists():
            return found
    raise FaceDatasetError(
        f"shipped file '{Path(*parts)}' is not in {' or '.join(map(str, roots))}: reinstall "
        "anonlib, or point ANONLIB_DATA at the data/ folder of a clone"
    )

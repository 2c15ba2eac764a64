"""Face crops remembered between runs, so that faces are looked for once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray[Any, Any]]

_FORMAT = 1
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Where crops are kept: `$ANONLIB_CACHE`, else `~/.cache/anonlib`. It may be deleted."""
    return Path(os.environ.get("ANONLIB_CACHE") or Path.home() / ".cache" / "anonlib")


def cached(
    compute: Callable[[], Arrays], *, files: Sequence[Path], key: str | None, size: int
) -> Arrays:
    """What `compute` returns, from the cache if the files have not changed since.

    Args:
        compute: makes arrays from the files.
        files: what the result depends on, by path, length and time of change.
        key: name and version of the method; None computes anew and keeps nothing.
        size: side of the crops.
    """
    if key is None:
        return compute()
    path = cache_folder() / "faces" / f"{_fingerprint(files, key=key, size=size)}.npz"
    stored = _read(path)
    if stored is None:
        stored = compute()
        _write(path, stored)
    return stored


def _fingerprint(files: Sequence[Path], *, key: str, size: int) -> str:
    """A name for the cache file; any change of a picture changes it."""
    states = [(str(f.resolve()), f.stat()) for f in files if f.exists()]
    facts = [_FORMAT, key, size, [(p, s.st_size, s.st_mtime_ns) for p, s in states]]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


def _read(path: Path) -> Arrays | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # not there, or damaged: it is computed again


def _write(path: Path, arrays: Arrays) -> None:
    """Writes the file whole or not at all; without room for it the run goes on."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            temporary = Path(file.name)
            np.savez(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(path)
    except OSError as error:
        _log.warning("face crops are not remembered: %s (ANONLIB_CACHE chooses a folder)", error)
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)

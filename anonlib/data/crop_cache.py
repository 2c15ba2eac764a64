"""The cache of face crops: arrays by the files that they were made of, in files that may be deleted."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import struct
import zipfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anonlib.errors import ResultsError
from anonlib.files import complete
from anonlib.types import LazyImages

_FORMAT = 1
_log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray[Any, Any]]


def cache_folder() -> Path:
    """Where crops are cached: `$ANONLIB_CACHE`, else `~/.cache/anonlib`. It may be deleted."""
    return Path(os.environ.get("ANONLIB_CACHE") or Path.home() / ".cache" / "anonlib")


def cache_file(files: Sequence[Path], *, key: str | None, size: int) -> Path | None:
    """The file of the cache for these files, which depends on their paths, lengths and times.

    `key` is the name and version of the method. With None there is no such file.
    """
    if key is None:
        return None
    states = [(str(file.resolve()), file.stat()) for file in files if file.exists()]
    facts = [_FORMAT, key, size, [(p, s.st_size, s.st_mtime_ns) for p, s in states]]
    name = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()
    return cache_folder() / "faces" / f"{name}.npz"


def cached(compute: Callable[[], Arrays], path: Path | None, *, without: Collection[str] = ()) -> Arrays:
    """What `compute` returns, from a file of the cache if there is one; arrays `without` are not read."""
    if path is None:
        return compute()
    try:
        with path.open("rb") as old, np.load(old, allow_pickle=False) as stored:
            return {array: stored[array] for array in stored.files if array not in without}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        arrays = compute()  # the file is missing or damaged
    try:
        with complete(path) as new:
            np.savez(new, **arrays)  # type: ignore[arg-type]
    except ResultsError:
        pass  # another process is writing the same crops
    except OSError as error:
        _log.warning("face crops are not cached: %s (ANONLIB_CACHE chooses a folder)", error)
    return arrays


def stored_images(path: Path) -> LazyImages:
    """The images in a file of the cache; each is read when it is used.

    Raises:
        ResultsError: there is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("images.npy") as member, path.open("rb") as file:
            np.lib.format.read_magic(member)
            shape = np.lib.format.read_array_header_1_0(member)[0]
            file.seek(archive.getinfo("images.npy").header_offset + 26)
            name_and_extra = sum(struct.unpack("<HH", file.read(4)))
            start = file.tell() + name_and_extra + member.tell()
    except (OSError, zipfile.BadZipFile) as error:
        raise ResultsError(
            f"face crops do not fit into memory and cannot be kept in {path.parent}: make room there, or "
            "choose another folder by ANONLIB_CACHE"
        ) from error

    def read(rows: Tensor) -> Tensor:
        return torch.from_numpy(np.memmap(path, np.uint8, "r", start, shape)[rows.numpy()])

    return LazyImages(read, torch.arange(shape[0]))

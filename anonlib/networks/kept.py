"""Compiled networks are kept between runs: compiling one takes seconds, reading it back a tenth of one."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from torch import nn

from anonlib.errors import ResultsError
from anonlib.files import complete

MOST = 16
"""Files that are kept; the oldest are deleted."""


def folder() -> Path:
    """Where they are: `anonlib` in `XDG_CACHE_HOME`, or in `.cache` of the home folder."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "anonlib"


def name_of(network: nn.Module, *rest: object) -> str:
    """The file of a network: it depends on the weights, the code of all networks, and the rest."""
    digest = hashlib.sha256(repr((type(network).__name__, *rest)).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return f"{digest.hexdigest()}.blob"


def read(name: str) -> bytes | None:
    """What `write` wrote under this name; None if there is nothing that can be read."""
    with suppress(OSError, RuntimeError):  # the second if there is no home
        return (folder() / name).read_bytes()
    return None


def write(name: str, content: bytes) -> None:
    """Keeps this for later runs, if the folder can be written."""
    with suppress(OSError, RuntimeError, ResultsError):  # the last if another process writes it
        with complete(folder() / name) as file:
            file.write(content)
        held = sorted(folder().glob("*.blob"), key=lambda path: path.stat().st_mtime)
        for old in held[:-MOST]:
            old.unlink(missing_ok=True)

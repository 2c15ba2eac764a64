"""The record of one `anonlib verify`: what was asked, of which weights, and what was found."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from anonlib.assets import data_path
from anonlib.attack.recognizers import model_file
from anonlib.attack.verify import Request, Verification, parse_folds
from anonlib.errors import FaceDatasetError
from anonlib.files import commit, hardware, write_atomically

LIBRARIES = ("anonlib", "torch", "facenet-pytorch", "dlib-bin")


def write_record(path: Path, root: Path, request: Request, found: Verification, *, seconds: float) -> None:
    """Writes the record as JSON, whole or not at all.

    Raises:
        ResultsError: it could not be written.
    """
    content = json.dumps(record(root, request, found, seconds=seconds), indent=2)
    write_atomically(path, (content + "\n").encode())


def record(root: Path, request: Request, found: Verification, *, seconds: float) -> dict[str, Any]:
    """Everything that whoever repeats it must know, as plain JSON types."""
    files = {"recognizer": model_file(request.recognizer), "method": method_file(request.method)}
    return {
        "command": command(root, request),
        **asdict(request),
        **asdict(found),
        "models": {
            role: {"file": file.name, "sha256": sha256(file)}
            for role, file in files.items()
            if file is not None
        },
        "versions": {name: _version(name) for name in LIBRARIES} | {"python": platform.python_version()},
        "commit": commit(),
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "seconds": round(seconds, 1),
    }


def command(root: Path, request: Request) -> str:
    """The command that does this again; of the root only its name, as it is nobody's business.

    >>> command(Path("/home/ann/lfw"), Request(method="blur8", folds=(6, 7, 8), limit=60))
    'anonlib verify --root lfw --method blur8 --folds 6-8 --recognizer sphereface --framing frame
    --seed 0 --limit 60'
    """
    words = [
        "anonlib verify --root",
        root.name,
        "--method",
        request.method,
        "--folds",
        folds_text(request.folds),
        "--recognizer",
        request.recognizer,
        "--framing",
        request.framing,
        "--seed",
        str(request.seed),
    ]
    if request.limit is not None:
        words += ["--limit", str(request.limit)]
    if request.retrain:
        words += ["--retrain", str(request.retrain)]
    return " ".join(words)


def folds_text(folds: tuple[int, ...]) -> str:
    """Folds as `parse_folds` reads them.

    >>> folds_text((6, 7, 8)), folds_text((1, 3))
    ('6-8', '1,3')
    """
    span = f"{folds[0]}-{folds[-1]}"
    return span if parse_folds(span) == folds else ",".join(map(str, folds))


def method_file(method: str) -> Path | None:
    """The weights that ship for a method, or None for one that has none."""
    name = "M-trained" if method == "modifier" else method
    try:
        return data_path("weights", f"{name}.safetensors")
    except FaceDatasetError:
        return None


def sha256(path: Path) -> str:
    """The digest of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

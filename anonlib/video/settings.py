"""The settings of a run, its models, and its report.

A report holds names and numbers only: no picture, no part of one, nothing that identifies a face.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, get_args

from torch import Tensor

import anonlib
from anonlib import anonymizers, detection
from anonlib.anonymizers import CIAGAN, EXTENTS, FIT, LIVE, SWAP, swap
from anonlib.anonymizers.live import check_strength
from anonlib.anonymizers.sessions import derived_seed
from anonlib.assets import data_path
from anonlib.config import DETECTOR, ENLARGE, METHOD
from anonlib.detection import Faces
from anonlib.errors import ConfigError
from anonlib.files import chosen_device, complete
from anonlib.video.guide import Keep
from anonlib.video.stream import Tally

DEVICES = ("auto", "cpu", "cuda")
PREVIEW_SECONDS = 3.0
"""How much of a video a preview anonymizes."""
Status = Literal["done", "partial", "failed", "skipped", "no media"]
_PACKAGES = ("torch", "av", "pillow", "numpy", "openvino")


PASSWORD = "ANONLIB_PASSWORD"
"""The environment variable with the password of method `fit`. It is never written or logged."""
DRAWS_PEOPLE = (SWAP, CIAGAN, "modifier")
"""Methods that draw random people; a `modifier` does so if it is M-state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How faces are found and hidden, and what else of a file is kept.

    >>> Settings(every=0)
    Traceback (most recent call last):
    anonlib.errors.ConfigError: every 0: use 1 to look for faces in each frame, or more
    """

    method: str = METHOD
    """How faces are hidden, see `anonlib.anonymizers.names`."""
    weights: Path | None = None
    """The trained M, for method `modifier` only; see `anonlib.anonymizers.create`."""
    detector: str = DETECTOR
    """How faces are found, see `anonlib.detection.names`."""
    device: str = "auto"
    """Where the networks run: auto (a GPU if there is one), cpu or cuda."""
    every: int = 2
    """The detector runs on every n-th frame; faces are tracked in between."""
    enlarge: float | None = None
    """How much larger than the face the replaced region is; None for what the method needs."""
    extent: str | None = None
    """How much of a person method `swap` replaces, see `anonlib.anonymizers.EXTENTS`; None for `face`."""
    seed: int | None = None
    """Repeats the people that `swap` or M-state draws; None for new ones in each run."""
    recover: bool = False
    """Whether method `fit` shows the faces again that it hid with the same password."""
    strength: float | None = None
    """How far method `live` goes, one of `anonlib.config.LIVE_STRENGTHS` above 0; None for the largest."""
    hold: bool = False
    """Whether a frame in which a face may have been lost is replaced by a few blocks of colour."""
    audio: bool = True
    """Whether sound is kept."""
    keep_metadata: bool = False
    """Whether titles, places, dates and subtitles are kept; embedded pictures never are."""
    overwrite: bool = False
    """Whether an output that exists is replaced."""
    preview: bool = False
    """Whether only the first seconds of the first file are anonymized."""
    keep: tuple[Keep, ...] = ()
    """People who agreed to be seen, in a single file."""

    def __post_init__(self) -> None:
        """Refuses values that are out of range, and the method that hides nobody."""
        if self.method == "unanonymized":
            raise ConfigError("method 'unanonymized' hides nobody: choose another")
        if self.device not in DEVICES:
            raise ConfigError(f"device '{self.device}': use one of {', '.join(DEVICES)}")
        if self.every < 1:
            raise ConfigError(f"every {self.every}: use 1 to look for faces in each frame, or more")
        if self.enlarge is not None and not 1 <= self.enlarge <= 10:
            raise ConfigError(f"mask scale {self.enlarge:g}: use 1 to 10; the paper uses {ENLARGE}")
        if self.extent is not None and self.method != SWAP:
            raise ConfigError(f"extent {self.extent} is for method '{SWAP}', not for '{self.method}'")
        if self.seed is not None and self.method not in DRAWS_PEOPLE:
            raise ConfigError(f"seed {self.seed}: method '{self.method}' draws no people; leave the seed out")
        if self.strength is not None and self.method != LIVE:
            raise ConfigError(f"strength {self.strength:g} is for method '{LIVE}', not for '{self.method}'")
        if self.strength is not None and check_strength(self.strength) == 0:
            raise ConfigError("strength 0 hides nobody: use 0.25, 0.5, 0.75 or 1")
        if self.recover and self.method != FIT:
            raise ConfigError(f"only method '{FIT}' can be undone, not '{self.method}'")
        if self.extent not in (None, *EXTENTS):
            raise ConfigError(f"extent '{self.extent}': use one of {', '.join(EXTENTS)}")
        if self.seed is not None and self.seed < 0:
            raise ConfigError(f"seed {self.seed}: use 0 or more")

    def for_file(self, index: int) -> Settings:
        """The settings of one file of a run: with a seed of its own, so that no two share a person."""
        return replace(self, seed=derived_seed(self.seed, index))


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """A face detector and an anonymizer, loaded once for many files."""

    detector: Callable[[Tensor], list[Faces]]
    """Frames `(B, 3, H, W)` in [0, 1] to the faces of each."""
    anonymizer: Callable[[Tensor], Tensor]
    """Faces `(N, 3, h, w)` in [0, 1] to the same shape."""
    hashes: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of weights, by its name."""


def load_models(settings: Settings) -> Models:
    """The models that the settings name.

    Raises:
        ConfigError: a name is unknown, the method needs weights or takes none, or there is no GPU for
            device `cuda`.
        CheckpointError: weights are missing or damaged.
    """
    device = chosen_device(settings.device)
    fit = {"password": _password(), "recover": settings.recover} if settings.method == FIT else {}
    anonymizer = anonymizers.create(
        settings.method,
        weights=settings.weights,
        device=device,
        extent=settings.extent,
        strength=settings.strength,
        **fit,  # type: ignore[arg-type]
    )
    if settings.seed is not None and getattr(anonymizer, "session", None) is None:
        raise ConfigError(
            f"seed {settings.seed}: the M of '{settings.weights}' draws no people; leave it out"
        )
    return Models(
        detector=detection.create(settings.detector, device=device, unsure=True),
        anonymizer=anonymizer,
        hashes={path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in weight_files(settings)},
    )


def _password() -> str:
    password = os.environ.get(PASSWORD)
    if not password:
        raise ConfigError(f"method '{FIT}' needs a password: set the environment variable {PASSWORD}")
    return password


def weight_files(settings: Settings) -> list[Path]:
    """The files of weights that the models of these settings read.

    >>> [path.name for path in weight_files(Settings(method="mask", detector="cascade"))]
    ['face-detector.safetensors', 'pnet.pt', 'rnet.pt', 'onet.pt']
    """
    files = [settings.weights] if settings.weights else []
    if settings.method == SWAP:
        files += swap.files(settings.extent or EXTENTS[0])
    if settings.method == anonymizers.SHIPPED:
        files.append(data_path("weights", "M-photo-start.safetensors"))
    if settings.method in (CIAGAN, LIVE, FIT):
        files.append(data_path("weights", "face-mesh.safetensors"))
        files += [] if settings.weights else [data_path("weights", f"{settings.method}.safetensors")]
    if settings.detector == "centerface":
        files.append(data_path("weights", "center-face.safetensors"))
    if settings.detector in ("ssh", "cascade"):
        files.append(data_path("weights", "face-detector.safetensors"))
    if settings.detector in ("cascade", "mtcnn"):
        import facenet_pytorch

        folder = Path(facenet_pytorch.__file__).parent / "data"
        files += [folder / name for name in ("pnet.pt", "rnet.pt", "onet.pt")]
    return files


@dataclass(slots=True, kw_only=True)
class FileReport(Tally):
    """What was done to one file."""

    input: str
    output: str | None = None
    kind: Literal["video", "image", "other"] = "video"
    status: Status = "done"
    """`done`; `partial`: the intact part of a damaged file is written; `failed`: nothing is written;
    `skipped`: the output was there before; `no media`: left alone."""
    seconds: float = 0.0
    sound: int = 0
    """Tracks of sound that were kept."""
    warnings: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What the command line prints about this file."""
        if self.status == "failed":
            return [f"error: {' '.join(warning.split())}" for warning in self.warnings]
        if self.status in ("skipped", "no media"):
            return [f"note: {self.input}: left alone, {warning}" for warning in self.warnings]
        counted = f"{_plural(self.faces, 'face')} in {_plural(self.frames, 'frame')}"
        if self.ways:
            counted += f" ({', '.join(f'{count} {way}' for way, count in sorted(self.ways.items()))})"
        word = "error" if self.status == "partial" else "note"
        warnings = [f"{word}: {self.input}: {warning}" for warning in self.warnings]
        if self.frames_held:
            warnings.append(f"note: {self.input}: {_plural(self.frames_held, 'frame')} hidden as a whole")
        return [f"{self.input} -> {self.output}: {counted}", *warnings]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values; seconds are rounded to milliseconds."""
        values = {"input": self.input, "output": self.output} | asdict(self)
        return {name: round(v, 3) if isinstance(v, float) else v for name, v in values.items()}


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done in one run."""

    settings: Settings
    weights: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each file of weights, by its name."""
    files: list[FileReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What the command line prints besides; not written."""
    started: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def bad(self) -> list[FileReport]:
        """The files whose output is missing or incomplete."""
        return [file for file in self.files if file.status in ("failed", "partial")]

    def lines(self) -> list[str]:
        """What the command line prints: each file that was written, then those that failed, then how many."""
        bad = self.bad
        failed = {id(file) for file in bad}
        found = [line for file in self.files if id(file) not in failed for line in file.lines()]
        if any(file.sound for file in self.files):
            found.append("note: sound is kept, and a voice can identify a person: --no-audio leaves it out")
        found += self.notes
        found += [line for file in bad for line in file.lines()]
        counts = Counter(file.status for file in self.files)
        if len(self.files) > 1 or counts["skipped"]:
            found.append(", ".join(f"{counts[s]} {s}" for s in get_args(Status) if counts[s]))
        return found

    def write(self, path: Path) -> None:
        """Writes the report as JSON, whole or not at all."""
        content = {
            "started": self.started,
            "versions": versions(),
            "settings": asdict(self.settings),
            "weights_sha256": self.weights,
            "files": [file.as_dict() for file in self.files],
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, default=str)
        with complete(path) as file:
            file.write((text + "\n").encode(errors="backslashreplace"))  # names may be no valid text


def versions() -> dict[str, str]:
    """The versions of anonlib, Python and the packages that decode, compute and encode.

    >>> sorted(versions())[:2]
    ['anonlib', 'av']
    """
    found = {"anonlib": anonlib.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found

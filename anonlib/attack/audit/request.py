"""What `anonlib audit` is asked for, checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from anonlib.attack.audit.measure import Audit, Case, audit, drawn_case, picture_case
from anonlib.attack.audit.pictures import same_pictures
from anonlib.attack.budget import BUDGET, Budget
from anonlib.attack.framing import BeforeAfter, crop_before_and_after, crop_given
from anonlib.attack.verify import named_anonymizer
from anonlib.data.face_folders import FaceFolder
from anonlib.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """A method, or two folders of pictures.

    Raises:
        ConfigError: neither or both are given, or one folder of the two is missing.
    """

    method: str | None = None
    """Name of an anonymizer; `modifier` if only weights are given."""
    weights: Path | None = None
    root: Path | None = None
    """Pictures of real people; by default people are drawn."""
    originals: Path | None = None
    anonymized: Path | None = None
    """The same pictures after another program."""
    seed: int = 0
    budget: Budget = BUDGET

    def __post_init__(self) -> None:
        folders = (self.originals, self.anonymized)
        named = self.method is not None or self.weights is not None
        if any(folders) and (named or self.root):
            raise ConfigError(
                "--originals and --anonymized are audited as they are: leave out METHOD, --weights and --root"
            )
        if any(folders) and not all(folders):
            raise ConfigError(
                "--originals A and --anonymized B belong together: give the folder of the pictures before "
                "and the one after anonymizing"
            )
        if not any(folders) and not named:
            raise ConfigError(
                "nothing to audit: give a METHOD (`anonlib methods` lists them), --weights FILE, or "
                "--originals A --anonymized B"
            )

    @property
    def name(self) -> str:
        """Of the method, for titles and file names."""
        if self.anonymized is not None:
            return self.anonymized.resolve().name
        return self.weights.stem if self.weights is not None else str(self.method)

    def command(self) -> str:
        """The command that repeats the audit; of files and folders only the names, to keep them private.

        >>> AuditRequest(method="blur8", root=Path("/home/ann/lfw")).command()
        'anonlib audit blur8 --root lfw --seed 0'
        """
        words = ["anonlib audit"] + ([self.method] if self.method else [])
        for option in ("weights", "root", "originals", "anonymized"):
            path: Path | None = getattr(self, option)
            words += [f"--{option} {path.name}"] if path is not None else []
        return " ".join([*words, f"--seed {self.seed}"])


def run_audit(request: AuditRequest, *, device: str = "cpu", progress: bool = True) -> Audit:
    """All attackers on what the request names.

    Raises:
        ConfigError: no method has that name.
        CheckpointError: weights are damaged or of another network.
        FaceDatasetError: a folder is missing, holds too few people, or lacks a picture of the other folder.
        ImageError: a file is not a readable picture, or two pictures are not of one size.
    """
    case = _case(request, device=device, progress=progress)
    return audit(request.name, case, request.budget, seed=request.seed, device=device, progress=progress)


def _case(request: AuditRequest, *, device: str, progress: bool) -> Case:
    seed, budget = request.seed, request.budget
    if request.originals is not None and request.anonymized is not None:
        folder = FaceFolder(request.originals)
        pictures = same_pictures(folder, FaceFolder(request.anonymized))
        crop = partial(_crop_given, pictures, device=device, progress=progress)
        return picture_case(folder, crop, budget, seed=seed)
    method = request.method or "modifier"
    hide = named_anonymizer(method, weights=request.weights, device=device, seed=seed)
    if request.root is None:
        return drawn_case(hide, budget, seed=seed)
    crop = partial(crop_before_and_after, anonymizer=hide, framing="frame", device=device, progress=progress)
    return picture_case(FaceFolder(request.root), crop, budget, seed=seed)


def _crop_given(
    pictures: Mapping[Path, Path], paths: Sequence[Path], *, device: str, progress: bool
) -> BeforeAfter:
    return crop_given({path: pictures[path] for path in paths}, device=device, progress=progress)

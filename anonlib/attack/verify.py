"""`anonlib verify`: who is recognised on LFW before and after a method, and the record of a run."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from anonlib.anonymizers import Anonymizer, create
from anonlib.assets import data_path
from anonlib.attack import recognizers
from anonlib.attack.framing import check_framing, crop_before_and_after
from anonlib.attack.retrained import retrained_classifier
from anonlib.attack.verification import FAR, compare_features, face_features, similarities, verify_scores
from anonlib.config import profile
from anonlib.data.face_folders import FaceFolder
from anonlib.data.lfw import LfwPair, lfw_pairs, pairs_among, picture_files
from anonlib.detection import Detector
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.files import provenance, write_atomically
from anonlib.metrics.intervals import jackknife_interval
from anonlib.metrics.verification import Pairs, equal_error_rate, tar_at_far
from anonlib.training.start import trained_modifier

_PACKAGES = ("anonlib", "torch", "facenet-pytorch", "dlib-bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is measured."""

    method: str
    """Name of an anonymizer; `modifier` without `weights` is the shipped M-state-trained."""
    weights: Path | None = None
    """File with the M that `modifier` uses instead."""
    folds: tuple[int, ...]
    """Folds of LFW, numbered from 1. The threshold of a fold is chosen on the others."""
    recognizer: str = "sphereface"
    """The attacker, one of `recognizers.NAMES`."""
    framing: str = "frame"
    """`frame` or `crop`, see `anonlib.attack.framing`."""
    limit: int | None = None
    """Largest number of pairs, evenly from every fold and kind, for a quick look."""
    retrain: int = 0
    """Updates that retrain D on modified faces, as a further attack; 0 leaves it out."""
    seed: int = 0
    """Of the retrained D."""

    def __post_init__(self) -> None:
        if len(set(self.folds)) < 2:
            raise ConfigError(
                f"folds {self.folds}: give two or more, as 6-10; a fold's threshold is chosen on the others"
            )
        if self.limit is not None and self.limit < 2 * len(self.folds):
            raise ConfigError(
                f"limit {self.limit}: {len(self.folds)} folds need {2 * len(self.folds)} pairs or more"
            )
        if self.retrain < 0:
            raise ConfigError(f"retrain {self.retrain}: use a number of steps, 0 for none")
        recognizers.check_recognizer(self.recognizer)
        check_framing(self.framing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How well pairs of faces are verified: shares, with 95% intervals over the folds."""

    faces: str
    """`original`, `modified`, `modified_original` or `modified_retrained`."""
    accuracy: float
    accuracy_lo: float
    accuracy_hi: float
    eer: float
    eer_lo: float
    eer_hi: float
    tar: float
    """True accept rate at a false accept rate of `FAR`."""
    tar_lo: float
    tar_hi: float
    within: float
    """Mean cosine similarity of pairs of one person."""
    between: float
    """Mean cosine similarity of pairs of two people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What was measured."""

    comparisons: tuple[Comparison, ...]
    pairs: int
    left_out: int
    """Pairs with a picture in which no face is found."""
    pictures: int
    found_again: float
    """Share of the modified faces that the face detector still finds."""


def parse_folds(text: str) -> tuple[int, ...]:
    """Numbers of folds from a list as on the command line, or ConfigError.

    >>> parse_folds("6-10"), parse_folds("1,3"), parse_folds("7")
    ((6, 7, 8, 9, 10), (1, 3), (7,))
    """
    folds: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            span = range(int(first), int(last or first) + 1)
            if not span or span[0] < 1 or span[-1] > 10:
                raise ValueError
            folds |= set(span)
    except ValueError as error:
        raise ConfigError(f"folds '{text}': give numbers from 1 to 10, as 6-10 or 1,3") from error
    return tuple(sorted(folds))


def verify_method(
    root: Path,
    request: Request,
    *,
    device: str = "cpu",
    detector: Detector | None = None,
    progress: bool = True,
) -> Verification:
    """Attacks a method on LFW.

    Implements Ren et al., sections 5.1 and 5.6. Differs from the paper: only some folds are
    tested, because D is trained on people of the others; `frame` anonymizes whole pictures; dlib and
    a retrained D attack too.

    Args:
        root: LFW's folder, with pairs.txt in it or beside it.
        device: where M, the recogniser, the retrained D and MTCNN run.
        detector: finds faces; MTCNN by default.

    Raises:
        ConfigError: no method has that name, or dlib is not installed.
        CheckpointError: weights are damaged or of another network.
        FaceDatasetError: pairs.txt, a picture or shipped weights are missing.
    """
    recognize = recognizers.create(request.recognizer, device=device)
    anonymizer = named_anonymizer(request.method, weights=request.weights, device=device)
    listed = balanced(lfw_pairs(root, request.folds), request.limit)
    files = picture_files(FaceFolder(root), listed)
    crop = partial(
        crop_before_and_after,
        anonymizer=anonymizer,
        framing=request.framing,
        detector=detector,
        device=device,
        progress=progress,
    )
    faces = crop(list(files.values()))
    there = faces.original.found
    pairs = pairs_among([p for p, found in zip(files, there, strict=True) if found], listed)
    before, after = faces.original.faces(there), faces.modified.faces(there)
    scores = compare_features(recognize(before), recognize(after), pairs)
    if request.retrain:
        classifier = retrained_classifier(
            root,
            crop,
            request.folds,
            steps=request.retrain,
            seed=request.seed,
            device=device,
            progress=progress,
        )
        features = face_features(classifier, after)
        scores["modified_retrained"] = similarities(features, features, pairs)
    return Verification(
        comparisons=tuple(compare(name, values, pairs) for name, values in scores.items()),
        pairs=len(pairs),
        left_out=len(listed) - len(pairs),
        pictures=len(before),
        found_again=faces.found_again,
    )


def compare(faces: str, scores: np.ndarray, pairs: Pairs) -> Comparison:
    """All figures of `(P,)` similarities, with their intervals."""
    result = verify_scores(scores, pairs)
    eer_lo, eer_hi = jackknife_interval(
        lambda chosen: equal_error_rate(scores[chosen], pairs.same[chosen]), pairs.fold
    )
    tar_lo, tar_hi = jackknife_interval(
        lambda chosen: tar_at_far(scores[chosen], pairs.same[chosen], far=FAR), pairs.fold
    )
    return Comparison(
        faces=faces,
        accuracy=result.accuracy,
        accuracy_lo=result.lo,
        accuracy_hi=result.hi,
        eer=result.eer,
        eer_lo=eer_lo,
        eer_hi=eer_hi,
        tar=result.tar,
        tar_lo=tar_lo,
        tar_hi=tar_hi,
        within=float(scores[pairs.same].mean()),
        between=float(scores[~pairs.same].mean()),
    )


def named_anonymizer(
    method: str, *, weights: Path | None = None, device: str = "cpu", seed: int | None = None
) -> Anonymizer:
    """`anonymizers.create`, in which `modifier` without weights is the shipped M-state-trained."""
    if method == "modifier" and weights is None:
        return create(method, trained_modifier(profile("laptop"), device=device), seed=seed)
    return create(method, weights=weights, device=device, seed=seed)


def balanced(pairs: Sequence[LfwPair], limit: int | None) -> list[LfwPair]:
    """At most `limit` pairs, evenly from the list of each fold and kind."""
    if limit is None:
        return list(pairs)
    kinds: dict[tuple[int, bool], list[LfwPair]] = {}
    for pair in pairs:
        kinds.setdefault((pair.fold, pair.same), []).append(pair)
    each = limit // len(kinds)
    return [
        kind[i]
        for kind in kinds.values()
        for i in np.linspace(0, len(kind), min(each, len(kind)), endpoint=False).astype(int)
    ]


def write_record(
    path: Path, root: Path, request: Request, found: Verification, *, device: str, seconds: float
) -> None:
    """Writes a JSON record of the run: request, results, and what is needed to repeat it."""
    files = {"recognizer": recognizers.model_file(request.recognizer), "method": method_file(request)}
    content = {
        **provenance(command=command(root, request), seed=request.seed, device=device),
        **asdict(request),
        "weights": request.weights and request.weights.name,
        **asdict(found),
        "models": {
            role: {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
            for role, file in files.items()
            if file is not None
        },
        "versions": {name: _version(name) for name in _PACKAGES} | {"python": platform.python_version()},
        "seconds": round(seconds, 1),
    }
    write_atomically(path, (json.dumps(content, indent=2) + "\n").encode())


def command(root: Path, request: Request) -> str:
    """The command that repeats the run; of files and folders only the names, to keep them private.

    >>> command(Path("/home/ann/lfw"), Request(method="blur8", folds=(6, 7, 8), limit=60))
    'anonlib verify --root lfw --method blur8 --folds 6-8 --recognizer sphereface --framing frame
    --seed 0 --limit 60'
    """
    span = f"{request.folds[0]}-{request.folds[-1]}"
    options: dict[str, object] = {
        "root": root.name,
        "method": request.method,
        "folds": span if parse_folds(span) == request.folds else ",".join(map(str, request.folds)),
        "recognizer": request.recognizer,
        "framing": request.framing,
        "seed": request.seed,
        "weights": request.weights and request.weights.name,
        "limit": request.limit,
        "retrain": request.retrain or None,
    }
    return "anonlib verify" + "".join(f" --{k} {v}" for k, v in options.items() if v is not None)


def method_file(request: Request) -> Path | None:
    """The weights that the method reads; None for hand-crafted ones."""
    name = "M-state-trained" if request.method == "modifier" else request.method
    try:
        return request.weights or data_path("weights", f"{name}.safetensors")
    except FaceDatasetError:
        return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

"""Who is recognised on LFW, before and after a method: what `anonlib verify` measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from anonlib.anonymizers import create
from anonlib.attack import recognizers
from anonlib.attack.framing import Detector, check_framing, face_images, see
from anonlib.attack.retrained import retrained_classifier
from anonlib.attack.verification import (
    Anonymizer,
    compare_features,
    face_features,
    similarities,
    verify_scores,
)
from anonlib.config import profile
from anonlib.data.lfw import LfwPair, lfw_pairs, pairs_among, picture_files
from anonlib.errors import ConfigError
from anonlib.metrics.intervals import jackknife_interval
from anonlib.metrics.verification import Pairs, equal_error_rate, tar_at_far
from anonlib.training.start import trained_modifier

FAR = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be measured."""

    method: str
    """Name of an anonymizer."""
    folds: tuple[int, ...]
    """Folds of LFW, from 1; each is judged by the threshold that is best on the others."""
    recognizer: str = "sphereface"
    """Who looks, see `recognizers.names`."""
    framing: str = "frame"
    """`frame` or `crop`, see `anonlib.attack.framing`."""
    limit: int | None = None
    """Pairs at most, for a quick look; as many of one person as of two, in every fold."""
    retrain: int = 0
    """Steps for which D learns to recognise modified faces; 0 leaves this attack out."""
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
        if self.recognizer not in recognizers.names():
            raise ConfigError(
                f"recognizer '{self.recognizer}' is unknown: use one of {', '.join(recognizers.names())}"
            )
        if self.retrain < 0:
            raise ConfigError(f"retrain {self.retrain}: use a number of steps, 0 for none")
        check_framing(self.framing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How well pairs of faces are told apart; shares, with 95% intervals over the folds."""

    faces: str
    """`original`, `modified`, `modified_original` or `modified_retrained`."""
    accuracy: float
    accuracy_lo: float
    accuracy_hi: float
    eer: float
    eer_lo: float
    eer_hi: float
    tar: float
    """True accept rate at a false accept rate of 1e-3."""
    tar_lo: float
    tar_hi: float
    within: float
    """Mean cosine similarity of one person's pictures; for `modified`, whether a person becomes
    one new person."""
    between: float
    """Mean cosine similarity of two people's."""


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
    """Numbers of folds from their list.

    Raises:
        ConfigError: it is no list of numbers from 1 up.

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
    """Measures who is recognised in LFW's pairs, original against modified.

    Implements Ren et al., sections 5.1, Face Recognition, and 5.6, Does the face classifier
    remain accurate? Differs from the paper: the faces may be met in whole pictures; a second
    recogniser; the retrained D starts from what it knows of clear faces.

    Args:
        root: LFW's folder.
        request: what is measured.
        device: `cpu` or `cuda`, for M and D.
        detector: finds faces; MTCNN by default.
        progress: whether to show progress bars.

    Raises:
        ConfigError: there is no such method, or dlib is not installed.
        FaceDatasetError: pairs.txt, a picture or the weights of D are missing.
    """
    recognize = recognizers.create(request.recognizer, device=device)
    anonymizer = named_anonymizer(request.method, device=device)
    listed = balanced(lfw_pairs(root, request.folds), request.limit)
    files = picture_files(root, listed)
    seen = see(
        list(files.values()), anonymizer, framing=request.framing, detector=detector, progress=progress
    )
    there = seen.original.found
    pairs = pairs_among([p for p, found in zip(files, there, strict=True) if found], listed)
    before, after = face_images(seen.original, there), face_images(seen.modified, there)
    scores = compare_features(recognize(before), recognize(after), pairs)
    if request.retrain:
        classifier = retrained_classifier(
            root,
            anonymizer,
            request.folds,
            framing=request.framing,
            steps=request.retrain,
            seed=request.seed,
            device=device,
            detector=detector,
            progress=progress,
        )
        features = face_features(classifier, after)
        scores["modified_retrained"] = similarities(features, features, pairs)
    return Verification(
        comparisons=tuple(compare(name, values, pairs) for name, values in scores.items()),
        pairs=len(pairs),
        left_out=len(listed) - len(pairs),
        pictures=len(before),
        found_again=seen.found_again,
    )


def compare(faces: str, scores: np.ndarray, pairs: Pairs) -> Comparison:
    """Every figure of `(P,)` similarities, with its interval."""
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


def named_anonymizer(method: str, *, device: str = "cpu") -> Anonymizer:
    """The anonymizer of that name, with the weights that ship where it needs some."""
    if method == "modifier":
        return create(method, trained_modifier(profile("laptop"), device=device))
    return create(method)


def balanced(pairs: Sequence[LfwPair], limit: int | None) -> list[LfwPair]:
    """At most that many pairs, evenly from the list of each fold and kind."""
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

"""Any anonymizer, also the reader's own, as a point of Fig. 4 and a row of Table 1."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.anonymizers import SMALLEST_FACE, Anonymizer
from anonlib.errors import AnonlibError, ConfigError, NumericError
from anonlib.experiment.methods import Experiment, measure
from anonlib.experiment.predictions import summarize
from anonlib.experiment.tables import Row, figure4, table1
from anonlib.networks import SphereFace

PROBES = 4
"""Number of faces that an anonymizer is tried on before anything is measured."""
SIZES = ((SMALLEST_FACE, SMALLEST_FACE), (17, 23), (24, 20))
"""Further heights and widths of these faces: faces in frames have any size."""
TOLERANCE = 1e-4
"""Allowed difference between batches of different sizes; a grey level is 40 times that."""
SLACK = 1e-3
"""Allowed distance of a value from [0, 1], for rounding."""


def place(
    anonymizer: Anonymizer, *, name: str, experiment: Experiment, classifier: SphereFace | None = None
) -> Row:
    """Measures an anonymizer: its place in Fig. 4, and its average precision of each class.

    D compares anonymized faces of test people. A is trained for T2 steps on anonymized clips and tested on
    anonymized test clips. The predictions are kept in the folder of the experiment's run and used again,
    unless the anonymizer, D or A have changed.

    Implements Ren et al., sections 5.1 and 5.3, for any method.
    Differs from the paper: as `anonlib.experiment.reproduce.reproduce` does.

    Args:
        anonymizer: takes float RGB faces `(B, 3, H, W)` in [0, 1] of 8x8 pixels or more and returns the same
            shape and range. The result for a face must not depend on its batch.
        name: of the method in tables, figures and file names.
        experiment: from `anonlib.experiment.reproduce.prepare`; its networks are not changed.
        classifier: the attacker; by default the experiment's D.

    Returns the columns of figure4.csv and of table1.csv, fractions in [0, 1].

    Raises:
        ConfigError: the name cannot be part of a file name, or `check_anonymizer` finds a fault.
        NumericError: the anonymizer returns NaN or infinity.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"name '{name}' cannot be part of a file name: use letters, digits, '.', '-', '_'")
    attacker = experiment.classifier if classifier is None else classifier
    tried = [check_anonymizer(anonymizer, faces) for faces in example_faces(experiment)]
    file = f"{name}-{fingerprint(tried, (attacker, experiment.detector))}"
    measure(experiment, file, anonymizer, attacker)
    results, actions = {name: summarize(experiment.run.predictions, file)}, experiment.data.actions
    (point,), (precision,) = figure4(results, actions), table1(results, actions)
    return point | {column: precision[column] for column in (*actions, "map")}


def example_faces(experiment: Experiment) -> list[Tensor]:
    """A few test faces `(B, 3, H, W)` in [0, 1], at the size of M and at the `SIZES`."""
    faces = experiment.data.test_faces.images[:PROBES].float() / 255
    return [faces, *(F.interpolate(faces, size, mode="bilinear", antialias=True) for size in SIZES)]


@torch.inference_mode()
def check_anonymizer(anonymizer: Anonymizer, faces: Tensor) -> Tensor:
    """Anonymizes a batch of faces `(B, 3, H, W)` in [0, 1], and checks what the anonymizer does.

    Raises:
        ConfigError: it fails on this size, changes shape or type, leaves [0, 1], changes its input, or
            returns different results for the same face.
        NumericError: it returns NaN or infinity.

    >>> faces = torch.rand(2, 3, 16, 16)
    >>> torch.equal(check_anonymizer(lambda faces: 1 - faces, faces), 1 - faces)
    True
    """
    given = faces.clone()
    hidden = _call(anonymizer, given)
    if not torch.equal(given, faces):
        raise ConfigError("the anonymizer changed its input: begin with `faces = faces.clone()`")
    _check_result(hidden, faces)
    again = _call(anonymizer, faces.clone())
    if not torch.equal(again, hidden):
        raise ConfigError(
            "the anonymizer returned two results for the same faces: draw random numbers from a "
            "torch.Generator that it seeds in each call"
        )
    alone = torch.cat([_call(anonymizer, face[None].clone()) for face in faces])
    if (alone - hidden).abs().max() > TOLERANCE:
        raise ConfigError(
            "the anonymizer returned different results for a face alone and in a batch: "
            "let every face depend on its own pixels only"
        )
    return hidden


def _call(anonymizer: Anonymizer, faces: Tensor) -> Tensor:
    try:
        return anonymizer(faces)
    except (AnonlibError, NotImplementedError):
        raise
    except Exception as error:
        height, width = faces.shape[2:]
        raise ConfigError(
            f"the anonymizer fails on {len(faces)} faces of {height}x{width} pixels ({error}): "
            f"it must take any number of faces of any size from {SMALLEST_FACE}x{SMALLEST_FACE}"
        ) from error


def _check_result(hidden: object, faces: Tensor) -> None:
    if not isinstance(hidden, Tensor):
        raise ConfigError(f"the anonymizer returned {type(hidden).__name__}: return the faces as a tensor")
    returned, given = ((faces.dtype, *faces.shape) for faces in (hidden, faces))
    if returned != given:
        raise ConfigError(f"the anonymizer returned {returned} for {given}: return the same type and shape")
    if not torch.isfinite(hidden).all():
        raise NumericError(
            "the anonymizer returned NaN or infinity: look for a division by zero or a root of a "
            "negative number"
        )
    low, high = (float(x) for x in hidden.aminmax())
    if low < -SLACK or high > 1 + SLACK:
        raise ConfigError(f"the anonymizer returned values from {low:g} to {high:g}: end with `.clamp(0, 1)`")


def fingerprint(tensors: Iterable[Tensor], networks: Iterable[nn.Module]) -> str:
    """Eight hexadecimal digits that change with the tensors and the networks' weights."""
    digest = blake2b(digest_size=4)
    for tensor in [*tensors, *(t for n in networks for t in n.state_dict().values())]:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

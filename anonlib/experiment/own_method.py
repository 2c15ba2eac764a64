"""Any anonymizer as a point of Fig. 4 and a row of Table 1: yours, too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anonlib.anonymizers import SMALLEST_FACE, Anonymizer
from anonlib.errors import AnonlibError, ConfigError, NumericError
from anonlib.experiment.reproduce import Experiment, measure
from anonlib.experiment.tables import Row, figure4, table1
from anonlib.networks import SphereFace

PROBES = 4
"""Faces on which an anonymizer is tried before anything is measured."""
SIZES = ((SMALLEST_FACE, SMALLEST_FACE), (17, 23), (24, 20))
"""Heights and widths it is tried at, beside that of M: faces in frames come in any size."""
TOLERANCE = 1e-4
"""What arithmetic in batches of another size may change; a step of 8 bits is 40 times that."""

SLACK = 1e-3
"""How far beyond [0, 1] rounding may carry a pixel; in 8 bits it makes no difference."""


def place(
    anonymizer: Anonymizer, *, name: str, experiment: Experiment, classifier: SphereFace | None = None
) -> Row:
    """Where an anonymizer lies in Fig. 4, and its average precision of each class.

    D compares anonymized faces of unseen people; A, trained on for T2 steps on anonymized frames,
    is tested on anonymized frames of unseen people. What is measured is kept in the folder of the
    experiment's run and found again there, unless the anonymizer, D or A have changed.

    Implements Ren et al., sections 5.1 and 5.3, for any method. Differs from the paper: none that
    `anonlib.experiment.reproduce` does not have.

    Args:
        anonymizer: float RGB faces `(B, 3, H, W)` in [0, 1] of 8x8 pixels or more to the same
            shape and range; one image must come out the same whatever else is in its batch.
        name: how tables, figures and files call it.
        experiment: from `anonlib.experiment.reproduce.prepare`; its networks are not changed.
        classifier: the attacker; by default D as the experiment starts.

    Returns:
        The columns of figure4.csv and of table1.csv, fractions in [0, 1].

    Raises:
        ConfigError: the name cannot be a file's, or the anonymizer breaks its contract.
        NumericError: it returns NaN or infinity.
    """
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"name '{name}' cannot be a file's: use letters, digits, '.', '-', '_'")
    attacker = experiment.classifier if classifier is None else classifier
    tried = check_anonymizer(anonymizer, example_faces(experiment))
    key = fingerprint(tried, (attacker, experiment.detector))
    result = measure(experiment, f"{name}-{key}", anonymizer, attacker)
    actions = experiment.world.actions
    (row,), (precision,) = figure4({name: result}, actions), table1({name: result}, actions)
    return row | {k: precision[k] for k in (*actions, "map")}


def example_faces(experiment: Experiment) -> list[Tensor]:
    """A few test faces `(B, 3, H, W)` in [0, 1], at the size of M and at others."""
    faces = experiment.world.test_faces.images[:PROBES].float() / 255
    return [faces, *(F.interpolate(faces, size, mode="bilinear", antialias=True) for size in SIZES)]


@torch.inference_mode()
def check_anonymizer(anonymizer: Anonymizer, examples: Iterable[Tensor]) -> list[Tensor]:
    """Tries an anonymizer on batches of faces before it costs anybody minutes.

    Args:
        anonymizer: what to try.
        examples: batches `(B, 3, H, W)` in [0, 1].

    Returns:
        The anonymized batches.

    Raises:
        ConfigError: it cannot take a size, changes shape or type, leaves [0, 1], writes into its
            input, or does not do the same to one face twice, in whatever batch.
        NumericError: it returns NaN or infinity.

    >>> faces = torch.rand(2, 3, 16, 16)
    >>> torch.equal(check_anonymizer(lambda faces: 1 - faces, [faces])[0], 1 - faces)
    True
    """
    return [_checked(anonymizer, faces) for faces in examples]


def _checked(anonymizer: Anonymizer, faces: Tensor) -> Tensor:
    given = faces.clone()
    hidden = _call(anonymizer, given)
    if not torch.equal(given, faces):
        raise ConfigError(
            "the anonymizer wrote into the faces it was given: begin with `faces = faces.clone()`"
        )
    _check_result(hidden, faces)
    again = _call(anonymizer, faces.clone())
    if not torch.equal(again, hidden):
        raise ConfigError(
            "the anonymizer did two things to the same faces: draw what is random from a "
            "torch.Generator that it seeds in each call"
        )
    alone = torch.cat([_call(anonymizer, face[None].clone()) for face in faces])
    if (alone - hidden).abs().max() > TOLERANCE:
        raise ConfigError(
            "the anonymizer does another thing to a face that is alone than to one in a batch: "
            "let every face depend on its own pixels only"
        )
    return hidden


def _call(anonymizer: Anonymizer, faces: Tensor) -> Tensor:
    try:
        return anonymizer(faces)
    except AnonlibError:
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
    if hidden.shape != faces.shape:
        raise ConfigError(
            f"the anonymizer made {tuple(hidden.shape)} of {tuple(faces.shape)}: return faces of "
            "the shape they came in"
        )
    if hidden.dtype != faces.dtype:
        raise ConfigError(
            f"the anonymizer made {hidden.dtype} of {faces.dtype}: return `hidden.to(faces.dtype)`"
        )
    if not torch.isfinite(hidden).all():
        raise NumericError(
            "the anonymizer returned NaN or infinity: look for a division by zero or a root of a "
            "negative number"
        )
    low, high = (float(x) for x in hidden.aminmax())
    if low < -SLACK or high > 1 + SLACK:
        raise ConfigError(f"the anonymizer returned values from {low:g} to {high:g}: end with `.clamp(0, 1)`")


def fingerprint(tensors: Iterable[Tensor], networks: Iterable[nn.Module]) -> str:
    """Eight hexadecimal digits that change with the tensors or with a network's weights."""
    digest = blake2b(digest_size=4)
    for tensor in [*tensors, *(t for n in networks for t in n.state_dict().values())]:
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

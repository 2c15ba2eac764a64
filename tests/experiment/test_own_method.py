"""A method of one's own in Fig. 4: what is measured, what is kept, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers import create, names
from anonlib.config import ClassifierConfig, DataConfig, DetectorConfig, ModifierConfig, profile
from anonlib.errors import AnonlibError, ConfigError, ImageError, NumericError
from anonlib.experiment import methods
from anonlib.experiment.methods import Experiment, measure
from anonlib.experiment.own_method import check_anonymizer, example_faces, place
from anonlib.experiment.predictions import summarize
from anonlib.experiment.reproduce import prepare
from anonlib.experiment.run import Run
from anonlib.networks import Modifier, SphereFace
from anonlib.types import ACTIONS

_SMOKE = profile("smoke")
TINY = replace(
    _SMOKE,
    modifier=ModifierConfig(size=16, width=4, blocks=1),
    classifier=ClassifierConfig(size=(16, 16), depth=4, width=4, features=8),
    detector=DetectorConfig(backbone="small", frame=(72, 96), width=4),
    data=DataConfig(
        people=3,
        images=2,
        test_people=20,
        test_images=2,
        pairs=20,
        train_clips=4,
        test_clips=6,
        frames=1,
        validation_people=2,
    ),
    training=replace(
        _SMOKE.training, faces=2, frames=1, detector_steps=2, pretrain_steps=1, classifier_steps=2
    ),
)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    run = Run(tmp_path_factory.mktemp("run"), TINY, seed=3, progress=False)
    return prepare(run)


def darken(faces: Tensor) -> Tensor:
    return faces / 2


def test_a_method_lies_where_reproduce_measures_it(experiment: Experiment):
    row = place(darken, name="dark", experiment=experiment)
    measure(experiment, "dark", darken, experiment.classifier)
    expected = summarize(experiment.run.predictions, "dark")
    assert row["method"] == "dark"
    assert row["verification_error"] == 1 - expected["verification"]["accuracy"]
    assert row["verification_error_lo"] == 1 - expected["verification"]["hi"]
    assert (row["action_map"], row["action_map_hi"]) == (expected["map"], expected["map_hi"])
    assert [row[name] for name in ACTIONS] == pytest.approx(expected["per_class"], nan_ok=True)
    assert row["map"] == row["action_map"]


def test_behind_a_mask_the_attacker_guesses(experiment: Experiment):
    assert place(create("mask"), name="mask", experiment=experiment)["verification_error"] == 0.5


def test_the_attacker_may_be_another_one(experiment: Experiment, monkeypatch: pytest.MonkeyPatch):
    asked: list[SphereFace] = []

    def spy(_: Any, __: str, ___: Any, classifier: SphereFace) -> None:
        asked.append(classifier)

    def summary(*_: Any) -> dict[str, Any]:
        return {
            "per_class": [0.0] * 10,
            "map": 0,
            "map_lo": 0,
            "map_hi": 0,
            "verification": {"accuracy": 1, "lo": 1, "hi": 1},
        }

    monkeypatch.setattr("anonlib.experiment.own_method.measure", spy)
    monkeypatch.setattr("anonlib.experiment.own_method.summarize", summary)
    other = SphereFace(TINY.classifier, people=3)
    place(darken, name="dark", experiment=experiment, classifier=other)
    place(darken, name="dark", experiment=experiment)
    assert asked[0] is other
    assert asked[1] is experiment.classifier


def test_what_was_measured_is_found_again_unless_the_function_or_d_changed(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
):
    before = place(darken, name="again", experiment=experiment)
    trained: list[str] = []

    def train(*_: Any, name: str, **__: Any) -> None:
        trained.append(name)

    monkeypatch.setattr(methods, "train_detector", train)
    np.testing.assert_equal(place(darken, name="again", experiment=experiment), before)
    assert not trained
    place(lambda faces: faces / 3, name="again", experiment=experiment)
    other = SphereFace(TINY.classifier, people=3)
    place(darken, name="again", experiment=experiment, classifier=other)
    assert len(set(trained)) == 4  # two phases each


@pytest.mark.parametrize("name", [*names()[:-1], "modifier"])
def test_every_method_of_the_library_passes(experiment: Experiment, name: str):
    method = create(name, Modifier(TINY.modifier) if name == "modifier" else None)
    hidden = [check_anonymizer(method, faces) for faces in example_faces(experiment)]
    assert [tuple(h.shape) for h in hidden] == [(4, 3, 16, 16), (4, 3, 8, 8), (4, 3, 17, 23), (4, 3, 24, 20)]


CALLS = iter(range(100))
REFUSED: dict[str, tuple[Callable[[Tensor], Any], type[AnonlibError], str]] = {
    "one size only": (
        lambda f: f + torch.zeros(16, 16),
        ConfigError,
        "fails on 4 faces of 8x8 pixels .*any size",
    ),
    "not a tensor": (lambda f: f.numpy(), ConfigError, "returned ndarray: return the faces"),
    "another shape": (lambda f: F.avg_pool2d(f, 2), ConfigError, "return the same type and shape"),
    "another type": (lambda f: f.double(), ConfigError, r"\(torch\.float64, .* for \(torch\.float32"),
    "not a number": (lambda f: f / f.new_zeros(1), NumericError, "NaN or infinity: look for a div"),
    "too bright": (lambda f: f + 0.5, ConfigError, r"values from .*end with `.clamp\(0, 1\)`"),
    "too dark": (lambda f: f - 2, ConfigError, r"values from -.*end with `.clamp\(0, 1\)`"),
    "writes into its input": (lambda f: f.mul_(0.5), ConfigError, "begin with `faces = faces.clo"),
    "random": (lambda f: torch.rand_like(f), ConfigError, "returned two results for the same"),
    "counts calls": (lambda f: 0 * f + next(CALLS) / 100, ConfigError, "returned two results"),
    "looks at the batch": (lambda f: f.mean(0, keepdim=True).expand_as(f), ConfigError, "alone and in"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_breaks_the_contract_is_refused_before_anything_is_trained(experiment: Experiment, case: str):
    method, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        place(method, name="mine", experiment=experiment)
    assert not list((experiment.run.out / "stages").glob("method-mine-*"))


def test_errors_that_tell_what_to_mend_pass_through():
    with pytest.raises(ImageError, match="pass 8x8 or more"):
        check_anonymizer(create("blur8"), torch.rand(1, 3, 4, 4))


@pytest.mark.parametrize("name", ["", "my method", "../mine", ".mine"])
def test_a_name_must_do_for_a_file(experiment: Experiment, name: str):
    with pytest.raises(ConfigError, match="cannot be part of a file name"):
        place(darken, name=name, experiment=experiment)

from __future__ import annotations

import inspect
import json
import re
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from anonlib import config
from anonlib.config import (
    ENLARGE,
    ClassifierConfig,
    DetectorConfig,
    ModifierConfig,
    TrainingConfig,
    profile,
    to_dict,
)
from anonlib.errors import ConfigError


def test_paper_profile_holds_the_values_of_the_paper_and_of_the_networks_that_it_cites():
    paper = profile("paper")
    assert paper.modifier == ModifierConfig(size=256, width=64, blocks=9)
    assert paper.classifier == ClassifierConfig(size=(112, 96), depth=20, width=64, features=512, margin=4)
    assert paper.detector == DetectorConfig(backbone="resnet101", frame=(600, 800), classes=10)
    t = paper.training
    assert (t.betas, t.modifier_lr, t.detector_lr) == ((0.5, 0.999), 3e-4, 1e-3)
    assert (t.classifier_updates, t.clear_weight, t.adversarial_ceiling) == (1, 1.0, float("inf"))
    assert (t.objective, t.l1_target, paper.modifier.reads) == ("ascent", "original", "picture")
    assert t.lr_drop * 12 == t.adversarial_lr_drop * 12 == pytest.approx(7)
    assert (paper.data.people, paper.data.pairs) == (10_575, 6000)
    assert (paper.data.face_finder, profile("laptop").data.face_finder) == ("cascade", "ssh")
    assert ENLARGE == 1.6


@pytest.mark.parametrize("name", ["adversarial_steps", "detector_steps", "l1_weight", "faces", "frames"])
def test_fields_that_the_paper_does_not_give_say_so(name: str):
    source = inspect.getsource(TrainingConfig)
    (text,) = re.findall(rf'^    {name}: .*\n    """(.*)"""$', source, re.MULTILINE)
    assert "Not in the paper" in text
    assert "published values" not in (config.__doc__ or "")


def test_laptop_shrinks_the_paper_but_keeps_its_kind():
    laptop, paper = profile("laptop"), profile("paper")
    assert laptop.modifier.size < paper.modifier.size
    assert laptop.classifier.depth < paper.classifier.depth
    assert laptop.classifier.margin == paper.classifier.margin
    assert laptop.data.pairs == paper.data.pairs
    for name in ("betas", "detector_lr", "lr_drop", "adversarial_lr_drop", "objective"):
        assert getattr(laptop.training, name) == getattr(paper.training, name)


def test_smoke_is_laptop_with_less_data_and_fewer_steps():
    smoke, laptop = profile("smoke"), profile("laptop")
    assert smoke != laptop
    assert replace(smoke, name="laptop", data=laptop.data, training=laptop.training) == laptop
    small, large = to_dict(smoke.data), to_dict(laptop.data)
    assert all(small[key] < large[key] for key in large if isinstance(large[key], int))


@pytest.mark.parametrize(
    ("make", "fields", "message"),
    [
        (
            profile,
            {"name": "tiny"},
            "profile 'tiny' is unknown: use one of smoke, laptop, workstation, paper",
        ),
        (ModifierConfig, {"size": 30}, "modifier size 30: use a multiple of 4"),
        (ModifierConfig, {"size": 0}, "modifier size 0: use a multiple of 4"),
        (ModifierConfig, {"size": 48, "reads": "state"}, "modifier size 48: use a multiple of 32"),
        (ModifierConfig, {"reads": "mind"}, "modifier reads 'mind': use 'picture' or 'state'"),
        (TrainingConfig, {"l1_target": "x"}, "l1_target 'x': use 'original' or 'start'"),
        (ModifierConfig, {"blocks": 0}, "modifier width and blocks must be positive"),
        (ClassifierConfig, {"depth": 7}, "classifier depth 7: use 4, 10 or 20"),
        (ClassifierConfig, {"size": (64, 50)}, r"classifier size \(64, 50\): use multiples of 16"),
        (TrainingConfig, {"objective": "x"}, "objective 'x': use 'ascent' or 'random_label'"),
        (DetectorConfig, {"backbone": "vgg"}, "backbone 'vgg': use one of small, resnet18"),
        (TrainingConfig, {"classifier_updates": 0}, "classifier_updates 0: use 1 or more"),
        (TrainingConfig, {"lr_drop": 0.0}, "lr_drop 0.0: use a fraction above 0, up to 1"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make: Any, fields: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        make(**fields)


def test_configs_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        profile("paper").modifier.blocks = 6  # type: ignore[misc]


@pytest.mark.parametrize("name", ["smoke", "laptop", "paper"])
def test_profiles_survive_json(name: str):
    original = profile(name)
    found = json.loads(json.dumps(to_dict(original)))
    assert found == to_dict(original)
    assert found["classifier"]["size"] == list(original.classifier.size)
    assert (
        TrainingConfig(**{**found["training"], "betas": tuple(found["training"]["betas"])})
        == original.training
    )


def test_the_region_of_m_may_come_from_json_and_must_fit_into_the_crop():
    assert ModifierConfig(region=[0.2, 0.3]).region == (0.2, 0.3)  # type: ignore[arg-type]
    for region in ((0.2,), (0.0, 0.3), (0.2, 0.6)):
        with pytest.raises(ConfigError, match=r"modifier region .*: use two shares above 0, up to 0.5"):
            ModifierConfig(region=region)  # type: ignore[arg-type]

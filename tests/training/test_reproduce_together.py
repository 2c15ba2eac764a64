"""The whole experiment by two processes that share one folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from anonlib.config import ClassifierConfig, DataConfig, DetectorConfig, ModifierConfig, Profile, profile
from anonlib.experiment.reproduce import reproduce

SMOKE = profile("smoke")
TINY = replace(
    SMOKE,
    modifier=ModifierConfig(size=16, width=4, blocks=1),
    classifier=ClassifierConfig(size=(16, 16), depth=4, width=4, features=8),
    detector=DetectorConfig(backbone="small", frame=(72, 96), width=4),
    data=DataConfig(
        people=3, images=2, test_people=20, test_images=2, pairs=20, train_clips=4, test_clips=6, frames=1
    ),
    training=replace(
        SMOKE.training,
        faces=2,
        frames=2,
        adversarial_steps=2,
        detector_steps=1,
        pretrain_steps=1,
        classifier_steps=1,
    ),
)
DOUBLED = replace(TINY, training=replace(TINY.training, faces=4, frames=4))


@pytest.mark.slow
def test_two_processes_make_one_record_of_the_experiment_and_look_at_it(
    tmp_path: Path, together: Callable[[Callable[[], Any]], list[Any]]
):
    def run(out: Path, size: Profile) -> None:
        reproduce(profile=size, out=out, progress=False, watch=True)

    together(lambda: run(tmp_path / "two", TINY))
    run(tmp_path / "one", DOUBLED)

    def files(name: str) -> set[str]:
        found = (p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*.*"))
        return {str(path) for path in found if "tfevents" not in path.name}

    assert files("two") == files("one")
    assert "watch/modifier/faces-000000.png" in files("two")
    first = {}
    for name in ("one", "two"):
        game = json.loads((tmp_path / name / "stages" / "game-modifier.json").read_text())
        first[name] = {k: v for k, v in game["history"][0].items() if k != "L_det"}  # A has batch norm
    assert first["two"] == pytest.approx(first["one"], rel=0.01)  # float32; see test_processes

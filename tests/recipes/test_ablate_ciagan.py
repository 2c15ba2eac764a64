from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from anonlib.assets import load_weights
from recipes import ablate_ciagan


def test_the_variants_share_what_they_do_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wanted = ["complete", "classifier", "face-alone"]
    steps = ["--pretrain-steps", "2", "--pair-steps", "2", "--adversarial-steps", "1", "--people", "2"]
    monkeypatch.setattr("recipes.train_ciagan.IMAGES", 2)
    monkeypatch.setattr("recipes.train_ciagan.VERSIONS", 1)
    monkeypatch.setattr("sys.argv", ["", *steps, "--variants", *wanted, "--out", str(tmp_path)])
    ablate_ciagan.main()
    record = json.loads((tmp_path / "training.json").read_text())
    games, settings = record["games"], record["settings"]
    assert list(games) == wanted and settings["pair_weight"] == 10 and not settings["classifier"]
    assert games["complete"]["pairs"] == games["classifier"]["pairs"] != games["face-alone"]["pairs"]
    assert games["complete"]["identity"] == games["face-alone"]["identity"] != games["classifier"]["identity"]
    assert games["face-alone"]["changes"] == ablate_ciagan.ALONE | {"face": True}
    weights = {name: load_weights(tmp_path / f"{name}.safetensors") for name in wanted}
    assert [config["face"] for _, config in weights.values()] == [False, False, True]
    (first, _), (second, _) = weights["complete"], weights["classifier"]
    assert any(not torch.equal(first[key], second[key]) for key in first)
    assert (tmp_path / "face-alone.png").exists()

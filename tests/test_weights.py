from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings, strategies as st
from safetensors.torch import save
from torch import nn

from anonlib.assets import load_weights
from anonlib.errors import CheckpointError
from anonlib.training.checkpoints import save_weights

CONFIG = {"size": 16, "width": 4, "frame": [48, 64], "ceiling": float("inf")}


def test_missing_weights_are_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"gone\.safetensors are missing or damaged"):
        load_weights(tmp_path / "gone.safetensors")


def test_safetensors_of_another_project_are_refused(tmp_path: Path):
    path = tmp_path / "other.safetensors"
    path.write_bytes(save({"w": torch.zeros(1)}))
    with pytest.raises(CheckpointError, match=r"missing or damaged \(KeyError\)"):
        load_weights(path)


def test_weights_cut_short_anywhere_are_refused(tmp_path: Path):
    path = tmp_path / "net.safetensors"
    save_weights(path, nn.Linear(2, 2), config=CONFIG)
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            load_weights(path)


@given(st.one_of(st.binary(max_size=60), st.recursive(st.just("0"), lambda s: s.map("[{}]".format))))
@settings(deadline=None, max_examples=50)
def test_no_file_passes_for_weights_by_chance(tmp_path_factory: Any, content: bytes | str):
    if isinstance(content, str):  # JSON, but not the object that a header must be
        content = len(content).to_bytes(8, "little") + content.encode()
    path = tmp_path_factory.getbasetemp() / "chance.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        load_weights(path)

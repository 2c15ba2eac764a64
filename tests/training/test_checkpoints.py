from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from anonlib.assets import load_weights
from anonlib.errors import CheckpointError, ResultsError
from anonlib.training.checkpoints import (
    load_checkpoint,
    restore,
    save_checkpoint,
    save_weights,
    write_atomically,
)

CONFIG = {"size": 16, "width": 4, "frame": [48, 64], "ceiling": float("inf")}


def everything_below(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def fill_disk(monkeypatch: pytest.MonkeyPatch, *, when: str) -> None:
    """A disk without room for a file's content, or for its new name."""

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync" if when == "writing" else "replace", full)


def test_files_are_written_whole_into_new_folders(tmp_path: Path):
    path = tmp_path / "a" / "b" / "result.csv"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert everything_below(tmp_path) == {"a/b/result.csv"}


@pytest.mark.parametrize("when", ["writing", "renaming"])
def test_a_full_disk_is_named_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
):
    fill_disk(monkeypatch, when=when)
    with pytest.raises(ResultsError, match=r"could not write .*new.csv: No space left on device"):
        write_atomically(tmp_path / "new.csv", b"content")
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("when", ["writing", "renaming"])
def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str):
    save_checkpoint(tmp_path / "run.pt", {"step": 1})
    save_weights(tmp_path / "net.safetensors", nn.Linear(1, 1), config=CONFIG)
    before = (tmp_path / "net.safetensors").read_bytes()
    fill_disk(monkeypatch, when=when)
    with pytest.raises(ResultsError, match=r"run\.pt"):
        save_checkpoint(tmp_path / "run.pt", {"step": 2})
    with pytest.raises(ResultsError, match=r"net\.safetensors"):
        save_weights(tmp_path / "net.safetensors", nn.Linear(1, 1), config=CONFIG)
    assert load_checkpoint(tmp_path / "run.pt") == {"step": 1}
    assert (tmp_path / "net.safetensors").read_bytes() == before
    assert everything_below(tmp_path) == {"run.pt", "net.safetensors"}


def test_a_file_where_the_folder_should_be_is_named(tmp_path: Path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ResultsError, match=r"could not write .*taken.*another --out"):
        write_atomically(tmp_path / "taken" / "run.json", b"{}")


def test_checkpoints_come_back_as_they_were(tmp_path: Path):
    state = {"step": 7, "history": [{"a": 0.5}], "parts": {"M": {"w": torch.rand(3, 2)}}}
    save_checkpoint(tmp_path / "run.pt", state)
    found = load_checkpoint(tmp_path / "run.pt")
    assert (found["step"], found["history"]) == (7, [{"a": 0.5}])
    assert torch.equal(found["parts"]["M"]["w"], state["parts"]["M"]["w"])  # type: ignore[index]


@pytest.mark.parametrize("damage", ["empty", "truncated", "text"])
def test_a_damaged_checkpoint_is_named_with_the_mend(tmp_path: Path, damage: str):
    path = tmp_path / "run.pt"
    save_checkpoint(path, {"w": torch.rand(100)})
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "truncated": content[:-200], "text": b"no archive"}[damage])
    with pytest.raises(CheckpointError, match=r"run\.pt is damaged .*; delete it and run again"):
        load_checkpoint(path)


class Trap:
    """What a malicious checkpoint would run on the machine of whoever opens it."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.proof,))


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path):
    path, proof = tmp_path / "run.pt", tmp_path / "proof"
    torch.save({"step": 1, "parts": Trap(proof)}, path)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)
    assert not proof.exists()
    torch.load(path, weights_only=False)
    assert proof.exists()  # the trap works when it is sprung


def test_weights_and_their_config_come_back_as_they_were(tmp_path: Path):
    network, path = nn.Conv2d(3, 4, 3), tmp_path / "net.safetensors"
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_weights(path, network, config=CONFIG)
    tensors, config = load_weights(path)
    assert config == CONFIG
    other = nn.Conv2d(3, 4, 3)
    restore(other, path, config=CONFIG)
    for name, value in network.state_dict().items():
        assert torch.equal(tensors[name], value) and torch.equal(other.state_dict()[name], value)


def test_weights_of_8_bits_come_back_within_half_a_step(tmp_path: Path):
    layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.InstanceNorm2d(4, affine=True))
    with torch.no_grad():
        layer[0].weight[1] *= 100  # the scale is of each output channel
        layer[0].weight[2] = 0
    save_weights(tmp_path / "w.safetensors", layer, config={"width": 4}, bits=8)
    found, config = load_weights(tmp_path / "w.safetensors")
    assert config == {"width": 4} and found.keys() == layer.state_dict().keys()
    torch.testing.assert_close(found["1.weight"].float(), layer[1].weight)
    wrong = (found["0.weight"] - layer[0].weight).abs().flatten(1).amax(1)
    step = layer[0].weight.abs().flatten(1).amax(1) / 127
    assert (wrong <= 0.55 * step + 1e-6).all() and wrong.max() > 0
    layer.load_state_dict(found)


def test_weights_of_another_config_are_refused_naming_the_fields(tmp_path: Path):
    network, path = nn.Linear(2, 2), tmp_path / "net.safetensors"
    save_weights(path, network, config={**CONFIG, "old": 1})
    nn.init.zeros_(network.weight)
    with pytest.raises(CheckpointError, match=r"another profile \(old, width differ\)"):
        restore(network, path, config={**CONFIG, "width": 8})
    assert not network.weight.any()  # nothing was loaded


def test_weights_that_do_not_fit_the_network_are_refused(tmp_path: Path):
    path = tmp_path / "net.safetensors"
    save_weights(path, nn.Linear(2, 3), config=CONFIG)  # three people, say, in place of four
    with pytest.raises(CheckpointError, match=r"net\.safetensors"):
        restore(nn.Linear(2, 4), path, config=CONFIG)

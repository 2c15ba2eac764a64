"""Compiled networks are read back in the next run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from anonlib.networks import compiled as compiled_module, kept
from anonlib.networks.compiled import Compiled

IMAGES = torch.rand(2, 3, 8, 8)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "anonlib"


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv2d(3, 2, 1)


def compiled(seed: int = 0) -> Compiled:
    return Compiled(network(seed), IMAGES, threads=1, exact=True, keep=True)


@pytest.mark.parametrize("damaged", [False, True])
def test_the_second_run_reads_what_the_first_kept(cache: Path, damaged: bool, monkeypatch):
    first = compiled()(IMAGES)
    (file,) = cache.iterdir()
    if damaged:
        file.write_bytes(file.read_bytes()[:100])
    else:
        monkeypatch.setattr(compiled_module, "_converted", None)  # must not be called
    assert torch.equal(compiled()(IMAGES), first)
    assert len(list(cache.iterdir())) == 1


def test_other_weights_are_another_file(cache: Path):
    off = (compiled(0)(IMAGES) - compiled(1)(IMAGES)).abs()
    assert off.max() > 0.01 and len(list(cache.iterdir())) == 2


def test_nothing_is_kept_unless_asked(cache: Path):
    Compiled(network(), IMAGES, threads=1)
    assert not cache.exists()


def test_a_folder_that_cannot_be_written_is_no_error(cache: Path):
    cache.write_text("a file is in the place of the folder")
    assert compiled()(IMAGES).shape == (2, 2, 8, 8)


def test_only_the_newest_files_stay(cache: Path):
    for number in range(kept.MOST + 3):
        kept.write(f"{number:02}.blob", b"x")
    assert len(list(cache.glob("*.blob"))) == kept.MOST
    assert kept.read("00.blob") is None and kept.read(f"{kept.MOST + 2:02}.blob") == b"x"

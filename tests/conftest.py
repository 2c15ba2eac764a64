"""What every test shares: fixed seeds, one thread, and the folder of real data if there is one."""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("OMP_NUM_THREADS", "1")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeds() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository (or at ANONLIB_SHARED); skips without it."""
    default = Path(__file__).resolve().parents[2] / "shared"
    folder = Path(os.environ.get("ANONLIB_SHARED", default))
    if not (folder / "datasets").is_dir():
        pytest.skip(f"no real data: '{folder}/datasets' does not exist (set ANONLIB_SHARED)")
    return folder

from __future__ import annotations

import pytest

from anonlib.types import ActionFrames
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople


@pytest.fixture(scope="session")
def clips() -> ActionFrames:
    """Six frames of synthetic people, none of whom was trained on."""
    return render_clips(
        clips=6, frames=1, split="validation", seed=3, size=(216, 288), heads=SyntheticPeople()
    )

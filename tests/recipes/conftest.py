"""The recipes train the same small networks as the tests of training."""

from tests.training.conftest import (  # noqa: F401
    config,
    faceless,
    faces,
    frames,
    make_classifier,
    make_detector,
    make_players,
)

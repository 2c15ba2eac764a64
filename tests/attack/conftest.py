"""The attackers see the same marked faces and frames as the tests of experiments."""

from tests.experiment.conftest import faces, frames  # noqa: F401

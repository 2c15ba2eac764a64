from __future__ import annotations

import pytest
import torch

from anonlib.detection import create, names
from anonlib.errors import ConfigError


@pytest.mark.parametrize("name", names())
def test_every_name_makes_a_detector(name):
    (faces,) = create(name)(torch.zeros(1, 3, 64, 64))
    assert len(faces) == 0 and faces.boxes.shape == (0, 4)


def test_another_name_is_refused():
    with pytest.raises(ConfigError, match="'haar' is unknown: use one of centerface, ssh, cascade, mtcnn"):
        create("haar")

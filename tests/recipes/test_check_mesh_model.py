from __future__ import annotations

import torch

from recipes.check_mesh_model import nearest


def test_pictures_of_one_person_do_not_count():
    known = torch.tensor([[0.0, 0], [0, 1], [0, 3]])
    assert nearest(known[:1], known) == {"min": 0.0, "median": 0.0, "max": 0.0}
    same = torch.tensor([[True, True, False]])
    assert nearest(known[:1], known, same)["min"] == 3.0

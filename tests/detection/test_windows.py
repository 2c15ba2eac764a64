"""Windows of pictures: only what they show is read."""

from __future__ import annotations

import pytest
import torch

from anonlib.detection import windows
from anonlib.detection.windows import Window, view


@pytest.mark.parametrize(
    "window",
    [
        Window(150.0, 90.0, 0.4, 100.0),
        Window(151.3, 88.7, -2.0, 61.7),
        Window(5.0, 175.0, 0.0, 120.0),
        Window(297.0, 3.0, 1.0, 77.0),
        Window(150.0, 90.0, 0.3, 900.0),
        Window(-400.0, 90.0, 0.0, 64.0),
        Window(150.0, 5000.0, 0.0, 64.0),
    ],
)
def test_a_part_of_the_picture_gives_the_same_view(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = torch.rand(3, 181, 299, generator=torch.Generator().manual_seed(0))
    found = view(picture, window, 32)
    monkeypatch.setattr(windows, "_part", lambda picture, window, step: (picture, window))
    torch.testing.assert_close(found, view(picture, window, 32), atol=1e-4, rtol=0)


def test_a_small_window_reads_little() -> None:
    part, inside = windows._part(torch.rand(3, 600, 600), Window(303.0, 210.0, 0.2, 60.0), 2)
    assert max(part.shape[1:]) <= 100 and inside.side == 60
    assert (303 - inside.x) % 2 == 0 == (210 - inside.y) % 2

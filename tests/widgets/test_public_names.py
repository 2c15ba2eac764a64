"""`from anonlib.widgets import NAME` works for every widget."""

from __future__ import annotations

import pytest

from anonlib import widgets


def test_every_public_name_can_be_imported() -> None:
    assert all(callable(getattr(widgets, name)) for name in dir(widgets))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        widgets.nothing  # noqa: B018

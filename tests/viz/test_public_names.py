"""`from anonlib.viz import NAME` works for every figure and text table."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anonlib import viz


def test_every_public_name_can_be_imported() -> None:
    assert all(callable(getattr(viz, name)) for name in dir(viz))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'plot_nothing'"):
        viz.plot_nothing  # noqa: B018


def test_text_tables_load_no_matplotlib() -> None:
    code = "import sys; from anonlib.viz import format_table, style; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

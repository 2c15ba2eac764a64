"""The environment says the same thing everywhere, and the training path needs little."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^[\s-]*([A-Za-z][\w.-]*)==([\w.]+)$", re.MULTILINE)

TRAINING_PATH = ("networks", "losses.py", "data", "world", "training", "anonymizers", "metrics")
ALLOWED = {"anonlib", "torch", "torchvision", "numpy", "PIL", "tqdm", "safetensors"}


def pins(file: str) -> dict[str, str]:
    return dict(PIN.findall((ROOT / file).read_text()))


def test_conda_installs_the_pins_of_constraints() -> None:
    conda, everywhere = pins("environment.yml"), pins("constraints.txt")
    assert set(conda) == {
        "torch",
        "torchvision",
        "facenet-pytorch",
        "jupyterlab",
        "ipywidgets",
        "matplotlib",
        "pandas",
        "gdown",
        "nbval",
    }
    assert conda.items() <= everywhere.items()


def imported_at_the_top(source: str) -> Iterator[str]:
    """Packages that importing this module imports; functions and type checks wait."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


def test_imports_are_found_where_they_count() -> None:
    source = "import a.b\nfrom c.d import e\ndef f():\n    import g\n"
    assert list(imported_at_the_top(source)) == ["a", "c"]


@pytest.mark.parametrize("package", TRAINING_PATH)
def test_training_path_imports_little(package: str) -> None:
    """So that it runs on a bare GPU machine."""
    room = ROOT / "anonlib" / package
    files = [room] if room.is_file() else sorted(room.rglob("*.py"))
    assert files
    for file in files:
        found = set(imported_at_the_top(file.read_text()))
        assert found - ALLOWED <= sys.stdlib_module_names, file

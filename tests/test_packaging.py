"""The environment says the same thing everywhere, and the training path needs little."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import anonlib

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


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import time; start = time.perf_counter(); import anonlib; took = time.perf_counter() - start\n"
        "import sys; print(took, *sorted({'torch', 'numpy', 'torchvision', 'PIL'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    took, *heavy = run.stdout.split()
    assert not heavy and float(took) < 0.3


def test_every_public_name_is_there_and_is_that_of_its_module() -> None:
    assert set(anonlib.__all__) == {name for held in anonlib._MODULES.values() for name in held}
    assert set(anonlib.__all__) <= set(dir(anonlib))
    for module, held in anonlib._MODULES.items():
        for name in held:
            found = getattr(anonlib, name)
            assert callable(found) and found.__module__.startswith(f"anonlib.{module}"), name
    with pytest.raises(AttributeError, match="'anonlib' has no attribute 'unknown'"):
        anonlib.unknown  # noqa: B018


def test_faces_are_hidden_with_public_names_alone() -> None:
    faces = anonlib.synthetic_faces([0], images=1, size=32, seed=0).images
    assert not anonlib.create("mask")(faces / 255).any()

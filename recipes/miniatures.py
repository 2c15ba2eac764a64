"""What the trainings of CIAGAN, live de-identification and FIT share: options, record, data and pictures."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from anonlib.config import to_dict
from recipes.pretrain import SEED, WEIGHTS, recorded, write_record

RUN: dict[str, Any] = {"seed": SEED, "report": partial(print, flush=True), "progress": False}
"""How each loop runs; see `anonlib.training.loop.RunOptions`."""
FOLDERS = ("out", "checkpoints")


def options(description: str | None, **numbers: float) -> argparse.Namespace:
    """The command's options: a number each, with its default, and two folders, which are made."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in numbers.items():
        parser.add_argument(_flag(name), type=type(default), default=default)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--checkpoints", type=Path, default=Path("checkpoints"))
    chosen = parser.parse_args()
    for folder in FOLDERS:
        getattr(chosen, folder).mkdir(parents=True, exist_ok=True)
    return chosen


def run(
    name: str, chosen: argparse.Namespace, settings: Any, *, steps: int, train: Callable[[], dict[str, Any]]
) -> None:
    """Trains, and writes `NAME.json` beside the weights: command, settings and what `train` returns."""
    numbers = {key: value for key, value in vars(chosen).items() if key not in FOLDERS}
    given = [f"{_flag(key)} {value}" for key, value in numbers.items()]
    record = recorded(" ".join([f"python -m recipes.train_{name}", *given]), steps=steps, train=train)
    write_record(chosen.out / f"{name}.json", record | {"settings": to_dict(settings)})


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def kept(path: Path, draw: Callable[[], list[Tensor]]) -> list[Tensor]:
    """Tensors that are drawn once and kept in a file."""
    if not path.exists():
        torch.save(draw(), path)
    return torch.load(path, weights_only=True)


def save_sheet(rows: Sequence[Tensor], path: Path, **how: Any) -> None:
    """A picture of faces: `rows` of `(N, 3, S, S)` float in [0, 1], from top to bottom."""
    picture = torch.cat([torch.cat(list(row), 2) for row in rows], 1)
    Image.fromarray((picture * 255).round().byte().movedim(0, 2).numpy()).save(path, **how)

"""Draws the README's pictures: Fig. 4 of a run, and Fig. 3 and Fig. 5 on synthetic people.

    python -m recipes.draw_pictures results/laptop
    python -m recipes.draw_pictures results/jhmdb-split1

A folder with several runs gets Fig. 4 of one of them, of one with `--full` if there is any, and test people
by the M that ships, M-state-trained.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from anonlib.anonymizers import create, names
from anonlib.anonymizers.frames import anonymize_frames
from anonlib.assets import data_path
from anonlib.config import profile
from anonlib.networks import Modifier
from anonlib.training import start
from anonlib.types import ActionFrames
from anonlib.viz import plot_baselines, plot_before_after, plot_by_attacker, plot_privacy_utility
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople, synthetic_faces


def portraits(people: int, *, size: int) -> Tensor:
    """One picture of each of the first test people."""
    unseen = SyntheticPeople().people("test")[:people]
    return synthetic_faces(unseen, images=1, size=size, seed=0).images / 255


def scenes(clips: int = 6) -> ActionFrames:
    """One frame of each of the first test clips."""
    return render_clips(clips=clips, frames=1, split="test", seed=0, size=(144, 192), heads=SyntheticPeople())


def draw_figure4(run: Path, folder: Path) -> None:
    """Fig. 4 from the run's tables."""
    figure4, mixtures = pd.read_csv(run / "figure4.csv"), run / "mixtures.csv"
    paper = pd.read_csv(data_path("paper", "figure4.csv"))
    if figure4["paper_action_map"].isna().all():  # other actions than those of the paper's numbers
        paper = None
    curves = pd.read_csv(mixtures) if mixtures.exists() else None
    figure = plot_privacy_utility(figure4, paper=paper, mixtures=curves)
    if (run / "strongest.csv").exists():
        figure = plot_by_attacker(pd.read_csv(run / "strongest.csv"), figure4, mixtures=curves)
    save(figure, folder / "figure4.png", dpi=200)


@torch.inference_mode()
def draw_people(folder: Path, modifier: Modifier) -> None:
    """Fig. 3 and Fig. 5, faces and frames."""
    faces = portraits(12, size=modifier.config.size)
    hidden = {name: create(name, modifier, seed=0)(faces[:3]) for name in names()}
    save(plot_baselines(hidden), folder / "baselines.png", dpi=100)
    after = create("modifier", modifier, seed=0)(faces)
    save(plot_before_after(faces, after), folder / "before_after.png", dpi=100)
    clear = scenes()
    frames = clear.frames / 255
    changed = anonymize_frames(frames, clear.face_boxes, create("modifier", modifier, seed=0))
    save(plot_before_after(frames, changed, pairs=2), folder / "clips.png", dpi=200)


def save(figure: Figure, path: Path, *, dpi: int) -> None:
    """Writes a figure with 256 colours, a third of the size."""
    figure.savefig(path, dpi=dpi)
    with Image.open(path) as picture:
        few = picture.convert("RGB").quantize(256)
    few.save(path, optimize=True)


def main(folder: Path) -> None:
    """Draws what the folder has the data for."""
    runs = sorted(folder.glob("seed*"))
    full = [run for run in runs if (run / "strongest.csv").exists()]
    draw_figure4(next(iter(full or runs), folder), folder)
    if runs:
        draw_people(folder, start.trained_modifier(profile("laptop")))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="results of a run; the pictures are written here")
    main(parser.parse_args().folder)

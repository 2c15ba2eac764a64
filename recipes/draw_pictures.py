"""Draw the README's pictures from a finished run: Fig. 3, Fig. 4 and Fig. 5 on synthetic people.

    python -m recipes.draw_pictures results/laptop
    python -m recipes.draw_pictures results/anonymizer

The pictures are written into the run's folder, which must hold figure4.csv. Without weights/, as in the
recorded runs, only Fig. 4 is drawn. A folder without figure4.csv gets pictures made by the shipped
M-state-trained. All people shown are test people.
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
from anonlib.anonymizers.learned import load_modifier
from anonlib.assets import data_path
from anonlib.config import profile
from anonlib.networks import Modifier
from anonlib.training import start
from anonlib.types import ActionFrames
from anonlib.viz import plot_baselines, plot_before_after, plot_privacy_utility
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople, synthetic_faces


def modifier_of_run(folder: Path) -> Modifier:
    """M as the run left it."""
    return load_modifier(folder / "weights" / "modifier.safetensors")


def portraits(people: int, *, size: int) -> Tensor:
    """One picture of each of the first test people."""
    unseen = SyntheticPeople().people("test")[:people]
    return synthetic_faces(unseen, images=1, size=size, seed=0).images / 255


def scenes(clips: int = 6) -> ActionFrames:
    """One frame of each of the first test clips."""
    return render_clips(clips=clips, frames=1, split="test", seed=0, size=(144, 192), heads=SyntheticPeople())


def draw_figure4(folder: Path) -> None:
    """Fig. 4 from the run's table."""
    figure4 = pd.read_csv(folder / "figure4.csv")
    paper = pd.read_csv(data_path("paper", "figure4.csv"))
    if figure4["paper_action_map"].isna().all():  # other actions than those of the paper's numbers
        paper = None
    picture = plot_privacy_utility(figure4, paper=paper, line=True)
    picture.savefig(folder / "figure4.png", dpi=100)


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
    """Draw what the folder has the data for."""
    if not (folder / "figure4.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        return draw_people(folder, start.trained_modifier(profile("laptop")))
    draw_figure4(folder)
    if (folder / "weights" / "modifier.safetensors").exists():
        draw_people(folder, modifier_of_run(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="results of a run; the pictures are written here")
    main(parser.parse_args().folder)

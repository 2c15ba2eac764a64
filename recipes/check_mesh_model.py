"""Is anybody in `data/face_model/face_mesh_model.safetensors`? Prints distances to the nearest photographs.

    pip install 'anonlib[dlib]'
    python -m recipes.check_mesh_model --work WORK [--sheet sheet.png]

`swap` draws people over drawn people of `anonlib.world`, so no photograph takes part. For each, dlib's
recogniser finds the nearest photograph of a training person. The same is done for photographs of training
people, among those of all others. WORK is the folder in which `measure_swap clear` left the photographs'
features: at most four of each training person who has two or more.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.utils import make_grid
from tqdm import tqdm

from anonlib.anonymizers.swap import Swap
from anonlib.world.faces import PEOPLE, synthetic_faces
from recipes.attacked_pictures import CROP, Index, dlib_clear

STATISTICS = {"min": torch.min, "median": torch.median, "max": torch.max}


def draw(count: int) -> tuple[Tensor, Tensor]:
    """Drawn people whom `swap` has replaced, uint8 `(N, 3, S, S)`, and landmarks `(N, 5, 2)`."""
    faces = synthetic_faces(PEOPLE["test"][:count], images=1, size=CROP, seed=0)
    swap, images, replaced = Swap(), [], []
    for seed, image in enumerate(tqdm(faces.images, desc="people")):
        session = swap.session(seed)
        images.append(session.replace([image / 255], [0], [(0, 0)])[0])
        replaced.append(session.counts["swapped"] == 1)
    pictures = (torch.stack(images) * 255).round().to(torch.uint8)
    return pictures[replaced], faces.landmarks[replaced]


def nearest(features: Tensor, known: Tensor, same: Tensor | None = None) -> dict[str, float]:
    """Statistics of the distances of features `(N, D)` to the nearest of the known `(M, D)`.

    Args:
        same: `(N, M)` bool, pairs of one person, which do not count.
    """
    distances = torch.cdist(features, known)
    if same is not None:
        distances = distances.masked_fill(same, torch.inf)
    return {name: round(float(of(distances.amin(1))), 3) for name, of in STATISTICS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--people", type=int, default=300)
    parser.add_argument("--sheet", type=Path, help="where to show the first 40")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    train = Index(arguments.work, "train")
    images, landmarks = draw(arguments.people)
    if arguments.sheet:
        grid = make_grid(images[:40], nrow=10)
        Image.fromarray(grid.permute(1, 2, 0).numpy()).save(arguments.sheet)
    _, person = np.unique(train.people, return_inverse=True)
    chosen = np.random.default_rng(0).permutation(len(person))[: arguments.people]
    same = torch.from_numpy(person[chosen][:, None] == person)
    record = {
        "drawn people": len(images),
        "photographs": len(person),
        "training people": int(person.max()) + 1,
        "drawn to nearest photograph": nearest(
            torch.from_numpy(dlib_clear(images, landmarks)), train.features
        ),
        "photograph to nearest of another": nearest(train.features[chosen], train.features, same),
    }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

"""What share of a step of Algorithm 1 is spent waiting for data, with and without a thread ahead.

    python benchmarks/loading.py [--profile laptop] [--device cpu] [--steps 20] [--out FOLDER]

Faces and frames are noise of the profile's sizes, networks are random: the time of a step does not
depend on what they show. A step is timed twice, its batches prepared when they are asked for and
prepared in a thread while the step before runs. On a GPU the queue is emptied after every step,
and the utilisation that the driver reports (package nvidia-ml-py) is averaged over the run. Prints
JSON; `--out` keeps it in loading.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch
from torch.optim import Adam

from anonlib.ahead import ahead as run_ahead
from anonlib.config import Profile, profile
from anonlib.files import commit, hardware
from anonlib.geometry import CANONICAL_LANDMARKS
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import Players, update_classifier, update_modifier_and_detector
from anonlib.training.batches import face_batch, frame_batch
from anonlib.training.precision import layers_in
from anonlib.types import ActionFrames, FaceImages

PEOPLE, FACES, FRAMES, WARM = 100, 1000, 100, 3


def noise(size: Profile) -> tuple[FaceImages, ActionFrames]:
    """Data of the profile's sizes: an actor and a face in the middle of each frame."""
    side, (height, width) = size.modifier.size, size.detector.frame
    faces = FaceImages(
        images=torch.randint(0, 256, (FACES, 3, side, side), dtype=torch.uint8),
        labels=torch.arange(FACES) % PEOPLE,
        landmarks=(side * CANONICAL_LANDMARKS).expand(FACES, 5, 2).clone(),
    )
    actor = torch.tensor([[0.3 * width, 0.2 * height, 0.7 * width, 0.9 * height]])
    head = torch.tensor([[0.45 * width, 0.25 * height, 0.55 * width, 0.4 * height]])
    frames = ActionFrames(
        frames=torch.randint(0, 256, (FRAMES, 3, height, width), dtype=torch.uint8),
        boxes=[actor] * FRAMES,
        labels=[torch.tensor([k % 10]) for k in range(FRAMES)],
        face_boxes=[head] * FRAMES,
        landmarks=[torch.zeros(1, 5, 2)] * FRAMES,
        identities=[torch.tensor([0])] * FRAMES,
        clips=torch.arange(FRAMES) // 4,
    )
    return faces, frames


class Utilisation(threading.Thread):
    """The driver's own figure, five times a second, while the block runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: list[int] = []
        self.ended = threading.Event()

    def run(self) -> None:
        """Asks until the mean is wanted."""
        while not self.ended.wait(0.2):
            self.seen.append(torch.cuda.utilization())

    def mean(self) -> float:
        """Percent, and the end of the asking."""
        self.ended.set()
        self.join()
        return sum(self.seen) / max(1, len(self.seen))


def wait_for_gpu(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def measure(size: Profile, device: str, *, steps: int, ahead: bool) -> dict[str, Any]:
    """Milliseconds of a step, and the share of them in which its batches were waited for."""
    faces, frames = noise(size)
    training = size.training
    torch.manual_seed(0)
    p = Players(
        Modifier(size.modifier), SphereFace(size.classifier, people=PEOPLE), ActionDetector(size.detector)
    )
    networks = (p.modifier, p.classifier, p.detector)
    for network in networks:
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    m, d, a = (Adam(n.parameters(), lr=1e-4, betas=training.betas) for n in networks)

    def face(n: int) -> Any:
        return face_batch(faces, training.faces, seed=0, step=n, device=device)

    def frame(n: int) -> Any:
        return frame_batch(frames, training.frames, seed=0, step=n, device=device)

    sources = [map(make, range(WARM + steps)) for make in (face, frame)]
    if ahead:
        sources = [run_ahead(source, depth=1) for source in sources]
    waited, watch = 0.0, Utilisation()
    with layers_in(training.precision, *networks):
        for step in range(WARM + steps):
            if step == WARM:
                wait_for_gpu(device)
                begun, waited = time.perf_counter(), 0.0
                if device != "cpu":
                    watch.start()
            asked = time.perf_counter()
            f, v = (next(source) for source in sources)
            waited += time.perf_counter() - asked
            update_classifier(p, d, f, training, anneal=5.0)
            update_modifier_and_detector(p, (m, a), f, v, training, anneal=5.0)
            wait_for_gpu(device)
    seconds = time.perf_counter() - begun
    found = {"step_ms": round(1000 * seconds / steps, 1), "waiting_percent": round(100 * waited / seconds, 2)}
    return found if device == "cpu" else found | {"utilisation_percent": round(watch.mean(), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="laptop")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    chosen = profile(arguments.profile)
    record = {
        "command": " ".join(["python benchmarks/loading.py", *sys.argv[1:]]),
        "commit": commit(),
        "seed": 0,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(arguments.device),
        "torch": torch.__version__,
        "profile": chosen.name,
    }
    for name, ahead in (("asked_for", False), ("ahead", True)):
        record[name] = measure(chosen, arguments.device, steps=arguments.steps, ahead=ahead)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "loading.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

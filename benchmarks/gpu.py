"""Speed on a GPU: faces a second through M at 256 pixels, frames a second of a whole video.

    python benchmarks/gpu.py [--device cuda]

M is the paper's, nine blocks at width 64, in bfloat16, with random weights: its speed does not
depend on them. The video is 1280x720 with seven people who stay. Results go to
results/real/gpu.json. `--device cpu --size 32 --width 8 --frames 20` tries the script out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from clip import make_clip
from speed import RESULTS
from torch import Tensor, nn

from anonlib import detection
from anonlib.anonymizers.learned import LearnedAnonymizer
from anonlib.config import ModifierConfig
from anonlib.files import commit, hardware
from anonlib.networks import Modifier
from anonlib.video import Models, Settings, anonymize_video

WARM, PEOPLE = 3, 7


class Halved(nn.Module):
    """M in bfloat16; faces go in and come out as float."""

    def __init__(self, network: nn.Module, *, compiled: bool) -> None:
        super().__init__()
        network = network.eval().to(torch.bfloat16, memory_format=torch.channels_last)
        self.network = torch.compile(network, mode="max-autotune") if compiled else network

    def forward(self, faces: Tensor) -> Tensor:
        """Modified faces, of the shape and range of the faces."""
        small = faces.to(torch.bfloat16, memory_format=torch.channels_last)
        return self.network(small).float()


def seconds_of(work: Callable[[], object], device: str, *, repeats: int) -> float:
    """Seconds of one call, the device's queue emptied before and after."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(WARM):
        work()
    wait()
    start = time.perf_counter()
    for _ in range(repeats):
        work()
    wait()
    return (time.perf_counter() - start) / repeats


@torch.inference_mode()
def faces_a_second(modifier: nn.Module, size: int, device: str, *, batch: int) -> float:
    faces = torch.rand(batch, 3, size, size, device=device)
    return batch / seconds_of(lambda: modifier(faces), device, repeats=20)


def end_to_end(modifier: nn.Module, size: int, device: str, *, frames: int) -> dict[str, Any]:
    """A file to a file, after a first run that loads and compiles."""
    models = Models(
        detector=detection.create("ssh", device=device), anonymizer=LearnedAnonymizer(modifier, size=size)
    )
    settings = Settings(device=device, detector="ssh", overwrite=True)
    with tempfile.TemporaryDirectory() as folder:
        clip, out = Path(folder) / "clip.mp4", Path(folder) / "out.mp4"
        make_clip(clip, frames=frames, size=(720, 1280), people=(PEOPLE, PEOPLE))
        for _ in range(2):
            report = anonymize_video(clip, out, settings=settings, models=models)
    return {"fps": round(frames / report.seconds, 1), "faces_a_frame": report.faces / frames}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    config = ModifierConfig(size=arguments.size, width=arguments.width, blocks=9)
    compiled = arguments.device == "cuda"
    torch.manual_seed(0)
    modifier = Halved(Modifier(config), compiled=compiled).to(arguments.device)
    rate = faces_a_second(modifier, arguments.size, arguments.device, batch=arguments.batch)
    record = {
        "command": " ".join(["python benchmarks/gpu.py", *sys.argv[1:]]),
        "commit": commit(),
        "seed": 0,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(arguments.device),
        "torch": torch.__version__,
        "size": arguments.size,
        "batch": arguments.batch,
        "faces_a_second": round(rate, 1),
        "end_to_end": end_to_end(modifier, arguments.size, arguments.device, frames=arguments.frames),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "gpu.json").write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

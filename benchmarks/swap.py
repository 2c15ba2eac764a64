"""What `swap` costs and keeps: milliseconds a face beside `modifier-photo`, action mAP on drawn clips.

    OMP_NUM_THREADS=1 python benchmarks/swap.py

A face of 120 pixels goes 80 times through one session, as in a video. `swap` draws a calm face in every
second frame and shows it again in the next, so calls are timed in twos; half of the fastest two counts. The
action detector is A-start, which was trained on clear clips; the faces are anonymized at their true
boxes. Results go to results/real/swap-benchmark.json.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter

import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.anonymizers import create
from anonlib.anonymizers.swap import Swap
from anonlib.assets import shipped_weights
from anonlib.config import profile
from anonlib.experiment.actions import anonymize_clips, detect_actions, ground_truth
from anonlib.files import provenance, write_atomically
from anonlib.metrics.average_precision import average_precision
from anonlib.networks import ActionDetector
from anonlib.world.actions import render_clips
from anonlib.world.faces import SyntheticPeople, synthetic_faces

OUT = Path(__file__).resolve().parents[1] / "results" / "real" / "swap-benchmark.json"
REPEATS, CLIPS, FRAMES = 40, 40, 4


def milliseconds(crop: Tensor) -> dict[str, float]:
    """Half of the fastest two calls in a row with one face, by method."""
    sessions = {f"swap {extent}": Swap(extent=extent).session(0) for extent in ("face", "head")}
    photo = create("modifier-photo")
    calls: dict[str, Callable[[], object]] = {
        name: partial(session.replace, [crop], [0], [(0, 0)]) for name, session in sessions.items()
    }
    calls["modifier-photo"] = partial(photo, crop[None])
    times = {name: [two_calls(call) for _ in range(REPEATS)] for name, call in calls.items()}
    return {name: round(1000 * min(values) / 2, 1) for name, values in times.items()}


def two_calls(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    call()
    return perf_counter() - start


def action_map() -> dict[str, float]:
    """mAP at IoU 0.5 on drawn test clips, clear and anonymized."""
    config = profile("laptop").detector
    detector = ActionDetector(config)
    detector.load_state_dict(shipped_weights("A-start", config))
    clips = render_clips(clips=CLIPS, frames=FRAMES, split="test", seed=0, heads=SyntheticPeople())
    truth, found = ground_truth(clips), {"clear": clips}
    found |= {name: anonymize_clips(clips, create(name)) for name in ("swap", "modifier-photo", "mask")}
    return {
        name: round(float(average_precision(detect_actions(detector, frames), truth).mean), 4)
        for name, frames in found.items()
    }


def main() -> None:
    torch.set_num_threads(1)
    person = SyntheticPeople().people("test")[:1]
    face = synthetic_faces(person, images=1, size=240, seed=0).images / 255
    record = {
        **provenance(command="python benchmarks/swap.py", seed=0, device="cpu"),
        "milliseconds a face": milliseconds(F.interpolate(face, (240, 240))[0]),
        "action mAP": action_map(),
        "frames": CLIPS * FRAMES,
    }
    write_atomically(OUT, (json.dumps(record, indent=2) + "\n").encode())
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

"""CPU time of each thread of `anonlib anonymize` in a video, in ms a frame.

    python benchmarks/speed_threads.py CLIP.mp4

The clip comes from `benchmarks/clip.py`. Times are of `time.thread_time`, so they mean something on a
busy machine too, although caches that others fill make them longer. Results go to
results/real/speed-threads.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any

from anonlib.ahead import ahead
from anonlib.config import DETECTOR, METHOD
from anonlib.files import commit, hardware
from anonlib.video import Settings, anonymize_video, stream, videos
from anonlib.video.settings import load_models

RECORD = Path(__file__).resolve().parent.parent / "results" / "real" / "speed-threads.json"
STEPS = {
    "pictures": "decoder, and frames handed to it",
    "_observe": "detector and small pictures",
    "_track": "tracker",
    "_read": "cutting faces out and reading them",
    "_replace": "drawing faces and pasting them",
}
"""What a thread does, by the generator that runs in it."""


def watch(spent: dict[str, float]) -> None:
    """Lets the threads of the program add their CPU seconds."""

    def timed(iterable: Iterable[Any], name: str) -> Generator[Any, None, None]:
        start = time.thread_time()
        try:
            yield from iterable
        finally:
            spent[STEPS[name]] = time.thread_time() - start

    def watched(iterable: Iterable[Any], depth: int) -> Generator[Any, None, None]:
        return ahead(timed(iterable, getattr(iterable, "__name__")), depth)  # noqa: B009

    stream.ahead = videos.ahead = watched  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RECORD)
    arguments = parser.parse_args()
    settings = Settings(seed=arguments.seed, device="cpu")
    models, spent, load = load_models(settings), dict[str, float](), os.getloadavg()[0]
    watch(spent)
    with tempfile.TemporaryDirectory() as folder:
        clock, cores, own = time.perf_counter(), time.process_time(), time.thread_time()
        report = anonymize_video(arguments.clip, Path(folder) / "out.mp4", settings=settings, models=models)
        clock, cores = time.perf_counter() - clock, time.process_time() - cores
        spent["handing frames to the encoder"] = time.thread_time() - own
    spent["threads of encoder and decoder"] = cores - sum(spent.values())
    record = {
        "command": f"python benchmarks/speed_threads.py {arguments.clip.name}",
        "commit": commit(),
        "seed": arguments.seed,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "cores": os.cpu_count(),
        "load_before": load,
        "method": METHOD,
        "detector": DETECTOR,
        "frames": report.frames,
        "faces": report.faces,
        "ways": report.ways,
        "cpu_ms_a_frame": {
            name: round(1000 * seconds / report.frames, 1)
            for name, seconds in {"all": cores, **spent}.items()
        },
        "cores_busy": round(cores / clock, 2),
    }
    arguments.out.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()

"""Does memory grow with the length of a video? Peak of `anonlib anonymize` on 3 and 30 minutes.

    python benchmarks/memory.py [--minutes 30] [--size 640x360] [--method swap]

A short clip of `benchmarks/clip.py` is repeated without being encoded anew. Results go to
results/real/memory.csv and .json.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av
import torch
from clip import RATE
from speed import ANONLIB, RESULTS

from anonlib.files import commit, hardware


def repeated(clip: Path, out: Path, times: int) -> None:
    """Writes the packets of a clip so many times, one after the other."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [p for p in source.demux(video=0) if p.dts is not None]
        first = min(p.dts for p in packets)
        length = sum(p.duration for p in packets)
        stamps = [(p.pts, p.dts) for p in packets]
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.stream = stream
                packet.time_base = source.streams.video[0].time_base
                packet.pts, packet.dts = pts - first + turn * length, dts - first + turn * length
                target.mux(packet)


def watched(command: list[str]) -> dict[str, float]:
    """Seconds and peak memory of a process, in MB.

    Raises:
        SystemExit: it failed.
    """
    start, peak = time.perf_counter(), 0.0
    with subprocess.Popen(command) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            peak = max([peak, *map(float, re.findall(r"VmHWM:\s*(\d+) kB", status.read_text()))])
            time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(command)}")
    return {"seconds": time.perf_counter() - start, "peak_mb": peak / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--seconds", type=int, default=10, help="of the clip that is repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--method", default="swap")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clip, long, out = (Path(folder) / f"{name}.mp4" for name in ("clip", "long", "out"))
        make = [sys.executable, str(Path(__file__).with_name("clip.py")), str(clip)]
        make += ["--size", arguments.size, "--seed", str(arguments.seed)]
        subprocess.run([*make, "--frames", str(arguments.seconds * RATE)], check=True)
        for minutes in (arguments.minutes / 10, arguments.minutes):
            repeated(clip, long, max(1, round(minutes * 60 / arguments.seconds)))
            ours = [sys.executable, "-c", ANONLIB, "anonymize", str(long), "-o", str(out)]
            run = watched([*ours, "--overwrite", "--device", "cpu", "--method", arguments.method])
            rows.append(
                {
                    "minutes": minutes,
                    "size": arguments.size,
                    "method": arguments.method,
                    **{key: round(value, 1) for key, value in run.items()},
                }
            )
            print(rows[-1], flush=True)
    record = {
        "command": " ".join(["python benchmarks/memory.py", *sys.argv[1:]]),
        "commit": commit(),
        "seed": arguments.seed,
        "date": time.strftime("%Y-%m-%d"),
        "hardware": hardware(),
        "grows_mb": round(rows[1]["peak_mb"] - rows[0]["peak_mb"], 1),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    with (arguments.out / "memory.csv").open("w") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    (arguments.out / "memory.json").write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()

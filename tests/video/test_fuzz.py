"""Five hundred damaged files: no crash, no hang, no clear frame."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

COUNT, WORKERS, SECONDS = 500, 2, 300


def bright(index: int) -> np.ndarray:
    """Never darker than 180, with something to see."""
    y, x = np.mgrid[:48, :64]
    one = 215 + 35 * np.sin(x / 6 + index) * np.cos(y / 5)
    return np.stack([one, one, one], 2).astype(np.uint8)


def seeds(folder: Path) -> list[Path]:
    """One sound file of each kind."""
    folder.mkdir()
    found = []
    for name, codec in [
        ("a.mp4", "libx264"),
        ("b.mkv", "libx264"),
        ("c.avi", "mpeg4"),
        ("d.ts", "mpeg2video"),
        ("e.webm", "libvpx-vp9"),
        ("f.mov", "mjpeg"),
    ]:
        with av.open(str(folder / name), "w") as out:
            stream: Any = out.add_stream(codec, rate=25)
            stream.width, stream.height, stream.codec_context.gop_size = 64, 48, 4
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for index in range(8):
                frame = av.VideoFrame.from_ndarray(bright(index), format="rgb24")
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        found.append(folder / name)
    pictures = [Image.fromarray(bright(i)) for i in range(3)]
    for name in ("g.jpg", "h.png", "i.webp", "j.tif", "k.gif"):
        many = {"save_all": True, "append_images": pictures[1:]} if name[0] in "jk" else {}
        pictures[0].save(folder / name, **many)
        found.append(folder / name)
    return found


def mutated(content: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, cut off, cut out, or spliced with another file."""
    data = bytearray(content)
    at = int(rng.integers(len(data)))
    match int(rng.integers(5)):
        case 0:
            for place in rng.integers(len(data), size=int(rng.integers(1, 30))):
                data[place] = int(rng.integers(256))
        case 1:
            del data[at:]
        case 2:
            del data[at : at + int(rng.integers(1, 400))]
        case 3:
            data[at:] = other[int(rng.integers(len(other))) :]
        case 4:
            length = int(rng.integers(1, 200))
            data[at : at + length] = rng.bytes(length)
    return bytes(data)


@pytest.mark.slow
def test_damaged_files_neither_crash_nor_hang_nor_show_a_face(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    contents = [(path.suffix, path.read_bytes()) for path in seeds(tmp_path / "seeds")]
    folders = [tmp_path / str(worker) for worker in range(WORKERS)]
    for folder in folders:
        folder.mkdir()
    for index in range(COUNT):
        suffix, content = contents[index % len(contents)]
        _, other = contents[int(rng.integers(len(contents)))]
        name = folders[index % WORKERS] / f"{index:03}{suffix}"
        name.write_bytes(mutated(content, other, rng))
    script = str(Path(__file__).with_name("fuzzing.py"))
    workers = [
        subprocess.Popen(
            [sys.executable, script, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for folder in folders
    ]
    outcomes: Counter[str] = Counter()
    try:
        for worker in workers:
            said, error = worker.communicate(timeout=SECONDS)
            assert worker.returncode == 0, f"{said[-100:]}\n{error[-2000:]}"
            outcomes.update(line.split()[1] for line in said.splitlines())
    finally:
        for worker in workers:
            worker.kill()
    assert sum(outcomes.values()) == COUNT
    assert outcomes["done"] > 50 and outcomes["partial"] > 20 and outcomes["refused"] > 50

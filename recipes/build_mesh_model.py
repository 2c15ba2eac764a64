"""Makes `data/face_model/face_mesh_model.safetensors`, the statistics from which `swap` draws people.

    python -m recipes.build_mesh_model --lfw datasets/lfw --faces celeba-ids --work WORK

Six steps: meshes of all training pictures; upright shapes; what changes with the expression; skin textures
in the plane of the mesh; their principal components; the most likely look for given surroundings. Nobody in
a pair of LFW's folds 5 to 10 is used. WORK keeps the meshes and the textures, which are private; a second
run goes on from them.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from tqdm import tqdm

from anonlib.anonymizers.swap.model import TEXTURE, MeshModel, expression_measures, mesh_model_file
from anonlib.anonymizers.swap.person import context
from anonlib.anonymizers.swap.render import fill_polygon
from anonlib.anonymizers.swap.state import State, read_state, similarity, turn
from anonlib.data.face_folders import FaceFolder
from anonlib.data.images import read_image
from anonlib.data.lfw import people_in_folds
from anonlib.detection.mesh import MeshLandmarks
from anonlib.files import provenance, write_atomically
from anonlib.networks.face_mesh import POINTS, topology

HELD_BACK = range(5, 11)
"""Folds of LFW: 5 is for choices, 6 to 10 for measuring."""
CERTAIN = 0.9
"""Smallest score of a mesh."""
PICTURES, COMPONENTS, SHAPES = 7000, 100, 6
MOST_YAW, MOST_PITCH, EXPRESSION_YAW = 22.0, 18.0, 25.0
"""Largest turn in degrees of a face whose texture, or expression, is used; pitch from the median."""
OPEN = 0.13
"""Smallest opening of the mouth at which its inside is seen."""
BLUR = 18.0
"""Standard deviation in pixels of the texture of the blur that is taken for light."""
UNLIKE, OCCLUDED, BOX = 0.2, 0.3, 9
"""Mean residual in a box of pixels that is taken for hair or an object, and the largest share of such."""
RIDGE = 100.0
INNER_LIPS = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
MIRRORED_MEASURES = (0, 1, 2, 4, 3, 6, 5)
_FLIP = torch.tensor([-1.0, 1, 1])


class Faces(NamedTuple):
    """N training pictures and their meshes."""

    paths: list[Path]
    people: np.ndarray
    """`(N,)` names."""
    points: Tensor
    """`(N, 468, 3)` pixels."""


class Split(NamedTuple):
    """How values `(N, D)` differ within and between people."""

    differences: Tensor
    """`(N, D)` from the mean of the person's pictures."""
    within: Tensor
    """`(D, D)` covariance."""
    between: Tensor
    """`(D, D)` covariance of people's means, less what is due to few pictures."""


class Plane(NamedTuple):
    """The plane of the textures."""

    uv: Tensor
    """`(468, 2)` places of the points in [0, 1]."""
    inside: Tensor
    """`(H, W)` bool; n pixels belong to the face."""
    corners: Tensor
    """`(n, 3)` the points of the triangle around each pixel."""
    weights: Tensor
    """`(n, 3)` of these points."""


def find_meshes(lfw: Path, others: list[Path]) -> Faces:
    """The meshes of all pictures of training people in which a face is seen clearly."""
    excluded = people_in_folds(lfw, HELD_BACK)
    folders = [FaceFolder(root) for root in (lfw, *others)]
    listed = [
        (f"{index} {name}", path)
        for index, folder in enumerate(folders)
        for name in folder.people
        if index or name not in excluded
        for path in folder.pictures(name)
    ]
    find, kept, points = MeshLandmarks(), [], []
    for one in tqdm(listed, desc="meshes"):
        picture = read_image(one[1]).float() / 255
        y, x = (side // 12 for side in picture.shape[1:])
        found, score = find([picture[:, y:-y, x:-x]])
        if score[0] > CERTAIN:
            kept.append(one)
            points.append(found[0] + torch.tensor([x, y, 0]))
    return Faces([path for _, path in kept], np.array([name for name, _ in kept]), torch.stack(points))


def mirror_index(shape: Tensor) -> Tensor:
    """`(P,)` which point of a nearly symmetric shape `(P, 3)` each of its points becomes in a mirror."""
    flipped, index = shape * _FLIP, torch.arange(len(shape))
    for _ in range(5):
        index = torch.from_numpy(linear_sum_assignment(torch.cdist(flipped, shape).numpy())[1])
        rotation, scale, place = similarity(shape[index][None].double(), flipped[None].double())
        flipped = (((flipped - place[0]) @ rotation[0]) / scale[0]).float()
    return index


def upright(points: Tensor, rest: Tensor) -> tuple[Tensor, State]:
    """Shapes without turn, size and place, `(N, 468, 3)`, and what was taken away."""
    rotation, scale, place = similarity(rest.expand_as(points).double(), points.double())
    shapes = (points - place[:, None]) @ rotation / scale[:, None, None]
    none = torch.zeros(len(points), len(MIRRORED_MEASURES))
    return shapes.float(), State(rotation.float(), scale.float(), place.float(), none)


def mean_shape(points: Tensor) -> tuple[Tensor, Tensor]:
    """The mean shape of nearly frontal faces, symmetric, with a median pitch of 0; and its mirror index."""
    rest, mirror = points[0] - points[0].mean(0), torch.arange(POINTS)
    for step in range(10):
        rest = rest / rest.square().sum(1).mean().sqrt()
        shapes, state = upright(points, rest)
        rest = shapes[state.rotation[:, 2, 2] > 0.95].mean(0)
        if step >= 3:
            mirror = mirror_index(rest)
            across = rest - rest[mirror]
            across = (across * across[:, :1].sign())[across.norm(dim=1) > 0.3].mean(0)
            rest = rest @ _frame(across).T
            rest = rest @ _nod(float(turn(upright(points, rest)[1])[:, 1].median()))
            rest = rest - rest.mean(0)
            rest = (rest + rest[mirror] * _FLIP) / 2
    return rest / rest.square().sum(1).mean().sqrt(), mirror


def _frame(across: Tensor) -> Tensor:
    """`(3, 3)` rows right, down and away, where right is this direction."""
    right = across / across.norm()
    down = torch.tensor([0.0, 1, 0]) - right * right[1]
    down = down / down.norm()
    return torch.stack([right, down, torch.linalg.cross(right, down)])


def _nod(angle: float) -> Tensor:
    """Matrix `(3, 3)` by which a shape is multiplied from the right to undo a pitch in radians."""
    cos, sin = math.cos(angle), math.sin(angle)
    return torch.tensor([[1.0, 0, 0], [0, cos, sin], [0, -sin, cos]])


def split(values: Tensor, people: np.ndarray, *, several: int = 5, many: int = 8) -> Split:
    """Within: people with `several` pictures or more; between: those with `many`."""
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    number = torch.from_numpy(counts)
    means = torch.zeros(len(counts), values.shape[1]).index_add_(0, torch.from_numpy(person), values)
    means /= number[:, None]
    differences = values - means[torch.from_numpy(person)]
    rows = differences[torch.from_numpy(counts[person] >= several)]
    within = rows.T @ rows / (len(rows) - int((number >= several).sum()))
    known = number >= many
    return Split(differences, within, torch.cov(means[known].T) - within * (1 / number[known]).mean())


def expression_changes(shapes: Tensor, people: np.ndarray, rows: Tensor, mirror: Tensor) -> Tensor:
    """`(7, 468, 3)` change of the shape with each measure within people, symmetric."""
    causes = split(expression_measures(shapes), people).differences[rows]
    changes = split(shapes.flatten(1), people).differences[rows]
    found = torch.linalg.lstsq(causes, changes).solution.unflatten(1, (POINTS, 3))
    return (found + found[list(MIRRORED_MEASURES)][:, mirror] * _FLIP) / 2


def identity_shapes(between: Tensor, mirror: Tensor) -> Tensor:
    """`(6, 468, 3)` the leading differences between people, one standard deviation each, symmetric."""
    variance, directions = torch.linalg.eigh(between)
    best = directions.flip(1)[:, :SHAPES] * variance.flip(0)[:SHAPES].clamp(min=0).sqrt()
    shapes = best.T.unflatten(1, (POINTS, 3))
    return (shapes + shapes[:, mirror] * _FLIP) / 2


def texture_places(rest: Tensor, expression: Tensor, spread: Tensor) -> Tensor:
    """`(468, 2)` places of the points in the texture in [0, 1]; mouth and eyes are a little open."""
    opened = rest + 1.2 * spread[0] * expression[0] + 0.5 * spread[3] * (expression[3] + expression[4])
    flat = torch.stack([torch.atan2(opened[:, 0], 2.2 - opened[:, 2]), opened[:, 1]], 1)
    low, high = flat.amin(0), flat.amax(0)
    sides = torch.tensor([TEXTURE[1], TEXTURE[0]])
    return ((flat - low) / (high - low) * (sides - 9) + 4.5) / sides


def texture_plane(uv: Tensor, triangles: Tensor) -> Plane:
    """Finds the triangle of each pixel and the weights of its corners."""
    height, width = TEXTURE
    places = uv * torch.tensor([width, height])
    owner = torch.full(TEXTURE, -1)
    for index, triangle in enumerate(places[triangles]):
        owner[fill_polygon(triangle, height=height, width=width)] = index
    inside = owner >= 0
    corners = triangles[owner[inside]]
    pixels = inside.nonzero().flip(1) + 0.5
    a, b, c = places[corners].unbind(1)
    sides = torch.stack([b - a, c - a], 2)
    two = torch.linalg.solve(sides, (pixels - a)[..., None])[..., 0]
    return Plane(uv, inside, corners, torch.cat([1 - two.sum(1, keepdim=True), two], 1))


def unrolled(picture: Tensor, points: Tensor, plane: Plane) -> Tensor:
    """The skin `(3, H, W)` of a face in a picture `(3, h, w)`, in the plane; 0 outside."""
    size = torch.tensor([picture.shape[2], picture.shape[1]])
    places = (points[plane.corners, :2] * plane.weights[..., None]).sum(1) / size * 2 - 1
    seen = F.grid_sample(
        picture[None], places[None, None], mode="bicubic", padding_mode="border", align_corners=False
    )
    texture = torch.zeros(3, *TEXTURE)
    texture[:, plane.inside] = seen[0, :, 0].clamp(0, 1)
    return texture


def without_light(textures: Tensor, plane: Plane) -> Tensor:
    """`(B, D)` luma and two coarser colour differences of textures `(B, 3, H, W)`, relative to mean luma."""
    luma = torch.einsum("c,bchw->bhw", torch.tensor([0.299, 0.587, 0.114]), textures)
    blue, red = (textures[:, 2] - luma) * 0.564, (textures[:, 0] - luma) * 0.713
    planes, inside = torch.stack([luma, blue, red], 1), plane.inside.float()
    light = blurred(planes * inside) / (blurred(inside) + 1e-6)
    mean = luma[:, plane.inside].mean(1).clamp(min=0.15)
    detail = (planes - light) * inside / mean[:, None, None, None]
    colour = F.avg_pool2d(detail[:, 1:], 2)[:, :, plane.inside[::2, ::2]]
    return torch.cat([detail[:, 0, plane.inside], colour.flatten(1)], 1)


def blurred(planes: Tensor) -> Tensor:
    """A Gaussian over the last two axes, black outside."""
    for axis in (-1, -2):
        index = torch.arange(planes.shape[axis], dtype=torch.float32)
        kernel = torch.exp(-0.5 * ((index[:, None] - index) / BLUR).square())
        kernel /= kernel[len(kernel) // 2].sum()
        planes = planes @ kernel if axis == -1 else kernel @ planes
    return planes


def mouth_entries(plane: Plane) -> Tensor:
    """`(D,)` bool: the inside of the mouth in the rows of `without_light`."""
    height, width = TEXTURE
    corners = plane.uv[list(INNER_LIPS)] * torch.tensor([width, height])
    return entries(fill_polygon(corners, height=height, width=width)[None], plane)[0]


def entries(masks: Tensor, plane: Plane) -> Tensor:
    """Masks `(B, H, W)` in the order of the rows of `without_light`, `(B, D)`."""
    small = masks[:, ::2, ::2][:, plane.inside[::2, ::2]]
    return torch.cat([masks[:, plane.inside], small, small], 1)


def change_with(measures: Tensor, rows: Tensor, closed: Tensor, mouth: Tensor) -> Tensor:
    """`(1 + 7, D)` mean of the rows and their change with measures `(N, 7)`, by least squares.

    The entries `mouth` are learned from the pictures that are not `closed`.
    """
    causes = torch.cat([torch.ones(len(measures), 1), measures], 1)
    found = torch.zeros(causes.shape[1], rows.shape[1])
    found[:, ~mouth] = torch.linalg.lstsq(causes, rows[:, ~mouth]).solution
    found[:, mouth] = torch.linalg.lstsq(causes[~closed], rows[~closed][:, mouth]).solution
    return found


class Components(NamedTuple):
    """Principal components of rows `(N, D)`."""

    mean: Tensor
    basis: Tensor
    """`(D, K)` of length 1."""
    spread: Tensor
    """`(K,)` standard deviation of each."""
    good: Tensor
    """`(N,)` bool rows that were used: those with little in front of the face."""
    filled: Tensor
    """`(N, D)` the rows with what is in front replaced by what the components expect."""

    def scores(self) -> Tensor:
        """`(N, K)`."""
        return (self.filled - self.mean) @ self.basis


def robust_components(
    rows: Tensor, closed: Tensor, mouth: Tensor, plane: Plane, *, count: int, rounds: int = 3
) -> Components:
    """Components of skin without hair, glasses and hands: pixels that do not fit are replaced, and again."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(rows.shape[1], count + 10, generator=generator))[0]
    good, filled = torch.ones(len(rows), dtype=torch.bool), rows.clone()
    filled[closed[:, None] & mouth] = 0
    for step in range(rounds):
        mean = filled[good].mean(0)
        centred = filled[good] - mean
        for _ in range(2 if step else 3):
            basis = torch.linalg.qr(centred.T @ (centred @ basis))[0]
        values, turned = torch.linalg.svd(centred @ basis, full_matrices=False)[1:]
        basis, spread = basis @ turned.T, values / len(centred) ** 0.5
        del centred
        noise = spread[count].square()
        shares = []
        for part in torch.arange(len(rows)).split(250):
            scores = (filled[part] - mean) @ basis[:, :count]
            most = 3 * spread[:count]
            sure = spread[:count].square() / (spread[:count].square() + noise)
            expected = mean + (scores.clamp(-most, most) * sure) @ basis[:, :count].T
            unlike = misfit(rows[part] - expected, plane)
            shares.append(unlike[:, plane.inside].float().mean(1))
            replaced = entries(unlike, plane) | (closed[part, None] & mouth)
            filled[part] = torch.where(replaced, expected, rows[part])
        good = torch.cat(shares) < OCCLUDED
        print(f"round {step}: {int(good.sum())} of {len(rows)} textures are used", flush=True)
    return Components(mean, basis[:, :count], spread[:count], good, filled)


def misfit(residual: Tensor, plane: Plane) -> Tensor:
    """`(B, H, W)` bool: where the luma in residuals `(B, D)` is large in a box, and one box around."""
    planes = torch.zeros(len(residual), 1, *TEXTURE)
    planes[:, 0, plane.inside] = residual[:, : int(plane.inside.sum())].abs()
    for size in ((BOX, 1), (1, BOX)):
        planes = F.avg_pool2d(planes, size, stride=1, padding=(size[0] // 2, size[1] // 2))
    large = (planes > UNLIKE).float()
    for size in ((BOX, 1), (1, BOX)):
        large = F.max_pool2d(large, size, stride=1, padding=(size[0] // 2, size[1] // 2))
    return large[:, 0] > 0


def look_from_context(contexts: Tensor, scores: Tensor, people: np.ndarray) -> tuple[Tensor, Tensor, float]:
    """Ridge regression of scores `(N, K)` on contexts `(N, C)`: weights `(K, 1 + C)`, residual deviation
    `(K,)` and mean R2 of the first 20 components on one eighth of the people, who are held out.
    """
    names = np.unique(people)
    chosen = np.random.default_rng(0).choice(names, len(names) // 8, replace=False)
    held = torch.from_numpy(np.isin(people, chosen))
    mean = contexts[~held].mean(0)
    causes = torch.cat([torch.ones(len(contexts), 1), contexts - mean], 1).double()
    penalty = RIDGE * torch.eye(causes.shape[1], dtype=torch.float64)
    penalty[0, 0] = 0
    a, b = causes[~held], scores[~held].double()
    weights = torch.linalg.solve(a.T @ a + penalty, a.T @ b).float()
    residual = scores[held] - causes[held].float() @ weights
    explained = 1 - residual.square().mean(0) / scores[held].var(0, correction=0)
    look = weights.T.clone()
    look[:, 0] -= look[:, 1:] @ mean
    return look, residual.std(0, correction=0), float(explained[:20].mean())


def bytes_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows `(K, D)` as int8 and the scale of each, `(K,)`."""
    scale = rows.abs().amax(1) / 127
    return (rows / scale[:, None]).round().to(torch.int8), scale


def read_skin(faces: Faces, plane: Plane, half: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """The rows of `without_light` and the surroundings of faces; each picture is read once."""
    model, oval = cast(MeshModel, SimpleNamespace(**half)), topology().oval
    rows, contexts = [], []
    for path, points in zip(tqdm(faces.paths, desc="textures"), faces.points, strict=True):
        picture = read_image(path).float() / 255
        rows.append(without_light(unrolled(picture, points, plane)[None], plane)[0].half())
        contexts.append(context(picture, points[oval, :2], read_state(points[None], model)).half())
    return {"rows": torch.stack(rows).numpy(), "contexts": torch.stack(contexts).numpy()}


def build(faces: Faces, work: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of the file and what was measured on the way."""
    rest, mirror = mean_shape(faces.points)
    shapes, state = upright(faces.points, rest)
    yaw, pitch, _ = torch.rad2deg(turn(state)).unbind(1)
    measures = expression_measures(shapes)
    several = torch.from_numpy(_counts(faces.people) >= 5)
    expression = expression_changes(shapes, faces.people, several & (yaw.abs() < EXPRESSION_YAW), mirror)
    change = measures.mean(0) - expression_measures(rest[None])[0]
    parts = split(measures, faces.people)
    half = {
        "rest": rest + torch.einsum("e,epi->pi", change, expression),
        "expression": expression,
        "measures": measures.mean(0),
        "measures.spread": (parts.within + parts.between).diag().sqrt(),
        "shapes": identity_shapes(split(shapes.flatten(1), faces.people).between, mirror),
    }
    triangles = topology().triangles
    plane = texture_plane(texture_places(half["rest"], expression, half["measures.spread"]), triangles)
    frontal = (yaw.abs() < MOST_YAW) & ((pitch - pitch.median()).abs() < MOST_PITCH)
    used = frontal.nonzero()[:, 0].numpy()
    used = np.sort(np.random.default_rng(1).permutation(used)[:PICTURES])
    chosen = Faces([faces.paths[i] for i in used], faces.people[used], faces.points[used])
    skin = kept(work / "skin.npz", lambda: read_skin(chosen, plane, half))
    texture, record = texture_statistics(skin, chosen, measures[used] - half["measures"], half, plane)
    half |= {"uv": plane.uv, "inside": plane.inside.to(torch.uint8)}
    record |= {"meshes": len(faces.paths), "people": len(np.unique(faces.people))}
    return half | texture, record


def texture_statistics(
    skin: dict[str, np.ndarray], faces: Faces, measures: Tensor, half: dict[str, Tensor], plane: Plane
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of texture and look; measures `(N, 7)` are differences from the mean."""
    rows, mouth = torch.from_numpy(skin["rows"]).float(), mouth_entries(plane)
    closed = measures[:, 0] + half["measures"][0] < OPEN
    change = change_with(measures, rows, closed, mouth)
    rows -= torch.cat([torch.ones(len(rows), 1), measures], 1) @ change
    found = robust_components(rows, closed, mouth, plane, count=COMPONENTS + 10)
    spread = found.spread[:COMPONENTS]
    scores = found.scores()[:, :COMPONENTS] / spread
    good = found.good & (scores.abs().amax(1) < 6)
    contexts, people = torch.from_numpy(skin["contexts"]).float()[good], faces.people[good.numpy()]
    look, residual, explained = look_from_context(contexts, scores[good], people)
    basis, scale = bytes_of((found.basis[:, :COMPONENTS] * spread).T)
    changes, changes_scale = bytes_of(change[1:])
    tensors = {
        "texture.expression": changes,
        "texture.expression_scale": changes_scale,
        "texture.mean": change[0] + found.mean,
        "texture.scale": scale,
        "texture.basis": basis,
        "texture.spread": residual,
        "look": look.half(),
    }
    return tensors, {"textures": len(scores), "used": int(good.sum()), "look R2": round(explained, 3)}


def _counts(people: np.ndarray) -> np.ndarray:
    """`(N,)` how many pictures there are of the person in each."""
    _, person, counts = np.unique(people, return_inverse=True, return_counts=True)
    return counts[person]


def kept(path: Path, make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays from a file, which is made if it is missing."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **make())
    with np.load(path) as file:
        return dict(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lfw", type=Path, required=True)
    parser.add_argument("--faces", type=Path, nargs="*", default=[], help="folders with more training people")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=mesh_model_file())
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    def meshes() -> dict[str, np.ndarray]:
        found = find_meshes(arguments.lfw, arguments.faces)
        paths = np.array([str(path) for path in found.paths])
        return {"paths": paths, "people": found.people, "points": found.points.numpy()}

    arrays = kept(arguments.work / "meshes.npz", meshes)
    faces = Faces([Path(p) for p in arrays["paths"]], arrays["people"], torch.from_numpy(arrays["points"]))
    tensors, record = build(faces, arguments.work)
    command = " ".join(["python -m recipes.build_mesh_model", *sys.argv[1:]])
    record |= provenance(command=command, seed=0)
    content = save({k: v.contiguous() for k, v in tensors.items()}, metadata={"config": json.dumps({})})
    write_atomically(arguments.out, content)
    text = json.dumps(record, indent=2) + "\n"
    write_atomically(arguments.out.with_suffix(".json"), text.encode())
    print(text)


if __name__ == "__main__":
    main()

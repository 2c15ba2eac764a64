"""Face recognisers that try to see through an anonymizer: D, and one that training never met."""

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
"""Faces to `(N, F)` features of length one; the landmarks tell how the faces are aligned."""

NAMES = ("sphereface", "dlib")
CHIP = 150
"""Side of the face that dlib's network reads."""
BATCH = 64
_CHIP_LANDMARKS = [[0.3223, 0.3098], [0.6855, 0.3108], [0.5014, 0.5257], [0.3439, 0.71], [0.6608, 0.7085]]
"""Where MTCNN's landmarks lie in the faces that dlib cuts out itself, as shares of their side:
medians over 600 pictures of LFW's folds 1-5."""
_MODEL = "dlib_face_recognition_resnet_model_v1.dat"
_INSTALL = "recognizer 'dlib' needs dlib's models: pip install 'anonlib[dlib]'"


def names() -> tuple[str, ...]:
    """Every recogniser: D, which the modifier is trained against, and one it never met.

    >>> names()
    ('sphereface', 'dlib')
    """
    return NAMES


def create(name: str, *, device: str = "cpu") -> Recognizer:
    """The recogniser of that name.

    Args:
        name: one of `names()`.
        device: where D runs; dlib runs on the CPU.

    Raises:
        ConfigError: no recogniser has that name, or dlib's models are not installed.
        FaceDatasetError: the weights of D are missing.
        CheckpointError: the weights of D are damaged.
    """
    if name not in NAMES:
        raise ConfigError(f"recognizer '{name}' is unknown: use one of {', '.join(NAMES)}")
    if name == "dlib":
        return Dlib()
    return partial(face_features, recognizing_classifier(device=device))


def model_file(name: str) -> Path:
    """The file of a recogniser's weights.

    Raises:
        ConfigError: dlib's models are not installed.
        FaceDatasetError: the weights of D are missing.
    """
    return _dlib_model() if name == "dlib" else data_path("weights", "recognizer.safetensors")


def recognizing_classifier(path: Path | None = None, *, device: str = "cpu") -> SphereFace:
    """D of real faces, as it ships.

    Args:
        path: weights with their `ClassifierConfig` in the header; the shipped ones by default.
            Weights without identities serve as well: verification needs none.
        device: where it runs.

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


class Dlib:
    """dlib's face recogniser, a ResNet of 29 layers trained on three million faces (King, 2017).

    Differs from the paper: which has no second recogniser. dlib compares faces by Euclidean
    distance; here its features are brought to length one and compared by cosine as all others.
    """

    def __init__(self) -> None:
        """Loads the network.

        Raises:
            ConfigError: dlib's models are not installed.
        """
        self.network = DlibResNet(_dlib_model())

    @torch.inference_mode()
    def __call__(self, faces: FaceImages) -> np.ndarray:
        """Unit features `(N, 128)`."""
        out = [torch.zeros(0, 128)]
        for images, landmarks in zip(faces.images.split(BATCH), faces.landmarks.split(BATCH), strict=True):
            chips = face_chips(images, landmarks).float() / 255
            out.append(self.network(chips.contiguous(memory_format=torch.channels_last)))
        return F.normalize(torch.cat(out), dim=1).numpy()


def face_chips(images: Tensor, landmarks: Tensor) -> Tensor:
    """Faces as dlib's network was trained on them; uint8 `(N, 3, 150, 150)`.

    Args:
        images: `(N, 3, S, S)` uint8.
        landmarks: `(N, 5, 2)` xy pixels of MTCNN, which are not dlib's own five.
    """
    matrices = similarity_transform(landmarks, landmarks.new_tensor(_CHIP_LANDMARKS) * CHIP)
    chips = warp_affine(images.float(), matrices, (CHIP, CHIP))
    return chips.round().clamp(0, 255).to(torch.uint8)


def _dlib_model() -> Path:
    """The network's file, found without importing its package, which wants an old setuptools."""
    package = find_spec("face_recognition_models")
    for folder in (package and package.submodule_search_locations) or ():
        if (path := Path(folder, "models", _MODEL)).is_file():
            return path
    raise ConfigError(_INSTALL)

"""dlib's features of canonical crops, for teaching and for choosing people.

pip install 'anonlib[dlib]'
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import dlib
import numpy as np
import torch
from torch import Tensor

from anonlib.networks.dlib_resnet import DlibResNet


def model_file(name: str) -> Path:
    """A file of the package face_recognition_models, which is not imported."""
    spec = find_spec("face_recognition_models")
    if spec is None or spec.origin is None:
        raise SystemExit("error: pip install 'anonlib[dlib]'")
    return Path(spec.origin).parent / "models" / name


class Teacher:
    """dlib's 128 numbers of canonical face crops."""

    def __init__(self) -> None:
        self.points = dlib.shape_predictor(str(model_file("shape_predictor_5_face_landmarks.dat")))
        self.network = DlibResNet(model_file("dlib_face_recognition_resnet_model_v1.dat")).to(
            memory_format=torch.channels_last
        )

    def chip(self, crop: np.ndarray) -> np.ndarray:
        """The 150x150 chip that dlib cuts from a canonical crop `(S, S, 3)` uint8."""
        box = dlib.rectangle(*(int(share * len(crop)) for share in (0.25, 0.32, 0.75, 0.82)))
        return dlib.get_face_chip(crop, self.points(crop, box), 150, 0.25)

    @torch.inference_mode()
    def __call__(self, crops: Tensor) -> Tensor:
        """`(N, 3, S, S)` uint8 to `(N, 128)`."""
        pictures = np.ascontiguousarray(crops.permute(0, 2, 3, 1).numpy())
        chips = torch.from_numpy(np.stack([self.chip(picture) for picture in pictures]))
        inputs = chips.permute(0, 3, 1, 2).float() / 255  # channels last as it lies
        with torch.autocast("cpu", torch.bfloat16):
            return torch.cat([self.network(part).float() for part in inputs.split(32)])

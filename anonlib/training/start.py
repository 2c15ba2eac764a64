"""Where D, M and A start from: weights that ship, else training on the data of the run."""

from __future__ import annotations

from typing import TypeVar, Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model_weights

from anonlib.assets import data_path, load_weights, shipped_weights, trained_weights
from anonlib.config import ModifierConfig, Profile, to_dict
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.geometry import align_faces
from anonlib.networks import ActionDetector, Modifier, SphereFace, StateModifier
from anonlib.training.classifier import train_classifier
from anonlib.training.detector import train_detector
from anonlib.training.loop import RunOptions
from anonlib.types import ActionFrames, FaceImages

Network = TypeVar("Network", bound=nn.Module)
STARTS = {"identity": "M-start", "redraw": "M-redraw-start"}
"""Weights for the starts of an M that reads the picture: `identity` returns the face, `redraw` draws it as
another person."""
USUAL = {"picture": (STARTS["identity"],), "state": ("M-state-start", "M-photo-start")}
"""Default start weights by what M reads, for drawn and for real faces: the first that fit the shape of M."""


def starting_classifier(
    profile: Profile,
    faces: FaceImages,
    *,
    seed: int,
    synthetic: bool,
    device: str = "cpu",
    **options: Unpack[RunOptions],
) -> SphereFace:
    """D before Algorithm 1.

    D starts from the shipped recognizer of real faces if it has the profile's shape, as at `workstation`.
    Otherwise D starts from D-start if that fits, and is trained unless D-start knows all people. D-start
    knows `synthetic` people only.

    Implements Ren et al., section 4: D starts from weights pre-trained on a large face dataset.
    Differs from the paper: that dataset is CASIA-WebFace; D-start was trained on synthetic people, and the
    recognizer on other real faces, see data/weights/MODEL_CARD.md.
    """
    torch.manual_seed(seed)
    people = int(faces.labels.max()) + 1
    classifier = SphereFace(profile.classifier, people=people)
    tensors = shipped_weights("recognizer", profile.classifier)
    if tensors is not None:
        classifier.load_state_dict({**tensors, "identities": classifier.identities})
        return set_identities(on_device(classifier, device), faces)
    known = 0
    tensors = shipped_weights("D-start", profile.classifier)
    if tensors is not None:
        identities = tensors.pop("identities")
        known = len(identities) if synthetic else 0
        classifier.load_state_dict(tensors, strict=False)
        with torch.no_grad():
            classifier.identities[:known] = identities[:people][:known]
    classifier = on_device(classifier, device)
    if people > known:
        train_classifier(classifier, faces, profile.training, seed=seed, **options)
    return classifier


@torch.no_grad()
def set_identities(classifier: SphereFace, faces: FaceImages) -> SphereFace:
    """Sets each identity of D to the sum of the unit features of that person's faces."""
    classifier.eval()
    sums = torch.zeros_like(classifier.identities)
    device = sums.device
    for rows in torch.arange(len(faces)).split(64):
        images = (faces.images[rows].float() / 255).to(device)
        aligned = align_faces(images, faces.landmarks[rows].to(device), classifier.config.size)
        features = classifier(aligned.contiguous(memory_format=torch.channels_last))
        sums.index_add_(0, faces.labels[rows].to(device), F.normalize(features, dim=1))
    classifier.identities.copy_(sums)
    return classifier


def starting_modifier(
    profile: Profile, *, seed: int, start: str | None = None, device: str = "cpu"
) -> Modifier:
    """M before Algorithm 1, from the `modifier_weights`; random where there are none.

    Differs from the paper: the paper does not say how M is initialised; profile `paper` uses random weights.

    Raises:
        ConfigError: the profile has no such start.
    """
    torch.manual_seed(seed)
    modifier = new_modifier(profile.modifier)
    tensors = modifier_weights(profile, start)
    if tensors is not None:
        modifier.load_state_dict(tensors)
    return on_device(modifier, device)


def new_modifier(config: ModifierConfig) -> Modifier:
    """M of this shape with random weights."""
    return StateModifier(config) if config.reads == "state" else Modifier(config)


def modifier_weights(profile: Profile, start: str | None = None) -> dict[str, Tensor] | None:
    """The weights with which the profile's M starts; None for random ones.

    Args:
        start: `random`, or one of the `STARTS` for an M that reads the picture. By default the weights
            in `USUAL`, or random ones if none ship for the shape.

    Raises:
        ConfigError: no such start is known, or its weights do not ship for the profile's M.
    """
    if start is None:
        found = (shipped_weights(name, profile.modifier) for name in USUAL[profile.modifier.reads])
        return next((tensors for tensors in found if tensors is not None), None)
    if start == "random":
        return None
    if start not in STARTS:
        raise ConfigError(f"start '{start}' is unknown: use {', '.join(STARTS)} or random")
    tensors = shipped_weights(STARTS[start], profile.modifier)
    if tensors is None:
        raise ConfigError(
            f"--start {start}: no weights {STARTS[start]} ship for the M of profile '{profile.name}'; use "
            "--start random or another profile"
        )
    return tensors


def trained_modifier(profile: Profile, *, device: str = "cpu") -> Modifier:
    """M-state-trained: M-state after Algorithm 1, or ConfigError if it is not of the profile's shape.

    Implements Ren et al., Algorithm 1. Differs from the paper: synthetic people at 64 pixels, and an M that
    does not see the head, see data/weights/MODEL_CARD.md.
    """
    tensors = trained_weights("M-state-trained", profile.modifier)
    modifier = new_modifier(profile.modifier)
    modifier.load_state_dict(tensors)
    return on_device(modifier.eval(), device)


def trained_classifier(profile: Profile, *, device: str = "cpu") -> SphereFace:
    """D-state-trained: D after the training of M-state-trained, or ConfigError if it is of another shape."""
    tensors = trained_weights("D-state-trained", profile.classifier)
    classifier = SphereFace(profile.classifier, people=len(tensors["identities"]))
    classifier.load_state_dict(tensors)
    return on_device(classifier.eval(), device)


def starting_detector(
    profile: Profile, clips: ActionFrames, *, seed: int, device: str = "cpu", **options: Unpack[RunOptions]
) -> ActionDetector:
    """A before its training for any method: A-start, or A trained on clear clips.

    Implements Ren et al., section 4, where A starts from ImageNet.
    Differs from the paper: A starts from those layers of A-start that fit, whatever the classes; with
    `TrainingConfig.pretrained`, from ImageNet as in the paper.
    """
    torch.manual_seed(seed)
    detector, start = ActionDetector(profile.detector), detector_start(profile)
    if start == "imagenet":
        load_imagenet(detector)
    elif start != "random":
        load_fitting_layers(detector)
    detector = on_device(detector, device)
    if start != "A-start" and profile.training.pretrain_steps:
        train_detector(
            detector,
            clips,
            profile.training,
            steps=profile.training.pretrain_steps,
            seed=seed,
            name="detector A, start",
            **options,
        )
    return detector


def detector_start(profile: Profile) -> str:
    """Where A starts: `imagenet`, `A-start`, `layers of A-start`, or `random` where those do not fit.

    >>> from anonlib.config import profile
    >>> detector_start(profile("laptop")), detector_start(profile("paper"))
    ('A-start', 'random')
    """
    if shipped_weights("A-start", profile.detector) is not None:
        return "A-start"
    if profile.training.pretrained:
        return profile.training.pretrained
    try:
        _, found = load_weights(data_path("weights", "A-start.safetensors"))
    except FaceDatasetError:
        return "random"
    wanted = to_dict(profile.detector)
    fits = all(found[key] == wanted[key] for key in ("backbone", "width"))
    return "layers of A-start" if fits else "random"


def load_fitting_layers(detector: ActionDetector) -> None:
    """Loads those layers of A-start that fit."""
    tensors, _ = load_weights(data_path("weights", "A-start.safetensors"))
    own = detector.state_dict()
    fit = {k: t for k, t in tensors.items() if k in own and own[k].shape == t.shape}
    detector.load_state_dict(fit, strict=False)


def load_imagenet(detector: ActionDetector) -> None:
    """Loads torchvision's ImageNet weights into a ResNet backbone, or raises ConfigError if offline."""
    weights = get_model_weights(detector.config.backbone)["IMAGENET1K_V1"]
    try:
        tensors = weights.get_state_dict(check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"--pretrained imagenet: {weights.url} cannot be downloaded ({error}); put the file into "
            f"{torch.hub.get_dir()}/checkpoints"
        ) from error
    body = detector.network.backbone.body
    body.load_state_dict({k: t for k, t in tensors.items() if not k.startswith("fc.")})


def on_device(network: Network, device: str) -> Network:
    """The network on its device, in the memory layout in which convolutions are fast."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

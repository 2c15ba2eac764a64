"""Where D, M and A start from: shipped weights, pre-trained on synthetic people, or training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from anonlib.config import Profile, to_dict
from anonlib.data.paths import data_path
from anonlib.data.types import ActionFrames, FaceImages
from anonlib.data.weights import load_weights
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.training import train_classifier, train_detector

Network = TypeVar("Network", bound=nn.Module)


def shipped_weights(name: str, config: object) -> Mapping[str, Tensor] | None:
    """Weights in `data/weights` made with just this config, or None."""
    try:
        path = data_path("weights", f"{name}.safetensors")
    except FaceDatasetError:
        return None
    tensors, found = load_weights(path)
    return tensors if found == to_dict(config) else None


def starting_classifier(
    profile: Profile, faces: FaceImages, *, seed: int, synthetic: bool, checkpoint: Path | None,
    device: str = "cpu", progress: bool = True,
) -> SphereFace:  # fmt: skip
    """D before the game.

    Implements Ren et al., section 4: D starts from weights pre-trained on a large face dataset.
    Differs from the paper: CASIA-WebFace is replaced by synthetic people, whom the shipped
    weights know already; for real faces the shipped layers are trained on with new identities.
    """
    torch.manual_seed(seed)
    people = int(faces.labels.max()) + 1
    classifier = SphereFace(profile.classifier, people=people)
    tensors = shipped_weights("classifier", profile.classifier)
    known = 0
    if tensors is not None:
        own = dict(tensors)
        identities = own.pop("identities")
        known = len(identities) if synthetic else 0
        classifier.load_state_dict(own, strict=False)
        with torch.no_grad():
            classifier.identities[:known] = identities[:people][:known]
    classifier = on_device(classifier, device)
    if people > known:
        train_classifier(
            classifier, faces, profile.training, seed=seed, checkpoint=checkpoint,
            progress=progress,
        )  # fmt: skip
    return classifier


def starting_modifier(profile: Profile, *, seed: int, device: str = "cpu") -> Modifier:
    """M before the game: returning the face it is given, or random where no weights fit.

    Differs from the paper: which starts M from random weights; so does the `paper` profile.
    """
    torch.manual_seed(seed)
    modifier = Modifier(profile.modifier)
    tensors = shipped_weights("modifier", profile.modifier)
    if tensors is not None:
        modifier.load_state_dict(tensors)
    return on_device(modifier, device)


def trained_modifier(profile: Profile, *, device: str = "cpu") -> Modifier:
    """M after a long game against D, as it ships; for readers who do not want to wait for theirs.

    Implements Ren et al., Algorithm 1. Differs from the paper: synthetic people at 64 pixels, see
    data/weights/MODEL_CARD.md.

    Raises:
        ConfigError: nothing of this profile's shape ships.
    """
    modifier = Modifier(profile.modifier)
    modifier.load_state_dict(_trained("anonymizer", profile, profile.modifier))
    return on_device(modifier.eval(), device)


def trained_classifier(profile: Profile, *, device: str = "cpu") -> SphereFace:
    """D after the game that `trained_modifier` was trained in: it has met modified faces.

    Raises:
        ConfigError: nothing of this profile's shape ships.
    """
    tensors = _trained("anonymizer-classifier", profile, profile.classifier)
    classifier = SphereFace(profile.classifier, people=len(tensors["identities"]))
    classifier.load_state_dict(tensors)
    return on_device(classifier.eval(), device)


def _trained(name: str, profile: Profile, config: object) -> Mapping[str, Tensor]:
    tensors = shipped_weights(name, config)
    if tensors is None:
        raise ConfigError(
            f"no trained {name} of profile '{profile.name}' ships: use smoke or laptop, or train "
            "one with `anonlib reproduce`"
        )
    return tensors


def starting_detector(
    profile: Profile, clips: ActionFrames, *, seed: int, checkpoint: Path | None,
    device: str = "cpu", progress: bool = True,
) -> ActionDetector:  # fmt: skip
    """A before any method's own training: the same for all, trained on clear synthetic clips.

    Differs from the paper: these weights stand where a user of real data has ImageNet's.
    """
    torch.manual_seed(seed)
    detector = ActionDetector(profile.detector)
    tensors = shipped_weights("detector", profile.detector)
    if tensors is not None:
        detector.load_state_dict(tensors)
        return on_device(detector, device)
    detector = on_device(detector, device)
    if profile.training.pretrain_steps:
        train_detector(
            detector, clips, profile.training, steps=profile.training.pretrain_steps, seed=seed,
            name="detector A, start", checkpoint=checkpoint, progress=progress,
        )  # fmt: skip
    return detector


def on_device(network: Network, device: str) -> Network:
    """The network on its device, in the layout in which convolutions are fast."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

"""Where D, M and A start from: shipped weights, pre-trained on synthetic people, or training."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import get_model_weights

from anonlib.assets import data_path, load_weights, shipped_weights, trained_weights
from anonlib.config import LiteModifierConfig, ModifierConfig, Profile, to_dict
from anonlib.errors import ConfigError, FaceDatasetError
from anonlib.geometry import align_faces
from anonlib.networks import ActionDetector, LiteModifier, Modifier, SphereFace
from anonlib.training import train_classifier, train_detector
from anonlib.training.processes import ALONE, Team
from anonlib.types import ActionFrames, FaceImages

Network = TypeVar("Network", bound=nn.Module)
FeedForward = Modifier | LiteModifier
"""A network that can be M."""


def starting_classifier(
    profile: Profile,
    faces: FaceImages,
    *,
    seed: int,
    synthetic: bool,
    checkpoint: Path | None,
    device: str = "cpu",
    progress: bool = True,
    team: Team = ALONE,
) -> SphereFace:
    """D before the game.

    Implements Ren et al., section 4: D starts from weights pre-trained on a large face dataset.
    Differs from the paper: CASIA-WebFace is replaced by synthetic people, whom the shipped
    weights know already; for real faces the shipped layers are trained on with new identities. At
    `workstation` D is the shipped recogniser of real faces, see data/weights/MODEL_CARD.md, and a
    person's identity the mean direction of that person's faces.
    """
    torch.manual_seed(seed)
    people = int(faces.labels.max()) + 1
    classifier = SphereFace(profile.classifier, people=people)
    tensors = shipped_weights("recognizer", profile.classifier)
    if tensors is not None:  # it knows real faces; whom they show it is told by example
        classifier.load_state_dict({**tensors, "identities": classifier.identities})
        classifier = on_device(classifier, device)
        return introduce(classifier, faces)
    tensors = shipped_weights("D-start", profile.classifier)
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
            classifier,
            faces,
            profile.training,
            seed=seed,
            checkpoint=checkpoint,
            progress=progress,
            team=team,
        )
    return classifier


@torch.no_grad()
def introduce(classifier: SphereFace, faces: FaceImages) -> SphereFace:
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


def starting_modifier(profile: Profile, *, seed: int, device: str = "cpu") -> FeedForward:
    """M before the game: returning the face it is given, or random where no weights fit.

    At `workstation` it redraws a face from the coarse cells it reads; nobody has attacked it yet.
    Differs from the paper: which starts M from random weights; so does the `paper` profile.
    """
    torch.manual_seed(seed)
    modifier: FeedForward
    if isinstance(profile.modifier, LiteModifierConfig):
        modifier, name = LiteModifier(profile.modifier), "modifier-lite-start"
    else:
        modifier, name = Modifier(profile.modifier), "M-start"
    tensors = shipped_weights(name, profile.modifier)
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
    tensors = trained_weights("M-trained", profile.modifier)
    assert isinstance(profile.modifier, ModifierConfig)
    modifier = Modifier(profile.modifier)
    modifier.load_state_dict(tensors)
    return on_device(modifier.eval(), device)


def trained_classifier(profile: Profile, *, device: str = "cpu") -> SphereFace:
    """D after the game that `trained_modifier` was trained in: it has met modified faces.

    Raises:
        ConfigError: nothing of this profile's shape ships.
    """
    tensors = trained_weights("D-trained", profile.classifier)
    classifier = SphereFace(profile.classifier, people=len(tensors["identities"]))
    classifier.load_state_dict(tensors)
    return on_device(classifier.eval(), device)


def starting_detector(
    profile: Profile,
    clips: ActionFrames,
    *,
    seed: int,
    checkpoint: Path | None,
    device: str = "cpu",
    progress: bool = True,
    team: Team = ALONE,
) -> ActionDetector:
    """A before any method's own training: the same for all, trained on clear clips.

    Differs from the paper: layers trained on synthetic clips stand where the paper has ImageNet's;
    those that fit are taken, whatever the classes. With `TrainingConfig.pretrained` they are
    ImageNet's.
    """
    torch.manual_seed(seed)
    detector = ActionDetector(profile.detector)
    tensors = shipped_weights("A-start", profile.detector)
    if tensors is not None:
        detector.load_state_dict(tensors)
        return on_device(detector, device)
    if profile.training.pretrained:
        take_imagenet(detector)
    else:
        take_what_fits(detector)
    detector = on_device(detector, device)
    if profile.training.pretrain_steps:
        train_detector(
            detector,
            clips,
            profile.training,
            steps=profile.training.pretrain_steps,
            seed=seed,
            name="detector A, start",
            checkpoint=checkpoint,
            progress=progress,
            team=team,
        )
    return detector


def take_what_fits(detector: ActionDetector) -> bool:
    """Copies all layers but the last from the shipped A, if it has this backbone and width."""
    try:
        tensors, found = load_weights(data_path("weights", "A-start.safetensors"))
    except FaceDatasetError:
        return False
    wanted = to_dict(detector.config)
    if any(found[key] != wanted[key] for key in ("backbone", "width")):
        return False
    own = detector.state_dict()
    fit = {k: t for k, t in tensors.items() if k in own and own[k].shape == t.shape}
    detector.load_state_dict(fit, strict=False)
    return True


def take_imagenet(detector: ActionDetector) -> None:
    """Loads torchvision's ImageNet weights into a ResNet backbone.

    They are kept in torch's cache and checked by their hash; nothing in the file is executed.

    Raises:
        ConfigError: the backbone is no ResNet, or the weights cannot be fetched.
    """
    name = detector.config.backbone
    if name == "small":
        raise ConfigError(
            "--pretrained imagenet: this profile's small backbone has no such weights; use "
            "--profile paper, or leave the option out"
        )
    weights = get_model_weights(name)["IMAGENET1K_V1"]
    try:
        tensors = weights.get_state_dict(check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            f"--pretrained imagenet: {weights.url} cannot be fetched ({error}); put the file into "
            f"{torch.hub.get_dir()}/checkpoints"
        ) from error
    body = detector.network.backbone.body
    body.load_state_dict({k: t for k, t in tensors.items() if not k.startswith("fc.")})


def on_device(network: Network, device: str) -> Network:
    """The network on its device, in the layout in which convolutions are fast."""
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

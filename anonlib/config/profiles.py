"""The four profiles: one experiment in four sizes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from anonlib.config.checks import require
from anonlib.config.paper import ClassifierConfig, DataConfig, DetectorConfig, ModifierConfig, TrainingConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All settings of an experiment."""

    name: str
    """`smoke`, `laptop`, `workstation` or `paper`."""
    modifier: ModifierConfig = field(default_factory=ModifierConfig)
    classifier: ClassifierConfig = field(default_factory=ClassifierConfig)
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        require(
            not (self.training.pretrained and self.detector.backbone == "small"),
            f"--pretrained {self.training.pretrained}: profile '{self.name}' has a small backbone, for "
            "which there are no such weights; use --profile paper (resnet101), or leave the option out",
        )


_PAPER = Profile(name="paper", data=DataConfig(face_finder="cascade"))
_LAPTOP = Profile(
    name="laptop",
    modifier=ModifierConfig(size=64, width=16, blocks=4, reads="state", state=6),
    classifier=ClassifierConfig(size=(64, 48), depth=10, width=24, features=256),
    detector=DetectorConfig(backbone="small", frame=(144, 192), width=24),
    data=DataConfig(
        people=400,
        images=16,
        test_people=200,
        train_clips=400,
        test_clips=200,
        frames=4,
        validation_people=100,
    ),
    training=TrainingConfig(
        faces=24,
        frames=4,
        adversarial_steps=100,
        detector_steps=50,
        pretrain_steps=600,
        classifier_steps=400,
        classifier_age=1500,
        clear_weight=3.0,
        adversarial_ceiling=9.0,
        l1_weight=100.0,
        l1_target="start",
        modifier_lr=3e-4,
        classifier_lr=1e-3,
        pretrain_lr=9e-4,
        judge_every=25,
        judge_faces=240,
        judge_steps=30,
    ),
)
_SMOKE = replace(
    _LAPTOP,
    name="smoke",
    data=DataConfig(
        people=24,
        images=4,
        test_people=24,
        test_images=4,
        pairs=120,
        train_clips=10,
        test_clips=10,
        frames=2,
        validation_people=20,
    ),
    training=replace(
        _LAPTOP.training,
        faces=8,
        frames=2,
        adversarial_steps=4,
        detector_steps=3,
        pretrain_steps=4,
        classifier_steps=4,
        judge_every=2,
        judge_faces=24,
        judge_steps=2,
    ),
)
_WORKSTATION = Profile(
    name="workstation",
    modifier=ModifierConfig(size=128, width=20, blocks=3, reads="state", region=(0.16, 0.20)),
    classifier=ClassifierConfig(size=(64, 48), depth=20, width=32, features=128),
    detector=DetectorConfig(backbone="small", frame=(192, 256), width=24),
    data=DataConfig(
        people=600,
        images=12,
        test_people=200,
        train_clips=1000,
        test_clips=1000,
        frames=12,
        validation_people=100,
    ),
    training=TrainingConfig(
        faces=16,
        frames=8,
        adversarial_steps=100,
        detector_steps=200,
        pretrain_steps=3000,
        classifier_steps=300,
        clear_weight=3.0,
        adversarial_ceiling=10.0,
        l1_weight=100.0,
        l1_target="start",
        classifier_lr=6e-5,
        adversarial_lr_drop=0.8,
        judge_every=25,
        augment=True,
    ),
)
_PROFILES = {p.name: p for p in (_SMOKE, _LAPTOP, _WORKSTATION, _PAPER)}


def profiles() -> tuple[str, ...]:
    """Names of the profiles, smallest first.

    >>> profiles()
    ('smoke', 'laptop', 'workstation', 'paper')
    """
    return tuple(_PROFILES)


def profile(name: str) -> Profile:
    """The profile with this name; ConfigError if there is none."""
    require(name in _PROFILES, f"profile '{name}' is unknown: use one of {', '.join(_PROFILES)}")
    return _PROFILES[name]

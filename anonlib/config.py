"""All hyper-parameters, in four profiles of one implementation.

`paper` has the values of Ren, Lee and Ryoo (ECCV 2018) where the paper gives them: shapes, learning rates,
momentum, and the drop of the learning rates after 7 of 12 epochs. Widths, features and margin are those of
the networks that the paper cites. The paper gives no lambda, T1, T2 or batch sizes. These, and all fields
that have no counterpart in the paper, are our choice. Every hyper-parameter stands here once, so this file is
long. The default of a new field must be what was done before it, because requests of older runs lack it.

`workstation` trains on real faces and clips in an evening on two CPU cores. `laptop` is a smaller experiment
of 18 minutes on two idle cores. `smoke` is `laptop` with a few people and steps, for tests.

>>> profile("paper").modifier.blocks
9
>>> profile("laptop").detector.backbone
'small'
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from anonlib.errors import ConfigError

OBJECTIVES = ("ascent", "random_label", "detection", "identification")
"""What M may minimise in Algorithm 1."""
ENLARGE = 1.6
"""Face boxes grow by this factor about their centre before they are modified (section 5.2)."""
METHOD = "swap"
"""How `anonlib anonymize` and `anonlib.video` hide faces unless another method is named."""
DETECTOR = "centerface"
"""How they find faces unless another detector is named."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModifierConfig:
    """Shape of the face modifier M (section 4, Face Modification; width of Johnson et al., ECCV 2016)."""

    size: int = 256
    """Side in pixels of the square face image that M takes and returns; a multiple of 4."""
    width: int = 64
    """Channels of the first convolution; the bottleneck has four times as many."""
    blocks: int = 9
    """Residual blocks at a quarter of the resolution."""
    reads: str = "picture"
    """What M sees: the `picture` of the face, as in the paper, or only the `state` of the head."""
    region: tuple[float, float] = (0.40, 0.50)
    """Half-axes of the ellipse that M always redraws where it reads the state, as shares of `size`."""
    state: int = 8
    """Numbers of the state that M reads: the first of `anonlib.networks.face_reader.STATE`."""

    def __post_init__(self) -> None:
        known = self.reads in ("picture", "state")
        _require(known, f"modifier reads '{self.reads}': use 'picture' or 'state'")
        _require(self.size % 4 == 0 and self.size > 0, f"modifier size {self.size}: use a multiple of 4")
        fits = self.reads == "picture" or self.size % 32 == 0
        _require(fits, f"modifier size {self.size}: use a multiple of 32 where M reads the state")
        _require(self.width > 0 and self.blocks > 0, "modifier width and blocks must be positive")
        object.__setattr__(self, "region", tuple(self.region))  # JSON has lists
        fits = len(self.region) == 2 and all(0 < half <= 0.5 for half in self.region)
        _require(fits, f"modifier region {self.region}: use two shares above 0, up to 0.5")
        _require(1 <= self.state <= 8, f"modifier state {self.state}: use 1 to 8 numbers")

    def of_picture(self) -> ModifierConfig:
        """The paper's M of the same size, width and blocks, which reads the picture."""
        return ModifierConfig(size=self.size, width=self.width, blocks=self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierConfig:
    """Shape of the face classifier D (section 4), SphereFace with A-Softmax (Liu et al., CVPR 2017)."""

    size: tuple[int, int] = (112, 96)
    """Height and width of the aligned face."""
    depth: int = 20
    """Convolution layers: 4, 10 or 20."""
    width: int = 64
    """Channels of the first stage; the four stages have 1, 2, 4 and 8 times as many."""
    features: int = 512
    """Length of the face feature compared in verification."""
    margin: int = 4
    """Angular margin m of A-Softmax."""

    def __post_init__(self) -> None:
        _require(self.depth in (4, 10, 20), f"classifier depth {self.depth}: use 4, 10 or 20")
        _require(all(s % 16 == 0 for s in self.size), f"classifier size {self.size}: use multiples of 16")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorConfig:
    """Shape of the action detector A, Faster R-CNN (section 4)."""

    backbone: str = "resnet101"
    """`resnet101` as in the paper, a smaller ResNet, or `small`, seven convolutions for CPUs."""
    frame: tuple[int, int] = (600, 800)
    """Height and width of a frame in pixels; the paper's for DALY."""
    width: int = 64
    """Channels of the first stage of the small backbone."""
    classes: int = 10
    """Action classes, background not counted."""

    def __post_init__(self) -> None:
        known = ("small", "resnet18", "resnet34", "resnet50", "resnet101")
        _require(self.backbone in known, f"backbone '{self.backbone}': use one of {', '.join(known)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """How many people, images and clips are drawn or read."""

    people: int = 10_575
    """People in the face images F, for training; CASIA-WebFace has 10,575."""
    images: int = 46
    """Face images of each training person."""
    test_people: int = 600
    """People in the verification pairs; none of them is trained on."""
    test_images: int = 10
    """Face images of each test person."""
    validation_people: int = 600
    """People, with 6 images each, used to choose which checkpoint of M and D is kept."""
    pairs: int = 6000
    """Verification pairs in ten folds, half of them of one person, as in LFW."""
    train_clips: int = 310
    """Training clips, at most; 310 is the number in DALY."""
    test_clips: int = 200
    """Test clips, at most; 200 is the number in DALY."""
    frames: int = 16
    """Frames of a clip, evenly spaced."""
    face_finder: str = "ssh"
    """Who finds the faces in real clips, one of `anonlib.detection.names()`; `cascade` in the paper."""
    folds: str = "6-10"
    """Folds of LFW that are the test, `6-10` or `all`. Our settings were chosen on folds 1 to 5."""

    def __post_init__(self) -> None:
        _require(self.folds in ("6-10", "all"), f"folds '{self.folds}': use '6-10' or 'all'")


@dataclass(frozen=True, slots=True, kw_only=True)
class CiaganConfig:
    """Shape of CIAGAN's generator at 64 pixels (Maximov et al., CVPR 2020)."""

    people: int = 64
    """Training people, one of whom is drawn; 1,200 in the paper."""
    width: int = 20
    """Channels at 32 pixels; 64 in the public code."""
    blocks: int = 2
    """Residual blocks at 4 pixels; 4 in the public code."""

    def __post_init__(self) -> None:
        fits = self.people > 1 and self.width > 1 and self.width % 2 == 0 and self.blocks > 0
        _require(fits, f"CIAGAN {to_dict(self)}: use two people or more, an even width and a block or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class CiaganTraining:
    """Hyper-parameters of CIAGAN's training. Where nothing is said, they are those of its public code."""

    adversarial_steps: int = 200
    """Iterations of the loop, each with the updates below; 100 epochs in the public code."""
    pretrain_steps: int = 600
    """Updates of the identity network by Proxy-NCA beforehand, as in the talk; 0 in the public code."""
    pair_steps: int = 3200
    """Updates of the generator by `losses.redraw_loss` beforehand; 0 in the paper, which has no pairs."""
    pair_weight: float = 10.0
    """Weight of `losses.redraw_loss` in the loop; 0 in the paper."""
    pair_lr: float = 1e-3
    batch: int = 8
    """Pairs of pictures; 16 in the public code."""
    identity_updates: int = 1
    critic_updates: int = 1
    generator_updates: int = 3
    lr: float = 1e-4
    """Of generator and critic, as in the public code; 1e-5 in the paper."""
    identity_lr: float = 1e-4
    lr_drop: float = 0.8
    """Fraction of the steps after which the learning rates fall to a tenth; never in the public code."""
    margin: float = 3.0
    identity_weight: float = 0.05
    """Weight of the identity loss beside `losses.realism_loss`; 0.5 is the public code's. With 0.5 and four
    times the `lr` the generator learned to fool the identity network by bright patterns instead of faces."""


LIVE_STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Settings of the dial of live de-identification, shares of the strongest lambda."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveConfig:
    """Shape of the network of live de-identification at 64 pixels (Gafni et al., ICCV 2019)."""

    width: int = 16
    """Channels at 64 pixels."""
    bottleneck: int = 128
    """Numbers that the encoder passes on; up to 1,024 in the paper (from memory)."""
    features: int = 64
    """Length of the target's descriptor."""

    def __post_init__(self) -> None:
        fits = self.width > 0 and self.width % 4 == 0 and self.bottleneck > 0 and self.features > 0
        _require(fits, f"live {to_dict(self)}: use a width that is a multiple of 4, and positive numbers")


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTraining:
    """Hyper-parameters of live de-identification. No public code exists; the paper's are from memory."""

    train_steps: int = 2800
    """Updates of the critic and of the network; some 100,000 in the paper."""
    warm_steps: int = 500
    """The first of these steps, in which lambda is 0."""
    ramp_steps: int = 500
    """The next steps, in which lambda rises evenly; in the paper it rises in three steps."""
    batch: int = 16
    """Faces; 32 or 64 in the paper."""
    lr: float = 1e-3
    """1e-4 in the paper."""
    lr_drop: float = 0.85
    """Fraction of the steps after which the learning rate falls to a tenth."""
    pixel_weight: float = 1.0
    """Weight of `losses.redraw_loss`."""
    square_weight: float = 50.0
    """Weight of the squared errors of drawing and blend, against spots of colour. Not in the paper."""
    attract_weight: float = 0.1
    """Weight of `losses.attractor_loss`."""
    repel_weight: float = 0.3
    """-lambda at strength 1; 2e-6 in the paper, whose losses are sums."""
    repel_until: float = 1.1
    """Distance at which `losses.repeller_loss` stops at strength 1, times the root of other strengths: there
    the cosine of the two descriptors is about 1 minus the strength. Not in the paper."""
    critic_weight: float = 0.1
    """Weight of `losses.realism_loss`."""
    mask_size: float = 3e-3
    mask_edges: float = 1e-2
    """Weights of the mean and of the gradients of the mask."""
    jitter: float = 0.8
    """Standard deviation in pixels of places and landmarks before a face network sees the faces. Ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """Shape of the password-conditioned transformer T at 64 pixels (Gu et al., ECCV 2020)."""

    bits: int = 8
    """Of a password; 16 in the paper."""
    code: int = 192
    """Numbers of a face that the password turns in pairs; none in the paper."""
    width: int = 40
    """Channels of the two networks that predict details; the paper's T has 64 to 256."""

    def __post_init__(self) -> None:
        fits = 0 < self.bits <= 16 and self.width > 0 and self.code % 2 == 0 < self.code
        _require(fits, f"FIT {to_dict(self)}: use 1 to 16 bits, a positive width and an even code")


@dataclass(frozen=True, slots=True, kw_only=True)
class FitTraining:
    """Hyper-parameters of the training of T. Where nothing is said, they are those of its public code."""

    detail_steps: int = 250
    """Updates of the networks that predict details, before the directions are found; 0 in the paper."""
    detail_lr: float = 2e-3
    pairs: int = 1200
    """Pairs of pictures of two people in one scene, from which the directions are found; 0 in the paper."""
    pretrain_steps: int = 150
    """Updates of the recogniser F alone beforehand; the public code starts from a trained SphereFace."""
    adversarial_steps: int = 50
    """Iterations of the game; 30 epochs of CASIA-WebFace in the public code."""
    batch: int = 12
    """Faces; 48 in the public code."""
    lr: float = 1e-4
    """Of T, the critics and the password reader Q."""
    recogniser_lr: float = 1e-3
    """Of F alone; a hundredth of it in the game."""
    lr_drop: float = 0.9
    """Fraction of the steps after which the learning rates fall to a tenth; never in the public code."""
    restored_weight: float = 100.0
    """Of the mean absolute error of R."""
    change_weight: float = 2.0
    """Of the mean absolute error of A and W to I; 10 in the public code."""
    identity_weight: float = 0.5
    """Of `losses.password_identity_loss`; 2 in the public code. With 2 and twice the `lr`, 200 iterations
    made faces uglier."""
    realism_weight: float = 4.0
    """Of the critics; 2 in the public code, whose `losses.realism_loss` is twice ours."""
    ceiling: float = 7.0
    """A face with a larger A-Softmax loss adds no gradient to T; no such bound in the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """Hyper-parameters of Algorithm 1 and of the trainings before and after it.

    Of these the paper gives the learning rates in Algorithm 1, `betas`, and the drop of the learning rates
    after the seventh of 12 epochs. It names lambda, T1 and T2 without their values. All else is ours.
    """

    faces: int = 64
    """Face images f in a batch. Not in the paper, ours."""
    frames: int = 8
    """Video frames v in a batch. Not in the paper, ours."""
    adversarial_steps: int = 30_000
    """T1: iterations of Algorithm 1, each an update of D and one of M and A. Not in the paper, ours."""
    detector_steps: int = 30_000
    """T2: updates of A alone, for every method. Not in the paper, ours."""
    pretrain_steps: int = 0
    """Updates of A on clear frames before Algorithm 1, for all methods together."""
    classifier_steps: int = 30_000
    """Updates of D alone, on clear faces before Algorithm 1 and on modified faces after it."""
    classifier_age: int = 30_000
    """Updates of D before Algorithm 1; the annealing of A-Softmax continues from there."""
    classifier_updates: int = 1
    """Updates of D in each iteration of Algorithm 1."""
    clear_weight: float = 1.0
    """Weight of the clear faces in Eq. (2) when D is updated; 1 in the paper."""
    adversarial_ceiling: float = float("inf")
    """A face whose L_D(M(f), i_f) is above this value gives M no gradient, because this loss has no upper
    bound. In `laptop` the value is about the loss of a D that guesses. Not in the paper."""
    judge_every: int = 6000
    """Iterations between two validation scores; the checkpoint with the lowest score is kept."""
    judge_faces: int = 4800
    """Modified faces for a validation score: as many to retrain D on, and as many to test it on."""
    judge_steps: int = 50
    """Updates of D for a validation score."""
    l1_weight: float = 1.0
    """lambda of Eq. (3). Not in the paper, which calls it "relatively small"; the number is ours."""
    l1_target: str = "original"
    """What Eq. (3) compares M(f) with: `original` is f, as in the paper. `start` is the face that M drew for
    f before Algorithm 1, for an M that draws another person."""
    modifier_lr: float = 3e-4
    """Adam learning rate of M in Algorithm 1."""
    classifier_lr: float = 3e-4
    """Adam learning rate of D in Algorithm 1."""
    pretrain_lr: float = 3e-4
    """Adam learning rate of D, or M, trained alone."""
    detector_lr: float = 1e-3
    """Adam learning rate of A."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam momentum parameters."""
    lr_drop: float = 7 / 12
    """Fraction of the training of D or A alone after which the learning rate falls to a tenth."""
    adversarial_lr_drop: float = 7 / 12
    """The same for Algorithm 1; 1 means that the learning rates never fall."""
    pretrained: str = ""
    """`imagenet` starts a ResNet backbone of A from torchvision's weights and downloads them."""
    augment: bool = False
    """Whether A, trained alone, sees frames with random zoom, brightness and colour."""
    precision: str = "float32"
    """`float32`, or `bfloat16` for the layers of the networks in training, and of A in tests. On processors
    without instructions for bfloat16 (AVX-512 BF16, AMX) that is several times slower."""
    objective: str = "ascent"
    """What M minimises beside Eq. (3): `ascent`, as in the paper; `random_label`, its ablation (section 5.6);
    `detection`, without the gradient of L_adv; `identification`, without that of L_det (both ours)."""

    def __post_init__(self) -> None:
        for name, known, advice in (
            ("objective", OBJECTIVES, " or ".join(map(repr, OBJECTIVES))),
            ("l1_target", ("original", "start"), "'original' or 'start'"),
            ("pretrained", ("", "imagenet"), "'imagenet', or leave it out"),
            ("precision", ("float32", "bfloat16"), "'float32' or 'bfloat16'"),
        ):
            value = getattr(self, name)
            _require(value in known, f"{name} '{value}': use {advice}")
        _require(self.classifier_updates > 0, f"classifier_updates {self.classifier_updates}: use 1 or more")
        for name in ("lr_drop", "adversarial_lr_drop"):
            drop = getattr(self, name)
            _require(0 < drop <= 1, f"{name} {drop}: use a fraction above 0, up to 1")


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
        _require(
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
    _require(name in _PROFILES, f"profile '{name}' is unknown: use one of {', '.join(_PROFILES)}")
    return _PROFILES[name]


def to_dict(config: Any) -> dict[str, Any]:
    """A config as plain JSON types (tuples become lists)."""
    return dict(json.loads(json.dumps(asdict(config))))

"""The paper's networks, data and training: their settings, with the paper's values as defaults."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.config.checks import require

OBJECTIVES = ("ascent", "random_label", "detection", "identification")
"""What M may minimise in Algorithm 1."""
ENLARGE = 1.6
"""Face boxes grow by this factor about their centre before they are modified (section 5.2)."""


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
        require(known, f"modifier reads '{self.reads}': use 'picture' or 'state'")
        require(self.size % 4 == 0 and self.size > 0, f"modifier size {self.size}: use a multiple of 4")
        fits = self.reads == "picture" or self.size % 32 == 0
        require(fits, f"modifier size {self.size}: use a multiple of 32 where M reads the state")
        require(self.width > 0 and self.blocks > 0, "modifier width and blocks must be positive")
        object.__setattr__(self, "region", tuple(self.region))  # JSON has lists
        fits = len(self.region) == 2 and all(0 < half <= 0.5 for half in self.region)
        require(fits, f"modifier region {self.region}: use two shares above 0, up to 0.5")
        require(1 <= self.state <= 8, f"modifier state {self.state}: use 1 to 8 numbers")

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
        require(self.depth in (4, 10, 20), f"classifier depth {self.depth}: use 4, 10 or 20")
        require(all(s % 16 == 0 for s in self.size), f"classifier size {self.size}: use multiples of 16")


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
        require(self.backbone in known, f"backbone '{self.backbone}': use one of {', '.join(known)}")


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
        require(self.folds in ("6-10", "all"), f"folds '{self.folds}': use '6-10' or 'all'")


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
            require(value in known, f"{name} '{value}': use {advice}")
        require(self.classifier_updates > 0, f"classifier_updates {self.classifier_updates}: use 1 or more")
        for name in ("lr_drop", "adversarial_lr_drop"):
            drop = getattr(self, name)
            require(0 < drop <= 1, f"{name} {drop}: use a fraction above 0, up to 1")

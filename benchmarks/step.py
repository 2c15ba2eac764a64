"""A step of Algorithm 1 at paper scale: as the library runs it, and written plainly.

    python benchmarks/step.py                      # on a GPU; results/speed/step.json
    python benchmarks/step.py --flops              # counts alone, no GPU; results/speed/flops.json
    python benchmarks/step.py --small --device cpu --out FOLDER   # tries the script out

The library's step runs in bfloat16, channels last, M, D and A's backbone compiled, batches
prepared ahead. The plain one is fp32 eager PyTorch with its defaults and repeats what the paper
says, line by line. Both see the same batches and the same random numbers; their first losses must
agree. It needs torch, torchvision, numpy, Pillow, safetensors and tqdm, no data.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from stopwatch import Stopwatch, Watched, watch_losses
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from anonlib.config import DetectorConfig, Profile, profile
from anonlib.geometry import align_faces, crop_boxes, paste_boxes
from anonlib.losses import angular_softmax_loss, annealing
from anonlib.networks import ActionDetector, Modifier, SphereFace
from anonlib.networks.blocks import InstanceNorm
from anonlib.training import Players, train_adversarially
from anonlib.training.batches import face_batch, frame_batch
from anonlib.types import ActionFrames, FaceImages

RESULTS = Path(__file__).resolve().parent.parent / "results" / "speed"
TOLERANCE = {"float32": 2e-3, "bfloat16": 0.15}
"""How far the first losses may be apart, relative to 1 + their size."""
Losses = list[dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is measured."""

    profile: Profile
    device: str
    precision: str
    compiled: bool
    people: int


def small(paper: Profile) -> Profile:
    """The paper's networks at the size of a stamp."""
    return replace(
        paper,
        modifier=replace(paper.modifier, size=32, width=4, blocks=1),
        classifier=replace(paper.classifier, size=(32, 32), depth=4, width=4, features=16),
        detector=DetectorConfig(backbone="small", frame=(72, 96), width=4),
        training=replace(paper.training, faces=4, frames=2),
    )


def players(setting: Setting) -> Players:
    """M, D and A with random weights that depend on nothing."""
    torch.manual_seed(0)
    sizes = setting.profile
    return Players(
        Modifier(sizes.modifier),
        SphereFace(sizes.classifier, people=setting.people),
        ActionDetector(sizes.detector),
    )


def noise_data(sizes: Profile, *, people: int) -> tuple[FaceImages, ActionFrames]:
    """Faces and frames of noise, a person with a face in the middle of each frame."""
    generator = torch.Generator().manual_seed(0)
    side, (height, width) = sizes.modifier.size, sizes.detector.frame
    faces, frames = 4 * sizes.training.faces, 4 * sizes.training.frames

    def pixels(count: int, *shape: int) -> Tensor:
        return torch.randint(0, 256, (count, 3, *shape), generator=generator, dtype=torch.uint8)

    five = torch.tensor([[0.39, 0.45], [0.61, 0.45], [0.5, 0.57], [0.41, 0.7], [0.59, 0.7]])
    scale = torch.tensor([width, height, width, height])
    body = torch.tensor([[0.25, 0.1, 0.75, 0.95]]) * scale
    head = torch.tensor([[0.4, 0.2, 0.55, 0.4]]) * scale
    return (
        FaceImages(
            images=pixels(faces, side, side),
            landmarks=(side * five).expand(faces, 5, 2),
            labels=torch.randint(people, (faces,), generator=generator),
        ),
        ActionFrames(
            frames=pixels(frames, height, width),
            boxes=[body] * frames,
            labels=[torch.tensor([k % sizes.detector.classes]) for k in range(frames)],
            face_boxes=[head] * frames,
            landmarks=[torch.zeros(1, 5, 2)] * frames,
            identities=[torch.zeros(1, dtype=torch.int64)] * frames,
            clips=torch.arange(frames),
        ),
    )


def library(setting: Setting, steps: int, *, warm: int) -> tuple[Losses, dict[str, Any]]:
    """`train_adversarially` as it is; its losses, and seconds a step after the first `warm`."""
    p, watch, clock = players(setting), Stopwatch(setting.device), Clock(setting.device, warm)
    for network in (p.modifier, p.classifier, p.detector):
        network.to(setting.device, memory_format=torch.channels_last)
    if setting.compiled:
        for part in (p.modifier, p.classifier, p.detector.network.backbone):
            part.compile()
    p.modifier = Watched(p.modifier, watch, "M")
    p.classifier = Watched(p.classifier, watch, "D")
    watch_losses(p.detector, watch, "A")
    data = noise_data(setting.profile, people=setting.people)

    def look(step: int) -> None:
        watch.enter("rest")
        if clock.tick(step):
            watch.clear()

    history = train_adversarially(
        p,
        *data,
        replace(setting.profile.training, adversarial_steps=steps, precision=setting.precision),
        seed=0,
        progress=False,
        look=look,
    )
    seconds = clock.seconds_a_step(steps)
    spent = {k: v / (steps - warm) for k, v in watch.seconds().items()}
    spent["data"] = seconds_of_data(setting, data)
    return history, {"seconds": seconds, "split": spent}


class Clock:
    """Seconds a step once the first steps, which compile and choose kernels, are over."""

    def __init__(self, device: str, warm: int) -> None:
        self.device, self.warm, self.start = device, warm, 0.0

    def now(self) -> float:
        """After all that was asked of the device is done."""
        if torch.device(self.device).type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def tick(self, step: int) -> bool:
        """Call it after each step; whether the warm-up ended with this one."""
        if step + 1 == self.warm:
            self.start = self.now()
        return step + 1 == self.warm

    def seconds_a_step(self, steps: int) -> float:
        """Mean of the steps after the warm-up."""
        return (self.now() - self.start) / (steps - self.warm)


def seconds_of_data(setting: Setting, data: tuple[FaceImages, ActionFrames]) -> float:
    """Seconds to prepare the batches of a step, done ahead in a thread where there is a GPU."""
    training, start = setting.profile.training, time.perf_counter()
    for step in range(5):
        face_batch(data[0], training.faces, seed=0, step=step, device=setting.device)
        frame_batch(data[1], training.frames, seed=0, step=step, device=setting.device)
    return (time.perf_counter() - start) / 5


def plainly(network: nn.Module) -> nn.Module:
    """The network without what makes it fast: PyTorch's own instance norm and its layout."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, InstanceNorm):
                setattr(parent, name, nn.InstanceNorm2d(child.num_features))
    return network.to(memory_format=torch.contiguous_format)


def plain_step(
    M: nn.Module, D: Any, A: Any, optimizers: dict[str, Any], f: Any, v: Any, *, sizes: Profile, anneal: float
) -> dict[str, Tensor]:
    """Lines 3 to 9 of Algorithm 1 as they stand there, for `objective="ascent"`."""

    def L_D(images: Tensor) -> Tensor:
        aligned = align_faces(images, f.landmarks, sizes.classifier.size)
        return angular_softmax_loss(
            D(aligned), D.identities, f.labels, margin=sizes.classifier.margin, anneal=anneal
        )

    images, frames = f.images.contiguous(), v.frames.contiguous()
    with torch.no_grad():  # line 3: D
        hidden = M(images)
    modified, clear = L_D(hidden).mean(), L_D(images).mean()
    optimizers["D"].zero_grad()
    (modified + sizes.training.clear_weight * clear).backward()
    optimizers["D"].step()

    hidden = M(images)  # lines 5 to 9: M and A
    adversarial = -L_D(hidden).clamp(max=sizes.training.adversarial_ceiling).mean()
    l1 = sizes.training.l1_weight * (hidden - images).abs().mean()
    drawn = M(crop_boxes(frames, v.regions, sizes.modifier.size))
    seen = paste_boxes(frames, drawn, v.regions)
    detection = sum(A.losses(seen, v.boxes, v.labels).values())
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    (detection + adversarial + l1).backward()
    optimizers["M"].step()
    optimizers["A"].step()
    return {"D modified": modified, "D clear": clear, "L_det": detection, "L_adv": adversarial, "L_l1": l1}


def plain(setting: Setting, steps: int, *, warm: int, count: bool = False) -> tuple[Losses, Any]:
    """The plain step in fp32; its losses, seconds a step and the FLOPs of the last."""
    sizes, config, clock = setting.profile, setting.profile.training, Clock(setting.device, warm)
    p = players(setting)
    networks = {"M": plainly(p.modifier), "D": p.classifier, "A": p.detector}
    networks = {k: n.to(setting.device).train() for k, n in networks.items()}
    rates = {"M": config.modifier_lr, "D": config.classifier_lr, "A": config.detector_lr}
    adam = {
        k: torch.optim.Adam(networks[k].parameters(), lr=rate, betas=config.betas)
        for k, rate in rates.items()
    }
    faces, clips = noise_data(sizes, people=setting.people)
    history, counter = [], FlopCounterMode(display=False)
    for step in range(steps):
        torch.manual_seed(step)
        f = face_batch(faces, config.faces, seed=0, step=step, device=setting.device)
        v = frame_batch(clips, config.frames, seed=0, step=step, device=setting.device)
        last = count and step == steps - 1
        with counter if last else nullcontext():
            losses = plain_step(
                *networks.values(), adam, f, v, sizes=sizes, anneal=annealing(config.classifier_age + step)
            )
        history.append({"step": step, **{k: x.detach() for k, x in losses.items()}})
        clock.tick(step)
    seconds = clock.seconds_a_step(steps)
    rows = [{k: float(x) for k, x in row.items()} for row in history]
    return rows, {"seconds": seconds, "flops": counter.get_total_flops()}


def apart(ours: Losses, plain: Losses) -> dict[str, float]:
    """How far the losses of the first step are apart, relative to 1 + their size."""
    return {k: abs(ours[0][k] - plain[0][k]) / (1 + abs(plain[0][k])) for k in ours[0]}


def check_same(ours: Losses, plain: Losses, *, precision: str) -> dict[str, float]:
    """Raises AssertionError with the names of the losses that are too far apart."""
    found = apart(ours, plain)
    wrong = {k: round(x, 4) for k, x in found.items() if x > TOLERANCE[precision]}
    assert not wrong, f"losses of the two steps differ: {wrong}"
    return found


def counted(paper: Profile, *, people: int) -> dict[str, float]:
    """FLOPs of a step by network, two for a multiplication with its addition, without data.

    M and D are counted without computing; A, whose shapes depend on what it finds, in one pass
    over one frame of noise, times the frames. The library makes one pass of M less.
    """
    with torch.device("meta"):
        m, d = Modifier(paper.modifier), SphereFace(paper.classifier, people=people)
        face = torch.empty(1, 3, paper.modifier.size, paper.modifier.size)
        aligned = torch.empty(1, 3, *paper.classifier.size, requires_grad=True)
    _, frames = noise_data(replace(paper, training=replace(paper.training, frames=1, faces=1)), people=1)
    v = frame_batch(frames, 1, seed=0, step=0)
    seen = v.frames.requires_grad_()
    a = ActionDetector(paper.detector).train()
    faces, count = paper.training.faces, paper.training.frames
    once = flops_of(lambda: m(face))
    both = flops_of(lambda: m(face).sum().backward())
    plain_m = faces * (once + both) + count * both  # one face in every frame of noise
    return {
        "M": plain_m,
        "M in the library": plain_m - faces * once,
        "D": 3 * faces * flops_of(lambda: d(aligned).sum().backward()),
        "A": count * flops_of(lambda: sum(a.losses(seen, v.boxes, v.labels).values()).backward()),
    }


def flops_of(work: Callable[[], object]) -> int:
    """Floating-point operations that PyTorch counts in a call, its backward pass included."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def measure(setting: Setting, *, steps: int, warm: int) -> dict[str, Any]:
    """Both steps, after their first losses have been compared."""
    plain_losses, slow = plain(setting, steps, warm=warm, count=True)
    our_losses, fast = library(setting, steps, warm=warm)
    training = setting.profile.training
    return {
        "losses_apart": check_same(our_losses, plain_losses, precision=setting.precision),
        "flops": slow["flops"],
        "plain": rates(slow, slow["flops"], training),
        "library": {**rates(fast, slow["flops"], training), "split_seconds": fast["split"]},
        "times_as_fast": round(slow["seconds"] / fast["seconds"], 3),
    }


def rates(found: dict[str, Any], flops: int, training: Any) -> dict[str, float]:
    """Speeds of a step; the FLOPs are those of the plain one, whoever needs fewer."""
    seconds = found["seconds"]
    return {
        "seconds_a_step": round(seconds, 5),
        "faces_a_second": round(training.faces / seconds, 1),
        "frames_a_second": round(training.frames / seconds, 1),
        "tflops": round(flops / seconds / 1e12, 3),
    }


def record(arguments: argparse.Namespace, found: dict[str, Any]) -> dict[str, Any]:
    """What was measured, and where."""
    here = Path(__file__).resolve().parent
    commit = subprocess.run(
        ["git", "-C", str(here), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    gpu, words = torch.cuda.is_available(), sys.argv[1:]
    told = [w for before, w in zip(["", *words], words, strict=False) if "--out" not in (before, w)]
    return {
        "command": " ".join(["python benchmarks/step.py", *told]),
        "seed": 0,
        "commit": commit or "unknown",
        "date": time.strftime("%Y-%m-%d"),
        "hardware": torch.cuda.get_device_name() if gpu else platform.machine() + " CPU",
        "torch": torch.__version__,
        **found,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true", help="networks the size of a stamp")
    parser.add_argument("--flops", action="store_true", help="count only")
    parser.add_argument("--precision", choices=list(TOLERANCE), default="bfloat16")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    sizes = small(profile("paper")) if arguments.small else profile("paper")
    people = 20 if arguments.small else sizes.data.people
    if arguments.flops:
        name, found = "flops.json", {"profile": "small" if arguments.small else "paper"}
        found |= {"flops_a_step": counted(sizes, people=people), "gpu_times": "not measured"}
    else:
        setting = Setting(
            profile=sizes,
            device=arguments.device,
            precision=arguments.precision,
            compiled=arguments.device != "cpu" and not arguments.no_compile,
            people=people,
        )
        name, found = "step.json", measure(setting, steps=arguments.steps, warm=arguments.warm)
    text = json.dumps(record(arguments, found), indent=2)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / name).write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()

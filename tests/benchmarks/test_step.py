"""The benchmark of a step of Algorithm 1, at the size of a stamp."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from anonlib.config import profile

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
HEAVY = ("openvino", "facenet_pytorch", "skimage", "scipy", "pandas", "matplotlib", "av")


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import step

    return step


def tiny(step: ModuleType, precision: str):
    sizes = step.small(profile("paper"))
    return step.Setting(profile=sizes, device="cpu", precision=precision, compiled=False, people=20)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_librarys_step_and_the_plain_one_have_the_same_losses(step, precision: str):
    setting = tiny(step, precision)
    ours, timed = step.library(setting, 2, warm=1)
    plain, slow = step.plain(setting, 2, warm=1)
    apart = step.check_same(ours, plain, precision=precision)
    assert set(apart) == {"step", "D modified", "D clear", "L_det", "L_adv", "L_l1"}
    assert timed["seconds"] > 0 and slow["seconds"] > 0
    assert {"M", "D", "A", "data"} <= set(timed["split"])
    if precision == "float32":  # the second step too: both made the same updates
        for name, value in plain[1].items():
            assert ours[1][name] == pytest.approx(value, rel=1e-3, abs=1e-3)


def test_losses_that_are_apart_are_named(step):
    with pytest.raises(AssertionError, match="L_det"):
        step.check_same([{"L_det": 2.0, "L_l1": 1.0}], [{"L_det": 1.0, "L_l1": 1.0}], precision="float32")


def test_flops_of_a_convolution_are_those_of_the_book(step):
    layer = nn.Conv2d(3, 5, 3, padding=1, bias=False)
    picture = torch.rand(2, 3, 8, 8)
    forward = 2 * 2 * 5 * 8 * 8 * 3 * 9  # a multiplication and an addition, B, C', H, W, C, k
    assert step.flops_of(lambda: layer(picture)) == forward
    # the backward pass has one such product for the weights; the picture wants no gradient
    assert step.flops_of(lambda: layer(picture).sum().backward()) == 2 * forward


def test_counting_without_computing_agrees_with_a_step(step):
    setting = tiny(step, "float32")
    _, found = step.plain(setting, 2, warm=1, count=True)
    parts = step.counted(setting.profile, people=setting.people)
    assert parts["M"] + parts["D"] + parts["A"] == pytest.approx(found["flops"], rel=0.05)
    assert parts["M in the library"] < parts["M"]


def test_a_bare_gpu_machine_can_import_it():
    program = (
        f"import sys; sys.path.insert(0, {str(BENCHMARKS)!r}); import step; "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr

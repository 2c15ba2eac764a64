from __future__ import annotations

import sys
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from anonlib.anonymizers import create
from anonlib.config import ModifierConfig
from anonlib.detection.search import fast
from anonlib.detection.ssh import load_ssh
from anonlib.errors import ConfigError, ImageError
from anonlib.networks import Modifier, compiled as compiled_module
from anonlib.networks.center_face import load_center_face
from anonlib.networks.compiled import Compiled, compiled_if_possible, frozen

BF16 = 0.05
"""Of values in [0, 1] after one layer in bfloat16."""


class Two(nn.Module):
    """Two outputs of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layer(images)
        return x.sigmoid(), x.mean((2, 3))


def test_any_batch_comes_out_as_from_torch():
    """No further from the floats than PyTorch is in bfloat16, with weights that nobody trained."""
    torch.manual_seed(0)
    network = Modifier(ModifierConfig(size=16, width=4, blocks=1)).eval()
    rounded = deepcopy(network).bfloat16()
    compiled = Compiled(network, torch.rand(2, 3, 16, 16), threads=1)
    assert not list(compiled.parameters())
    for batch in (1, 2, 5):
        faces = torch.rand(batch, 3, 16, 16)
        with torch.no_grad():
            expected = network(faces)
            off = (compiled(faces) - expected).abs()
            allowed = (rounded(faces.bfloat16()) - expected).abs()
        assert off.mean() < 1.5 * allowed.mean() < BF16
        assert off.max() < 2 * allowed.max()


def test_sides_left_free_and_several_outputs():
    network = Two().eval()
    compiled = Compiled(network, torch.rand(2, 3, 8, 8), free_sides=True, threads=1)
    for shape in ((1, 3, 8, 8), (2, 3, 12, 20)):
        images = torch.rand(shape)
        with torch.no_grad():
            for found, expected in zip(compiled(images), network(images), strict=True):
                torch.testing.assert_close(found, expected, atol=BF16, rtol=0)


def test_results_stay_when_the_network_runs_again():
    compiled = Compiled(nn.Conv2d(3, 2, 1), torch.rand(2, 3, 8, 8), threads=1)
    first = compiled(torch.zeros(1, 3, 8, 8))
    kept = first.clone()
    compiled(torch.ones(1, 3, 8, 8))
    assert torch.equal(first, kept)


def test_networks_of_several_threads_do_not_share_one_core():
    compiled = Compiled(nn.Conv2d(3, 2, 1), torch.rand(2, 3, 8, 8), threads=1)
    assert not compiled.request.get_compiled_model().get_property("ENABLE_CPU_PINNING")


@pytest.mark.parametrize("shape", [(1, 3, 9, 9), (1, 3, 4, 16), (1, 4, 8, 8)])
def test_images_of_another_size_are_refused(shape: tuple[int, ...]):
    """OpenVINO itself takes them and reads the first values as if they were an image."""
    compiled = Compiled(nn.Conv2d(3, 2, 1), torch.rand(2, 3, 8, 8), threads=1)
    with pytest.raises(ImageError, match=r"this network takes \(3, 8, 8\)"):
        compiled(torch.zeros(shape))


@pytest.fixture
def no_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    compiled_module._warn_once.cache_clear()


@pytest.mark.usefixtures("no_openvino")
def test_without_openvino_networks_run_in_torchscript_and_say_so_once(caplog: pytest.LogCaptureFixture):
    network, example = nn.Conv2d(3, 2, 1), torch.rand(2, 3, 8, 8)
    for _ in range(2):
        torch.testing.assert_close(compiled_if_possible(network, example)(example), network(example))
    (message,) = (record.getMessage() for record in caplog.records)
    assert message == (
        "openvino is not installed: networks run in TorchScript, slower; pip install 'anonlib[openvino]'"
    )


def test_a_frozen_centerface_is_the_network_at_any_size():
    network = load_center_face()
    faster = frozen(network, torch.rand(2, 3, 64, 96))
    for shape in ((1, 3, 96, 128), (3, 3, 32, 64)):
        pictures = torch.rand(shape)
        with torch.inference_mode():
            for _ in range(3):  # TorchScript changes its plan after the first runs
                torch.testing.assert_close(faster(pictures), network(pictures), atol=1e-3, rtol=1e-4)


@pytest.mark.usefixtures("no_openvino")
def test_compiling_without_openvino_names_the_extra():
    with pytest.raises(ConfigError, match=r"needs openvino: pip install 'anonlib\[openvino\]'"):
        Compiled(nn.Conv2d(3, 2, 1), torch.rand(2, 3, 8, 8))


@pytest.mark.usefixtures("no_openvino")
def test_the_shipped_networks_run_without_openvino():
    faces = torch.rand(1, 3, 20, 20)
    assert create("modifier-photo")(faces).shape == faces.shape
    fast(load_ssh(), device="cpu")(torch.rand(1, 3, 64, 64))

"""Networks compiled by OpenVINO, which runs them several times as fast as PyTorch on a CPU.

OpenVINO is the optional extra `anonlib[openvino]`. Without it the networks run in PyTorch.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from anonlib.errors import ConfigError, ImageError

_INSTALL = "pip install 'anonlib[openvino]'"


def compiled_if_possible(
    network: nn.Module,
    example: Tensor,
    *,
    threads: int | None = None,
    free_sides: bool = False,
    exact: bool = False,
) -> nn.Module:
    """`Compiled`, or with a warning the network itself where OpenVINO is not installed."""
    if importlib.util.find_spec("openvino") is None:
        _warn_once()
        return network
    return Compiled(network, example, threads=threads, free_sides=free_sides, exact=exact)


@functools.cache
def _warn_once() -> None:
    logging.getLogger(__name__).warning(
        "openvino is not installed: networks run in PyTorch, slower; %s", _INSTALL
    )


class Compiled(nn.Module):
    """A network that OpenVINO runs on the CPU, for inference only; it has no parameters.

    On processors with bfloat16 OpenVINO computes in that format: outputs in [0, 1] then differ
    from PyTorch's by about 0.01. On others, and if `exact`, it computes in float32.
    """

    def __init__(
        self,
        network: nn.Module,
        example: Tensor,
        *,
        threads: int | None = None,
        free_sides: bool = False,
        exact: bool = False,
    ) -> None:
        """Traces the network with an example `(B, C, H, W)`, puts it into evaluation mode, compiles it.

        Args:
            network: returns a tensor or a tuple of tensors.
            example: later batches may have any length.
            threads: of the CPU; None leaves the choice to OpenVINO.
            free_sides: whether later images may differ from the example in H and W.
            exact: whether to compute in float32 everywhere, for outputs that are pixels.

        Raises:
            ConfigError: OpenVINO is not installed.
        """
        super().__init__()
        try:
            import openvino
        except ImportError as error:
            raise ConfigError(f"compiling a network needs openvino: {_INSTALL}") from error

        model = _converted(network.eval(), example)
        sides = [-1, -1] if free_sides else list(example.shape[2:])
        model.reshape([-1, example.shape[1], *sides])
        core = openvino.Core()
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        rounds = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and not exact
        options["INFERENCE_PRECISION_HINT"] = "bf16" if rounds else "f32"
        self.shape = None if free_sides else tuple(example.shape[1:])
        self.request = core.compile_model(model, "CPU", options).create_infer_request()

    def forward(self, images: Tensor) -> Any:
        """What the network returns for `(B, C, H, W)`, in new memory of the CPU.

        Raises:
            ImageError: the images differ from the example in size, and the sides are not free.
        """
        if self.shape not in (None, tuple(images.shape[1:])):  # OpenVINO would misread them
            raise ImageError(
                f"images {tuple(images.shape[1:])}: this network takes {self.shape}; resize them"
            )
        found = self.request.infer(images.detach().contiguous().numpy())
        outputs = tuple(torch.from_numpy(array.copy()) for array in found.to_tuple())
        return outputs if len(outputs) > 1 else outputs[0]


def _converted(network: nn.Module, example: Tensor) -> Any:
    """Like `openvino.convert_model`, which takes longer and sends telemetry."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch recommends torch.export, which is slower here
        traced = torch.jit.trace(network, example, check_trace=False, strict=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        reader = FrontEndManager().load_by_framework("pytorch")
        return reader.convert(reader.load(decoder))

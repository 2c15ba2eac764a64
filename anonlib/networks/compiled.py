"""Networks compiled for the CPU by OpenVINO: the same numbers, several times as fast."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from anonlib.errors import ImageError


class Compiled(nn.Module):
    """A network that OpenVINO runs; any batch, images of any size if `sizes` is left free.

    On processors with bfloat16 it is used, at a precision of about a hundredth; elsewhere float.
    The compiled network has no parameters and cannot be trained.
    """

    def __init__(
        self, network: nn.Module, example: Tensor, *, threads: int | None = None, free_sides: bool = False
    ) -> None:
        """Traces and compiles.

        Args:
            network: from `(B, C, H, W)` to a tensor or a tuple of tensors.
            example: `(B, C, H, W)`, two images or more.
            threads: of the CPU; None leaves the choice to OpenVINO.
            free_sides: whether H and W may differ from the example's.
        """
        super().__init__()
        import openvino

        model = _converted(network.eval(), example)
        sides = [-1, -1] if free_sides else list(example.shape[2:])
        model.reshape([-1, example.shape[1], *sides])
        core = openvino.Core()
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            options["INFERENCE_PRECISION_HINT"] = "bf16"
        self.sides = None if free_sides else tuple(example.shape[1:])
        self.request = core.compile_model(model, "CPU", options).create_infer_request()

    def forward(self, images: Tensor) -> Any:
        """What the network returns for `(B, C, H, W)`, on the CPU and in new memory.

        Raises:
            ImageError: the images are not as large as the example, and the sides are not free.
                OpenVINO would read them as if they were.
        """
        if self.sides not in (None, tuple(images.shape[1:])):
            raise ImageError(
                f"images {tuple(images.shape[1:])}: this network takes {self.sides}; resize them"
            )
        found = self.request.infer(images.detach().contiguous().numpy())
        outputs = tuple(torch.from_numpy(array.copy()) for array in found.to_tuple())
        return outputs if len(outputs) > 1 else outputs[0]


def _converted(network: nn.Module, example: Tensor) -> Any:
    """The network as OpenVINO's model, by its reader of PyTorch alone.

    `openvino.convert_model` does the same, takes twice as long and calls the sender of OpenVINO's
    telemetry on the way.
    """
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would rather be exported, a slower way
        traced = torch.jit.trace(network, example, check_trace=False, strict=False)
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        reader = FrontEndManager().load_by_framework("pytorch")
        return reader.convert(reader.load(decoder))

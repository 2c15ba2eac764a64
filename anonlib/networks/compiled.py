"""Networks made faster on a CPU: compiled by OpenVINO, or without it by TorchScript.

OpenVINO is the optional extra `anonlib[openvino]`. It takes about a third of PyTorch's time, TorchScript
about half of it.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import warnings
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from anonlib.errors import ConfigError, ImageError
from anonlib.networks import kept

_INSTALL = "pip install 'anonlib[openvino]'"


def compiled_if_possible(
    network: nn.Module,
    example: Tensor,
    *,
    threads: int | None = None,
    free_sides: bool = False,
    exact: bool = False,
    keep: bool = False,
) -> nn.Module:
    """`Compiled`, or with a warning `frozen` where OpenVINO is not installed."""
    if importlib.util.find_spec("openvino") is None:
        _warn_once()
        return frozen(network, example)
    return Compiled(network, example, threads=threads, free_sides=free_sides, exact=exact, keep=keep)


def frozen(network: nn.Module, example: Tensor) -> nn.Module:
    """The network as TorchScript, for inference only; what comes out differs by rounding.

    Args:
        network: as in `Compiled`; it is put into evaluation mode.
        example: later batches may have any length and sides that the network takes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch recommends torch.compile, which needs a compiler
        return torch.jit.optimize_for_inference(_traced(network, example))


@functools.cache
def _warn_once() -> None:
    logging.getLogger(__name__).warning(
        "openvino is not installed: networks run in TorchScript, slower; %s", _INSTALL
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
        keep: bool = False,
    ) -> None:
        """Traces the network with an example `(B, C, H, W)`, puts it into evaluation mode, compiles it.

        Args:
            network: returns a tensor or a tuple of tensors.
            example: later batches may have any length.
            threads: of the CPU; None leaves the choice to OpenVINO.
            free_sides: whether later images may differ from the example in H and W.
            exact: whether to compute in float32 everywhere, for outputs that are pixels.
            keep: whether the result is kept for later runs, for networks whose weights are shipped.

        Raises:
            ConfigError: OpenVINO is not installed.
        """
        super().__init__()
        try:
            import openvino
        except ImportError as error:
            raise ConfigError(f"compiling a network needs openvino: {_INSTALL}") from error

        sides = [-1, -1] if free_sides else list(example.shape[2:])
        core = openvino.Core()
        # pinning would bind every thread to the first core while it uses a network
        options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "ENABLE_CPU_PINNING": False}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        rounds = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") and not exact
        options["INFERENCE_PRECISION_HINT"] = "bf16" if rounds else "f32"
        self.shape = None if free_sides else tuple(example.shape[1:])
        name = kept.name_of(network, sides, options, openvino.__version__, torch.__version__) if keep else ""
        model = _read(core, name, options) if keep else None
        if model is None:
            converted = _converted(network, example)
            converted.reshape([-1, example.shape[1], *sides])
            model = core.compile_model(converted, "CPU", options)
            if keep:
                kept.write(name, model.export_model().getvalue())
        self.request = model.create_infer_request()

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


def _read(core: Any, name: str, options: dict[str, Any]) -> Any:
    """The compiled network that was kept; None if there is none, or a damaged one."""
    content = kept.read(name)
    if content is not None:
        with suppress(RuntimeError):
            return core.import_model(content, "CPU", options)
    return None


def _traced(network: nn.Module, example: Tensor) -> Any:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch recommends torch.export, which is slower here
        return torch.jit.trace(network.eval(), example, check_trace=False, strict=False)


def _converted(network: nn.Module, example: Tensor) -> Any:
    """Like `openvino.convert_model`, which takes longer and sends telemetry."""
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoder = TorchScriptPythonDecoder(_traced(network, example), example_input=example)
        reader = FrontEndManager().load_by_framework("pytorch")
        return reader.convert(reader.load(decoder))

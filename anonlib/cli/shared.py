"""What the commands share: errors in one line, and where to compute."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import typer

from anonlib.errors import AnonlibError, ConfigError

Device = Literal["auto", "cpu", "cuda"]
FAILED, INTERRUPTED = 2, 130


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the user can mend, and Ctrl-C, into one line on stderr and an exit code."""
    try:
        yield
    except BrokenPipeError:  # `anonlib ... | head`: typer ends quietly
        raise
    except AnonlibError as error:
        _stop(f"error: {error}", FAILED)
    except OSError as error:
        _stop(f"error: {_explain(error)}", FAILED)
    except KeyboardInterrupt:
        _stop("interrupted: the same command goes on where this one stopped", INTERRUPTED)


def _stop(line: str, code: int) -> None:
    typer.echo(" ".join(line.split()), err=True)
    raise typer.Exit(code)


def _explain(error: OSError) -> str:
    name = f"'{error.filename}': " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{name}the disk is full; free some space and repeat the same command, it goes on"
    return f"{name}{error.strerror or error}"


def prepare_device(device: Device, threads: int | None) -> str:
    """Sets the threads; where to compute, `cpu` or `cuda`."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch finds no NVIDIA GPU here; use --device cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device

"""What the commands share: errors in one line, and common options."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from anonlib.errors import AnonlibError, RefusedError

FAILED, INTERRUPTED = 2, 130
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where to compute; auto takes a GPU if there is one.")
]
Threads = Annotated[int | None, typer.Option(help="CPU threads.", min=1, show_default="PyTorch's choice")]
Weights = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="For --method modifier: the M that you trained, a .safetensors file."),
]


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns errors that the user can fix, and Ctrl-C, into a line on stderr and an exit code."""
    try:
        yield
    except BrokenPipeError:  # `anonlib ... | head`: typer ends quietly
        raise
    except RefusedError as error:
        _stop(FAILED, *(f"error: {reason}" for reason in error.reasons))
    except AnonlibError as error:
        _stop(FAILED, f"error: {error}")
    except OSError as error:
        name = f"'{error.filename}': " if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _stop(FAILED, f"error: {name}the disk is full: free some space and run the same command again")
        _stop(FAILED, f"error: {name}{error.strerror or error}")
    except KeyboardInterrupt:
        _stop(INTERRUPTED, "interrupted: the same command resumes")


def _stop(code: int, *lines: str) -> NoReturn:
    for line in lines:
        typer.echo(" ".join(line.split()), err=True)
    raise typer.Exit(code)


def ask_password(*, again: bool) -> None:
    """Asks for the password of method `fit`, twice to be sure, unless the environment has it.

    An argument would stay in the history of the shell. Without a terminal nothing is asked.
    """
    from anonlib.video.settings import PASSWORD

    if not os.environ.get(PASSWORD) and sys.stdin.isatty():
        os.environ[PASSWORD] = typer.prompt("Password", hide_input=True, confirmation_prompt=again, err=True)


def prepare_device(device: str, threads: int | None) -> str:
    """Sets the number of threads; returns `cpu` or `cuda`."""
    import torch

    from anonlib.files import chosen_device

    if threads is not None:
        torch.set_num_threads(threads)
    return chosen_device(device)

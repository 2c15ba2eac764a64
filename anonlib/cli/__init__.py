"""The command line: one function a command, one file each.

An error that the user can fix ends in one line on stderr and exit code 2, Ctrl-C in exit code 130.
Heavy packages are imported inside the commands, so that `anonlib --help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

import anonlib
from anonlib import config
from anonlib.cli.anonymize import anonymize
from anonlib.cli.audit import audit
from anonlib.cli.data import data
from anonlib.cli.recover import recover
from anonlib.cli.reproduce import reproduce
from anonlib.cli.verify import verify

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"anonlib {anonlib.__version__}")
        raise typer.Exit


@app.callback()
def _anonlib(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Learn to anonymize faces so that actions can still be detected.

    Rebuilds Ren, Lee and Ryoo, "Learning to Anonymize Faces for Privacy Preserving Action
    Detection" (ECCV 2018), on drawn people or on your own data.

    \b
    Start here:
      anonlib reproduce --profile smoke     test the installation (a minute or two)
      anonlib reproduce --profile laptop    the experiment (18 minutes on two idle CPU cores)
      anonlib reproduce --help              real faces, a GPU, other seeds
    """


def methods() -> None:
    """List the anonymizers, learned or not."""
    from anonlib.anonymizers import CIAGAN, FIT, LIVE, NEEDS, SHIPPED, SWAP, names
    from anonlib.viz.styles import style

    for name in (*names(), SHIPPED, SWAP, CIAGAN, LIVE, FIT):
        needs = f" ({NEEDS[name]})" if name in NEEDS else ""
        typer.echo(f"{name:<15}{style(name).label}{needs}")


def profiles() -> None:
    """List the sizes of the experiment."""
    for name in config.profiles():
        p = config.profile(name)
        typer.echo(
            f"{name:<12}M {p.modifier.size} px, {p.modifier.blocks} blocks; "
            f"D SphereFace-{p.classifier.depth}; A {p.detector.backbone}; "
            f"{p.data.people} people, {p.data.train_clips} clips, "
            f"{p.training.adversarial_steps} + {p.training.detector_steps} steps"
        )


for command in (reproduce, verify, audit, anonymize, recover, methods, profiles):
    app.command()(command)
app.add_typer(data, name="data")


def main() -> None:
    """Runs the `anonlib` command."""
    app()

"""The command line: thin, one function a command, one file each.

Mistakes a user can mend end in one line on stderr and exit code 2, Ctrl-C in exit code 130.
Heavy imports wait inside the commands, so that `anonlib --help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

import anonlib
from anonlib.cli.anonymize import anonymize
from anonlib.cli.data import data
from anonlib.cli.lists import methods, profiles
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
    Detection" (ECCV 2018), on people who do not exist or on faces of your own.

    \b
    Start here:
      anonlib reproduce --profile smoke     does everything work? (a minute or two)
      anonlib reproduce --profile laptop    the experiment on two CPU cores (under 20 minutes)
      anonlib reproduce --help              real faces, a GPU, other seeds
    """


for command in (reproduce, verify, anonymize, methods, profiles):
    app.command()(command)
app.add_typer(data, name="data")


def main() -> None:
    """Entry point of the `anonlib` command."""
    app()

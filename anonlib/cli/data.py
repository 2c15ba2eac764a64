"""`anonlib data`: list, check and download the paper's data sets."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from anonlib.cli.shared import FAILED, plain_errors

SHOWN = 5
"""How many faults are printed one by one."""
data = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@data.callback()
def _data() -> None:
    """List, check and download the paper's data sets: LFW, CASIA-WebFace, JHMDB, DALY."""


@data.command("list")
def list_data() -> None:
    """List the data sets: content, size, terms of use, and where to get them."""
    from anonlib.data.catalog import CATALOG

    for entry in CATALOG.values():
        way = "anonlib data download" if entry.parts else "by hand"
        typer.echo(f"{entry.name:<15}{entry.title}; {entry.holds}")
        facts = {"size": entry.size, "terms": entry.terms, "website": entry.ask, "get": way}
        for label, value in facts.items():
            typer.echo(f"{'':<15}{label + ':':<9}{value}")


@data.command("check")
@plain_errors()
def check_data(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Folder of the data set.")],
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="See `anonlib data list`.", show_default="from its layout"),
    ] = None,
) -> None:
    """Compare a copy with the official data set, without changing it.

    Counts files, compares checksums, and names files that are missing or cut short. If there are any,
    the exit code is 2.

    \b
    Examples:
      anonlib data check datasets/lfw
      anonlib data check my/faces --as casia-webface
    """
    from anonlib.data.checks import check

    findings = check(root, name, progress=sys.stderr.isatty())
    typer.echo(f"{root} as {findings.name}")
    for fact in findings.facts:
        typer.echo(f"  {fact}")
    if not findings.faults:
        typer.echo("complete")
        return
    for fault in findings.faults[:SHOWN]:
        typer.echo(f"error: {' '.join(fault.split())}", err=True)
    if len(findings.faults) > SHOWN:
        typer.echo(f"error: and {len(findings.faults) - SHOWN:,} more", err=True)
    typer.echo(f"not complete: see data/README.md#{findings.name.partition('-')[0]}", err=True)
    raise typer.Exit(FAILED)


@data.command("download")
@plain_errors()
def download_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `anonlib data list`.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="ROOT", help="Folder.", show_default="$ANONLIB_DATA/NAME or datasets/NAME"),
    ] = None,
) -> None:
    """Download the parts that may be downloaded, and say how to get the others.

    Mirrors are tried one after the other. Checksums are compared where they are published. After an
    interruption, the same command goes on.

    \b
    Example:
      anonlib data download lfw --out datasets/lfw
    """
    from anonlib.data.catalog import data_set
    from anonlib.data.download import download

    entry = data_set(name)
    out = out or Path(os.environ.get("ANONLIB_DATA") or "datasets", name)
    typer.echo(f"{entry.title}. Terms: {entry.terms}; {entry.ask}", err=True)
    for line in download(entry, out, progress=sys.stderr.isatty()):
        typer.echo(line)
    typer.echo(f"Now: anonlib data check {out}")

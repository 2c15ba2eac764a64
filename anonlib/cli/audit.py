"""`anonlib audit`: five attackers on one method, the strongest first."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anonlib.cli.shared import Device, Threads, Weights, plain_errors, prepare_device

if TYPE_CHECKING:
    from anonlib.attack.audit.measure import Audit


@plain_errors()
def audit(
    method: Annotated[str | None, typer.Argument(metavar="[METHOD]", help="See `anonlib methods`.")] = None,
    weights: Weights = None,
    root: Annotated[
        Path | None,
        typer.Option(metavar="LFW", help="Real people, one folder per person.", show_default="drawn people"),
    ] = None,
    originals: Annotated[
        Path | None, typer.Option(metavar="A", help="Pictures before another program, a folder per person.")
    ] = None,
    anonymized: Annotated[
        Path | None, typer.Option(metavar="B", help="The same pictures after it, with the same names.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="PAGE", help="HTML report; JSON beside it.", show_default="audit-METHOD.html"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of people, pairs and attackers.", min=0)] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Attack a method in five ways and report how private it is.

    By default people are drawn. The report shows no real people. Every method gets the same attackers
    and the same budget, see docs/audit.md.

    \b
    Examples:
      anonlib audit blur8
      anonlib audit --weights results/tour/weights/modifier.safetensors
      anonlib audit swap --root lfw
      anonlib audit --originals photos --anonymized photos-after-my-program
    """
    where = prepare_device(device, threads)

    from anonlib.attack.audit.record import record, write_record
    from anonlib.attack.audit.report import write_page
    from anonlib.attack.audit.request import AuditRequest, run_audit
    from anonlib.files import check_writable

    request = AuditRequest(
        method=method, weights=weights, root=root, originals=originals, anonymized=anonymized, seed=seed
    )
    page = out or Path(f"audit-{request.name}.html")
    check_writable(page)
    start = time.time()
    found = run_audit(request, device=where)
    content = record(found, command=request.command(), device=where, seconds=time.time() - start)
    write_page(page, found, content)
    write_record(page.with_suffix(".json"), content)
    _print_audit(found)
    typer.echo(f"\nReport: {page} and {page.with_suffix('.json').name}")


def _print_audit(found: Audit) -> None:
    from anonlib.attack.audit.report import text_table

    typer.echo(text_table(found))
    for line in found.warnings:
        typer.echo(f"warning: {line}")
    for name, why in found.skipped.items():
        typer.echo(f"warning: {name} did not run: {why}")

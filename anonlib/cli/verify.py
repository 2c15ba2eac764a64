"""`anonlib verify`: are people in LFW still recognised after anonymization?"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anonlib.cli.shared import Device, Threads, Weights, plain_errors, prepare_device

if TYPE_CHECKING:
    from anonlib.attack.verify import Request, Verification


@plain_errors()
def verify(
    root: Annotated[Path, typer.Option(metavar="LFW_ROOT", help="LFW, with pairs.txt in or beside it.")],
    method: Annotated[str, typer.Option(metavar="NAME", help="See `anonlib methods`.")],
    weights: Weights = None,
    folds: Annotated[str, typer.Option(help="Two or more folds of 1 to 10, such as 6-10 or 1,3.")] = "6-10",
    recognizer: Annotated[str, typer.Option(help="sphereface, or dlib (an optional extra).")] = "sphereface",
    framing: Annotated[
        str, typer.Option(help="frame: hide faces in whole pictures; crop: cut the faces out first.")
    ] = "frame",
    limit: Annotated[int | None, typer.Option(help="Most pairs to compare.", show_default="all")] = None,
    retrain: Annotated[int, typer.Option(metavar="STEPS", help="Also train D on modified faces.")] = 0,
    json: Annotated[Path | None, typer.Option(metavar="OUT", help="Write a record as JSON.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the retrained D.", min=0)] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure how well people in LFW are recognised before and after anonymization.

    \b
    Examples:
      anonlib verify --root lfw --method blur8 --limit 600
      anonlib verify --root lfw --method mask --recognizer dlib --json mask.json
      anonlib verify --root lfw --method modifier --weights results/tour/weights/modifier.safetensors
    """
    where = prepare_device(device, threads)

    from anonlib.attack.verify import Request, parse_folds, verify_method, write_record
    from anonlib.files import check_writable

    request = Request(
        method=method,
        weights=weights,
        folds=parse_folds(folds),
        recognizer=recognizer,
        framing=framing,
        limit=limit,
        retrain=retrain,
        seed=seed,
    )
    if json is not None:
        check_writable(json)
    start = time.time()
    found = verify_method(root, request, device=where)
    _print_verification(request, found)
    if json is not None:
        write_record(json, root, request, found, device=where, seconds=time.time() - start)


def _print_verification(request: Request, found: Verification) -> None:
    import pandas as pd

    from anonlib.viz.tables import format_table

    table = pd.DataFrame(found.comparisons).drop(columns=["within", "between"])
    typer.echo(
        f"\nFace verification by {request.recognizer} on {found.pairs} pairs of LFW, method "
        f"{request.method}. Percent, 95% intervals; TAR at a FAR of 0.1%\n\n{format_table(table)}"
        f"\n\nFaces detected again after modification: {100 * found.found_again:.1f}% of {found.pictures}"
        f"\nPairs left out because no face is detected: {found.left_out}"
    )

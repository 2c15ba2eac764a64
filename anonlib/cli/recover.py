"""`anonlib recover`: undoes `anonlib anonymize --method fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anonlib.cli.shared import Device, ask_password, plain_errors
from anonlib.errors import ConfigError


@plain_errors()
def recover(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="The hidden picture.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="OUT", show_default="NAME.recovered.EXT beside it", help="The output."
        ),
    ] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="What --boxes of `anonlib anonymize` wrote; it is needed, for the same crops.",
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an output that exists.")] = False,
) -> None:
    """Show the faces of a picture again that --method fit hid.

    The password is read from the environment variable ANONLIB_PASSWORD, or asked for. A wrong password shows
    wrong faces; nothing says that it is wrong. Videos are refused. In JPEG some detail is lost.

    The password is no protection: T sees 8 bits of it, so whoever has anonlib can try all 256.

    \b
    Exit code:
      0  the picture is written
      2  the file or an option was refused; nothing was written
    \b
    Example:
      anonlib anonymize photo.png --method fit --boxes photo.csv
      anonlib recover photo.anonymized.png --boxes photo.csv
    """
    from anonlib.anonymizers import FIT
    from anonlib.video import Settings, recover_image

    if boxes is None:
        raise ConfigError(
            f"'{file}': recover needs --boxes FILE, which `anonymize --method fit --boxes FILE` wrote: "
            "the new faces are not found at the same places"
        )
    ask_password(again=False)
    settings = Settings(method=FIT, recover=True, device=device, overwrite=overwrite)
    for line in recover_image(file, out, settings=settings, boxes=boxes).lines():
        typer.echo(line, err=True)

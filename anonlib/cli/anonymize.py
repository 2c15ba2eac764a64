"""`anonlib anonymize`: every face in pictures and videos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from anonlib.cli.shared import FAILED, Device, plain_errors
from anonlib.errors import ConfigError

if TYPE_CHECKING:
    from anonlib.video.jobs import Engine


@plain_errors()
def anonymize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            show_default=False,
            help="Pictures, videos, folders, camera:0, rtsp://... or another address, - (stdin).",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            show_default="NAME.anonymized.EXT beside the input",
            help="File, folder, or - for stdout (Matroska).",
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="What hides a face; `anonlib methods` lists them.")
    ] = None,
    detector: Annotated[str | None, typer.Option(help="What finds faces: ssh, cascade or mtcnn.")] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write what was done as JSON.")] = None,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto takes a GPU if one is there.")
    ] = "auto",
    every: Annotated[int | None, typer.Option(help="Look for faces in each so-many-th frame.", min=1)] = None,
    mask_scale: Annotated[
        float | None, typer.Option(help="How much larger than the face its mask is.", min=1)
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Only the first file, and 3 seconds of a video.")
    ] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Make frames in which a face may be lost coarse blocks.")
    ] = False,
    keep_metadata: Annotated[
        bool, typer.Option("--keep-metadata", help="Keep titles, dates, places and subtitles.")
    ] = False,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave the sound out.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that exist.")] = False,
    engine: Annotated[
        Literal["local", "ray"], typer.Option(help="One file after the other here, or many at once on Ray.")
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Processes of --engine ray.", min=1, show_default="one a core")
    ] = None,
) -> None:
    """Replace every face in pictures and videos.

    An output is there when it is complete, never before. What is finished in a folder is skipped,
    so that the same command goes on where it was stopped. Ctrl-C ends the recording of a camera.
    Nothing of a face is logged or reported.

    --engine ray shares the files among the cores of this machine, or of the Ray cluster that
    RAY_ADDRESS names, whose machines must see the files under the same paths.

    \b
    Examples:
      anonlib anonymize holiday.mp4
      anonlib anonymize holiday.mp4 --preview --method blur8
      anonlib anonymize photos/ -o safe/ --report report.json
      anonlib anonymize archive/ -o safe/ --engine ray --workers 8
      anonlib anonymize camera:0 -o door.mp4
      cat film.mkv | anonlib anonymize - -o - > safe.mkv
    """
    from anonlib.video import Settings, anonymize_files

    chosen = {"method": method, "detector": detector, "every": every, "enlarge": mask_scale}
    settings = Settings(
        device=device,
        preview=preview,
        hold=hold,
        keep_metadata=keep_metadata,
        audio=not no_audio,
        overwrite=overwrite,
        **{name: value for name, value in chosen.items() if value is not None},  # type: ignore[arg-type]
    )
    done = anonymize_files(
        inputs, out, settings=settings, report=report, progress=True, engine=_engine(engine, workers)
    )
    for line in done.lines():
        typer.echo(line, err=True)
    if done.bad:
        raise typer.Exit(FAILED)


def _engine(name: str, workers: int | None) -> Engine | None:
    """What does the files; None for one after the other."""
    if name == "local":
        if workers is not None:
            raise ConfigError("--workers goes with --engine ray: give both or neither")
        return None
    from anonlib.video import RayEngine

    return RayEngine(workers=workers)

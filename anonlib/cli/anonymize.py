"""`anonlib anonymize`: every face in pictures and videos."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from anonlib.cli.shared import Device, Weights, ask_password, plain_errors
from anonlib.config import DETECTOR, ENLARGE, METHOD
from anonlib.errors import ConfigError


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
        str, typer.Option(help="How faces are hidden; `anonlib methods` lists the methods.")
    ] = METHOD,
    weights: Weights = None,
    detector: Annotated[
        str, typer.Option(help="How faces are found: centerface, ssh, cascade or mtcnn.")
    ] = DETECTOR,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report as JSON.")] = None,
    boxes: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the boxes of all faces (.csv, .jsonl); if FILE exists, hide the boxes in it instead.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHO",
            help="Leave a consenting person clear: X,Y,W,H or X,Y,W,H,T0,T1 (pixels, seconds), "
            "or a track of --boxes. May be repeated.",
        ),
    ] = None,
    review: Annotated[
        Path | None,
        typer.Option(metavar="FILE.html", help="Write a page with each face after it was replaced."),
    ] = None,
    device: Device = "auto",
    every: Annotated[int, typer.Option(help="Detect faces in every n-th frame; track between.", min=1)] = 2,
    mask_scale: Annotated[
        float | None,
        typer.Option(
            help="How much larger than the face the replaced region is.",
            min=1,
            show_default=f"{ENLARGE}; swap takes what it needs",
        ),
    ] = None,
    extent: Annotated[
        Literal["face", "head"] | None,
        typer.Option(
            help="How much of a person --method swap replaces: the face, or hair, ears and neck too.",
            show_default="face",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            help="Repeat the people that swap or M-state draws. Keep it secret.",
            min=0,
            show_default="new people in each run",
        ),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="How far --method live changes a face: 0.25, 0.5, 0.75 or 1.", show_default="1"),
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="One file only, 3 seconds of a video.")] = False,
    hold: Annotated[
        bool, typer.Option("--hold", help="Replace a frame by coarse blocks where a face may have been lost.")
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

    All inputs are checked before anything is written. An input is refused by name if it holds no picture and
    no video, or if its output is an input or the output of another input. In a folder, files that hold no
    picture and no video are left alone.

    An output appears when it is complete. If it exists already, a single input is refused. With a folder or
    several inputs it is skipped, so the same command resumes. Ctrl-C ends the recording of a camera.
    No part of a clear face is logged or reported.

    To correct a run by hand, write its boxes and edit them: add a row for a face that was missed, and delete
    the rows of a false find. Then run the same command again with --overwrite. Boxes that do not fit the
    input are refused.

    --method fit needs a password: from the environment variable ANONLIB_PASSWORD, or it asks for one. With
    the same password `anonlib recover` shows the faces of a picture again, if --boxes was given.

    --engine ray uses the cores of this machine, or the Ray cluster that RAY_ADDRESS names. Its
    machines must see the files under the same paths.

    \b
    Exit code:
      0  every input is processed
      1  a file failed or is incomplete, as the last lines say; the others are done
      2  an input or an option was refused; nothing was started
    \b
    Examples:
      anonlib anonymize holiday.mp4
      anonlib anonymize holiday.mp4 --preview --method blur8
      anonlib anonymize photos/ -o safe/ --report report.json
      anonlib anonymize talk.mp4 --boxes talk.csv --review talk.html
      anonlib anonymize talk.mp4 --boxes talk.csv --keep 3 --overwrite
      anonlib anonymize archive/ -o safe/ --engine ray --workers 8
      anonlib anonymize talk.mp4 --method modifier --weights results/tour/weights/modifier.safetensors
      anonlib anonymize camera:0 -o door.mp4
      cat film.mkv | anonlib anonymize - -o - > safe.mkv
    """
    from anonlib.anonymizers import FIT
    from anonlib.video import Keep, RayEngine, Settings, anonymize_files

    settings = Settings(
        method=method,
        weights=weights,
        detector=detector,
        device=device,
        every=every,
        enlarge=mask_scale,
        extent=extent,
        seed=seed,
        strength=strength,
        hold=hold,
        audio=not no_audio,
        keep_metadata=keep_metadata,
        overwrite=overwrite,
        preview=preview,
        keep=tuple(Keep.parse(text) for text in keep or ()),
    )
    if engine == "local" and workers is not None:
        raise ConfigError("--workers goes with --engine ray: give both or neither")
    if method == FIT:
        ask_password(again=True)
    chosen = RayEngine(workers=workers) if engine == "ray" else None
    done = anonymize_files(
        inputs,
        out,
        settings=settings,
        report=report,
        boxes=boxes,
        review=review,
        progress=True,
        engine=chosen,
    )
    for line in done.lines():
        typer.echo(line, err=True)
    if done.bad:
        raise typer.Exit(1)

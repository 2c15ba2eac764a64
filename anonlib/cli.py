"""The command line: thin, one function a command.

Mistakes a user can mend end in one line on stderr and exit code 2, Ctrl-C in exit code 130.
Heavy imports wait inside the commands, so that `anonlib --help` answers at once.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import anonlib
from anonlib import config
from anonlib.errors import AnonlibError, ConfigError

if TYPE_CHECKING:
    from anonlib.evaluation.reproduce import Reproduction
    from anonlib.evaluation.verify import Request, Verification

Device = Literal["auto", "cpu", "cuda"]

TABLES = {
    "table1": "Table 1. Average precision of action detection at IoU 0.5, percent",
    "figure4": "Fig. 4. Face verification error and action mAP, percent; for both, more is better",
    "ablation_classifier": "Section 5.6. Who still recognises a face? Verification, percent",
    "ablation_random_label": "Section 5.6. Gradient ascent or random labels? Percent",
}
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


app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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


@app.command()
@plain_errors()
def reproduce(
    profile: Annotated[
        str, typer.Option(help="How large an experiment: smoke, laptop or paper.")
    ] = "laptop",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results.", show_default="results/PROFILE")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Draws the people, the clips and the weights.", min=0)
    ] = 0,
    faces: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="ROOT",
            help="Real faces, one folder a person, as in LFW or CASIA-WebFace; repeat for more.",
            show_default="people who do not exist",
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Names of real people to leave out of training, one a line."
        ),
    ] = None,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto takes a GPU if one is there.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", min=1, show_default="PyTorch's choice")
    ] = None,
) -> None:
    """Rebuild the experiment and print Table 1 and Figure 4.

    Trains the anonymizer and measures it beside the hand-crafted ones. Interrupt it with Ctrl-C
    at any time: the same command goes on where it stopped.

    \b
    Examples:
      anonlib reproduce --profile laptop --out results/tour
      anonlib reproduce --profile laptop --seed 1 --out results/seed1
      anonlib reproduce --profile laptop --faces casia --faces lfw --out results/real
      anonlib reproduce --profile paper --device cuda

    \b
    Written to the folder:
      table1.csv                   average precision of each action class, each method
      figure4.csv                  verification error and action mAP, with intervals
      ablation_classifier.csv      does the face classifier remain accurate?
      ablation_random_label.csv    gradient ascent or random labels?
    """
    chosen = config.profile(profile)
    out = out or Path("results", profile)
    where = _prepare(device, threads)

    from anonlib.evaluation.reproduce import reproduce as run

    results = run(
        profile=chosen, out=out, seed=seed, faces=tuple(faces or ()),
        exclude=_names_in(exclude), device=where,
    )  # fmt: skip
    _print_results(results)
    typer.echo(f"\nEverything is in {out}.")


def _names_in(path: Path | None) -> frozenset[str]:
    return frozenset(path.read_text(encoding="utf-8").split()) if path else frozenset()


def _prepare(device: Device, threads: int | None) -> str:
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda': PyTorch finds no NVIDIA GPU here; use --device cpu")
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device


def _print_results(results: Reproduction) -> None:
    import pandas as pd

    from anonlib.viz.tables import format_table, format_table1

    for name, title in TABLES.items():
        table = pd.read_csv(getattr(results, name))
        text = format_table1(table) if name == "table1" else format_table(table)
        typer.echo(f"\n{title}\n\n{text}")


@app.command()
@plain_errors()
def verify(
    root: Annotated[
        Path, typer.Option(metavar="LFW_ROOT", help="LFW's folder, with pairs.txt in or beside it.")
    ],
    method: Annotated[str, typer.Option(metavar="NAME", help="See `anonlib methods`.")],
    folds: Annotated[
        str, typer.Option(help="Folds of LFW: two or more of 1 to 10, as 6-10 or 1,3.")
    ] = "6-10",
    recognizer: Annotated[
        str, typer.Option(help="Who looks: sphereface, or dlib, an optional extra.")
    ] = "sphereface",
    framing: Annotated[
        str,
        typer.Option(help="frame: faces are found and hidden in whole pictures; crop: cut first."),
    ] = "frame",
    limit: Annotated[
        int | None, typer.Option(help="Pairs at most, for a quick look.", show_default="all")
    ] = None,
    retrain: Annotated[
        int, typer.Option(metavar="STEPS", help="Also train D on modified faces, so many steps.")
    ] = 0,
    json: Annotated[
        Path | None, typer.Option(metavar="OUT", help="Write the record to this file.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the retrained D.", min=0)] = 0,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto takes a GPU if one is there.")
    ] = "auto",
    threads: Annotated[
        int | None, typer.Option(help="CPU threads.", min=1, show_default="PyTorch's choice")
    ] = None,
) -> None:
    """Measure who is still recognised on LFW, original against modified.

    \b
    Examples:
      anonlib verify --root lfw --method blur8 --limit 600
      anonlib verify --root lfw --method mask --recognizer dlib --json mask.json
    """
    where = _prepare(device, threads)

    from anonlib.evaluation.verify import Request, parse_folds, verify_method
    from anonlib.evaluation.verify_record import write_record

    request = Request(
        method=method, folds=parse_folds(folds), recognizer=recognizer, framing=framing,
        limit=limit, retrain=retrain, seed=seed,
    )  # fmt: skip
    start = time.time()
    found = verify_method(root, request, device=where)
    _print_verification(request, found)
    if json is not None:
        write_record(json, root, request, found, seconds=time.time() - start)


def _print_verification(request: Request, found: Verification) -> None:
    import pandas as pd

    from anonlib.viz.tables import format_table

    table = pd.DataFrame(found.comparisons).drop(columns=["within", "between"])
    typer.echo(
        f"\nWho is recognised by {request.recognizer} on {found.pairs} pairs of LFW, method "
        f"{request.method}. Percent, 95% intervals; TAR at a FAR of 0.1%\n\n{format_table(table)}"
        f"\n\nFaces found again once modified: {100 * found.found_again:.1f}% of {found.pictures}"
        f"\nPairs left out, as no face is found: {found.left_out}"
    )


@app.command()
@plain_errors()
def anonymize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...", show_default=False,
            help="Pictures, videos, folders, camera:0, rtsp://... or another address, - (stdin).",
        ),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "--out", "-o", metavar="OUT", show_default="NAME.anonymized.EXT beside the input",
            help="File, folder, or - for stdout (Matroska).",
        ),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="What hides a face; `anonlib methods` lists them.")
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="What finds faces: ssh, cascade or mtcnn.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was done as JSON.")
    ] = None,
    device: Annotated[
        Device, typer.Option(help="Where to compute; auto takes a GPU if one is there.")
    ] = "auto",
    every: Annotated[
        int | None, typer.Option(help="Look for faces in each so-many-th frame.", min=1)
    ] = None,
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
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace outputs that exist.")
    ] = False,
) -> None:  # fmt: skip
    """Replace every face in pictures and videos.

    An output is there when it is complete, never before. What is finished in a folder is skipped,
    so that the same command goes on where it was stopped. Ctrl-C ends the recording of a camera.
    Nothing of a face is logged or reported.

    \b
    Examples:
      anonlib anonymize holiday.mp4
      anonlib anonymize holiday.mp4 --preview --method blur8
      anonlib anonymize photos/ -o safe/ --report report.json
      anonlib anonymize camera:0 -o door.mp4
      cat film.mkv | anonlib anonymize - -o - > safe.mkv
    """
    from anonlib.video import Settings, anonymize_files
    from anonlib.video.progress import Bar

    chosen = {"method": method, "detector": detector, "every": every, "enlarge": mask_scale}
    settings = Settings(
        device=device, preview=preview, hold=hold, keep_metadata=keep_metadata,
        audio=not no_audio, overwrite=overwrite,
        **{name: value for name, value in chosen.items() if value is not None},  # type: ignore[arg-type]
    )  # fmt: skip
    done = anonymize_files(inputs, out, settings=settings, report=report, watcher=Bar())
    for line in done.lines():
        typer.echo(line, err=True)
    if done.bad:
        raise typer.Exit(FAILED)


@app.command()
def methods() -> None:
    """List the anonymizers, learned or not."""
    from anonlib.anonymizers import SHIPPED, names
    from anonlib.viz.styles import style

    for name in (*names(), SHIPPED):
        typer.echo(f"{name:<15}{style(name).label}")


@app.command()
def profiles() -> None:
    """List the sizes of the experiment."""
    for name in config.profiles():
        p = config.profile(name)
        typer.echo(
            f"{name:<8}M {p.modifier.size} px, {p.modifier.blocks} blocks; "
            f"D SphereFace-{p.classifier.depth}; A {p.detector.backbone}; "
            f"{p.data.people} people, {p.data.train_clips} clips, "
            f"{p.training.adversarial_steps} + {p.training.detector_steps} steps"
        )


def main() -> None:
    """Entry point of the `anonlib` command."""
    app()


if __name__ == "__main__":
    main()

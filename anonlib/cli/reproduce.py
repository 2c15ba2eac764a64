"""`anonlib reproduce`: the paper's experiment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from anonlib import config
from anonlib.cli.shared import Device, Threads, plain_errors, prepare_device

if TYPE_CHECKING:
    from anonlib.experiment.tables import Reproduction

TABLES = {
    "strongest": "Fig. 4 by the strongest attacker on each method, percent; higher is better",
    "table1": "Table 1. Average precision of action detection at IoU 0.5, percent",
    "figure4": "Fig. 4. Face verification error (naive) and action mAP, percent; higher is better for both",
    "ablation_classifier": "Section 5.6. Which classifiers still recognise a face? Verification, percent",
    "ablation_random_label": "Section 5.6. Gradient ascent or random labels? Percent",
}


@plain_errors()
def reproduce(
    profile: Annotated[str, typer.Option(help="Size: smoke, laptop, workstation or paper.")] = "laptop",
    out: Annotated[Path | None, typer.Option(help="Result folder.", show_default="results/PROFILE")] = None,
    seed: Annotated[int, typer.Option(help="Seed of people, clips and initial weights.", min=0)] = 0,
    faces: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="ROOT",
            help="Real faces, one folder per person, as in LFW or CASIA-WebFace; may be repeated.",
            show_default="drawn people",
        ),
    ] = None,
    exclude: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names of real people to leave out of training, one per line."),
    ] = None,
    actions: Annotated[
        Path | None,
        typer.Option(
            metavar="ROOT", help="Real clips: the folder of JHMDB or DALY.", show_default="drawn clips"
        ),
    ] = None,
    protocol: Annotated[str, typer.Option(help="Test clips: split1, or boxed (with true boxes).")] = "split1",
    detector: Annotated[
        Literal["ssh", "cascade", "centerface", "mtcnn"] | None,
        typer.Option(
            help="Who finds the faces in real clips; the paper's is cascade.",
            show_default="the profile's choice",
        ),
    ] = None,
    folds: Annotated[
        Literal["6-10", "all"], typer.Option(help="Folds of LFW that are the test. Settings saw folds 1-5.")
    ] = "6-10",
    start: Annotated[
        Literal["identity", "random", "redraw"] | None,
        typer.Option(
            help="The paper's M starts by returning a face, from random weights, or by redrawing the face as "
            "another person.",
            show_default="the profile's choice",
        ),
    ] = None,
    pretrained: Annotated[
        Literal["imagenet"] | None,
        typer.Option(help="Start A from torchvision's weights (downloads); for --profile paper."),
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    devices: Annotated[int, typer.Option(help="GPUs, or CPU processes, each with its own batch.", min=1)] = 1,
    nodes: Annotated[int, typer.Option(help="Machines; several need torchrun on each.", min=1)] = 1,
    precision: Annotated[
        str | None, typer.Option(help="Training in float32 or bfloat16.", show_default="the profile's choice")
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="Also retrain an attacker on every method, and train M without D and without A. Extends a "
            "finished run.",
        ),
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Write TensorBoard events to OUT/watch.")] = False,
    verify: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Train nothing: check a run's tables against its predictions."),
    ] = None,
) -> None:
    """Repeat the paper's experiment and print Table 1 and Figure 4.

    Trains the anonymizer and compares it with the hand-crafted methods. You may stop it with Ctrl-C
    at any time: the same command resumes.

    \b
    Examples:
      anonlib reproduce --profile laptop --out results/tour
      anonlib reproduce --profile laptop --seed 1 --out results/seed1
      anonlib reproduce --profile laptop --start identity --out results/identity
      anonlib reproduce --profile laptop --faces casia --faces lfw --out results/real
      anonlib reproduce --profile workstation --faces lfw --faces casia --actions jhmdb
      anonlib reproduce --profile paper --device cuda --devices 8 --precision bfloat16
      anonlib reproduce --verify results/jhmdb-split1

    \b
    Written to the folder:
      table1.csv                   average precision of each action class, each method
      figure4.csv                  verification error and action mAP, with intervals
      ablation_classifier.csv      does the face classifier remain accurate?
      ablation_random_label.csv    gradient ascent or random labels?
      action_groups.csv            average precision of actions about the face, and of the others
      comparisons.csv              differences between ours and each method, on the same clips
      faces_found.csv              how often a face is detected in each action
      mixtures.csv                 masks for a share of the people or pictures
      evidence.csv                 which actions need the face?
      strongest.csv                with --full: Fig. 4 by the strongest attacker
      ablation_game.csv            with --full: M before Algorithm 1, without D, without A
    """
    if verify is not None:
        from anonlib.experiment.records import check_results, describe_run

        tables = check_results(verify)
        typer.echo(
            f"{describe_run(verify)}\nThe predictions in {verify} give the same tables: {', '.join(tables)}"
        )
        return
    chosen = config.profile(profile)
    chosen = replace(
        chosen, data=replace(chosen.data, folds=folds, face_finder=detector or chosen.data.face_finder)
    )
    if pretrained:
        chosen = replace(chosen, training=replace(chosen.training, pretrained=pretrained))
    if precision is not None:
        chosen = replace(chosen, training=replace(chosen.training, precision=precision))
    out = out or Path("results", profile)
    excluded = exclude.read_text(encoding="utf-8").split() if exclude else ()
    where = prepare_device(device, threads)

    from anonlib.experiment.reproduce import reproduce as run
    from anonlib.files import first_process
    from anonlib.training.processes import start_processes

    where = start_processes(where, devices=devices, nodes=nodes)
    results = run(
        profile=chosen,
        out=out,
        seed=seed,
        faces=tuple(faces or ()),
        exclude=frozenset(excluded),
        actions=actions,
        protocol=protocol,
        start=start,
        device=where,
        watch=watch,
        full=full,
    )
    if first_process():
        _print_results(results)
        typer.echo(f"\nEverything is in {out}.")


def _print_results(results: Reproduction) -> None:
    import pandas as pd

    from anonlib.viz.tables import format_table, format_table1

    for name, title in TABLES.items():
        if getattr(results, name, None) is None:
            continue
        table = pd.read_csv(getattr(results, name))
        text = format_table1(table) if name == "table1" else format_table(table)
        typer.echo(f"\n{title}\n\n{text}")

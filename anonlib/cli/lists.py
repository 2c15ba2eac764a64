"""`anonlib methods` and `anonlib profiles`."""

from __future__ import annotations

import typer

from anonlib import config


def methods() -> None:
    """List the anonymizers, learned or not."""
    from anonlib.anonymizers import SHIPPED, names
    from anonlib.viz.styles import style

    for name in (*names(), SHIPPED):
        typer.echo(f"{name:<15}{style(name).label}")


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

"""From what was asked for to a list of single files, each with the place of its output."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from anonlib.errors import VideoError
from anonlib.video.naming import Word, beside, files_in, mirrored
from anonlib.video.opening import is_live

_Name = Callable[[str], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One input and its output."""

    source: str | Path
    """A path; or `-`, a camera or an address as text."""
    output: Callable[[str], str | Path]
    """Where its output goes, by whether it holds an `image` or a `video`."""
    root: Path | None = None
    """The output folder that a mirrored output must not leave."""
    skips: bool = False
    """Whether an output that exists means that the work is done."""
    refused: str | None = None
    """Why it is left alone."""


def plan(inputs: Sequence[str | Path], out: str | Path | None, *, word: Word) -> list[Job]:
    """The jobs for these inputs, in order.

    Args:
        inputs: files, folders, `-`, cameras and addresses.
        out: `-`, a file for one input, or a folder; None for names beside the inputs.
        word: what names the default outputs.

    Raises:
        VideoError: an input does not exist, or the output does not fit.
    """
    if not inputs:
        raise VideoError("nothing to anonymize: name a file, a folder, camera:0 or -")
    several = len(inputs) > 1
    if several and out == "-":
        raise VideoError("several inputs do not fit into stdout: name a folder")
    jobs = [job for one in inputs for job in _jobs(one, out, several, word)]
    made = {os.path.abspath(job.output(kind)) for job in jobs for kind in ("image", "video")}
    return [job for job in jobs if not several or os.path.abspath(job.source) not in made]


def _jobs(one: str | Path, out: str | Path | None, several: bool, word: Word) -> Iterator[Job]:
    if isinstance(one, str) and (one == "-" or is_live(one)):
        yield _stream_job(one, out, several, word)
        return
    path = Path(one)
    if path.is_dir():
        yield from _folder_jobs(path, out, several, word)
    elif not path.exists():
        raise VideoError(f"'{one}' is not there: check the name")
    elif out is None:
        yield Job(source=path, output=lambda kind: beside(path, kind, word), skips=several)
    elif out != "-" and (several or _means_folder(out)):
        folder = Path(out)
        name: _Name = lambda kind: folder / mirrored(Path(path.name), kind)  # noqa: E731
        yield Job(source=path, output=name, root=folder, skips=several)
    else:
        yield Job(source=path, output=lambda kind: out)


def _stream_job(one: str, out: str | Path | None, several: bool, word: Word) -> Job:
    name = "".join(c if c.isalnum() else "-" for c in one).strip("-")
    target: str | Path
    if out is None:
        target = "-" if one == "-" else f"{name}.{word}.mp4"
    elif out != "-" and (several or _means_folder(out)):
        target = Path(out) / f"{name or 'stdin'}.mp4"
    else:
        target = out
    return Job(source=one, output=lambda kind: target)


def _folder_jobs(root: Path, out: str | Path | None, several: bool, word: Word) -> Iterator[Job]:
    if out == "-":
        raise VideoError(f"folder '{root}' does not fit into stdout: name a folder")
    real = root if root.name not in ("", "..") else Path(os.path.abspath(root))
    target = real.with_name(f"{real.name}.{word}") if out is None else Path(out)
    if several and out is not None:
        target = target / real.name
    if target.exists() and not target.is_dir():
        raise VideoError(f"'{target}' is a file: give a folder's output a folder's name")
    if target.exists() and os.path.samefile(root, target):
        raise VideoError(f"'{target}' is the input itself: give the output another name")
    for found in files_in(root, target):
        relative = found.path.relative_to(root)
        name: _Name = lambda kind, at=relative: target / mirrored(at, kind)  # type: ignore[misc] # noqa: E731
        yield Job(source=found.path, output=name, root=target, skips=True, refused=found.refused)


def _means_folder(out: str | Path) -> bool:
    return str(out).endswith(("/", os.sep)) or Path(out).is_dir()

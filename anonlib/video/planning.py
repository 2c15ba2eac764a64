"""Which file is written for which: names, mirrored folders, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anonlib.errors import VideoError
from anonlib.files import SUFFIX
from anonlib.video.images import FORMATS
from anonlib.video.opening import is_live
from anonlib.video.writer import CONTAINERS

Word = Literal["anonymized", "preview"]


@dataclass(frozen=True, slots=True)
class Found:
    """A file in a folder, or a link that is not followed."""

    path: Path
    refused: str | None = None
    """Why it is left alone."""


def beside(source: Path, kind: str, word: Word) -> Path:
    """The default output: `NAME.anonymized.EXT` beside the input.

    A suffix that cannot be written becomes .mp4 or .png.

    >>> beside(Path("films/a.avi"), "video", "anonymized").as_posix()
    'films/a.anonymized.mp4'
    """
    return source.with_name(f"{source.stem}.{word}{_suffix(source, kind)}")


def mirrored(relative: Path, kind: str) -> Path:
    """The name in the output folder: the same; a suffix that cannot be written gets another.

    >>> mirrored(Path("b/a.avi"), "video").as_posix(), mirrored(Path("a.JPG"), "image").name
    ('b/a.avi.mp4', 'a.JPG')
    """
    suffix = _suffix(relative, kind)
    return relative if suffix == relative.suffix else relative.with_name(relative.name + suffix)


def _suffix(source: Path, kind: str) -> str:
    known = FORMATS if kind == "image" else CONTAINERS
    if source.suffix.lower() in known:
        return source.suffix
    return ".png" if kind == "image" else ".mp4"


def files_in(root: Path, leave_out: Path) -> Iterator[Found]:
    """Every file below a folder in a fixed order; links that lead out of it are refused.

    Args:
        root: the folder.
        leave_out: the output folder, which may lie in it.
    """
    inside = root.resolve()
    out = leave_out.resolve()
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        links = [n for n in folders if (here / n).is_symlink()]
        folders[:] = sorted(n for n in folders if n not in links and (here / n).resolve() != out)
        for name in sorted(links):
            yield Found(here / name, "links to folders are not followed")
        for name in sorted(names):
            path = here / name
            if name.startswith(".") and name.endswith(SUFFIX):
                continue
            yield Found(path, _refusal(path, inside))


def _refusal(path: Path, inside: Path) -> str | None:
    if not path.is_symlink():
        return None if path.is_file() else "it is no regular file"
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return "the link leads nowhere"
    if not target.is_relative_to(inside):
        return "the link leads out of the folder"
    return None if target.is_file() else "it is no regular file"


def check_output(out: Path, *, overwrite: bool) -> None:
    """Refuses an output that exists.

    Raises:
        VideoError: so it is.
    """
    if out.is_dir():
        raise VideoError(f"'{out}' is a folder: give the output a name of its own")
    if (out.exists() or out.is_symlink()) and not overwrite:
        raise VideoError(f"'{out}' exists: give --overwrite, or the output another name")


def check_inside(out: Path, root: Path) -> None:
    """Refuses an output that a link would carry out of its folder.

    Raises:
        VideoError: so it is.
    """
    if not out.parent.resolve().is_relative_to(root.resolve()):
        raise VideoError(f"'{out}' would be written outside '{root}' through a link: remove it")


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

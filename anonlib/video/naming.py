"""Which file is written for which: names, mirrored folders, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from anonlib.errors import VideoError
from anonlib.video.complete import SUFFIX
from anonlib.video.images import FORMATS
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

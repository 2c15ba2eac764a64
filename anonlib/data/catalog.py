"""The data sets of the paper: what they hold, their terms, and where to download them.

They are read from `data/datasets.toml`. Where no checksum is published, `download` records the SHA-256 of the
first download.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any

from anonlib.assets import data_path
from anonlib.errors import DatasetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file, and the addresses that have identical copies of it."""

    name: str
    urls: tuple[str, ...]
    """Tried in this order; `gdrive:ID` is a file on Google Drive."""
    digest: str = ""
    """Published checksum, `sha256:...` or `md5:...`; empty if there is none."""
    keep: tuple[tuple[str, str], ...] = ()
    """For an archive: names in it, and their places below the root. Empty for a plain file."""

    @property
    def places(self) -> tuple[str, ...]:
        """What is below the root after the download."""
        return tuple(place for _, place in self.keep) or (self.name,)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """An entry of the catalog."""

    name: str
    title: str
    holds: str
    size: str
    terms: str
    ask: str
    """Address of the terms, and where to ask for access."""
    parts: tuple[tuple[Source, ...], ...] = ()
    """What is downloaded: for each part, alternative sources, the best first."""
    by_hand: str = ""
    """How to get what cannot be downloaded, or where all sources fail."""


def _source(fields: dict[str, Any]) -> Source:
    keep = tuple(fields.pop("keep", {}).items())
    return Source(**fields | {"urls": tuple(fields["urls"])}, keep=keep)


def _read_catalog() -> dict[str, DataSet]:
    content = tomllib.loads(data_path("datasets.toml").read_text(encoding="utf-8"))
    return {
        name: DataSet(
            name=name,
            parts=tuple(tuple(map(_source, part["sources"])) for part in entry.pop("parts", ())),
            **entry,
        )
        for name, entry in content.items()
    }


CATALOG = _read_catalog()
"""Entries by name, in the order in which the paper names them."""


def data_set(name: str) -> DataSet:
    """The entry with a name; raises a DatasetError if there is none."""
    if name not in CATALOG:
        raise DatasetError(f"data set '{name}' is unknown: use one of {', '.join(CATALOG)}")
    return CATALOG[name]

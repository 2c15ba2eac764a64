"""What may be chosen for a run, with the defaults."""

from __future__ import annotations

from dataclasses import dataclass

from anonlib.config import ENLARGE
from anonlib.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda")
PREVIEW_SECONDS = 3.0
"""How much of a video `preview` anonymizes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How faces are found and hidden, and what else is kept.

    >>> Settings(every=0)
    Traceback (most recent call last):
    anonlib.errors.ConfigError: every 0: use 1 to look for faces in each frame, or more
    """

    method: str = "modifier-lite"
    """What hides a face, see `anonlib.anonymizers.names`."""
    detector: str = "ssh"
    """What finds faces, see `anonlib.detection.names`."""
    device: str = "auto"
    """Where the networks run: auto (a GPU if one is there), cpu or cuda."""
    every: int = 2
    """Faces are looked for in each so-many-th frame and followed between."""
    enlarge: float = ENLARGE
    """How much larger than the face the region is that is replaced."""
    hold: bool = False
    """Whether frames in which a face may be lost become a few coarse blocks of colour."""
    audio: bool = True
    """Whether sound is kept."""
    keep_metadata: bool = False
    """Whether titles, places, dates and subtitles are kept; embedded pictures never are."""
    overwrite: bool = False
    """Whether an output that exists is replaced."""
    preview: bool = False
    """Whether only the first seconds, of the first file, are anonymized."""

    def __post_init__(self) -> None:
        """Refuse what cannot be or would hide nobody."""
        if self.method == "unanonymized":
            raise ConfigError("method 'unanonymized' hides nobody: choose another")
        if self.device not in DEVICES:
            raise ConfigError(f"device '{self.device}': use one of {', '.join(DEVICES)}")
        if self.every < 1:
            raise ConfigError(f"every {self.every}: use 1 to look for faces in each frame, or more")
        if not 1 <= self.enlarge <= 10:
            raise ConfigError(f"mask scale {self.enlarge:g}: use 1 to 10; the paper uses {ENLARGE}")

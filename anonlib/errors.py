"""Errors that a user can fix. Each names the cause and the fix.

The command line prints them in one line and exits with code 2.
"""

from __future__ import annotations

from collections.abc import Sequence


class AnonlibError(Exception):
    """Base of every error that the user, not the programmer, can fix."""


class ConfigError(AnonlibError):
    """A profile, a method or a setting that does not exist, or a value that is not allowed."""


class DatasetError(AnonlibError):
    """A data set, or a file of one, that is missing, damaged, refused or cannot be fetched."""


class FaceDatasetError(DatasetError):
    """A folder of face images that is not laid out as its loader expects."""


class ActionDatasetError(DatasetError):
    """A dataset of action clips that is partial, damaged or not laid out as its loader expects."""


class ImageError(AnonlibError):
    """A picture that cannot be read or cannot hold a face."""


class CheckpointError(AnonlibError):
    """A checkpoint that is damaged or belongs to another profile."""


class NumericError(AnonlibError):
    """NaN or infinity where a finite number is required."""


class ResultsError(AnonlibError):
    """A result that could not be written; nothing is left half-written."""


class VideoError(AnonlibError):
    """A video, a stream or a folder that cannot be read, or an output that cannot be written."""


class RefusedError(VideoError):
    """Inputs that cannot be anonymized as asked; nothing was started."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons

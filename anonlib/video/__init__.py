"""Replacing every face in videos and pictures: decode, detect, track, anonymize, encode.

>>> from anonlib.video import Settings, anonymize_video
>>> anonymize_video("holiday.mp4", "safe.mp4", settings=Settings(method="blur8"))
... # doctest: +SKIP
"""

from anonlib.video.images import anonymize_image
from anonlib.video.jobs import anonymize_files
from anonlib.video.ray import RayEngine
from anonlib.video.settings import FileReport, Models, Report, Settings, load_models
from anonlib.video.stream import Tally, anonymize_pictures, anonymize_stream
from anonlib.video.videos import anonymize_video

__all__ = [
    "FileReport",
    "Models",
    "RayEngine",
    "Report",
    "Settings",
    "Tally",
    "anonymize_files",
    "anonymize_image",
    "anonymize_pictures",
    "anonymize_stream",
    "anonymize_video",
    "load_models",
]

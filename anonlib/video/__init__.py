"""Replacing every face in videos and pictures: decode, detect, track, anonymize, encode.

>>> from anonlib.video import Settings, anonymize_video
>>> anonymize_video("holiday.mp4", "safe.mp4", settings=Settings(method="blur8"))
... # doctest: +SKIP
"""

from anonlib.video.guide import Keep as Keep
from anonlib.video.images import anonymize_image as anonymize_image
from anonlib.video.jobs import anonymize_files as anonymize_files
from anonlib.video.ray import RayEngine as RayEngine
from anonlib.video.recovering import recover_image as recover_image
from anonlib.video.settings import (
    FileReport as FileReport,
    Models as Models,
    Report as Report,
    Settings as Settings,
    load_models as load_models,
)
from anonlib.video.stream import (
    Tally as Tally,
    anonymize_pictures as anonymize_pictures,
    anonymize_stream as anonymize_stream,
)
from anonlib.video.videos import anonymize_video as anonymize_video

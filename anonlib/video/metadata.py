"""What of a picture's metadata may stay: texts and numbers, never an embedded picture."""

from __future__ import annotations

from PIL import Image

_EXIF, _GPS = 0x8769, 0x8825
_KEPT = (
    0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298,  # description, make ... copyright
)  # fmt: skip
_MAKER_NOTE = 0x927C


def kept_exif(image: Image.Image) -> bytes | None:
    """The EXIF data that `keep_metadata` keeps; None if there is none.

    Description, camera, software, date, artist, copyright, how it was taken, and where. The
    orientation is left out: the pixels are turned. So is what may hold a picture: thumbnails,
    notes of the maker, sub-images, XMP.
    """
    old = image.getexif()
    if not old:
        return None
    new = Image.Exif()
    for tag in _KEPT:
        if tag in old:
            new[tag] = old[tag]
    taken = {k: v for k, v in old.get_ifd(_EXIF).items() if _is_short(v) and k != _MAKER_NOTE}
    places = {k: v for k, v in old.get_ifd(_GPS).items() if _is_short(v)}
    if taken:
        new.get_ifd(_EXIF).update(taken)
    if places:
        new.get_ifd(_GPS).update(places)
    return new.tobytes()


def _is_short(value: object) -> bool:
    """Whether it is a number or a text; a picture would be longer."""
    return not isinstance(value, (bytes, str)) or len(value) <= 2000

"""Kinds of pictures that say where their bytes lie, and so how many there are: WebP, BMP, ICO and TIFF."""

from collections.abc import Mapping
from typing import Final

from longcat.saving.pictures.reader import CutPictureError, PictureReader

_LEAST_WEBP: Final = 12
_OLD_BMP_HEADER: Final = 12
_PLAIN_BMP: Final = frozenset({0, 3, 6})
"""How the pixels of a BMP are written when they are not packed."""

# TIFF 6.0, section 2, and the wide numbers of BigTIFF.
_TIFF_TYPES: Final[Mapping[int, int]] = dict(enumerate((1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4), 1)) | {
    16: 8,
    17: 8,
    18: 8,
}
"""How many bytes a value of each type has."""
_STRIPS, _TILES, _JPEG = (273, 279), (324, 325), (513, 514)
"""Tags that say where parts of the picture lie, and those that say how long they are."""
_SUBDIRECTORIES: Final = (330, 34665, 34853, 40965)
_READ_TAGS: Final = frozenset({*_STRIPS, *_TILES, *_JPEG, *_SUBDIRECTORIES})
_BIG_TIFF: Final = 43


def check_webp(reader: PictureReader) -> None:
    """Raise CutPictureError unless all is there that the RIFF header announces."""
    reader.byteorder, reader.place = "little", 4
    size = reader.number(4)
    if size < _LEAST_WEBP:
        raise CutPictureError("there is no picture in it yet")
    reader.require(8 + size)


def check_bmp(reader: PictureReader) -> None:
    """Raise CutPictureError unless all pixels are there, and all that the header announces."""
    reader.byteorder, reader.place = "little", 2
    reader.require(reader.number(4))
    reader.skip(4)
    pixels = reader.number(4)
    header = reader.number(4)
    if header == _OLD_BMP_HEADER:
        width, height = reader.number(2), reader.number(2)
        compression = packed = 0
        depth = reader.number(4) >> 16
    else:
        width, height = reader.number(4), reader.number(4)
        depth, compression, packed = reader.number(4) >> 16, reader.number(4), reader.number(4)
        height = min(height, 2**32 - height)  # A negative one says that the uppermost row comes first.
    reader.require(pixels + ((width * depth + 31) // 32 * 4 * height if compression in _PLAIN_BMP else packed))


def check_ico(reader: PictureReader) -> None:
    """Raise CutPictureError unless all pictures of the icon are there."""
    reader.byteorder, reader.place = "little", 4
    for _ in range(reader.number(2)):
        reader.skip(8)
        size = reader.number(4)
        reader.require(reader.number(4) + size)


def check_tiff(reader: PictureReader) -> None:
    """Raise CutPictureError unless all directories are there, with all that they name; TIFF and BigTIFF."""
    reader.byteorder = "little" if reader.take(2) == b"II" else "big"
    is_big = reader.number(2) == _BIG_TIFF
    reader.skip(4 if is_big else 0)
    wide = 8 if is_big else 4
    waiting, seen = [reader.number(wide)], {0}
    while waiting:
        place = waiting.pop()
        if place not in seen:
            seen.add(place)
            reader.place = place
            waiting += _check_directory(reader, wide)


def _check_directory(reader: PictureReader, wide: int) -> list[int]:
    """Check one directory, and return where the next one and those below it lie."""
    values: dict[int, list[int]] = {}
    for _ in range(reader.number(8 if wide == 8 else 2)):  # noqa: PLR2004 - as wide as numbers are in BigTIFF.
        tag, size, count = reader.number(2), _TIFF_TYPES.get(reader.number(2), 0), reader.number(wide)
        following = reader.place + wide
        if size * count > wide:
            reader.place = reader.number(wide)
        reader.require(reader.place + size * count)
        if tag in _READ_TAGS:
            values[tag] = [reader.number(size) for _ in range(count)] if size else []
        reader.place = following
    for places, lengths in (_STRIPS, _TILES, _JPEG):
        known = values.get(lengths, [])
        for index, place in enumerate(values.get(places, [])):
            reader.require(place + (known[index] if index < len(known) else 0))
    return [reader.number(wide), *(place for tag in _SUBDIRECTORIES for place in values.get(tag, []))]

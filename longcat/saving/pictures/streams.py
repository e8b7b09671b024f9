"""Kinds of pictures whose last bytes say that they are the last: PNG, JPEG, GIF, and the codestream of JPEG 2000.

What follows the end is no matter: phones put a second picture there.
"""

import re
from typing import Final

from longcat.saving.pictures.reader import CutPictureError, PictureReader

_PIECE: Final = 64 * 1024
# In the packed data of a JPEG, FF is followed by a byte below 80 (JPEG-LS), or by the number of a restart.
_MARKER: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")
_FILL, _START, _END, _SCAN = 0xFF, 0xD8, 0xD9, 0xDA
_ALONE: Final = frozenset({0x01, *range(0xD0, _END)})
"""Markers of a JPEG without a length after them."""


def check_png(reader: PictureReader) -> None:
    """Raise CutPictureError unless the chunk IEND is there (PNG, section 5)."""
    reader.skip(8)
    kind = b""
    while kind != b"IEND":
        length = reader.number(4)
        kind = reader.take(4)
        reader.skip(length + 4)


def check_jpeg(reader: PictureReader) -> None:
    """Raise CutPictureError unless the marker EOI is there (ITU-T T.81, annex B)."""
    reader.skip(2)
    while (marker := _next_marker(reader)) != _END:
        if marker not in _ALONE:
            reader.skip(max(0, reader.number(2) - 2))
        if marker == _SCAN:
            _skip_packed_data(reader)


def _next_marker(reader: PictureReader) -> int:
    if reader.number(1) != _FILL:
        raise CutPictureError("there is no marker where one should be")
    marker = _FILL
    while marker == _FILL:
        marker = reader.number(1)
    return marker


def _skip_packed_data(reader: PictureReader) -> None:
    """Go on to the next marker that is none of the data's own."""
    while True:
        start = reader.place
        piece = reader.take(min(_PIECE, max(2, reader.size - start)))
        found = _MARKER.search(piece)
        if found is not None:
            reader.place = start + found.start()
            return
        reader.place -= 1  # A marker may lie across two pieces.


def check_gif(reader: PictureReader) -> None:
    """Raise CutPictureError unless the trailer is there (GIF89a, section 27)."""
    reader.skip(10)
    _skip_colours(reader, behind=2)
    while (introducer := reader.take(1)) != b";":
        if introducer == b"!":
            reader.skip(1)
        elif introducer == b",":
            reader.skip(8)
            _skip_colours(reader, behind=0)
            reader.skip(1)
        elif introducer == b"\0":  # Some programs end a block twice.
            continue
        else:
            raise CutPictureError("there is no block where one should be")
        while length := reader.number(1):
            reader.skip(length)


def _skip_colours(reader: PictureReader, behind: int) -> None:
    """Leave out a byte of flags, so many bytes behind it, and the table of colours that the flags announce."""
    flags = reader.number(1)
    reader.skip(behind + (3 << (flags & 7) + 1 if flags & 0x80 else 0))


def check_jpeg_2000(reader: PictureReader) -> None:
    """Raise CutPictureError unless the marker EOC is there (ITU-T T.800, annex A)."""
    start_of_tile, end = b"\xff\x90", b"\xff\xd9"
    reader.skip(2)
    while (marker := reader.take(2)) != end:
        begin = reader.place - 2
        length = reader.number(2)
        if marker[0] != _FILL or length < 2:  # noqa: PLR2004 - the length's own bytes.
            raise CutPictureError("there is no marker where one should be")
        if marker == start_of_tile:
            reader.skip(2)
            length_of_tile = reader.number(4)
            # 0: it is the last one, and goes on until the end.
            reader.place = begin
            reader.skip(length_of_tile or reader.size - begin - 2)
            if reader.place <= begin:
                raise CutPictureError("a tile has no length")
        else:
            reader.skip(length - 2)

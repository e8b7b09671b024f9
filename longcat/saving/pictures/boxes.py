"""Kinds of pictures that are made of boxes (ISO/IEC 14496-12): HEIF with all its codecs, JPEG XL and JPEG 2000."""

from collections.abc import Iterator
from typing import Final

from attrs import frozen

from longcat.saving.pictures.reader import CutPictureError, PictureReader
from longcat.saving.pictures.streams import check_jpeg_2000

SIGNATURE_BOX: Final = 12
"""How many bytes a box has by which JPEG XL and JPEG 2000 are known; the box of the brands comes next."""
_LAST_PART: Final = 0x80000000


def brands(head: bytes, start: int = 0) -> list[bytes]:
    """Return the brands in the `ftyp` box of a file that begins with these bytes, the major one first.

    Args:
        head: the first bytes.
        start: where the box begins. Empty: there is no such box.
    """
    if head[start + 4 : start + 8] != b"ftyp":
        return []
    end = start + int.from_bytes(head[start : start + 4], "big")
    places = [start + 8, *range(start + 16, min(end, len(head)) - 3, 4)]  # Between them stands a version.
    return [head[place : place + 4] for place in places]


@frozen
class _Box:
    """One box of a file.

    Attributes:
        begin: where its content begins.
        end: where the next box begins.
        is_open: whether it has no length, and goes on until the end of the file.
    """

    kind: bytes
    begin: int
    end: int
    is_open: bool


def _boxes(reader: PictureReader, start: int, end: int) -> Iterator[_Box]:
    """Yield the boxes between two places. Raises CutPictureError when one goes on behind the end."""
    while start < end:
        reader.place = start
        size = reader.number(4)
        kind = reader.take(4)
        if size == 1:
            size = reader.number(8)
        is_open = size == 0
        box = _Box(kind, reader.place, end if is_open else start + size, is_open)
        if not box.begin <= box.end <= end:
            raise CutPictureError(f"the box {kind!r} goes on behind its end")
        yield box
        start = box.end


def check_heif(reader: PictureReader) -> None:
    """Raise CutPictureError unless all boxes are whole, and all that they say to be in the file is there."""
    found: dict[bytes, _Box] = {}
    for box in _boxes(reader, 0, reader.size):
        found.setdefault(box.kind, box)
        if box.kind == b"meta":
            _check_items(reader, box)
    # Pictures are in `meta`, sequences of them in `moov`. Their bytes are most often in `mdat`.
    if b"meta" not in found and not {b"moov", b"mdat"} <= found.keys():
        raise CutPictureError("there is no picture in it yet")


def _check_items(reader: PictureReader, meta: _Box) -> None:
    """Raise CutPictureError when a part of an item lies behind the end of the file (ISO/IEC 14496-12, 8.11.3)."""
    for box in _boxes(reader, meta.begin + 4, meta.end):
        if box.kind == b"iloc":
            reader.place = box.begin
            for place, length in _extents(reader):
                reader.require(place + length)


def _extents(reader: PictureReader) -> Iterator[tuple[int, int]]:
    """Yield place and length of every part of an item that is in the file itself. The reader is at an `iloc`."""
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    size_of_offset, size_of_length, size_of_base = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    size_of_index = sizes & 15 if version else 0
    wide = 4 if version > 1 else 2
    for _ in range(reader.number(wide)):
        reader.skip(wide)
        method = reader.number(2) & 15 if version else 0
        is_elsewhere = method != 0 or reader.number(2) != 0
        if method:
            reader.skip(2)
        base = reader.number(size_of_base)
        for _ in range(reader.number(2)):
            reader.skip(size_of_index)
            place = base + reader.number(size_of_offset)
            length = reader.number(size_of_length)
            if not is_elsewhere:
                yield place, length


def check_jpeg_xl(reader: PictureReader) -> None:
    """Raise CutPictureError unless all boxes and the last part of the picture are there (ISO/IEC 18181-2).

    A last box without a length can't tell.
    """
    is_complete = False
    for box in _boxes(reader, 0, reader.size):
        if box.kind == b"jxlp":
            reader.place = box.begin
            is_complete = is_complete or bool(reader.number(4) & _LAST_PART)
        elif box.kind == b"jxlc":
            is_complete = True
    if not is_complete:
        raise CutPictureError("its last part is missing")


def check_jp2(reader: PictureReader) -> None:
    """Raise CutPictureError unless all boxes and a codestream are there (ITU-T T.800, annex I)."""
    streams = [box for box in _boxes(reader, 0, reader.size) if box.kind == b"jp2c"]
    if not streams:
        raise CutPictureError("there is no picture in it yet")
    if streams[-1].is_open:
        reader.place = streams[-1].begin
        check_jpeg_2000(reader)

"""Numbers and bytes of a picture file, read at any place of it."""

from typing import IO, Final, Literal

from attrs import define

MAX_READS: Final = 1_000_000
"""How often a picture may be read from, which takes half a second; people's pictures need some thousand reads."""
BYTES_PER_READ: Final = 128
"""A large picture may be read from once more for every so many bytes: a GIF has a part for every 255."""
_PAGE: Final = 1024


class CutPictureError(Exception):
    """A picture goes on where its file ends, or its parts contradict each other."""


@define
class PictureReader:
    """Reads a picture; every method raises CutPictureError for what lies beyond the end of the file.

    Attributes:
        file: can be read and sought.
        size: how many bytes it has.
        place: where the next bytes are read.
        byteorder: how its numbers are written.
    """

    file: IO[bytes]
    size: int
    place: int = 0
    byteorder: Literal["big", "little"] = "big"
    _reads: int = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        self._reads += 1 + count // _PAGE  # A large read counts as several.
        self.require(self.place + count)
        if self._reads > MAX_READS + self.size // BYTES_PER_READ:
            raise CutPictureError("it has too many parts")
        self.file.seek(self.place)
        data = self.file.read(count)
        self.place += len(data)
        if len(data) < count:
            raise CutPictureError("the file is shorter than it was")
        return data

    def number(self, count: int) -> int:
        """Return the next bytes as a number without a sign."""
        return int.from_bytes(self.take(count), self.byteorder)

    def skip(self, count: int) -> None:
        """Leave out the next bytes, which must be there."""
        self.require(self.place + count)
        self.place += count

    def require(self, size: int) -> None:
        """Raise CutPictureError when the file has fewer bytes."""
        if size > self.size:
            raise CutPictureError(f"it has {size} bytes or more, and {self.size} are there")

"""Content codings (RFC 9110, section 8.4.1), undone as a body comes in: in small steps, however much comes out.

gzip (RFC 1952, any number of members) and deflate (RFC 1950, and without its header as some servers send it) are known.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zlib import _Decompress

MAX_STEP: Final = 64 * 1024
"""How many bytes one step yields at most."""
MAX_CODINGS: Final = 4
"""How many codings are undone at most. Servers use one; each takes memory."""
KNOWN: Final = ("gzip", "deflate")

_NO_CODINGS: Final = frozenset({"", "identity", "none", "utf-8"})
_PIECE: Final = 4096  # zlib copies what is left of its input at each step: it is given little at once.
_GZIP: Final = b"\x1f\x8b"
_GZIP_WINDOW: Final = zlib.MAX_WBITS | 16
_SLACK: Final = 1024 * 1024


class CodingError(ValueError):
    """A body can't be decoded: it is damaged, cut, or goes on after its end. The message says which."""


class UnknownCodingError(CodingError):
    """A body is in a content coding that is not known here, or in too many.

    Attributes:
        coding: what `Content-Encoding` says, as it came.
    """

    def __init__(self, coding: str) -> None:
        super().__init__(f"the content coding {coding!r} is not one that can be read here ({', '.join(KNOWN)})")
        self.coding = coding


def codings_of(header: str) -> tuple[str, ...]:
    """Return the codings in a `Content-Encoding`, in lower case and in the order in which they were applied.

    `identity` is none, `x-gzip` is gzip, and empty elements of the list say nothing. Some servers name a character set
    here, which is no coding.
    """
    if not header:
        return ()
    names = (name.strip(" \t").lower() for name in header.split(","))
    same = {"x-gzip": "gzip", "x-deflate": "deflate"}
    return tuple(same.get(name, name) for name in names if name not in _NO_CODINGS)


class ContentDecoder:
    """Undoes the codings of one body.

    Args:
        header: the value of `Content-Encoding`. Empty: the body is not coded.

    Raises UnknownCodingError when one of the codings is not known, or when there are more than `MAX_CODINGS`.
    """

    def __init__(self, header: str) -> None:
        names = codings_of(header)
        if len(names) > MAX_CODINGS or not set(names) <= set(KNOWN):
            raise UnknownCodingError(header.strip())
        self._stages = [_Inflater(name) for name in reversed(names)]
        self._size = 0

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next bytes of the body decode to, `MAX_STEP` bytes at a time; a step may have none.

        A body that is not coded comes back in one step. Whoever has enough may stop. Raises CodingError.
        """
        if not self._stages:
            yield data
            return
        for plain in self._undo(data, self._stages):
            self._size += len(plain)
            # Some hundred bytes, packed several times over, can stand for gigabytes that stand for nothing.
            if any(stage.size > _SLACK + 2 * self._size for stage in self._stages[:-1]):
                raise CodingError("the body is packed several times over, and there is next to nothing in it")
            yield plain

    def finish(self) -> None:
        """Raise CodingError unless the body has come to its end. A body without any byte has."""
        for stage in self._stages:
            stage.finish()

    def _undo(self, data: bytes, stages: Sequence["_Inflater"]) -> Iterator[bytes]:
        if not stages:
            yield data
            return
        for plain in stages[0].decode(data):
            yield from self._undo(plain, stages[1:])


class _Inflater:
    """Undoes one coding. Names are often wrong, so the first bytes tell which of the formats it is.

    Attributes:
        size: how many bytes came out.
    """

    def __init__(self, coding: str) -> None:
        self.size = 0
        self._coding = coding
        self._head = b""  # The first byte of a member whose second one is still to come.
        self._window = 0  # What zlib calls the format of the last member. 0: there was none yet.
        self._member: _Decompress | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what the data decode to. Raises CodingError."""
        for start in range(0, len(data), _PIECE):
            yield from self._decode_piece(data[start : start + _PIECE])

    def finish(self) -> None:
        """Raise CodingError in the midst of a member."""
        if self._member is not None or self._head:
            is_more = self._member is None and self._window and not _GZIP.startswith(self._head)
            raise CodingError(f"the {self._coding} body {'goes on after its end' if is_more else 'was cut'}")

    def _decode_piece(self, data: bytes) -> Iterator[bytes]:
        data, self._head = self._head + data, b""
        is_more = True
        while data or is_more:
            if self._member is None:
                if len(data) < len(_GZIP):
                    self._head = data
                    return
                self._window = self._format_of(data)
                self._member = zlib.decompressobj(self._window)
            try:
                plain = self._member.decompress(data, MAX_STEP)
            except zlib.error as error:
                raise CodingError(f"the {self._coding} body is damaged: {error}") from error
            self.size += len(plain)
            data, is_more = self._member.unconsumed_tail, len(plain) == MAX_STEP
            if self._member.eof:
                data, is_more, self._member = self._member.unused_data, False, None
            yield plain

    def _format_of(self, data: bytes) -> int:
        """Return what zlib calls the format of a member that begins so."""
        if self._window and not (self._window == _GZIP_WINDOW and data.startswith(_GZIP)):
            raise CodingError(f"the {self._coding} body goes on after its end")
        if data.startswith(_GZIP):
            return _GZIP_WINDOW
        if data[0] & 0x8F == zlib.DEFLATED and int.from_bytes(data[:2], "big") % 31 == 0:  # RFC 1950, section 2.2.
            return zlib.MAX_WBITS
        return _GZIP_WINDOW if self._coding == "gzip" else -zlib.MAX_WBITS

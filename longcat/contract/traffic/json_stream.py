"""Reads a JSON file, or one with JSON on each line, one value at a time, in the memory that one value takes.

Python's own decoder reads each value. What is ours finds where a value ends that can't be decoded, so that it costs
only itself: a streaming parser such as ijson loses everything that comes after it, and halves of surrogate pairs.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from longcat.contract.traffic.decoding import BrokenFileError, UnreadableError

READ_SIZE: Final = 256 * 1024
"""How many bytes are read at a time."""
MAX_ITEM: Final = 32 * 1024 * 1024
"""How many characters a value may have: a body of `MAX_BODY` in base64, and the rest."""

_decode: Final = json.JSONDecoder().raw_decode
_AROUND: Final = " \t\r\n\ufeff\x1e"
"""What may stand around the value on a line: some put a separator before it (RFC 7464)."""
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SPACES: Final = frozenset(" \t\r\n")
_STRUCTURE: Final = re.compile(r'[][{}"]')
_STRING: Final = re.compile(r'["\\]')
_BARE: Final = re.compile(r"[^][{}\",:\s]+")


class JSONStream:
    """A JSON file and a place in it. Only the text ahead of the place is in memory.

    Every method raises BrokenFileError when the rest of the file can't be read.
    """

    def __init__(self, file: BinaryIO) -> None:
        encoding = json.detect_encoding(file.read(4))
        file.seek(0)
        # Bytes that are not UTF-8 are kept as lone surrogates, and come out of a body as they went in.
        errors = "surrogateescape" if "8" in encoding else "replace"
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(errors)
        self._text = ""
        self._at = 0
        self._ended = False

    def documents(self) -> Iterator[None]:
        """Go to the one document in the file, and make sure that nothing follows it."""
        if self.peek() in ("{", "["):
            yield
        elif not self._is_scalar():
            raise BrokenFileError("is not JSON")
        if self.peek():
            raise BrokenFileError("goes on after the end of its JSON")

    def _is_scalar(self) -> bool:
        """Go past the next value, and return whether it could be read."""
        try:
            return not isinstance(self.value(), UnreadableError)
        except BrokenFileError:
            return False

    def fields(self) -> Iterator[Any]:
        """Yield the name of each field of the object that comes next. The place is then before the field's value."""
        self._take("{")
        while self.peek() != "}":
            name = self.value()
            if isinstance(name, UnreadableError):
                raise BrokenFileError(str(name))
            self._take(":")
            yield name
            if self.peek() != "}":
                self._take(",")
        self._take("}")

    def items(self) -> Iterator[None]:
        """Go to each item of the list that comes next."""
        self._take("[")
        following = self.peek()
        while following != "]":
            yield
            following = self.peek()
            if following == ",":
                self._at += 1
                following = self.peek()
            elif following != "]":
                self._take(",")
        self._take("]")

    def peek(self) -> str:
        """Return the next character that is not space, and stay before it. Empty: the file ends."""
        while True:
            character = self._text[self._at : self._at + 1]
            if character in _SPACES and (found := _SPACE.match(self._text, self._at)):
                self._at = found.end()
                character = self._text[self._at : self._at + 1]
            if character or not self._read_on():
                return character

    def value(self) -> Any:
        """Return the next value, or the UnreadableError that says why it can't be read, and go past it."""
        self.peek()
        while True:
            try:
                value, end = _decode(self._text, self._at)
            except RecursionError:
                why = "is nested too deeply"
            except ValueError as error:
                why = f"is not JSON: {getattr(error, 'msg', 'a number is too long')}"
            else:
                if end < len(self._text) or self._ended:  # Otherwise, a number may go on.
                    self._at = end
                    return value
                why = ""
            if why and _end_of_value(self._text, self._at, 0, quoted=False)[-1]:
                break
            if len(self._text) - self._at > MAX_ITEM:
                why = f"has more than {MAX_ITEM // 1024**2} MiB of text"
                break
            if not self._read_on(len(self._text) - self._at) and why:
                break
        self.skip()
        return UnreadableError(why)

    def skip(self) -> None:
        """Go past the next value without reading it."""
        if not self.peek():
            raise _cut()
        depth, quoted, ended = 0, False, False
        while not ended:
            self._at, depth, quoted, ended = _end_of_value(self._text, self._at, depth, quoted=quoted)
            if not ended and (len(self._text) - self._at > MAX_ITEM or not self._read_on()):
                raise _cut()

    def _take(self, character: str) -> None:
        """Go past a character that must come next."""
        found = self.peek()
        if not found:
            raise _cut()
        if found != character:
            raise BrokenFileError(f"is not JSON: {character!r} is missing before {found!r}")
        self._at += 1

    def _read_on(self, size: int = 0) -> bool:
        """Read so many bytes or a `READ_SIZE`, whichever is more, and return whether there were any."""
        data = self._file.read(max(min(size, MAX_ITEM // 4), READ_SIZE))
        chunk = self._decoder.decode(data, final=not data)
        self._ended = not data
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(data or chunk)


def read_lines(file: BinaryIO) -> Iterator[Any]:
    """Yield the value on each line of a file, or the UnreadableError that says why it can't be read."""
    while line := file.readline(MAX_ITEM):
        whole = len(line) < MAX_ITEM or line.endswith(b"\n")
        if not whole:
            while (rest := file.readline(READ_SIZE)) and not rest.endswith(b"\n"):
                pass
        text = line.decode("utf-8", "surrogateescape").strip(_AROUND)
        if text:
            yield _decoded(text) if whole else UnreadableError(f"has more than {MAX_ITEM // 1024**2} MiB of text")


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        return UnreadableError("is nested too deeply")
    except ValueError as error:
        return UnreadableError(f"is not JSON: {getattr(error, 'msg', 'a number is too long')}")


def _cut() -> BrokenFileError:
    return BrokenFileError("ends before its JSON does: it is cut off, or a bracket is missing")


def _end_of_value(text: str, at: int, depth: int, *, quoted: bool) -> tuple[int, int, bool, bool]:
    """Look for the end of a value by its brackets and quotes.

    Return where the look stopped, how deep in brackets and whether in a string, and whether the value ends there.
    """
    if not depth and not quoted and (bare := _BARE.match(text, at)):
        ends = bare.end() < len(text)  # Otherwise, more of a number or a word may follow.
        return bare.end() if ends else at, 0, False, ends
    while found := (_STRING if quoted else _STRUCTURE).search(text, at):
        character, at = found[0], found.end()
        if character == "\\":
            if at == len(text):
                return at - 1, depth, quoted, False
            at += 1
        elif character == '"':
            quoted = not quoted
        else:
            depth += 1 if character in "[{" else -1
        if not quoted and depth <= 0:
            return at, 0, False, True
    return len(text), depth, quoted, False

"""Reads the long list in a JSON file item by item, in the memory that one item takes.

The decoder is Python's own. What is ours finds where an item ends, so that one that is malformed or too large costs
only itself.
"""

import codecs
import io
import json
import re
from collections.abc import Collection, Iterator
from typing import Any, BinaryIO, Final

from longcat.contract.traffic.exchange import LostError, UnreadableError

CHUNK: Final = 256 * 1024
MAX_ITEM: Final = 32 * 1024 * 1024
"""How many characters an item may have: a body of `MAX_BODY` in base64, and the rest."""

BEGIN: Final = object()
"""Stands for the beginning of a list, so that an empty one is not taken for none."""

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_STRUCTURE: Final = re.compile(r'[][{}"]')
_STRING: Final = re.compile(r'["\\]')
_BARE: Final = re.compile(r"[^][{}\",:\s]+")
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


def walk(
    file: BinaryIO, *, lists: Collection[str], values: Collection[str] = (), inside: Collection[str] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield what the document in the file holds: the name of a field with its value, or with one item of its list.

    Args:
        file: at its beginning.
        lists: fields whose items are yielded one by one, after a `BEGIN`. The name of a list that is the whole
            document is the empty string.
        values: fields that are yielded whole.
        inside: fields whose value is an object to look into; its fields are named with a dot, such as `log.entries`.

    A value that can't be read is yielded as the UnreadableError that says why. Raises LostError when nothing more can
    be found.
    """
    text = _Text(file)
    try:
        first = text.peek()
        if first == "[":
            yield from _items(text, "")
        elif first == "{":
            yield from _fields(text, "", (lists, values, inside))
        else:
            raise LostError("is not JSON")
        if text.peek():
            raise LostError("goes on after the end of its JSON")
    finally:
        text.release()


def _fields(text: "_Text", prefix: str, wanted: tuple[Collection[str], ...]) -> Iterator[tuple[str, Any]]:
    lists, values, inside = wanted
    text.take("{")
    while text.peek() != "}":
        key = text.value()
        text.take(":")
        name = f"{prefix}{key}"
        first = text.peek()
        if name in lists and first == "[":
            yield from _items(text, name)
        elif name in inside and first == "{":
            yield from _fields(text, f"{name}.", wanted)
        elif name in values or name in lists:
            yield name, _or_why(text)
        else:
            text.skip()
        if text.peek() != "}":
            text.take(",")
    text.take("}")


def _items(text: "_Text", name: str) -> Iterator[tuple[str, Any]]:
    yield name, BEGIN
    text.take("[")
    while text.peek() != "]":
        yield name, _or_why(text)
        if text.peek() != "]":
            text.take(",")
    text.take("]")


def _or_why(text: "_Text") -> Any:
    """Return the next value, or why it can't be read. Either way, the text is then at its end."""
    try:
        return text.value()
    except UnreadableError as error:
        if isinstance(error, LostError):
            raise
        return error


def _cut() -> LostError:
    return LostError("ends before its JSON does: it is cut off, or a bracket is missing")


class _Text:
    """The text of a file, of which only the part ahead is kept."""

    def __init__(self, file: BinaryIO) -> None:
        start = file.read(4)
        file.seek(0)
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
        # Bytes that are not UTF-8 are kept as lone surrogates, and come out of a body as they went in.
        errors = "surrogateescape" if "8" in encoding else "replace"
        self._reader = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
        self._text = ""
        self._at = 0
        self._ended = False

    def release(self) -> None:
        """Leave the file to its owner."""
        self._reader.detach()

    def peek(self) -> str:
        """Return the next character that is not space, and stay before it. Empty: there is none."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, character: str) -> None:
        """Go past a character that must come next."""
        found = self.peek()
        if not found:
            raise _cut()
        if found != character:
            raise LostError(f"is not JSON: {character!r} is missing before {found!r}")
        self._at += 1

    def value(self) -> Any:
        """Return the next value, and go past it.

        Raises UnreadableError, past it, when it is malformed or too large, and when the file ends before it does.
        """
        self.peek()
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self._text, self._at)
            except RecursionError:
                why = "is nested too deeply"
            except ValueError as error:
                why = f"is not JSON: {getattr(error, 'msg', 'a number is too long')}"
            else:
                if end < len(self._text) or self._ended:  # Otherwise, a number may go on.
                    self._at = end
                    return value
                why = ""
            if why and self._ends_here():
                break
            if len(self._text) - self._at > MAX_ITEM:
                why = f"has more than {MAX_ITEM // 1024**2} MiB of text"
                break
            if not self._more(min(len(self._text) - self._at, MAX_ITEM // 4)) and why:
                break
        self.skip()
        raise UnreadableError(why)

    def skip(self) -> None:
        """Go past the next value without reading it."""
        if not self.peek():
            raise _cut()
        depth, quoted = 0, False
        while True:
            self._at, depth, quoted, done = _scan(self._text, self._at, depth, quoted=quoted)
            if done:
                return
            if len(self._text) - self._at > MAX_ITEM or not self._more():
                raise _cut()

    def _ends_here(self) -> bool:
        """Return whether the end of the next value is in memory."""
        return _scan(self._text, self._at, 0, quoted=False)[-1]

    def _more(self, size: int = 0) -> bool:
        """Read on, and return whether there was anything."""
        chunk = "" if self._ended else self._reader.read(max(size, CHUNK))
        self._ended = not chunk
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)


def _scan(text: str, at: int, depth: int, *, quoted: bool) -> tuple[int, int, bool, bool]:
    """Look for the end of a value by its brackets and quotes.

    Return where the look ended, how deep and whether in a string, and whether the value ends there.
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

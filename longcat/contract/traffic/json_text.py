"""JSON as a text, with some of its values replaced in place: all the rest stays as it was written.

The text need not be valid JSON: one that was cut, or that has a name twice, is handled as far as it goes.
"""

import json
import re
from collections.abc import Callable
from typing import Final

from attrs import define

_PIECE: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_NUMBER: Final = re.compile(r"-?[0-9][0-9.eE+-]*", re.ASCII)
MAX_SPLIT_DEPTH: Final = 500
"""How deeply values are looked at each on its own. What is deeper still counts as one with what is around it."""
EMPTIED: Final = {"true": "false", "false": "false", "null": "null"}
"""What replaces a secret that is a boolean or null. It keeps its type."""


@define
class _Level:
    """An object or a list that is not closed yet.

    Attributes:
        is_secret: whether all that is in it is to be replaced.
        is_object: whether its values have names.
        name: of the field that comes next. None: none was given yet, or it is a list.
    """

    is_secret: bool = False
    is_object: bool = False
    name: str | None = None


class _Replacer:
    """Replaces the values of one text, piece by piece. See `replace_values`."""

    def __init__(
        self, is_secret: Callable[[str, object], bool], placeholder: str, redact: Callable[[str], str]
    ) -> None:
        self._is_secret = is_secret
        self._placeholder = placeholder
        self._redact = redact
        self._levels = [_Level()]
        self._too_deep = 0

    def replaced(self, piece: str) -> str:
        """Return what is to stand for the next piece of the text."""
        level = self._levels[-1]
        if piece in {"{", "["}:
            self._open(is_object=piece == "{")
        elif piece in {"}", "]"}:
            self._close()
        elif piece == ",":
            level.name = None
        elif piece[0] == '"' and level.is_object and level.name is None:
            level.name = _decoded(piece)
            return self._redacted(piece)
        elif piece != ":":
            return self._emptied(piece) if self._holds_secret(_value(piece)) else self._redacted(piece)
        return piece

    def _holds_secret(self, value: object) -> bool:
        level = self._levels[-1]
        return level.is_secret or (level.name is not None and self._is_secret(level.name, value))

    def _open(self, *, is_object: bool) -> None:
        if len(self._levels) < MAX_SPLIT_DEPTH:
            self._levels.append(_Level(self._holds_secret(None), is_object))
        else:
            self._too_deep += 1

    def _close(self) -> None:
        if self._too_deep:
            self._too_deep -= 1
        elif len(self._levels) > 1:
            self._levels.pop()
        self._levels[-1].name = None

    def _emptied(self, piece: str) -> str:
        if piece[0] == '"':
            return _encoded(self._placeholder, piece) if _decoded(piece) else piece
        return EMPTIED.get(piece, "0")

    def _redacted(self, piece: str) -> str:
        text = _decoded(piece)
        after = self._redact(text)
        if after == text:
            return piece
        if piece[0] == '"':
            return _encoded(after, piece)
        return "0" if _NUMBER.fullmatch(piece) else after


def replace_values(
    text: str, is_secret: Callable[[str, object], bool], placeholder: str, redact: Callable[[str], str]
) -> str:
    """Return a JSON text with all texts in it, names among them, as `redact` returns them, and without secret values.

    Args:
        text: the JSON.
        is_secret: whether a field of this name holds a secret as this value: a text, a number, a boolean, or None for
            an object or a list, in which everything is secret then.
        placeholder: stands for a text that is secret. A number becomes 0, and a boolean false.
        redact: returns a text, or a number as it is written, without secrets. A number that it changes becomes 0.
    """
    replacer = _Replacer(is_secret, placeholder, redact)
    return _PIECE.sub(lambda found: replacer.replaced(found[0]), text)


def _value(piece: str) -> object:
    if piece[0] == '"':
        return _decoded(piece)
    return piece == "true" if piece in EMPTIED else 0


def _decoded(piece: str) -> str:
    """Return the text that a string in JSON stands for; if it is none, as it is written."""
    if "\\" in piece:
        try:
            return str(json.loads(piece, strict=False))
        except ValueError:
            pass
    return piece.strip('"')


def _encoded(text: str, like: str) -> str:
    """Return a text as a string in JSON, escaped as much as another one; one that was cut has no end."""
    written = json.dumps(text, ensure_ascii=like.isascii() or "\\u" in like)
    return written if len(like) > 1 and like[-1] == '"' else written[:-1]

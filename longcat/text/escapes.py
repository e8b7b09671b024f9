"""The ways in which JSON, HTML, URLs and folded lines write a character, undone, with where each character stood."""

import re
import sys
from array import array
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final

from attrs import frozen

MAX_ROUNDS: Final = 5
"""How often each kind of escape is undone: a text may have been escaped one time on top of the other."""

# One kind after the other, the outermost first as far as can be known. The numbers of digits are bounded, so that a
# text of nothing but zeros takes no longer than another one.
_REFERENCE: Final = (
    r"\#[0-9]{1,32};|\#[xX][0-9a-fA-F]{1,32};"
    r"|\#0{0,30}(?:3[2-9]|[4-9][0-9]|1[0-2][0-9])|\#[xX]0{0,30}[2-7][0-9a-fA-F]"  # HTML lets the semicolon be missing.
)
_KINDS: Final = {
    "\\": r"\\(?:u[0-9a-fA-F]{4}|u\{[0-9a-fA-F]{1,32}\}|U[0-9a-fA-F]{8}|x[0-9a-fA-F]{2}|[\"'\\/nrt])",
    "&": rf"&(?:{_REFERENCE}|(?:NAMES);?)",
    "%": r"%(?:[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})",
    "\n": r"(?:\r\n|\n)[ \t\r\n]*",
}
"""The patterns of the escapes, each by the sign without which a text has none of them."""
_CUT: Final = r"(?:\\+(?:[uU]\{?|x)?[0-9a-fA-F]{0,31}|%(?:25)*u?[0-9a-fA-F]{0,3}|&(?:amp;)*\#?\w{0,32}|\s+)\Z"


@frozen
class EscapedText:
    """A text with some of its escapes undone.

    Attributes:
        text: the characters.
        starts: for each of them, where in the original it begins.
        ends: likewise, where it ends.
    """

    text: str
    starts: "array[int]"
    ends: "array[int]"


def readings(text: str) -> Iterator[str]:
    """Yield a text as it is, and with its escapes undone, one kind after the other, until there are none.

    A line break with the spaces after it is undone like an escape: it folds a line.
    """
    yield text
    for _ in range(MAX_ROUNDS):
        before = text
        for sign in _KINDS:
            if sign in text:
                unescaped = _pattern(sign).sub("" if sign == "\n" else _matched_character, text)
                if unescaped != text:
                    text = unescaped
                    yield text
        if text is before:
            return


def located_readings(text: str) -> Iterator[EscapedText]:
    """Yield what `readings` does, and where each character stands in the text."""
    places = array("I", range(len(text) + 1))
    one = EscapedText(text, places[:-1], places[1:])
    yield one
    for _ in range(MAX_ROUNDS):
        before = one
        for sign in _KINDS:
            if sign in one.text and (unescaped := _unescaped(one, _pattern(sign))).text != one.text:
                one = unescaped
                yield one
        if one is before:
            return


def without_cut_escape(text: str) -> str:
    """Return a text that was cut anywhere without an escape at its end that may have lost its own end."""
    return re.sub(_CUT, "", text, flags=re.ASCII)


@cache
def _pattern(sign: str) -> re.Pattern[str]:
    """Return what finds the escapes with a sign. It is made for the first text that has the sign."""
    return re.compile(_KINDS[sign].replace("NAMES", "|".join(sorted(_names(), reverse=True)) if sign == "&" else ""))


@cache
def _names() -> dict[str, str]:
    """Return the characters that HTML has a name for, by that name."""
    from html.entities import html5  # noqa: PLC0415 - it is slow to import, and few texts need it.

    return {
        name.rstrip(";"): character
        for name, character in html5.items()
        if len(character) == 1 and " " < character <= "~"
    }


def _unescaped(one: EscapedText, pattern: re.Pattern[str]) -> EscapedText:
    pieces, starts, ends, done = [], array("I"), array("I"), 0
    for found in pattern.finditer(one.text):
        character = _character(found[0])
        pieces += [one.text[done : found.start()], character]
        starts += one.starts[done : found.start()]
        ends += one.ends[done : found.start()]
        if character:
            starts.append(one.starts[found.start()])
            ends.append(one.ends[found.end() - 1])
        done = found.end()
    pieces.append(one.text[done:])
    return EscapedText("".join(pieces), starts + one.starts[done:], ends + one.ends[done:])


def _matched_character(found: re.Match[str]) -> str:
    return _character(found[0])


@lru_cache(maxsize=1024)
def _character(escape: str) -> str:
    """Return the character that an escape stands for; none for the end of a line."""
    kind, digits = escape[0], escape.lstrip("\\%&#uUxX{").rstrip(";}")
    if kind in "\r\n":
        return ""
    if kind == "\\" and len(escape) == 2:  # noqa: PLR2004 - a character that stands for itself.
        return {"n": "\n", "r": "\r", "t": "\t"}.get(escape[1], escape[1])
    if kind == "&" and escape[1] != "#":
        return _names()[escape[1:].rstrip(";")]
    code = int(digits, 10 if kind == "&" and escape[2] not in "xX" else 16)
    return chr(code) if code <= sys.maxunicode else "\ufffd"

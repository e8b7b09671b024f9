"""The regular expressions of a spec, which are ECMAScript's, for an engine whose time grows with the text alone.

Python's own engine may take for ever.
"""

import re
from functools import lru_cache
from typing import Final

import jsonschema_rs
from attrs import Factory, define

from longcat.contract.openapi.errors import UnjudgeableError
from longcat.contract.openapi.limits import MAX_BACKTRACKS, MAX_PATTERNS

ENGINE_OPTIONS: Final = jsonschema_rs.FancyRegexOptions(backtrack_limit=MAX_BACKTRACKS)
"""How the engine tries patterns."""
_BACKTRACKS: Final = re.compile(r"\(\?[=!<]|\\[1-9k]")
_TOKENS: Final = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\{(\d{1,9})(?:,(\d{0,9}))?\}|.", re.DOTALL)
"""A part of a pattern: a character, a class of characters, a bracket, or the number of repetitions of what precedes."""
_IN_CLASS: Final = re.compile(r"\\[pP]\{[^}]*\}|\\.|.", re.DOTALL)
_ELSEWHERE: Final = {r"\<": "<", r"\>": ">", r"\Z": r"\z", r"\0": r"\x00", "{": r"\{", "[^]": r"[\s\S]", "[]": "(?!)"}
"""What the engine does not understand as ECMAScript does, with the engine's own words for it."""


@lru_cache(maxsize=4096)  # A contract that is changed is read again after each change.
def usable(pattern: str) -> str:
    """Return a pattern as the engine understands it. Raises ValueError when it can't be used."""
    for one in (pattern, _translated(pattern)):
        try:
            _validator(one)
        except jsonschema_rs.ValidationError:
            continue
        return one
    raise ValueError("it is no regular expression, or too large a one")


@lru_cache(maxsize=4096)
def size_of(pattern: str) -> int:
    """Return how many characters a pattern has with its repetitions written out."""
    sizes, last = [0], 0
    for token in _TOKENS.finditer(pattern):
        if token[0] == "(":
            sizes.append(0)
        elif token[0] == ")" and len(sizes) > 1:
            last = sizes.pop()
            sizes[-1] += last
        elif token[1]:
            sizes[-1] += last * (int(token[2] or token[1]) - 1)
        else:
            last = 1
            sizes[-1] += 1
    return sum(sizes)


@define
class Patterns:
    """The patterns of a document that were reached so far. As they take memory, their `size` together is bounded."""

    size: int = 0
    _known: set[str] = Factory(set)

    def check(self, pattern: str) -> None:
        """Raise ValueError for a pattern that can't be used."""
        usable(pattern)
        if pattern not in self._known:
            if self.size + size_of(pattern) > MAX_PATTERNS:
                raise ValueError(f"with it, all patterns are larger than {MAX_PATTERNS:,} characters")
            self._known.add(pattern)
            self.size += size_of(pattern)


def matches(pattern: str, text: str) -> bool:
    """Whether a text contains what a usable pattern describes. Raises UnjudgeableError if that takes too many steps."""
    try:
        _validator(usable(pattern)).validate(text)
    except jsonschema_rs.ValidationError as error:
        broken_keyword(error)
        return False
    return True


def broken_keyword(error: jsonschema_rs.ValidationError) -> str:
    """Return the keyword that a value breaks. Raises UnjudgeableError for a pattern that takes too many steps."""
    if type(error.kind).__name__ in {"BacktrackLimitExceeded", "RegexEngineFailure"}:
        raise UnjudgeableError("it can't be judged: to try a pattern of the contract takes too many steps")
    return str(error.kind.name)


def backtracks(pattern: str) -> bool:
    """Whether a pattern needs backtracking. All others take a time that grows with the length of the text."""
    return _BACKTRACKS.search(pattern) is not None


@lru_cache(maxsize=64)  # Each may take megabytes.
def _validator(pattern: str) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=ENGINE_OPTIONS)


def _translated(pattern: str) -> str:
    """Return a pattern in which the engine's own words stand for those of ECMAScript."""
    found = []
    for token in re.finditer(r"\[\^?\]|" + _TOKENS.pattern, pattern, re.DOTALL):
        text = token[0]
        if text in _ELSEWHERE:
            text = _ELSEWHERE[text]
        elif text.startswith("["):
            text = _class(text)
        found.append(text)
    return "".join(found)


def _class(text: str) -> str:
    """Return a class of characters in which brackets, and hyphens beside another class, are escaped."""
    start = "[^" if text.startswith("[^") else "["
    parts = _IN_CLASS.findall(text[len(start) : -1])
    found = []
    for index, part in enumerate(parts):
        beside = parts[max(index - 1, 0) : index] + parts[index + 1 : index + 2]
        if part == "-" and any(_is_class(one) for one in beside):
            part = r"\-"  # noqa: PLW2901 - it is the same part, escaped.
        found.append({"[": r"\[", "&": r"\&", r"\b": r"\x08", r"\0": r"\x00"}.get(part, part))
    return f"{start}{''.join(found)}]"


def _is_class(part: str) -> bool:
    return part[:1] == "\\" and part[1:2] in set("wWdDsSpP")

"""Reads texts as the styles of OpenAPI write lists and objects, and yields all values that one may stand for.

The first value is the one by the style that the contract has. The others are by styles that are used as well.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias
from urllib.parse import unquote, unquote_plus

from longcat.contract.checks.body import decode_json
from longcat.contract.openapi.operation import Encoding

MAX_BRACKETS: Final = 20
"""How many names in brackets a name of the query may have: `filter[a][b]` has two."""
MAX_LIST_ITEMS: Final = 10_000
"""How many items a list may have that is written as one text."""
_DELIMITERS: Final[Mapping[str, str]] = {"form": ",", "spaceDelimited": " ", "pipeDelimited": "|", "simple": ","}
_BRACKETS: Final = re.compile(r"\[([^\[\]]*)\]")

Decode: TypeAlias = Callable[[str], str]


class Reading(NamedTuple):
    """One way to read a parameter. `is_typed`: it was JSON, so that a text in it is no number."""

    value: Any
    is_typed: bool = False


def split_pairs(text: str, delimiter: str) -> list[tuple[str, str]]:
    """Return the names in a text, and their values as they are encoded."""
    pairs = (pair.strip().partition("=") for pair in text.split(delimiter))
    return [(unquote_plus(name), value) for name, _, value in pairs if name]


def in_path(encoding: Encoding, raw: str) -> Iterator[Reading]:
    """Yield the values that a segment of a path, or a part of one, may stand for."""
    if encoding.style == "label":
        body = raw.removeprefix(".")
        yield from in_text(body, "." if encoding.explode else ",", unquote)
        yield from in_text(body, ",", unquote)
    elif encoding.style == "matrix":
        pairs = [(name, value) for name, _, value in (one.partition("=") for one in raw.removeprefix(";").split(";"))]
        if {name for name, _ in pairs} == {encoding.name}:
            yield from in_pairs(encoding, pairs, unquote)
        else:
            yield Reading({name: unquote(value) for name, value in pairs})
    yield from in_text(raw, ",", unquote)


def in_pairs(
    encoding: Encoding, pairs: Sequence[tuple[str, str]], decode: Decode, names: Mapping[str, Any] | None = None
) -> Iterator[Reading]:
    """Yield the values that pairs of names and values may stand for: a text, a list, or an object with its fields."""
    base = encoding.name.removesuffix("[]")
    plain = [raw for name, raw in pairs if name in {encoding.name, base, f"{base}[]"}]
    inside = [(name.removeprefix(base), raw) for name, raw in pairs if name.startswith(f"{base}[")]
    texts = [decode(raw) for raw in plain]
    if len(texts) == 1:
        yield Reading(texts[0])
    delimiter = _DELIMITERS.get(encoding.style, ",")
    if not encoding.explode:
        yield from _delimited(plain, delimiter, decode)
    if texts:
        yield Reading(texts)
    if len(inside) > sum(name == "[]" for name, _ in inside):
        yield Reading(nested(inside, decode))
    if (
        encoding.explode
        and encoding.style != "deepObject"
        and (own := [one for one in pairs if one[0] in (names or ())])
    ):
        yield Reading(nested(own, decode))
    for other in (delimiter, *(one for one in ",| " if one != delimiter)):
        yield from _delimited(plain, other, decode)
    for text in texts:
        yield from _as_json(text)
    yield from (Reading(text) for text in texts[1:][-1:])  # Of several, most take the last.


def _delimited(raws: Sequence[str], delimiter: str, decode: Decode) -> Iterator[Reading]:
    """Yield the lists and objects that texts with a delimiter may stand for, which may be encoded as well."""
    for split in (_split, _split_decoded):
        parts = [part for raw in raws for part in split(raw, delimiter, decode)]
        if len(parts) > len(raws) or parts == [""]:
            yield from _lists(parts)


def in_text(raw: str, delimiter: str, decode: Decode) -> Iterator[Reading]:
    """Yield the values that one text may stand for."""
    yield Reading(decode(raw))
    yield from _lists(_split(raw, delimiter, decode))
    yield from _as_json(decode(raw))


def _split(raw: str, delimiter: str, decode: Decode) -> list[str]:
    return [decode(part) for part in raw.split(delimiter)]


def _split_decoded(raw: str, delimiter: str, decode: Decode) -> list[str]:
    return decode(raw).split(delimiter)


def _lists(parts: list[str]) -> Iterator[Reading]:
    """Yield the list, and the objects, that parts of a text may stand for."""
    if len(parts) > MAX_LIST_ITEMS:
        return
    yield Reading([] if parts == [""] else parts)
    if all("=" in part for part in parts):
        yield Reading({name: value for name, _, value in (part.partition("=") for part in parts)})
    if len(parts) % 2 == 0:
        yield Reading(dict(zip(parts[::2], parts[1::2], strict=True)))


def in_json(text: str) -> Iterator[Reading]:
    """Yield the value of a text that is JSON, or the text that should be. Raises UnjudgeableError for deep JSON."""
    decoded = decode_json(text.encode("utf-8", "replace"))
    yield Reading(decoded.value if decoded.is_json else text, is_typed=True)


def _as_json(text: str) -> Iterable[Reading]:
    """Return what a text is as JSON, where it looks like a list or an object: some write them so unasked."""
    return in_json(text) if text[:1] in {"{", "["} else ()


def nested(pairs: Iterable[tuple[str, str]], decode: Decode) -> dict[str, Any]:
    """Return the object that names with brackets stand for, as in `filter[a][b]=1&filter[c][]=2`.

    A list is an object whose names are its indexes. A name that is there several times has a list of its values.
    """
    found: dict[str, Any] = {}
    for name, raw in pairs:
        head, place = name.partition("[")[0], found
        first, *keys = [*([head] if head else []), *_BRACKETS.findall(name)[:MAX_BRACKETS]] or [name]
        first = first or _next_index(found, keys[0] if keys else None)
        for key, following in zip(keys, [*keys[1:], None], strict=False):
            inner = place.get(first)
            if not isinstance(inner, dict):
                inner = place[first] = {} if inner is None else {"0": inner}
            place, first = inner, key or _next_index(inner, following)
        known, value = place.get(first), decode(raw)
        if isinstance(known, list):
            known.append(value)
        else:
            place[first] = [known, value] if isinstance(known, str) else value
    return found


def _next_index(items: Mapping[str, Any], following: str | None) -> str:
    """Return the index that `[]` means: that of the last item if it lacks what follows, or else that of a new item."""
    last = items.get(str(len(items) - 1))
    is_open = following and isinstance(last, dict) and following not in last
    return str(len(items) - 1 if is_open else len(items))

"""The parameters of a request as values: read back from its URL, headers and cookies, and held against their schemas.

`style` and `explode` say how lists and objects are written (OpenAPI, "Style Values"), and clients and gateways take
that lightly: `ids=1,2`, `ids=1&ids=2` and `ids[]=1&ids[]=2` are one list to most of them. So a parameter is right if
any usual way to read it gives a value that its schema allows. If none does, it is read as the contract has it, or in
another way that comes closer to the schema, and that value's mismatches are told. Whether a text is a number, a boolean
or null depends on the schema.

A parameter of the query that the contract does not have is no mismatch: most contracts forget some, most gateways
ignore what they do not know, and what its asker wrote says nothing about the gateway.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote, unquote_plus

from attrs import frozen

from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.mismatch import Mismatch
from longcat.contract.checks.request.breaking import breaking
from longcat.contract.checks.request.styles import Reading, in_json, in_pairs, in_path, in_text, nested, split_pairs
from longcat.contract.lazy import cached_property
from longcat.contract.model import Exchange
from longcat.contract.openapi.operation import Parameter, is_form, is_json
from longcat.contract.openapi.schema.schemas import Schemas
from longcat.contract.openapi.urls.paths import plain_name
from longcat.contract.openapi.urls.templates import split_url

MAX_NUMBER: Final = 100
"""How many characters a text may have that is a number."""
_INDEX: Final = re.compile(r"[0-9]{1,9}")
_INTEGER: Final = re.compile(r"-?[0-9]+")
_NUMBER: Final = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@frozen(slots=False)
class RawParameters:
    """The parameters of a request, as they were sent.

    Attributes:
        path: the values of the path's parameters, as they are encoded.
    """

    exchange: Exchange
    path: Mapping[str, str]

    def path_value(self, name: str) -> str:
        """Return the value of a parameter of the path, as it is encoded. Empty: there is none."""
        return self.path.get(name) or self.path.get(plain_name(name), "")

    def texts(self, parameter: Parameter) -> list[str]:
        """Return the texts of a parameter, as they were sent. Empty: it was not."""
        headers, name = self.exchange.request_headers, parameter.name
        match parameter.location:
            case "path":
                return [unquote(self.path_value(name))]
            case "header":
                return [headers[name.lower()]] if name.lower() in headers else []
            case "querystring":
                return [unquote_plus(self.raw_query)] if self.raw_query else []
            case _:
                return [unquote_plus(raw) for _, raw in self.pairs(parameter)]

    def pairs(self, parameter: Parameter, names: Mapping[str, Any] | None = None) -> list[tuple[str, str]]:
        """Return the pairs of a parameter in the query or the cookies, and those that have some names."""
        by_head = self._cookies if parameter.location == "cookie" else self._query
        found = by_head.get(parameter.name.partition("[")[0], [])
        if names:
            found = found + [pair for pairs in by_head.values() for pair in pairs if pair[0] in names]
        return found

    @cached_property
    def raw_query(self) -> str:
        """The query, as it is encoded."""
        return split_url(self.exchange.url).query

    @cached_property
    def query(self) -> list[tuple[str, str]]:
        """The names in the query, and their values as they are encoded."""
        return split_pairs(self.raw_query, "&")

    @cached_property
    def _query(self) -> dict[str, list[tuple[str, str]]]:
        return _by_head(self.query)

    @cached_property
    def _cookies(self) -> dict[str, list[tuple[str, str]]]:
        return _by_head(split_pairs(self.exchange.request_headers.get("cookie", ""), ";"))


def _by_head(pairs: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Return pairs by what their names have before a bracket."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, value in pairs:
        found.setdefault(name.partition("[")[0], []).append((name, value))
    return found


# --- Texts as values.


def values_of(text: str) -> Iterator[Any]:
    """Yield the values that a text in a URL or header may stand for: itself, and a number, boolean or null."""
    yield text if text.isascii() else text.encode("utf-8", "replace").decode()  # No schema takes half a character.
    word = text.lower()
    if word in {"true", "false"}:
        yield word == "true"
    elif text == "null":
        yield None
    elif len(text) <= MAX_NUMBER and _INTEGER.fullmatch(text):
        yield int(text)
        if text in {"0", "1"}:
            yield text == "1"  # OpenAPI does not say how a boolean is written, and many write it so.
    elif len(text) <= MAX_NUMBER and _NUMBER.fullmatch(text) and abs(value := float(text)) != float("inf"):
        yield value


def typed(comparison: Comparison, pointers: tuple[str, ...], value: Any) -> Any:
    """Return a value in which each text is what the schemas at some pointers want in its place, if it may be that."""
    if isinstance(value, str):
        return _scalar(comparison, pointers, value)[0]
    if isinstance(value, list):
        inner = comparison.inner(pointers, value)
        return [_typed_inside(comparison, inner(index), item) for index, item in enumerate(value)]
    if isinstance(value, dict):
        if value and all(map(_INDEX.fullmatch, value)):
            as_list = typed(comparison, pointers, [value[name] for name in sorted(value, key=int)])
            if not comparison.is_of_another_type(pointers, as_list):
                return as_list
        inner = comparison.inner(pointers, value)
        return {name: _typed_inside(comparison, inner(name), item) for name, item in value.items()}
    return value


def _typed_inside(comparison: Comparison, pointers: tuple[str, ...], inner: Any) -> Any:
    """Return what `typed` does, of something inside of a value. A text may stand for a list of one item there."""
    if not isinstance(inner, str):
        return typed(comparison, pointers, inner)
    value, is_right = _scalar(comparison, pointers, inner)
    if is_right:
        return value
    items = [_scalar(comparison, comparison.inner(pointers, [inner])(0), inner)[0]]
    return value if comparison.is_of_another_type(pointers, items) else items


def _scalar(comparison: Comparison, pointers: tuple[str, ...], text: str) -> tuple[Any, bool]:
    """Return what a text is that is no list, and whether it is of the right type."""
    values = list(values_of(text))
    for value in values if pointers else ():
        if comparison.fits(pointers, value):
            return value, True
    for value in values:
        if not comparison.is_of_another_type(pointers, value):
            return value, True
    return values[0], False


# --- A parameter and its schema.


def compare_parameter(comparison: Comparison, parameter: Parameter, sent: RawParameters) -> list[Mismatch] | None:
    """Return how a parameter differs from its schema. None: it was not sent."""
    if is_right_segment(comparison.schemas, parameter, sent):
        return []
    schema, found = parameter.schema, readings_of(comparison, parameter, sent)
    first = next(found, None)
    if first is None:
        return [] if sent.texts(parameter) or (parameter.required and _may_be_any(comparison, parameter)) else None
    if schema is None or (parameter.allows_empty and first.value == ""):
        return []
    value, is_right = _read(comparison, (schema,), chain((first,), found))
    return [] if is_right else breaking(comparison, schema, value)


def is_right_segment(schemas: Schemas, parameter: Parameter, sent: RawParameters) -> bool:
    """Whether a parameter of the path is seen at once to be right, as most are: its text stands for what is wanted."""
    schema = parameter.schema if parameter.is_plain_segment else None
    if schema is None or not (raw := sent.path_value(parameter.name)):
        return False
    return any(schemas.is_right_scalar((schema,), value) for value in values_of(unquote(raw)))


def readings_of(comparison: Comparison, parameter: Parameter, sent: RawParameters) -> Iterator[Reading]:
    """Yield the values that a parameter may have, the way first in which the contract has it written.

    Nothing is yielded where it was not sent, or where its text is of a media type that is not read.
    """
    if parameter.schema is None or not _may_be_spread(parameter):
        return _readings(parameter, sent)
    schemas, applied = comparison.schemas, comparison.schemas.applied((parameter.schema,))
    of_object = comparison.fields(parameter.schema, {}) if schemas.choosing(applied) else schemas.fields(applied)
    return _readings(parameter, sent, of_object.named)


def _readings(parameter: Parameter, sent: RawParameters, names: Mapping[str, Any] | None = None) -> Iterator[Reading]:
    """Yield the values of `readings_of`. `names` are those of fields which may be names of the query by themselves."""
    content, encoding = parameter.content, parameter.encoding
    if content is not None and not (parameter.location == "querystring" and is_form(content.media_type)):
        for text in sent.texts(parameter) if is_json(content.media_type) else ():
            yield from in_json(text)
        return
    match parameter.location:
        case "path":
            raw = sent.path_value(parameter.name)
            yield from in_path(encoding, raw) if raw else ()
        case "header":
            for text in sent.texts(parameter):
                yield from in_text(text.strip(), ",", str.strip)
        case "querystring":
            yield Reading(nested(sent.query, unquote_plus))
        case location:
            pairs = sent.pairs(parameter, names)
            ways = (unquote,) if location == "cookie" else (unquote_plus, unquote)
            for decode in ways if any("+" in raw for _, raw in pairs) else ways[:1]:
                yield from in_pairs(encoding, pairs, decode, names)


def _may_be_spread(parameter: Parameter) -> bool:
    """Whether the fields of an object may be written without the parameter's own name."""
    return parameter.explode and parameter.location in {"query", "cookie"}


def _may_be_any(comparison: Comparison, parameter: Parameter) -> bool:
    """Whether a parameter is an object whose fields may be any names of the query, and which need not have one."""
    schema = parameter.schema
    if schema is None or not _may_be_spread(parameter):
        return False
    return comparison.allows(schema, {}) and not comparison.allows(schema, "")


def allows_header(comparison: Comparison, header: Parameter, text: str) -> bool:
    """Whether the text of an answer's header can be read as a value that its schema allows."""
    if header.schema is None or (header.content is not None and not is_json(header.content.media_type)):
        return True
    found = in_json(text) if header.content else in_text(text.strip(), ",", str.strip)
    return _read(comparison, (header.schema,), found)[1]


def read_value(comparison: Comparison, pointers: tuple[str, ...], found: Iterable[Reading]) -> Any:
    """Return the first of some readings whose value the schemas at some pointers allow, or else one that comes close.

    Where there are no schemas, it is the first.
    """
    return _read(comparison, pointers, found)[0]


def _read(comparison: Comparison, pointers: tuple[str, ...], found: Iterable[Reading]) -> tuple[Any, bool]:
    """Return the value of `read_value`, and whether the schemas allow it."""
    values = []
    for one in found:
        value = one.value if one.is_typed else typed(comparison, pointers, one.value)
        if not pointers or comparison.fits(pointers, value):
            return value, True
        values.append(value)
    close = (one for one in values if not comparison.is_of_another_type(pointers, one))
    return next(close, values[0] if values else None), False

"""Parameters as a request has them: written by the `style` and `explode` that the contract has for each."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from longcat.contract.openapi.operation import Encoding, Parameter
from longcat.contract.openapi.urls.templates import PARAMETER

_DELIMITERS: Final[Mapping[str, str]] = {"spaceDelimited": " ", "pipeDelimited": "|"}


def fill_path(path: str, parameters: Sequence[Parameter], values: Mapping[str, Any]) -> str:
    """Return a key of `paths` with values for its parameters, and without its fragment, which never travels."""
    encodings = {one.name: one.encoding for one in parameters if one.location == "path"}

    def fill(name: str) -> str:
        return in_path(encodings.get(name) or Encoding(name, "simple", explode=False), values[name])

    return PARAMETER.sub(lambda found: fill(found[1]) if found[1] in values else found[0], path.partition("#")[0])


def add_query(path: str, parameters: Sequence[Parameter], values: Mapping[str, Any]) -> str:
    """Return a path with the parameters of the query that have a value. It may have a query of its own."""
    pairs = [pair for one in parameters if one.name in values for pair in in_query(one, values[one.name])]
    query = urlencode(pairs, safe=",")
    return f"{path}{'&' if '?' in path else '?'}{query}" if query else path


def in_query(parameter: Parameter, value: Any) -> list[tuple[str, str]]:
    """Return the pairs that a parameter of the query, or a cookie, is."""
    encoding = parameter.encoding
    if parameter.content is not None:
        return [(encoding.name, json.dumps(value))]
    if isinstance(value, Mapping) and encoding.style == "deepObject":
        return [(f"{encoding.name}[{name}]", _text(one)) for name, one in value.items()]
    if isinstance(value, Mapping) and encoding.explode:
        return [(name, _text(one)) for name, one in value.items()]
    if isinstance(value, list) and encoding.explode:
        return [(encoding.name, _text(one)) for one in value]
    return [(encoding.name, _DELIMITERS.get(encoding.style, ",").join(_parts(value)))]


def in_path(encoding: Encoding, value: Any) -> str:
    """Return the text that a parameter of the path is."""
    parts = [quote(part, safe="") for part in _parts(value)]
    pairs = [f"{name}={one}" for name, one in zip(parts[::2], parts[1::2], strict=False)]
    is_object, name = isinstance(value, Mapping), quote(encoding.name, safe="")
    if encoding.style == "matrix":
        spread = pairs if is_object else [f"{name}={part}" for part in parts]
        return "".join(f";{one}" for one in (spread if encoding.explode else [f"{name}={','.join(parts)}"]))
    written = pairs if is_object and encoding.explode else parts
    if encoding.style == "label":
        return "." + ("." if encoding.explode else ",").join(written)
    return ",".join(written)


def in_header(parameter: Parameter, value: Any) -> str:
    """Return the text that a header is."""
    if parameter.content is not None:
        return json.dumps(value)
    if isinstance(value, Mapping) and parameter.explode:
        return ",".join(f"{name}={_text(one)}" for name, one in value.items())
    return ",".join(_parts(value))


def _parts(value: Any) -> list[str]:
    """Return the texts that a value is: one, or those of a list, or the names and values of an object in turn."""
    if isinstance(value, Mapping):
        return [text for name, one in value.items() for text in (name, _text(one))]
    return list(map(_text, value)) if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

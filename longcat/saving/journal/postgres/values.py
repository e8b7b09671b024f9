"""Objects as the text of a row, and back: those of attrs, of which an object is the list of its attributes."""

import json
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from attrs import Attribute, astuple, fields, has

from longcat.processes import ForkSafeLock

T = TypeVar("T")


def _is_stored(attribute: "Attribute[Any]", value: object = None) -> bool:  # noqa: ARG001 - as `astuple` calls it.
    return attribute.type is not ForkSafeLock


def as_json(value: Any) -> str:
    """Return an object as JSON. A later version of its class may have more attributes, after those that it has."""
    return json.dumps(astuple(value, filter=_is_stored), separators=(",", ":"))


def from_json(kind: type[T], text: str) -> T:
    """Return the object that a text stands for. Raises ValueError for a text that stands for none of this kind."""
    try:
        value: T = _restored(kind, json.loads(text))
    except (TypeError, LookupError, AttributeError, RecursionError) as error:
        raise ValueError(f"no {kind.__name__}: {error}") from error
    return value


def _restored(kind: Any, value: Any) -> Any:
    """Return a value of a kind, as it was before it became JSON. Raises ValueError or TypeError for any other value."""
    if isinstance(kind, UnionType):  # Of something and None.
        return None if value is None else _restored(get_args(kind)[0], value)
    if has(kind):
        named = zip(filter(_is_stored, fields(kind)), value, strict=False)
        return kind(**{each.alias: _restored(each.type, one) for each, one in named if each.alias is not None})
    if get_origin(kind) is list:
        return [_restored(get_args(kind)[0], one) for one in value]
    if get_origin(kind) is dict:
        return {name: _restored(get_args(kind)[1], one) for name, one in value.items()}
    if not isinstance(value, (int, float) if kind is float else kind) or value != value:  # noqa: PLR0124 - NaN.
        raise ValueError(f"{kind.__name__} expected, not {type(value).__name__}")
    return value

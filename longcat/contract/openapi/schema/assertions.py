"""The assertions of a schema about a value itself, without any other schema in it, ready to check."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import jsonschema_rs

from longcat.contract.lazy import cached_property
from longcat.contract.openapi.schema.keywords import ASSERTIONS
from longcat.contract.openapi.schema.patterns import ENGINE_OPTIONS, backtracks, broken_keyword, usable
from longcat.gateway import schema as gateway_schema

_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "array": (list,),
    "object": (dict,),
}
_LENGTHS: Final[Mapping[str, tuple[type, Callable[[Any, Any], bool]]]] = {
    "minItems": (list, operator.ge),
    "maxItems": (list, operator.le),
    "minProperties": (dict, operator.ge),
    "maxProperties": (dict, operator.le),
}
_OF_CONTAINERS: Final = frozenset({"const", "enum", "uniqueItems"})


_DURATION: Final = re.compile(
    r"P(?=[0-9T])([0-9.,]+Y)?([0-9.,]+M)?([0-9.,]+W)?([0-9.,]+D)?(T(?=[0-9])([0-9.,]+H)?([0-9.,]+M)?([0-9.,]+S)?)?"
)
"""A duration of ISO 8601. RFC 3339 knows no fractions in one, but most programs write them."""
FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {
    **gateway_schema.FORMATS,
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "regex": lambda _: True,  # Nobody says of which language the expression is.
}
"""The formats that are checked here."""


class Assertions:
    """The assertions of one schema.

    Formats that the typed client reads are checked as it reads them, and in Python, because the validator in Rust would
    swallow an interrupt in a callback. That validator checks all other formats, and characters and numbers.

    Attributes:
        allow: returns whether a value breaks none of them. Raises UnjudgeableError for a pattern that takes too many
            steps.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.limits = {name: schema[name] for name in ASSERTIONS if name in schema}
        types = self.limits.get("type")
        words = [types] if isinstance(types, str) else types
        self._kinds = None if words is None else frozenset(kind for one in words for kind in _KINDS[one])
        self._is_integer = words is not None and "integer" in words
        self._format = FORMATS.get(self.limits.get("format", ""))
        self._lengths = [(name, *_LENGTHS[name], self.limits[name]) for name in _LENGTHS if name in self.limits]
        rest = {name: limit for name, limit in self.limits.items() if name != "type" and name not in _LENGTHS}
        if self._format is not None:
            del rest["format"]
        if "pattern" in rest:
            rest["pattern"] = usable(rest["pattern"])
        self._of_scalars = rest if rest.keys() - {"uniqueItems"} else {}
        self._of_containers = {name: rest[name] for name in _OF_CONTAINERS & rest.keys()}
        self.backtracks = "pattern" in rest and backtracks(rest["pattern"])
        self.allow: Callable[[Any], bool] = self._simple(rest) or self._allow

    @cached_property
    def _scalar(self) -> jsonschema_rs.Validator:
        return _compile(self._of_scalars)

    @cached_property
    def _container(self) -> jsonschema_rs.Validator:
        return _compile(self._of_containers)

    @property
    def may_be_container(self) -> bool:
        """Whether their type allows an object or a list."""
        return self._kinds is None or not self._kinds.isdisjoint({dict, list})

    def _simple(self, rest: Mapping[str, Any]) -> Callable[[Any], bool] | None:
        """Return a function that is faster than `_allow`, as there is for nearly all schemas. None: there is none."""
        kinds, is_valid = self._kinds, self._format
        if kinds is None or self._is_integer or self._lengths:
            return None
        if not rest and is_valid is None:
            return lambda value: type(value) in kinds
        if kinds == {str} and rest.keys() <= {"const", "enum"} and is_valid is None:
            words = frozenset(one for one in (*rest.get("enum", ()), rest.get("const")) if isinstance(one, str))
            return (lambda value: type(value) is str and value in words) if len(rest) == 1 else None
        if kinds == {str} and not rest and is_valid is not None:
            return lambda value: type(value) is str and is_valid(value)
        return None

    def _allow(self, value: Any) -> bool:
        kind = type(value)
        if self._kinds is not None and kind not in self._kinds and not self._is_of_type(value, kind):
            return False
        if kind is dict or kind is list:
            if self._lengths and any(kind is of and not fits(len(value), at) for _, of, fits, at in self._lengths):
                return False
            return not self._of_containers or bool(self._container.is_valid(value))
        if self._of_scalars and not self._scalar.is_valid(value):
            if self.backtracks:
                self.broken(value)
            return False
        return self._format is None or kind is not str or self._format(value)

    def broken(self, value: Any) -> set[str]:
        """Return the keywords that a value breaks. Raises UnjudgeableError as `allow` does."""
        kind, found = type(value), set()
        if not self._is_of_type(value, kind):
            found.add("type")
        if kind is dict or kind is list:
            found |= {name for name, of, fits, at in self._lengths if kind is of and not fits(len(value), at)}
            errors = self._container.iter_errors(value) if self._of_containers else ()
        else:
            errors = self._scalar.iter_errors(value) if self._of_scalars else ()
            if self._format is not None and kind is str and not self._format(value):
                found.add("format")
        return found | {broken_keyword(error) for error in errors}

    def _is_of_type(self, value: Any, kind: type) -> bool:
        if self._kinds is None or kind in self._kinds:
            return True
        return self._is_integer and kind is float and value.is_integer()


def _compile(schema: Mapping[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.Draft202012Validator(dict(schema), validate_formats=True, pattern_options=ENGINE_OPTIONS)

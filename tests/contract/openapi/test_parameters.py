"""Parameters are written by a probe in the style that the contract has, and read back from recorded traffic."""

from itertools import product
from typing import Any, Final

import pytest

from longcat.contract import Exchange
from longcat.contract.checks.comparison import Comparison
from longcat.contract.checks.request.parameters import RawParameters, read_value, readings_of
from longcat.contract.openapi.spec import make_spec
from longcat.contract.probe.writing import add_query, fill_path, in_header

SCHEMAS: Final[dict[str, Any]] = {
    "text": {"type": "string"},
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "list": {"type": "array", "items": {"type": "integer"}},
    "texts": {"type": "array", "items": {"type": "string"}},
    "object": {"type": "object", "properties": {"R": {"type": "integer"}, "name": {"type": "string"}}},
}
VALUES: Final[dict[str, Any]] = {
    "text": "a/b c,d&e=f;g.h|i%+ä",
    "number": -1.5,
    "flag": True,
    "list": [1, 2, 3],
    "texts": ["a b", "c&d", "7"],
    "object": {"R": 5, "name": "a b&c/d"},
}
STYLES: Final = [
    *product(["path"], ["simple", "label", "matrix"], [True, False]),
    *product(["query"], ["form", "spaceDelimited", "pipeDelimited"], [True, False]),
    ("query", "deepObject", True),
    *product(["header"], ["simple"], [True, False]),
]


@pytest.mark.parametrize(("location", "style", "explode"), STYLES)
def test_what_is_written_is_read_back(location: str, style: str, explode: bool) -> None:
    """Texts, numbers, booleans, lists and objects travel in each style of each place, and arrive as they were."""
    for kind, value in VALUES.items():
        if style == "spaceDelimited" and kind in {"texts", "object"} and not explode:
            continue  # A space in it would be a delimiter.
        parameter = {"name": "x", "in": location, "required": True, "style": style, "explode": explode}
        operation = {
            "parameters": [parameter | {"schema": SCHEMAS[kind]}],
            "responses": {"200": {"description": "Yes."}},
        }
        path = "/a/{x}/b" if location == "path" else "/a?y=1"
        info = {"title": "An API", "version": "1"}
        spec = make_spec({"openapi": "3.1.0", "info": info, "paths": {path: {"get": operation}}})
        (one,) = spec.operations[0].parameters
        url = "https://a.test" + fill_path(path, [one], {"x": value} if location == "path" else {})
        headers = {"x": in_header(one, value)} if location == "header" else {}
        url = add_query(url, [one], {"x": value}) if location == "query" else url
        sent = RawParameters(
            Exchange("GET", url, headers, None, 200, {}, None, "a test"), spec.locate(url, "GET").values
        )
        found = read_value(
            Comparison(spec.schemas), (str(one.schema),), readings_of(Comparison(spec.schemas), one, sent)
        )
        assert (kind, found) == (kind, value)

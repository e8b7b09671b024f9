"""That our small reader of JSON Schema agrees with a full one about every answer that the contract knows."""

import copy
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, get_args

import jsonschema_rs
import pytest
from contract_file import CONTRACT
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from longcat_api import models

from longcat import Violation
from longcat.gateway.contract import OperationId, Variant, contract
from longcat.gateway.schema import CHECKS, EXPECTED, FORMATS, TYPES, compile_schema, expectation

RESULT = contract("get_request_result")

RESPONSES: dict[str, Any] = CONTRACT["paths"]["/longcat-image-request-result"]["post"]["responses"]
SCHEMAS: dict[str, Any] = CONTRACT["components"]["schemas"]
NAMES = ["ProcessingStatus", "CompletedStatus", "Error"]
# The keywords that `compile_schema` itself follows.
STRUCTURE = {"properties", "required", "items"}
# What says nothing about a value.
ANNOTATIONS = {"$comment", "default", "deprecated", "description", "examples", "readOnly", "title", "writeOnly"}


@cache
def full_validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Return a validator of a schema, which comes as text so that it is made once."""
    return jsonschema_rs.Draft202012Validator(json.loads(schema), validate_formats=True)


def violations(schema: Mapping[str, Any], value: Any) -> Sequence[Violation]:
    """Return what in a value breaks a schema."""
    return compile_schema(schema)(value, str)


def agrees(schema: Any, value: Any) -> bool:
    """Return whether both readers come to the same verdict about a value."""
    return full_validator(json.dumps(schema)).is_valid(value) is not any(violations(schema, value))


# --- The keywords. ---


def schemas(node: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and every one within it, references followed."""
    yield node
    if "$ref" in node:
        yield from schemas(SCHEMAS[node["$ref"].rpartition("/")[2]])
    for inner in [*node.get("properties", {}).values(), *node.get("oneOf", ()), *filter(None, [node.get("items")])]:
        yield from schemas(inner)


def ignored(responses: Mapping[str, Any]) -> list[str]:
    """Return what the schemas of some responses say that nothing in `longcat.gateway` reads."""
    roots = [response["content"]["application/json"]["schema"] for response in responses.values()]
    missed = []
    for node in [node for root in roots for node in schemas(root)]:
        # The core reads these: references that stand alone, and the variants of a root.
        read = {"$ref"} if len(node) == 1 else {"oneOf", "discriminator"} if node in roots else set()
        missed += sorted(node.keys() - CHECKS.keys() - STRUCTURE - ANNOTATIONS - read)
        missed += [f"format {name}" for name in [node.get("format", "uri")] if name not in FORMATS]
    return missed


def test_no_keyword_of_the_contract_is_ignored() -> None:
    """Every keyword of the contract's responses is checked, gives structure, or is known to say nothing."""
    assert ignored(RESPONSES) == []


@pytest.mark.parametrize(
    ("more", "missed"),
    [
        ({"exclusiveMinimum": 0}, ["exclusiveMinimum"]),
        ({"additionalProperties": False}, ["additionalProperties"]),
        ({"format": "uuid"}, ["format uuid"]),
        ({"oneOf": [{"multipleOf": 2}]}, ["oneOf", "multipleOf"]),
        ({"items": {"prefixItems": []}}, ["prefixItems"]),
        ({"properties": {"deep": {"not": {}}}}, ["not"]),
        ({"$ref": "#/components/schemas/Error", "maxProperties": 1}, ["$ref", "maxProperties"]),
        ({"description": "no more than words"}, []),
    ],
)
def test_a_keyword_that_is_ignored_is_found(more: dict[str, Any], missed: list[str]) -> None:
    """A maintainer who uses a keyword that the client would ignore is told so by the test above."""
    changed = copy.deepcopy(RESPONSES["404"])
    changed["content"]["application/json"]["schema"] = {"properties": {"one": more}}
    assert ignored({"404": changed}) == missed


def test_every_check_has_words() -> None:
    """For each keyword that is checked, a finding can say what was expected."""
    assert CHECKS.keys() == EXPECTED.keys()


@pytest.mark.parametrize("operation_id", get_args(OperationId))
def test_each_operation_has_its_own_contract(operation_id: OperationId) -> None:
    """It is found in the document by its id, whatever else is on its path."""
    every = [one for path in CONTRACT["paths"].values() for one in path.values() if isinstance(one, dict)]
    (operation,) = (one for one in every if one.get("operationId") == operation_id)
    found = contract.__wrapped__(operation_id)
    assert found.extensions == {name: value for name, value in operation.items() if name.startswith("x-")}
    assert set(found.parameters) == {one["name"] for one in operation.get("parameters", ())}
    assert bool(found.body) == ("requestBody" in operation)


def test_the_contract_at_run_time_is_the_one_in_the_tree() -> None:
    """The schemas that answers are judged by are those of `openapi.yaml`."""
    mapping = RESPONSES["200"]["content"]["application/json"]["schema"]["discriminator"]["mapping"]
    names = {word: reference.rpartition("/")[2] for word, reference in mapping.items()}
    assert RESULT.variants == {
        word: Variant(word, SCHEMAS[name], getattr(models, name)) for word, name in names.items()
    }
    assert RESULT.server == CONTRACT["paths"]["/longcat-image-request-result"]["servers"][0]["url"]


# --- Each keyword by itself. ---

VALUES = [
    None,
    True,
    False,
    0,
    1,
    -1,
    2**70,
    0.0,
    1.0,
    0.5,
    -0.0,
    1.5,
    "",
    "a",
    "ab",
    "é猫",
    [],
    [1],
    ["a"],
    {},
    {"a": 1},
]


@pytest.mark.parametrize(
    "schema",
    [
        *({"type": name} for name in TYPES),
        {"type": ["string", "null"]},
        {"const": 1},
        {"const": True},
        {"const": 0},
        {"const": False},
        {"const": "a"},
        {"const": None},
        {"const": [1]},
        {"const": {"a": 1}},
        {"const": [True]},
        {"const": {"a": True}},
        {"enum": ["a", 1, None]},
        {"enum": [True, []]},
        {"enum": [0]},
        {"minimum": 0},
        {"maximum": 1},
        {"minimum": 0.5, "maximum": 0.5},
        {"minLength": 1},
        {"minLength": 2, "maxLength": 2},
        {"maxLength": 0},
        {"pattern": "^a"},
        {"pattern": "b"},
        {"format": "date-time"},
        {"format": "uri"},
        {"format": "nobody knows"},
        {"required": ["a"]},
        {"required": ["a", "b"]},
        {"properties": {"a": {"type": "string"}}},
        {"properties": {"b": {"type": "string"}}},
        {"items": {"type": "string"}},
        {"type": "array", "items": {"minimum": 2}},
        {"description": "whatever"},
        {},
    ],
    ids=json.dumps,
)
def test_a_keyword_means_what_json_schema_says(schema: dict[str, Any]) -> None:
    """Each keyword accepts and refuses what a full implementation does, values of all types included."""
    assert [value for value in VALUES if not agrees(schema, value)] == []


# --- Formats. ---

DATE_TIMES = {
    "2024-06-15T10:30:00Z": True,
    "2024-06-15T10:30:00.123456789Z": True,
    "2024-06-15T10:30:00+02:00": True,
    "2024-06-15T10:30:00-00:00": True,
    "2024-02-29T00:00:00Z": True,
    "9999-12-31T23:59:59Z": True,
    "2024-06-15t10:30:00z": True,
    "2024-06-15T10:30:00.1z": True,
    "2016-12-31T23:59:60Z": True,
    "2017-01-01T01:29:60.25+01:30": True,
    "2016-12-31T23:58:60Z": False,
    "2016-12-31T22:59:60Z": False,
    "2016-12-31T23:59:60-00:30": False,
    "0000-02-29T00:00:00Z": True,
    "0000-02-30T00:00:00Z": False,
    "2023-02-29T00:00:00Z": False,
    "2024-06-31T00:00:00Z": False,
    "2024-00-15T10:30:00Z": False,
    "2024-06-15T24:00:00Z": False,
    "2024-06-15T10:60:00Z": False,
    "2024-06-15T10:30:61Z": False,
    "2024-06-15T10:30:00": False,
    "2024-06-15T10:30Z": False,
    "2024-06-15T10:30:00.Z": False,
    "2024-06-15T10:30:00+24:00": False,
    "2024-06-15T10:30:00+14:60": False,
    "2024-06-15T10:30:00+0200": False,
    "2024-06-15T10:30:00 Z": False,
    "2024-06-15  10:30:00Z": False,
    "2024-06-15_10:30:00Z": False,
    "2024-06-15T10:30:00Z\n": False,
    "20240615T103000Z": False,
    "2024-W24-6T10:30:00Z": False,
    "\u0662024-06-15T10:30:00Z": False,
    "": False,
}
URIS = {
    "https://storage.pixazo.ai/results/cat.png": True,
    "https://storage.pixazo.ai/results/a%20cat.png?a=b&c=d#e": True,
    "http://127.0.0.1:8000/cat.png": True,
    "http://[::1]:8000/cat.png": True,
    "HTTPS://STORAGE/": True,
    "data:image/png;base64,AAAA": True,
    "urn:cat:1": True,
    "https://a cat.png": False,
    "https://storage.pixazo.ai/猫.png": False,
    "https://storage.pixazo.ai/%zz.png": False,
    "https://[::1/cat.png": False,
    "https://storage.pixazo.ai:port/cat.png": False,
    "https://storage.pixazo.ai/cat[1].png": False,
    "https://storage.pixazo.ai/?cats[]=1": False,
    "https://storage.pixazo.ai/#cat#dog": False,
    "//storage.pixazo.ai/cat.png": False,
    "/cat.png": False,
    "cat.png": False,
    "1http://cat": False,
    "https://storage.pixazo.ai/cat.png\n": False,
    "": False,
}


@pytest.mark.parametrize(("text", "valid"), DATE_TIMES.items())
def test_date_times_are_those_of_rfc_3339(text: str, valid: bool) -> None:
    """A moment has a date, a time to the second and a zone, all of which exist."""
    assert (FORMATS["date-time"](text), agrees({"format": "date-time"}, text)) == (valid, True)


@pytest.mark.parametrize(("text", "valid"), URIS.items())
def test_uris_are_those_of_rfc_3986(text: str, valid: bool) -> None:
    """An address has a scheme, and only characters that may stand where they stand."""
    assert (FORMATS["uri"](text), agrees({"format": "uri"}, text)) == (valid, True)


# --- Where we differ, on purpose. ---


def is_not_finite(value: Any) -> bool:
    """Return whether a value is a number that JSON does not have, but Python's reader does."""
    return isinstance(value, float) and not math.isfinite(value)


def is_moment_with_space(value: Any) -> bool:
    """Return whether a moment has a space before the time, which a note in RFC 3339 allows and its grammar does not."""
    return isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d \d", value) is not None


def is_web_address_without_host(value: Any) -> bool:
    """Return whether an address is one of the web's that leads nowhere, which the generic syntax allows."""
    return isinstance(value, str) and re.match(r"(?i)https?:(//([^/?#@]*@)?([:/?#]|$)|(?!//))", value) is not None


def is_address_with_zone(value: Any) -> bool:
    """Return whether an address has an IPv6 zone: RFC 6874 adds it to the generic syntax."""
    return isinstance(value, str) and re.search(r"\[[^\]]*%", value) is not None


DIFFERENCES: dict[Callable[[Any], bool], list[tuple[dict[str, Any], Any, bool]]] = {
    is_not_finite: [
        ({"type": "number", "minimum": 0}, math.nan, False),
        ({"type": "number", "maximum": 1}, math.inf, False),
        ({"type": "number", "minimum": 0}, math.inf, True),
    ],
    is_moment_with_space: [({"format": "date-time"}, "2024-06-15 10:30:00Z", True)],
    is_web_address_without_host: [
        ({"format": "uri"}, "https://", False),
        ({"format": "uri"}, "http:cat", False),
        ({"format": "uri"}, "http://:80/cat", False),
    ],
    is_address_with_zone: [({"format": "uri"}, "http://[fe80::1%25eth0]/", True)],
}
CASES = [
    pytest.param(recognize, *case, id=f"{recognize.__name__}-{case[1]}")
    for recognize, cases in DIFFERENCES.items()
    for case in cases
]


@pytest.mark.parametrize(("recognize", "schema", "value", "ours"), CASES)
def test_each_deliberate_difference_is_one(
    recognize: Callable[[Any], bool],
    schema: dict[str, Any],
    value: Any,
    ours: bool,
) -> None:
    """Each difference is recognized by its own rule, and our verdict is the one that was meant."""
    assert [other for other in DIFFERENCES if other(value)] == [recognize]
    assert (not any(violations(schema, value))) is ours


@pytest.mark.parametrize("recognize", [differs for differs in DIFFERENCES if differs is not is_not_finite])
def test_no_deliberate_difference_is_out_of_date(recognize: Callable[[Any], bool]) -> None:
    """A full implementation still judges otherwise; about numbers that are not finite, it can't be asked."""
    assert [value for schema, value, _ in DIFFERENCES[recognize] if agrees(schema, value)] == []


# --- Any answer. ---

MOMENTS = st.builds(
    "{}-{}-{}{}{}:{}:{}{}{}".format,
    st.sampled_from(["0000", "0001", "2023", "2024", "9999", "24"]),
    st.sampled_from(["01", "02", "06", "12", "13"]),
    st.sampled_from(["01", "15", "28", "29", "31", "32"]),
    st.sampled_from(["T", "t"]),
    st.sampled_from(["00", "10", "23", "24"]),
    st.sampled_from(["00", "30", "59", "60"]),
    st.sampled_from(["00", "30", "59", "60", "61"]),
    st.sampled_from(["", ".5", ".123456789", "."]),
    st.sampled_from(["Z", "z", "+00:00", "-00:00", "+14:00", "-23:59", "+24:00", "+14:60", "-00:99", "+14", ""]),
)
PARTS = [
    "https:",
    "ftp:",
    "urn:",
    "//",
    "/",
    "h",
    "[::1]",
    "[",
    "]",
    ":",
    "80",
    "@",
    "?",
    "#",
    "%41",
    "%",
    "é",
    " ",
    "a",
]
ADDRESSES = st.lists(st.sampled_from(PARTS), max_size=8).map("".join)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NUMBERS = st.sampled_from([0, 1, 0.0, 1.0, -0.0]) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS | MOMENTS | ADDRESSES
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
GOOD: dict[str, dict[str, Any]] = {
    "ProcessingStatus": {"status": "processing", "progress": 0.5, "request_id": "r", "success": True},
    "CompletedStatus": {
        "status": "completed",
        "progress": 1.0,
        "request_id": "r",
        "result_url": "https://storage.pixazo.ai/cat.png",
        "created_at": "2024-06-15T10:30:00Z",
        "duration_seconds": 42,
        "model_version": "longcat-v1.2",
        "success": True,
    },
    "Error": {"error": "Invalid parameters"},
}


def resembling(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that come near to a field's schema from either side."""
    near = {"date-time": MOMENTS, "uri": ADDRESSES}.get(schema.get("format", ""), LEAVES)
    return near | st.sampled_from([schema.get("const"), schema.get("minimum"), schema.get("maximum"), ""])


@st.composite
def mutants(draw: st.DrawFn, name: str) -> Any:
    """Return a good body of a schema with some of its fields changed, removed or added; or no such body at all."""
    if draw(st.integers(0, 19)) == 0:
        return draw(ANYTHING)
    body = dict(GOOD[name])
    for field, schema in SCHEMAS[name]["properties"].items():
        fate = draw(st.integers(0, 9))
        if fate == 0:
            del body[field]
        elif fate <= 2:
            body[field] = draw(resembling(schema))
        elif fate == 3:
            body[field] = draw(ANYTHING)
    return {**body, **draw(st.dictionaries(TEXTS, ANYTHING, max_size=1))}


@pytest.mark.parametrize("name", NAMES)
def test_a_good_body_has_no_findings(name: str) -> None:
    """What the contract allows, both readers allow."""
    assert agrees(SCHEMAS[name], GOOD[name])
    assert list(violations(SCHEMAS[name], GOOD[name])) == []


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_we_agree_with_a_full_implementation_about_any_body(name: str, data: st.DataObject) -> None:
    """A body has findings exactly if a full implementation of JSON Schema refuses it, but for the list above."""
    body = data.draw(mutants(name))
    leaves = body.values() if isinstance(body, dict) else [body]
    assume(not any(differs(leaf) for leaf in leaves for differs in DIFFERENCES))
    assert agrees(SCHEMAS[name], body)


@settings(max_examples=200)
@given(text=MOMENTS)
def test_we_agree_about_any_date_time(text: str) -> None:
    """A moment is one to both readers, or to neither."""
    assume(not any(differs(text) for differs in DIFFERENCES))
    assert agrees({"format": "date-time"}, text)


@settings(max_examples=200)
@given(text=ADDRESSES)
def test_we_agree_about_any_uri(text: str) -> None:
    """An address is one to both readers, or to neither."""
    assume(not any(differs(text) for differs in DIFFERENCES))
    assert agrees({"format": "uri"}, text)


# --- Findings. ---


def test_findings_point_into_the_body() -> None:
    """A pointer is a JSON pointer, with its two characters escaped, and the index of an item."""
    schema = {
        "type": "object",
        "required": ["gone"],
        "properties": {"a/b": {"items": {"properties": {"~": {"type": "string"}}}}, "gone": {}},
    }
    assert list(violations(schema, {"a/b": [{"~": "x"}, {"~": 1}, 2, {"~": None}]})) == [
        Violation("/gone", "present", "missing"),
        Violation("/a~1b/1/~0", "of type string", "1"),
        Violation("/a~1b/3/~0", "of type string", "null"),
    ]


def test_only_the_first_fault_of_a_value_is_told() -> None:
    """What follows from a fault is not told beside it; the faults of other values are."""
    schema = {"properties": {"a": {"type": "string", "minLength": 2, "pattern": "^b"}, "b": {"enum": [1, "x"]}}}
    assert list(violations(schema, {"a": "c", "b": 2})) == [
        Violation("/a", "of at least 2 characters", '"c"'),
        Violation("/b", "1 or x", "2"),
    ]


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Violation("/progress", "at most 1", "1.5"), "/progress should be at most 1, but is 1.5"),
        (Violation("", "JSON", "an empty body"), "the body should be JSON, but is an empty body"),
    ],
)
def test_a_finding_reads_as_a_sentence(finding: Violation, text: str) -> None:
    """A finding says where, what should be there, and what is."""
    assert str(finding) == text


@pytest.mark.parametrize(
    ("name", "words"), [("email", "an email"), ("ipv4", "an ipv4"), ("uri", "a uri"), ("date-time", "a date-time")]
)
def test_a_format_is_named_in_plain_words(name: str, words: str) -> None:
    """Its article goes with how it is spoken."""
    assert expectation("format", name) == words

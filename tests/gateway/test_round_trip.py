"""Bodies made from the contract's schemas, good and bad, go through the typed client and the facade."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache, reduce
from importlib import import_module
from operator import getitem
from typing import Any, TypeAlias

import httpx
import jsonschema_rs
import pytest
from contract_file import CONTRACT
from hypothesis import given, settings
from hypothesis import strategies as st
from longcat_api import models
from longcat_api.client import Client

from longcat import APIResponseValidationError, APIStatusError, Image, LongCat, State, Status
from longcat.gateway.gateways import GatewayKind
from longcat.gateway.reading import STATUS_ERRORS
from longcat.gateway.sister_models import as_documented
from longcat.text import shorten

Schema: TypeAlias = dict[str, Any]
Body: TypeAlias = dict[str, Any]

OPERATIONS: dict[str, Schema] = {
    call["operationId"]: call
    for path in CONTRACT["paths"].values()
    for method, call in path.items()
    if method != "servers"
}
PARSERS = {name: import_module(f"longcat_api.api.requests.{name}")._parse_response for name in OPERATIONS}
GATEWAYS: dict[GatewayKind, Schema] = {
    "queue": OPERATIONS["get_request_status"],
    "result": OPERATIONS["get_request_result"],
}


def resolved(part: Schema) -> Schema:
    """Return a part of the contract, or what it refers to."""
    return reduce(getitem, part["$ref"].split("/")[1:], CONTRACT) if "$ref" in part else part


def answer_schema(operation: Schema, code: str) -> Schema:
    """Return the schema of what an operation answers with this status code."""
    schema: Schema = resolved(operation["responses"][code])["content"]["application/json"]["schema"]
    return schema


def models_of(schema: Schema) -> list[str]:
    """Return the names of the objects that a schema in the contract may be."""
    variants = resolved(schema).get("oneOf", [schema])
    return sorted({variant["$ref"].rpartition("/")[2] for variant in variants})


ANSWERS = [(name, code) for name, call in OPERATIONS.items() for code in call["responses"]]
SCHEMAS: dict[str, Schema] = CONTRACT["components"]["schemas"]
OBJECTS = sorted(name for name, schema in SCHEMAS.items() if "properties" in schema)
WORDS: dict[GatewayKind, dict[str, str]] = {
    name: {
        word: reference.rpartition("/")[2]
        for word, reference in resolved(answer_schema(call, "200"))["discriminator"]["mapping"].items()
    }
    for name, call in GATEWAYS.items()
}
"""For each gateway, the name of the schema of an answer with a status word."""
STATUSES = [(name, word) for name, words in WORDS.items() for word in words]
ERRORS = [(name, code) for name, call in GATEWAYS.items() for code in call["responses"] if code != "200"]
IS_VALID: dict[GatewayKind, Callable[[object], bool]] = {
    name: jsonschema_rs.Draft202012Validator(
        {**answer_schema(call, "200"), "components": CONTRACT["components"]}, validate_formats=True
    ).is_valid
    for name, call in GATEWAYS.items()
}
QUICK = settings(derandomize=True, database=None, deadline=None, max_examples=100)
IDS: dict[GatewayKind, str] = {
    "queue": "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
    "result": "XXXXXXXXXXXXX",
}

# --- Bodies from schemas. ---

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC) | ZONES)  # noqa: DTZ001
FORMATS: dict[str, st.SearchStrategy[str]] = {
    # A generated model keeps a moment to the microsecond, and writes it in its own way: see `same`.
    "date-time": MOMENTS.map(datetime.isoformat)
    | MOMENTS.map(lambda moment: moment.isoformat().replace("+00:00", "Z")),
    "uri": st.from_regex(
        r"https?://[a-z0-9]{1,9}\.[a-z]{2,3}(:80)?/([A-Za-z0-9._~/-]|%20){0,20}(\?a=%C3)?", fullmatch=True
    ),
}
KEYWORDS = {
    *("$ref", "type", "const", "enum", "minimum", "maximum", "minLength", "minItems", "items", "format"),
    *("properties", "required", "description", "x-usual-range"),
}
"""What the functions below know of schemas."""
LONGEST = 10.0**9
"""What is drawn of numbers that the contract does not bound."""


def values(part: Schema) -> st.SearchStrategy[Any]:
    """Return the values that a schema allows."""
    if "$ref" in part:
        return objects(part["$ref"].rpartition("/")[2])
    assert set(part) <= KEYWORDS
    if "const" in part or "enum" in part:
        return st.sampled_from(part.get("enum") or [part["const"]])
    types = part["type"] if isinstance(part["type"], list) else [part["type"]]
    return st.one_of([OF_TYPE[name](part) for name in types])


def numbers(part: Schema) -> st.SearchStrategy[float]:
    """Return the numbers that a schema allows, with and without a fraction."""
    low, high = part.get("minimum", -LONGEST), part.get("maximum", LONGEST)
    return st.floats(low, high) | st.integers(int(low), int(high))


def strings(part: Schema) -> st.SearchStrategy[str]:
    """Return the strings that a schema allows."""
    return FORMATS[part["format"]] if "format" in part else st.text(min_size=part.get("minLength", 0), max_size=20)


OF_TYPE: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
    "null": lambda _: st.none(),
    "boolean": lambda _: st.booleans(),
    "integer": lambda _: st.integers(-int(LONGEST), int(LONGEST)),
    "number": numbers,
    "string": strings,
    "array": lambda part: st.lists(values(part["items"]), min_size=part.get("minItems", 0), max_size=3),
}


@cache
def objects(name: str) -> st.SearchStrategy[Body]:
    """Return the objects that a schema of the contract allows, with fields that it does not know."""
    schema = SCHEMAS[name]
    properties: dict[str, Schema] = schema["properties"]
    assert schema["type"] == "object"
    assert set(schema) <= KEYWORDS
    fields = {name: values(part) for name, part in properties.items()}
    required = {name: fields.pop(name) for name in schema["required"]}
    unknown = st.dictionaries(st.text(max_size=9).filter(lambda name: name not in properties), JSON, max_size=3)
    known = st.fixed_dictionaries(required, optional=fields)
    return st.builds(lambda some, others: {**others, **some}, known, unknown)


def same(sent: Body, returned: Body, schema: Schema) -> bool:
    """Return whether two bodies are the same, moments that are written in two ways included."""
    moments = [
        name
        for name, part in schema["properties"].items()
        if part.get("format") == "date-time" and sent.get(name) is not None
    ]

    def plain(body: Body) -> str:
        dated = body | {name: repr(datetime.fromisoformat(body[name])) for name in moments}
        return json.dumps(dated, sort_keys=True)  # The order of fields means nothing, at any depth.

    return plain(sent) == plain(returned)


# --- The typed client. ---


@QUICK
@given(name=st.sampled_from(OBJECTS), data=st.data())
def test_models_keep_everything(name: str, data: st.DataObject) -> None:
    """Every model reads each body that its schema allows, and writes it again without loss."""
    body = data.draw(objects(name))
    model = getattr(models, name).from_dict(body)
    assert same(body, model.to_dict(), SCHEMAS[name])
    assert model.additional_properties == {key: body[key] for key in body if key not in SCHEMAS[name]["properties"]}


@QUICK
@given(answer=st.sampled_from(ANSWERS), data=st.data())
def test_the_typed_client_reads_every_answer(answer: tuple[str, str], data: st.DataObject) -> None:
    """For every documented status code, the generated client makes the right model of an answer, over JSON and back."""
    operation, code = answer
    names = models_of(answer_schema(OPERATIONS[operation], code))
    name = data.draw(st.sampled_from(names))
    body = data.draw(objects(name))
    model = PARSERS[operation](client=Client(base_url=""), response=httpx.Response(int(code), json=body))
    assert type(model).__name__ == name
    assert model is not None
    assert same(body, json.loads(json.dumps(model.to_dict())), SCHEMAS[name])


# --- The facade. ---


class Gateway:
    """A gateway that gives the one answer it was told, and a client of it."""

    def __init__(self) -> None:
        self.answer = httpx.Response(500)
        self.http = httpx.Client(transport=httpx.MockTransport(lambda _: self.answer))
        self.cat = LongCat(api_key="test-key", base_url="https://gateway.test", http_client=self.http)

    def status(self, name: GatewayKind, body: object, code: int = 200, *, request_id: str | None = None) -> Status:
        """Ask the gateway of this name, and be answered with this body, which is bytes or to be JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = httpx.Response(code, content=content, headers={"Content-Type": "application/json"})
        return self.cat.status(request_id or IDS[name], gateway=name)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """Return a gateway for all tests: making one takes longer than asking it."""
    gateway = Gateway()
    yield gateway
    gateway.http.close()


ANY_ID = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=60)


def without_nulls(body: Body) -> Body:
    """Return the fields that are there; the queue gateway's nulls mean that there is nothing."""
    return {name: value for name, value in body.items() if value is not None}


@QUICK
@given(kind=st.sampled_from(STATUSES), data=st.data())
def test_a_valid_answer_is_read(gateway: Gateway, kind: tuple[GatewayKind, str], data: st.DataObject) -> None:
    """A body that the contract allows becomes the status it tells of, and nothing of it is lost."""
    name, word = kind
    request_id = data.draw(ANY_ID)
    body = data.draw(objects(WORDS[name][word])) | {"request_id": request_id, "status": word}
    assert IS_VALID[name](body)
    status = gateway.status(name, body, request_id=request_id)
    assert (status.request_id, status.raw_state, status.state) == (request_id, word, State.of(word))
    assert (status.image is not None) == (status.state is State.COMPLETED)
    if name == "result":
        assert status.progress == body.get("progress")
        assert status.progress is None or type(status.progress) is float
    if status.image is not None:
        assert_image(status.image, body)
    if status.state is State.FAILED:
        words = body.pop("error")  # Words of nothing but blanks are no reason.
        assert (status.error is not None) == bool(words and words.strip())
        status.raw.error = None
    schema = SCHEMAS[WORDS[name][word]]
    assert same(without_nulls(body), without_nulls(status.raw.to_dict()), schema)


def assert_image(image: Image, body: Body) -> None:
    """Compare an image with the body of either gateway that it was read from."""
    if "result_url" in body:
        duration = body.get("duration_seconds")
        assert (image.urls, image.model_version) == ((body["result_url"],), body.get("model_version"))
        assert image.duration == (None if duration is None else timedelta(seconds=duration))
    else:
        assert image.urls == tuple(body["output"]["media_url"])
        assert image.duration is None or {"created_at", "completed_at"} <= body.keys()
    assert image.url == image.urls[0]


def drop(body: Body, name: str, _: object) -> object:
    """Leave a field out."""
    return {key: value for key, value in body.items() if key != name}


def replace(body: Body, name: str, value: object) -> object:
    """Give a field another value."""
    return body | {name: value}


def rename(body: Body, name: str, _: object) -> object:
    """Give a field another case, or another name."""
    return {(key.upper() if key == name and key != key.upper() else key): value for key, value in body.items()}


def nest(body: Body, name: str, _: object) -> object:
    """Put a field into an object or a list."""
    return body | {name: {name: body[name]}} if len(name) % 2 else body | {name: [body[name]]}


def wrap(body: Body, name: str, _: object) -> object:
    """Put the whole body into an envelope."""
    return {name: body}


def swap(body: Body, _: str, value: object) -> object:
    """Answer something else altogether."""
    return [body] if value is None else value


def as_text(body: Body, name: str, _: object) -> object:
    """Write a field as text."""
    return body | {name: str(body[name])}


def shift(body: Body, name: str, _: object) -> object:
    """Move a number to another scale, and change a text a little."""
    value = body[name]
    moved = value * 100 + 2 if isinstance(value, int | float) and not isinstance(value, bool) else f" {value}"
    return body | {name: moved}


MUTATIONS: list[Callable[[Body, str, object], object]] = [drop, replace, rename, nest, wrap, swap, as_text, shift]
ODD = JSON | st.sampled_from(
    ["", "null", "yesterday", "not a URI", 2, -1, 1.0000001, 10**400, True, "COMPLETED", "failed"]
)


def is_readable(name: GatewayKind, body: object) -> bool:
    """Return whether the facade should read a body: what a full validator says, and what the facade documents."""
    if name == "queue":
        body = as_documented(body)  # What sister models send is understood.
    word = body.get("status") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(word, str):
        return False
    if isinstance(body.get("request_id"), str) and body["request_id"] != IDS[name]:
        return False  # It tells of another request, which a schema can't know.
    documented = next((one for one in WORDS[name] if one.casefold() == word.casefold()), None)
    if documented is None:
        return True  # A word that nobody documented is a state of its own.
    return IS_VALID[name](body | {"status": documented})  # The case of a documented word does not matter.


@QUICK
@given(mutate=st.sampled_from(MUTATIONS), kind=st.sampled_from(STATUSES), data=st.data())
def test_an_invalid_answer_is_refused(
    gateway: Gateway,
    mutate: Callable[[Body, str, object], object],
    kind: tuple[GatewayKind, str],
    data: st.DataObject,
) -> None:
    """A body that the contract does not allow raises APIResponseValidationError, and nothing else ever comes of it."""
    name, word = kind
    model = WORDS[name][word]
    body = data.draw(objects(model)) | {"request_id": IDS[name], "status": word}
    field = data.draw(st.sampled_from(sorted(SCHEMAS[model]["properties"].keys() & body.keys())))
    mutated = mutate(body, field, data.draw(ODD))
    if is_readable(name, mutated):
        assert isinstance(gateway.status(name, mutated), Status)
        return
    with pytest.raises(APIResponseValidationError) as caught:
        gateway.status(name, mutated)
    assert caught.value.findings
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_mutations_break_the_contract(gateway: Gateway, mutate: Callable[[Body, str, object], object]) -> None:
    """Each mutation makes some answer invalid: the test above does not only see good ones."""
    body = {"status": "processing", "progress": 0.3, "request_id": IDS["result"]}
    with pytest.raises(APIResponseValidationError):
        gateway.status("result", mutate(body, "progress", "a word"))


DOCUMENTED = {word.casefold() for words in WORDS.values() for word in words}


@QUICK
@given(
    name=st.sampled_from(sorted(GATEWAYS)),
    word=st.text(max_size=20).filter(lambda word: word.casefold() not in DOCUMENTED),
    others=st.dictionaries(st.text(max_size=9), JSON, max_size=3),
)
def test_an_undocumented_word_is_not_invalid(gateway: Gateway, name: GatewayKind, word: str, others: Body) -> None:
    """A status word that nobody documented is passed on as it came, whatever else the answer holds."""
    body = others | {"status": word, "request_id": IDS[name]}
    status = gateway.status(name, body)
    assert (status.raw_state, status.image, status.raw) == (word, None, body)
    assert not status.state.is_final or re.fullmatch("failed|error|cancell?ed", word, re.IGNORECASE)


def test_a_duration_that_no_calendar_holds(gateway: Gateway) -> None:
    """A duration of ages is allowed by the contract, but can't be told as one: it is refused, by its name."""
    body = {
        "status": "completed",
        "progress": 1,
        "request_id": IDS["result"],
        "result_url": "https://a/b",
        "duration_seconds": 1e300,
    }
    assert IS_VALID["result"](body)
    with pytest.raises(APIResponseValidationError, match="/duration_seconds should be a number of seconds"):
        gateway.status("result", body)


WHOLE = json.dumps({"status": "processing", "progress": 0.3, "request_id": IDS["result"]}).encode()
BYTES = st.binary(max_size=40) | st.integers(0, len(WHOLE) - 1).map(lambda length: WHOLE[:length])


@QUICK
@given(
    name=st.sampled_from(sorted(GATEWAYS)),
    body=BYTES | st.tuples(BYTES, BYTES).map(b"".join) | st.sampled_from([b"[" * 100_000, b"1" * 5000, b"NaN"]),
)
def test_any_bytes(gateway: Gateway, name: GatewayKind, body: bytes) -> None:
    """Bytes that are no answer raise APIResponseValidationError, and nothing else."""
    with pytest.raises(APIResponseValidationError):
        gateway.status(name, body)


@QUICK
@given(kind=st.sampled_from(ERRORS), data=st.data())
def test_an_error_is_named_whatever_its_body(
    gateway: Gateway, kind: tuple[GatewayKind, str], data: st.DataObject
) -> None:
    """A documented error raises its own exception with its message; one with another body does so as well."""
    name, code = kind
    (model,) = models_of(answer_schema(GATEWAYS[name], code))
    valid = data.draw(st.booleans())
    body: Any = data.draw(objects(model) if valid else JSON | BYTES)
    with pytest.raises(APIStatusError) as caught:
        gateway.status(name, body, int(code))
    error = caught.value
    assert isinstance(error, STATUS_ERRORS.get(int(code), APIStatusError))
    assert (error.status_code, bool(error.message)) == (int(code), True)
    if valid and body["error"].strip():
        assert error.message.startswith(shorten(body["error"], 200).removesuffix("..."))

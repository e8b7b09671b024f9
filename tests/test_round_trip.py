"""Bodies made from the contract's schemas, good and bad, go through the typed client and the facade."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any, TypeAlias

import httpx
import jsonschema_rs
import pytest
from contract_file import CONTRACT
from hypothesis import given, settings
from hypothesis import strategies as st
from longcat_api import models
from longcat_api.api.requests.get_request_result import _parse_response as parse
from longcat_api.client import Client

from longcat import APIResponseValidationError, APIStatusError, LongCat, State, Status
from longcat.gateway.reading import STATUS_ERRORS
from longcat.text import shorten

Schema: TypeAlias = dict[str, Any]
Body: TypeAlias = dict[str, Any]

OPERATION: Schema = CONTRACT["paths"]["/longcat-image-request-result"]["post"]
RESPONSES: dict[str, Schema] = {
    code: response["content"]["application/json"]["schema"] for code, response in OPERATION["responses"].items()
}
ERRORS = [code for code in RESPONSES if code != "200"]
WORDS: dict[str, str] = RESPONSES["200"]["discriminator"]["mapping"]
SCHEMAS: dict[str, Schema] = CONTRACT["components"]["schemas"]
MODELS = sorted(name for name, schema in SCHEMAS.items() if schema.get("type") == "object")
"""The schemas that have a model of their own. The others choose between some of these."""
IS_VALID = jsonschema_rs.Draft202012Validator(
    {**RESPONSES["200"], "components": CONTRACT["components"]}, validate_formats=True
).is_valid
QUICK = settings(derandomize=True, database=None, deadline=None, max_examples=100)
ID = "XXXXXXXXXXXXX"

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
    *("type", "const", "enum", "minimum", "maximum", "minLength", "minItems", "items", "format"),
    *("properties", "required", "description", "x-usual-range"),
}
LONGEST = 10.0**9
"""What is drawn of numbers that the contract does not bound."""


def scalars(schema: Schema) -> st.SearchStrategy[Any]:
    """Return the values that a schema of a single value allows."""
    if "const" in schema or "enum" in schema:
        return st.sampled_from([schema["const"]] if "const" in schema else schema["enum"])
    if isinstance(schema["type"], list):
        return st.one_of([scalars({**schema, "type": one}) for one in schema["type"]])
    if schema["type"] == "array":
        return st.lists(scalars(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
    low, high = schema.get("minimum", -LONGEST), schema.get("maximum", LONGEST)
    integers = st.integers(int(low), int(high))
    numbers = st.floats(low, high) | integers
    plain = {"null": st.none(), "boolean": st.booleans(), "integer": integers, "number": numbers}
    if schema["type"] in plain:
        return plain[schema["type"]]
    assert schema["type"] == "string"
    return (
        FORMATS[schema["format"]] if "format" in schema else st.text(min_size=schema.get("minLength", 0), max_size=20)
    )


@cache
def objects(name: str) -> st.SearchStrategy[Body]:
    """Return the objects that a schema of the contract allows, with fields that it does not know."""
    schema = SCHEMAS[name]
    properties: dict[str, Schema] = schema["properties"]
    assert schema["type"] == "object"
    parts = [schema, *(part for part in properties.values() if "$ref" not in part)]
    assert {keyword for part in parts for keyword in part} <= KEYWORDS
    fields = {
        name: objects(part["$ref"].rpartition("/")[2]) if "$ref" in part else scalars(part)
        for name, part in properties.items()
    }
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

    def plain(body: Body) -> Body:
        return body | {name: datetime.fromisoformat(body[name]) for name in moments}

    def written(body: Body) -> str:
        return json.dumps(plain(body), sort_keys=True, default=repr)

    return written(sent) == written(returned)


def name_of(word: str) -> str:
    """Return the name of the schema of an answer with this status word."""
    return WORDS[word].rpartition("/")[2]


# --- The typed client. ---


@QUICK
@given(name=st.sampled_from(MODELS), data=st.data())
def test_models_keep_everything(name: str, data: st.DataObject) -> None:
    """Every model reads each body that its schema allows, and writes it again without loss."""
    body = data.draw(objects(name))
    model = getattr(models, name).from_dict(body)
    assert same(body, model.to_dict(), SCHEMAS[name])
    assert model.additional_properties == {key: body[key] for key in body if key not in SCHEMAS[name]["properties"]}


@QUICK
@given(code=st.sampled_from(sorted(RESPONSES)), data=st.data())
def test_the_typed_client_reads_every_answer(code: str, data: st.DataObject) -> None:
    """For every documented status code, the generated client makes the right model of an answer, over JSON and back."""
    names = [
        reference.rpartition("/")[2] for reference in (WORDS.values() if code == "200" else [RESPONSES[code]["$ref"]])
    ]
    name = data.draw(st.sampled_from(names))
    body = data.draw(objects(name))
    model = parse(client=Client(base_url=""), response=httpx.Response(int(code), json=body))
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

    def status(self, body: object, code: int = 200, *, request_id: str = ID) -> Status:
        """Ask how a request stands, and be answered with this body, which is bytes or to be JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answer = httpx.Response(code, content=content, headers={"Content-Type": "application/json"})
        return self.cat.status(request_id)


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """Return a gateway for all tests: making one takes longer than asking it."""
    gateway = Gateway()
    yield gateway
    gateway.http.close()


IDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P"]), min_size=1, max_size=60)


@QUICK
@given(word=st.sampled_from(sorted(WORDS)), data=st.data())
def test_a_valid_answer_is_read(gateway: Gateway, word: str, data: st.DataObject) -> None:
    """A body that the contract allows becomes the status it tells of, and nothing of it is lost."""
    request_id = data.draw(IDS)
    body = data.draw(objects(name_of(word))) | {"request_id": request_id}
    assert IS_VALID(body)
    status = gateway.status(body, request_id=request_id)
    assert (status.request_id, status.raw_state, status.progress) == (request_id, word, body.get("progress"))
    assert status.progress is None or type(status.progress) is float
    assert status.state == State(word)
    assert (status.image is not None) == (word == "completed")
    if status.image is not None:
        duration = body.get("duration_seconds")
        assert (status.image.url, status.image.model_version) == (body["result_url"], body.get("model_version"))
        assert status.image.duration == (None if duration is None else timedelta(seconds=duration))
    assert same(body, status.raw.to_dict(), SCHEMAS[name_of(word)])


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


def is_readable(body: object) -> bool:
    """Return whether the facade should read a body: what a full validator says, and what the facade documents."""
    word = body.get("status") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(word, str):
        return False
    if isinstance(body.get("request_id"), str) and body["request_id"] != ID:
        return False  # It tells of another request, which a schema can't know.
    if word.casefold() not in WORDS:
        return True  # A word that nobody documented is a state of its own.
    return IS_VALID(body | {"status": word.casefold()})  # The case of a documented word does not matter.


@QUICK
@given(mutate=st.sampled_from(MUTATIONS), data=st.data())
def test_an_invalid_answer_is_refused(
    gateway: Gateway, mutate: Callable[[Body, str, object], object], data: st.DataObject
) -> None:
    """A body that the contract does not allow raises APIResponseValidationError, and nothing else ever comes of it."""
    word = data.draw(st.sampled_from(sorted(WORDS)))
    body = data.draw(objects(name_of(word))) | {"request_id": ID}
    name = data.draw(st.sampled_from(sorted(SCHEMAS[name_of(word)]["properties"].keys() & body.keys())))
    mutated = mutate(body, name, data.draw(ODD))
    if is_readable(mutated):
        assert isinstance(gateway.status(mutated), Status)
        return
    with pytest.raises(APIResponseValidationError) as caught:
        gateway.status(mutated)
    assert caught.value.findings
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_mutations_break_the_contract(gateway: Gateway, mutate: Callable[[Body, str, object], object]) -> None:
    """Each mutation makes some answer invalid: the test above does not only see good ones."""
    body = {"status": "processing", "progress": 0.3, "request_id": ID}
    with pytest.raises(APIResponseValidationError):
        gateway.status(mutate(body, "progress", "a word"))


@QUICK
@given(
    word=st.text(max_size=20).filter(lambda word: word.casefold() not in WORDS),
    others=st.dictionaries(st.text(max_size=9), JSON, max_size=3),
)
def test_an_undocumented_word_is_not_invalid(gateway: Gateway, word: str, others: Body) -> None:
    """A status word that nobody documented is passed on as it came, whatever else the answer holds."""
    body = others | {"status": word, "request_id": ID}
    status = gateway.status(body)
    assert (status.raw_state, status.image, status.raw) == (word, None, body)
    assert not status.state.is_final or re.fullmatch("failed|error|cancell?ed", word, re.IGNORECASE)


def test_a_duration_that_no_calendar_holds(gateway: Gateway) -> None:
    """A duration of ages is allowed by the contract, but can't be told as one: it is refused, by its name."""
    body = {
        "status": "completed",
        "progress": 1,
        "request_id": ID,
        "result_url": "https://a/b",
        "duration_seconds": 1e300,
    }
    assert IS_VALID(body)
    with pytest.raises(APIResponseValidationError, match="/duration_seconds should be a number of seconds"):
        gateway.status(body)


WHOLE = json.dumps({"status": "processing", "progress": 0.3, "request_id": ID}).encode()
BYTES = st.binary(max_size=40) | st.integers(0, len(WHOLE) - 1).map(lambda length: WHOLE[:length])


@QUICK
@given(body=BYTES | st.tuples(BYTES, BYTES).map(b"".join) | st.sampled_from([b"[" * 100_000, b"1" * 5000, b"NaN"]))
def test_any_bytes(gateway: Gateway, body: bytes) -> None:
    """Bytes that are no answer raise APIResponseValidationError, and nothing else."""
    with pytest.raises(APIResponseValidationError):
        gateway.status(body)


@QUICK
@given(code=st.sampled_from(ERRORS), data=st.data())
def test_an_error_is_named_whatever_its_body(gateway: Gateway, code: str, data: st.DataObject) -> None:
    """A documented error raises its own exception with its message; one with another body does so as well."""
    valid = data.draw(st.booleans())
    body: Any = data.draw(objects("Error") if valid else JSON | BYTES)
    with pytest.raises(APIStatusError) as caught:
        gateway.status(body, int(code))
    error = caught.value
    assert isinstance(error, STATUS_ERRORS.get(int(code), APIStatusError))
    assert (error.status_code, bool(error.message)) == (int(code), True)
    if valid and body["error"].strip():
        assert error.message.startswith(shorten(body["error"], 200).removesuffix("..."))

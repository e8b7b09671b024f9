"""The mutator: what it does to a valid answer, and how it weighs that by what a contract allows and lists."""

import json
from typing import Any

import pytest
from attrs import evolve

from longcat.gateway.schema import compile_schema
from longcat.sandbox.mutator import (
    AnswerRules,
    Mutation,
    RequestRules,
    SentRequest,
    SentResponse,
    mutations,
    request_mutations,
)
from longcat.sandbox.mutator.fields import fields_in, recased, renamed

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["id", "state", "tags"],
    "properties": {
        "id": {"type": "string"},
        "state": {"type": "string", "enum": ["open", "done"]},
        "tags": {
            "type": "array",
            "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
        },
        "made_at": {"type": "string", "format": "date-time"},
        "note": {"type": ["string", "null"]},
    },
}
BODY: dict[str, Any] = {
    "id": "a",
    "state": "open",
    "tags": [{"n": 1}, {"n": 2}],
    "made_at": "2026-01-31T10:30:00Z",
    "note": "x",
}
LISTED = {*SCHEMA["properties"], "n"}
RULES = AnswerRules(
    allows=lambda body: not [*compile_schema(SCHEMA)(body, str)],
    lists=lambda body: {path[-1] for path, _ in fields_in(body)} <= LISTED,
    shows=lambda path: path == ("made_at",),
    codes=lambda code: code in {200, 404},
    word="state",
    echoes={"id"},
    error={"error": "Something is wrong."},
)
ANSWER = SentResponse(200, (("content-type", "application/json"),), json.dumps(BODY).encode())


def made(rules: AnswerRules = RULES, answer: SentResponse = ANSWER) -> dict[str, Mutation]:
    """Return the mutations of an answer by their names."""
    return {one.name.format(where=""): one for one in mutations(answer, rules)}


@pytest.mark.parametrize(
    ("name", "severity", "patchable", "now"),
    [
        ("removed-id", "breaking", True, {"id": ...}),
        ("removed-state", "breaking", False, {"state": ...}),
        ("absent-made-at", "notice", False, {"made_at": ...}),
        ("harmless-absent-note", None, True, {"note": ...}),
        ("renamed-id", "breaking", True, {"id": ..., "id_value": "a"}),
        ("renamed-made-at", "breaking", True, {"made_at": ..., "made": BODY["made_at"]}),
        ("recased-made-at", "breaking", True, {"made_at": ..., "madeAt": BODY["made_at"]}),
        ("renamed-note", "additive", True, {"note": ..., "note_value": "x"}),
        ("nested-id", "breaking", True, {"id": ..., "details": {"id": "a"}}),
        ("null-id", "breaking", True, {"id": None}),
        ("null-n", "breaking", True, {"tags": [{"n": None}, {"n": None}]}),
        ("retyped-n-text", "breaking", True, {"tags": [{"n": "1"}, {"n": "2"}]}),
        ("retyped-id-number", "breaking", False, {"id": 3904355907}),
        ("retyped-tags-single", "breaking", True, {"tags": {"n": 1}}),
        ("retyped-made-at-number", "breaking", True, {"made_at": 1769855400.0}),
        ("reformatted-made-at-date", "breaking", True, {"made_at": "2026-01-31"}),
        ("fractional-n", "breaking", True, {"tags": [{"n": 1.5}, {"n": 2.5}]}),
        ("new-word-state-cased", "breaking", True, {"state": "OPEN"}),
        ("other-id", "breaking", False, {"id": "another-one"}),
        ("new-field", "additive", True, {"api_version": "2"}),
        ("recased-every-field", "breaking", True, {"made_at": ..., "madeAt": BODY["made_at"]}),
    ],
)
def test_fields(name: str, severity: str | None, patchable: bool, now: dict[str, Any]) -> None:
    """A mutation changes one field, in every item of a list; `...` stands for a field that is gone."""
    mutation = made()[name]
    body = {field: value for field, value in {**BODY, **now}.items() if value is not ...}
    assert (mutation.severity, mutation.patchable, mutation.change(ANSWER).json) == (severity, patchable, body)


def test_what_the_contract_has_is_left_out() -> None:
    """Null where it is allowed, another text where any will do, and a documented status code are no drifts."""
    allowed = {"null-note", "new-word-note", "empty-note", "status-404", "reunited-n"}
    assert allowed & made().keys() == set()


def test_everything_is_done_to_its_own_place() -> None:
    """Every mutation changes the answer, and no two have one name and path."""
    found = [*mutations(ANSWER, RULES)]
    assert len({(one.name, one.path) for one in found}) == len(found) > 100
    assert [one for one in found if one.change(ANSWER) == ANSWER] == []
    assert all(one.name.count("{where}") == one.sentence.count("{where}") == 1 for one in found)


def test_what_is_harmless_says_the_same() -> None:
    """A harmless variation keeps the status code, and the body but for what is absent."""
    for one in mutations(ANSWER, RULES):
        if one.severity is None:
            answer = one.change(ANSWER)
            assert (answer.status, {**BODY, **answer.json}) == (200, BODY)


def test_another_answer_stays_as_it_is() -> None:
    """A mutation of a field leaves an answer alone that lacks the field, or that is no JSON."""
    for one in mutations(ANSWER, RULES):
        if one.path:
            assert one.change(evolve(ANSWER, body=b"[]")).body == b"[]"
            assert one.change(evolve(ANSWER, body=b"<html>")).body == b"<html>"


def test_errors() -> None:
    """An error has other shapes, and other codes; a call that is known to end is not announced to."""
    error = SentResponse(404, ANSWER.headers, b'{"error": "Nothing is there."}')
    schema = {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}
    allows = lambda body: not [*compile_schema(schema)(body, str)]  # noqa: E731
    rules = AnswerRules(allows, lambda body: set(body or ()) == {"error"}, deprecated=True)
    found = made(rules, error)
    assert found["error-list"].change(error).json == {"errors": [{"title": "Nothing is there."}]}
    assert found["error-problem-json"].change(error).headers == (("content-type", "application/problem+json"),)
    assert found["status-410"].change(error).status == 410
    assert {"deprecation", "sunset", "error-in-200"} & found.keys() == set()


def test_headers() -> None:
    """A header that must be there goes, and one with rules of its own gets another value."""
    rules = evolve(RULES, required_headers=["etag"], allows_header=lambda name, value: name != "etag" or value == "7")
    answer = ANSWER.with_headers({"etag": "7"})
    found = made(rules, answer)
    assert found["removed-header-etag"].change(answer) == ANSWER
    assert found["changed-header-etag"].change(answer).headers[-1] == ("etag", "?")


def test_most_fields() -> None:
    """Of a large answer, some fields are spoilt, spread over all of them."""
    wide = {f"f{number}": number for number in range(100)}
    rules = AnswerRules(allows=lambda body: body == wide, lists=lambda _: True)
    answer = SentResponse(200, (), json.dumps(wide).encode())
    paths = {one.path for one in mutations(answer, rules, 10) if one.path}
    assert len(paths) == 10
    assert ("f90",) in paths


def test_requests() -> None:
    """What should have been refused: a body without a field, another method, a path of nobody, no key."""
    request = SentRequest("POST", "https://a.test/things", {"x-key": "1"}, {"n": 1}, has_body=True)
    rules = RequestRules(lambda body: body == {"n": 1}, {"GET", "POST"}, lambda url: url.endswith("/things"), {"x-key"})
    found = {one.name: one.request for one in request_mutations(request, rules)}
    assert found["unchecked-no-n"].content == b"{}"
    assert found["new-method-put"].method == "PUT"
    assert found["any-path"].url == "https://a.test/things/extra/path"
    assert found["key-ignored"].headers == {}


@pytest.mark.parametrize(
    ("name", "other", "another"),
    [
        ("result_url", "url", "resultUrl"),
        ("createdAt", "created", "created_at"),
        ("status", "state", "Status"),
        ("X-Kind", "x", "xKind"),
        ("ID", "ID_value", "Id"),
    ],
)
def test_names(name: str, other: str, another: str) -> None:
    """A field gets a name with a word in common, or of the same meaning; and the same name in another style."""
    assert (renamed(name, {}, alike=False), recased(name)) == (other, another)
    assert renamed(name, {other: 1}, alike=False) == f"new_{name}"

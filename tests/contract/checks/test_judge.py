"""What counts as drift and what does not, whichever field it hits.

Most of it is generic: every field of every answer that a contract shows is spoilt in every way, for our contract and
for a made-up one that has what ours lacks.
"""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import evolve
from exchanges import (
    BAD_BODY,
    COMPLETED,
    DOCUMENTED,
    GET,
    GOOD,
    NO_KEY,
    NOWHERE,
    OURS,
    PROCESSING,
    UNKNOWN,
    DocumentedAnswer,
    answered,
    answered_as,
    kinds,
    worst,
)
from hypothesis import given
from hypothesis import strategies as st

from longcat.contract import CODES, Exchange, Severity, judge, outage
from longcat.contract.checks.comparison import Comparison

# --- Every field of every answer, spoilt in every way.


def places(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path to every field of an object, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from places(inner, (*path, name))


def spoilt(body: Any, path: tuple[str, ...], spoil: Callable[[dict[str, Any], str], None]) -> Any:
    """Return a copy in which the object that holds a field was changed."""
    new = copy.deepcopy(body)
    holder = new
    for name in path[:-1]:
        holder = holder[name]
    spoil(holder, path[-1])
    return new


def _replace(value: Callable[[Any], Any]) -> Callable[[dict[str, Any], str], None]:
    def spoil(holder: dict[str, Any], name: str) -> None:
        holder[name] = value(holder[name])

    return spoil


def _rename(new: Callable[[str], str]) -> Callable[[dict[str, Any], str], None]:
    def spoil(holder: dict[str, Any], name: str) -> None:
        holder[new(name)] = holder.pop(name)

    return spoil


def _nest(holder: dict[str, Any], name: str) -> None:
    holder["wrapper"] = {name: holder.pop(name)}


NAMED = {
    f"{one.operation.operation_id}-{one.exchange.status_code}-{number}": one for number, one in enumerate(DOCUMENTED)
}
FIELDS = [
    pytest.param(one, path, id=f"{name}-{'.'.join(path)}") for name, one in NAMED.items() for path in places(one.body)
]
SPOILT: dict[str, tuple[Callable[[dict[str, Any], str], None], set[str]]] = {
    "removed": (lambda holder, name: holder.pop(name), {"field-missing", "field-absent"}),
    "renamed": (_rename(lambda name: f"{name}_v2"), {"field-renamed"}),
    "recased": (_rename(lambda name: name[0].upper() + name[1:].replace("_", "")), {"field-renamed"}),
    "kebab-cased": (_rename(lambda name: f"{name[:1]}-{name[1:]}".replace("_", "-")), {"field-renamed"}),
    "an object": (_replace(lambda value: {"value": value}), {"type-changed", "field-moved"}),
    "a list": (_replace(lambda value: [[value]]), {"type-changed"}),
    "true": (_replace(lambda _: True), {"type-changed"}),
    "nested": (_nest, {"field-moved", "enveloped"}),
    "null": (_replace(lambda _: None), {"field-null"}),
    "another primitive type": (_replace(lambda value: 5 if isinstance(value, str) else "5"), {"type-changed"}),
}


@pytest.mark.parametrize(("one", "path"), FIELDS)
def test_a_spoilt_field_is_one_finding(one: DocumentedAnswer, path: tuple[str, ...]) -> None:
    """Whatever happens to a field, and to whichever: it is found once, of the right kind, at the right place."""
    for how, (spoil, codes) in SPOILT.items():
        body = spoilt(one.body, path, spoil)
        findings = list(judge(one.spec, answered_as(one, body)))
        if how in {"null", "another primitive type"} and one.spec.schemas.is_valid(one.media.schema or "", body):
            assert findings == [], how  # It may be null, or a text, which "5" is.
            continue
        assert (how, len(findings), {finding.code for finding in findings} <= codes) == (how, 1, True), findings
        where = findings[0].pointer.split("/")[1:]
        assert (how, where[: len(path) - 1]) == (how, list(path[:-1]))
        severity = Severity.NOTICE if findings[0].code == "field-absent" else Severity.BREAKING
        assert (how, findings[0].severity) == (how, severity)


@pytest.mark.parametrize("value", [None, 1, "text", {"a": 1}, []])
def test_a_new_field_is_additive(value: Any) -> None:
    """A new field, at the top or in an object, is additive, whatever its value is."""
    for name, one in NAMED.items():
        objects = [(), *(path for path in places(one.body) if isinstance(_at(one.body, path), dict))]
        for path in objects:
            body = spoilt(one.body, (*path, "brand_new"), lambda holder, name: holder.update({name: value}))
            findings = [(f.code, f.severity, f.pointer, f.evidence) for f in judge(one.spec, answered_as(one, body))]
            pointer = "/" + "/".join((*path, "brand_new"))
            assert (name, findings) == (name, [("field-new", Severity.ADDITIVE, pointer, value)])


@pytest.mark.parametrize(
    "wrap",
    [lambda body: {"data": body}, lambda body: [body], lambda body: {"ok": True, "result": {"items": [body]}}],
    ids=["data", "list", "deep"],
)
def test_an_envelope_is_one_finding(wrap: Callable[[Any], Any]) -> None:
    """An answer within another object or a list is one finding, not one for each field."""
    found = {name: kinds(answered_as(one, wrap(one.body)), one.spec) for name, one in NAMED.items()}
    assert {name: [code for code, _ in findings] for name, findings in found.items()} == {
        name: ["enveloped"] for name in NAMED
    }


def _at(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body[name]
    return body


# --- What is harmless.


HARMLESS: dict[str, Callable[[DocumentedAnswer], Exchange]] = {
    "as shown": lambda one: one.exchange,
    "whole numbers": lambda one: answered_as(one, _numbers(one.body, float)),
    "no fractions": lambda one: answered_as(one, _numbers(one.body, lambda n: int(n) if n == int(n) else n)),
    "another order": lambda one: answered_as(one, dict(reversed(one.body.items()))),
    "indented": lambda one: evolve(one.exchange, response_body=json.dumps(one.body, indent=2).encode() + b"\n"),
    "a charset": lambda one: _with(one, {"content-type": f"{_type(one)}; charset=utf-8"}),
    "a type in capitals": lambda one: _with(one, {"content-type": _type(one).upper()}),
    "a closed connection": lambda one: _with(one, {"connection": "close"}),
    "chunks": lambda one: _with(one, {"transfer-encoding": "chunked"}),
    "compressed": lambda one: _with(one, {"content-encoding": "gzip", "content-length": "99999"}),
    "other headers": lambda one: _with(one, {"x-request-id": "1", "server": "x", "cf-ray": "y", "set-cookie": "a=b"}),
    "rate limits": lambda one: _with(one, {"ratelimit-remaining": "1", "retry-after": "1"}),
    "a stale copy": lambda one: _with(one, {"age": "5", "warning": '110 - "stale"'}),
    "links": lambda one: _with(one, {"link": '<https://a.test/2>; rel="next", <https://a.test/s.css>; rel=preload'}),
    "not deprecated": lambda one: _with(one, {"deprecation": "false"}),
    "no body recorded": lambda one: evolve(one.exchange, response_body=None),
}


def _type(one: DocumentedAnswer) -> str:
    return one.exchange.response_headers["content-type"]


def _with(one: DocumentedAnswer, headers: dict[str, str]) -> Exchange:
    return evolve(one.exchange, response_headers={**one.exchange.response_headers, **headers})


def _numbers(value: Any, turn: Callable[[Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _numbers(inner, turn) for name, inner in value.items()}
    return turn(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


@pytest.mark.parametrize("how", HARMLESS)
def test_harmless(how: str) -> None:
    """What is no drift is not reported, for any answer."""
    told = {name: one for name, one in NAMED.items() if outage(one.spec, one.exchange) is None}
    assert {name: kinds(HARMLESS[how](one), one.spec) for name, one in told.items()} == {name: [] for name in told}


@pytest.mark.parametrize(
    "body",
    [
        {**PROCESSING, "success": True},
        {**COMPLETED, "success": True},
        {**PROCESSING, "progress": 0},
        {**PROCESSING, "progress": 1},
        {**COMPLETED, "progress": 1},
        {**COMPLETED, "created_at": "2026-01-31T10:30:00.123456+02:00"},
        {**COMPLETED, "duration_seconds": 0.5},
        {**COMPLETED, "result_url": "https://pictures.test/abc.png?signature=1"},
    ],
)
def test_harmless_body(body: Any) -> None:
    """What the contract allows is no drift."""
    assert kinds(answered(body)) == []


@pytest.mark.parametrize("message", ["other words", "Nicht gefunden", "<b>no</b>", "x" * 5000])
def test_the_words_of_a_message_do_not_matter(message: str) -> None:
    """Another wording of an error is no drift."""
    assert kinds(answered({"error": message}, 401, NO_KEY)) == []


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(data=st.data())
def test_the_reader_agrees_with_the_validator(data: st.DataObject) -> None:
    """A value has a finding, hints aside, exactly when the closed schema does not allow it, whatever the value is."""
    one = data.draw(st.sampled_from(DOCUMENTED))
    body = copy.deepcopy(one.body)
    for path in data.draw(st.lists(st.sampled_from(list(places(one.body))), max_size=2)):
        holder = _at(body, path[:-1])
        if isinstance(holder, dict):
            holder[data.draw(st.sampled_from([path[-1], f"{path[-1]}2", "new"]))] = data.draw(JSON_VALUES)
    assert one.media.schema is not None
    hints = {"field-absent", "value-blank"}
    mismatches = [
        mismatch
        for mismatch in Comparison(one.spec.schemas).compare(one.media.schema, body)
        if mismatch.code not in hints
    ]
    assert bool(mismatches) is not one.spec.schemas.is_valid(one.media.schema, body, closed=True)
    assert all(mismatch.rule == "" or one.spec.schemas.at(mismatch.rule) is not None for mismatch in mismatches)


@given(st.binary(max_size=60) | JSON_VALUES.map(lambda value: json.dumps(value).encode()), st.integers(100, 599))
def test_nothing_makes_the_judge_stumble(body: bytes, code: int) -> None:
    """Whatever comes, the judge has findings or none, and no error."""
    for question in (GOOD, NO_KEY, UNKNOWN, BAD_BODY, NOWHERE, GET, evolve(GOOD, request_body=body)):
        for finding in judge(OURS, answered(body, code, question)):
            assert finding.code in CODES
            assert len(finding.seen) <= 400


# --- What a value says.


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "queued"}, ("value-undocumented", "/status")),
        ({"status": "failed", "error": "It broke."}, ("value-undocumented", "/status")),
        ({"status": "PROCESSING"}, ("value-recased", "/status")),
        ({"status": ""}, ("value-empty", "/status")),
        ({"request_id": ""}, ("value-empty", "/request_id")),
        ({"request_id": "another"}, ("answer-mismatched", "/request_id")),
        ({"progress": 45}, ("value-out-of-range", "/progress")),
        ({"progress": -0.1}, ("value-out-of-range", "/progress")),
        ({"progress": "45%"}, ("type-changed", "/progress")),
        ({"success": False}, ("value-undocumented", "/success")),
        ({"success": "true"}, ("type-changed", "/success")),
        ({"error": "It broke."}, ("error-in-success", "")),
    ],
)
def test_a_wrong_value_while_processing(change: dict[str, Any], expected: tuple[str, str]) -> None:
    """A value that the contract does not allow is found where it is."""
    assert kinds(answered(PROCESSING | change)) == [expected]
    assert worst(list(judge(OURS, answered(PROCESSING | change)))) is Severity.BREAKING


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "Completed"}, ("value-recased", "/status")),
        ({"status": "succeeded"}, ("value-undocumented", "/status")),
        ({"progress": 0.6}, ("value-out-of-range", "/progress")),
        ({"progress": 100}, ("value-out-of-range", "/progress")),
        ({"result_url": ""}, ("value-empty", "/result_url")),
        ({"result_url": "/abc.png"}, ("format-changed", "/result_url")),
        ({"result_url": "//pictures.test/abc.png"}, ("format-changed", "/result_url")),
        ({"result_url": "pictures.test/abc.png"}, ("format-changed", "/result_url")),
        ({"result_url": "s3://pictures/abc.png"}, ("format-changed", "/result_url")),
        ({"result_url": "http://pictures.test/abc.png"}, ("format-changed", "/result_url")),
        ({"created_at": ""}, ("value-empty", "/created_at")),
        ({"created_at": 1769855400}, ("type-changed", "/created_at")),
        ({"created_at": "1769855400"}, ("format-changed", "/created_at")),
        ({"created_at": "2026-01-31"}, ("format-changed", "/created_at")),
        ({"created_at": "2026-01-31 10:30:00"}, ("format-changed", "/created_at")),
        ({"created_at": "2026-01-31T10:30:00"}, ("format-changed", "/created_at")),
        ({"created_at": "Sat, 31 Jan 2026 10:30:00 GMT"}, ("format-changed", "/created_at")),
        ({"created_at": "31/01/2026"}, ("format-changed", "/created_at")),
        ({"duration_seconds": -1}, ("value-out-of-range", "/duration_seconds")),
        ({"duration_seconds": "PT42S"}, ("type-changed", "/duration_seconds")),
        ({"model_version": ""}, ("value-blank", "/model_version")),
    ],
)
def test_a_wrong_value_when_completed(change: dict[str, Any], expected: tuple[str, str]) -> None:
    """A value that the contract does not allow is found where it is; one that it never shows is a hint."""
    assert kinds(answered(COMPLETED | change)) == [expected]


def test_an_address_may_have_the_scheme_of_the_gateway() -> None:
    """The sandbox is asked without TLS, and its pictures are there without TLS, too."""
    local = evolve(GOOD, url="http://127.0.0.1:8000/longcat-image-request-result")
    assert kinds(answered(COMPLETED | {"result_url": "http://127.0.0.1:8000/results/abc.png"}, to=local)) == []


@pytest.mark.parametrize(
    ("gone", "come", "expected"),
    [
        ("request_id", {"id": "abc"}, ("field-renamed", "/id")),
        ("status", {"state": "completed"}, ("field-renamed", "/state")),
        ("result_url", {"image": "https://a.test/b"}, ("field-renamed", "/image")),
        ("duration_seconds", {"duration_ms": 42000}, ("field-renamed", "/duration_ms")),
        ("created_at", {"created": "2026-01-31T10:30:00Z"}, ("field-renamed", "/created")),
        ("result_url", {"result": {"url": "https://a.test/b"}}, ("field-moved", "/result")),
        ("result_url", {"images": [{"result_url": "https://a.test/b"}]}, ("field-moved", "/images")),
    ],
)
def test_one_cause_is_one_finding(gone: str, come: dict[str, Any], expected: tuple[str, str]) -> None:
    """A name that is near, a value that fits, and a field that went elsewhere are recognized."""
    assert kinds(answered(_without(COMPLETED, gone) | come)) == [expected]


def test_a_new_field_is_not_an_absent_one_for_a_small_word() -> None:
    """An optional field that is absent and a new one that is much like it by chance are two things."""
    body = _without(COMPLETED, "created_at") | {"updated_at": "2026-01-31T10:30:00Z"}
    assert kinds(answered(body)) == [("field-absent", "/created_at"), ("field-new", "/updated_at")]


def test_fields_that_moved_together_are_one_finding() -> None:
    """All fields that went into one object are named at once."""
    (finding,) = judge(OURS, answered({"request_id": "abc", "data": _without(COMPLETED, "request_id")}))
    assert (finding.code, finding.pointer) == ("field-moved", "/data")
    assert finding.expected == (
        "status, progress, result_url, created_at, duration_seconds, model_version outside of data"
    )


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {one: value for one, value in body.items() if one != name}


def test_a_renamed_field_of_another_type_is_both() -> None:
    """What cannot be healed by one change is two findings."""
    assert kinds(answered({"errors": ["no"]}, 401, NO_KEY)) == [
        ("field-renamed", "/errors"),
        ("type-changed", "/errors"),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "no", "code": "E1"}, [("field-new", "/code")]),
        ({"error": {"message": "no"}}, [("type-changed", "/error")]),
        ({"error": ["no"]}, [("type-changed", "/error")]),
        ({"error": ""}, [("value-blank", "/error")]),
        ({"message": "no"}, [("field-renamed", "/message")]),
        ({"data": {"error": "no"}}, [("enveloped", "/data")]),
        ({}, [("field-missing", "/error")]),
        ("no", [("type-changed", "")]),
        (["no"], [("type-changed", "")]),
        (None, [("field-null", "")]),
    ],
)
def test_the_form_of_an_error(body: Any, expected: list[tuple[str, str]]) -> None:
    """Another form of an error is found, with whichever code it comes."""
    questions = {400: BAD_BODY, 401: NO_KEY, 404: UNKNOWN, 429: GOOD, 500: GOOD}
    found = {code: kinds(answered(body, code, question)) for code, question in questions.items()}
    assert found == dict.fromkeys(questions, expected)


# --- The findings themselves.


def test_a_finding_says_where_the_rule_stands() -> None:
    """The rule is a place in the document, references followed, and the evidence is the value."""
    (finding,) = judge(OURS, answered(COMPLETED | {"progress": 0.6}))
    assert finding.rule == "/components/schemas/CompletedStatus/properties/progress/minimum"
    assert (finding.expected, finding.seen, finding.evidence) == ("at least 1", "0.6", 0.6)
    assert (finding.operation, finding.severity) == ("get_request_result", Severity.BREAKING)


def test_every_rule_is_in_the_document() -> None:
    """No rule points to where nothing is."""
    bodies: list[Any] = [
        {},
        [],
        None,
        PROCESSING | {"status": "x", "y": 1},
        PROCESSING | {"progress": 7, "y": 1},
        {"data": COMPLETED},
    ]
    for question in (GOOD, NO_KEY, UNKNOWN, BAD_BODY, NOWHERE, GET):
        for body in bodies:
            for code in (200, 201, 400, 401, 404, 410, 500):
                for finding in judge(OURS, answered(body, code, question)):
                    assert OURS.schemas.at(finding.rule) is not None


def test_a_signature_is_not_shown() -> None:
    """The query of an address may let anybody in; it is in no words."""
    url = "s3://pictures/abc.png?X-Signature=secretsecret"
    (finding,) = judge(OURS, answered(COMPLETED | {"result_url": url}))
    assert "secret" not in finding.seen
    (finding,) = judge(OURS, answered(b"", 302, headers={"location": url}))
    assert finding.seen == 'HTTP 302 to "s3://pictures/abc.png?..."'


def test_what_is_shown_is_short() -> None:
    """A huge value is cut."""
    (finding,) = judge(OURS, answered(PROCESSING | {"new": ["x" * 1000] * 1000}))
    assert len(finding.seen) <= 80


def test_every_code_is_explained() -> None:
    """Each kind has a name, a severity and three texts that are sentences."""
    for name, code in CODES.items():
        assert name == code.code
        for text in (code.meaning, code.hurts, code.do):
            assert text.endswith(".")

"""Which answer belongs to which request, and in which form: by status codes, headers, bodies, and what is an outage."""

import importlib
import json
from collections import Counter
from collections.abc import Callable
from datetime import date
from types import ModuleType
from typing import Any

import pytest
from attrs import evolve
from exchanges import (
    ASKED,
    BAD_BODY,
    ERROR,
    GET,
    GOOD,
    JSON,
    KEY,
    NO_KEY,
    NOWHERE,
    OURS,
    PROCESSING,
    UNKNOWN,
    WRONG_KEY,
    answered,
    kinds,
    worst,
)

import longcat.contract
from longcat.contract import Exchange, Severity, Spec, judge, outage
from longcat.contract.checks.body import decode_json
from longcat.contract.checks.judge import Judgement, concerns
from longcat.contract.openapi.spec import make_spec
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.verdict import JudgedExchange, Tally, Verdict, verdict
from longcat.contract.run import events

BAD = evolve(BAD_BODY, origin="live")

# --- Which answer belongs to which request.

OUR_BAD_BODY = evolve(BAD_BODY, origin="live")
"""A bad request that a probe sends on purpose. That of others is told rule by rule: see `cases/requests.yaml`."""


@pytest.mark.parametrize(
    ("question", "code", "expected"),
    [
        *((ASKED, code, "status-undocumented") for code in (201, 202, 203, 204, 206, 402, 409, 451)),
        *((ASKED, code, "request-refused") for code in (400, 406, 415, 422, 426, 428, 431)),
        *((ASKED, code, "endpoint-gone") for code in (405, 410, 501)),
        *((GOOD, code, "status-undocumented") for code in (201, 204, 402, 405, 406, 409, 410, 415, 418, 422, 451, 501)),
        *((GOOD, code, "redirected") for code in (301, 302, 303, 307, 308)),
        *((question, 308, "redirected") for question in (NO_KEY, WRONG_KEY, UNKNOWN, BAD_BODY)),
        *((GOOD, code, None) for code in (400, 401, 404)),  # Any of these may be right: nobody says.
        *((question, 200, "auth-lost") for question in (NO_KEY, WRONG_KEY)),
        *((question, 401, None) for question in (NO_KEY, WRONG_KEY)),
        *((question, code, "status-changed") for question in (NO_KEY, WRONG_KEY) for code in (400, 403, 404, 500)),
        *((question, 418, "status-undocumented") for question in (NO_KEY, WRONG_KEY, UNKNOWN, BAD_BODY, BAD)),
        (UNKNOWN, 200, "unknown-answered"),
        (UNKNOWN, 404, None),
        (UNKNOWN, 400, "status-changed"),
        (UNKNOWN, 410, "endpoint-gone"),
        (UNKNOWN, 401, "auth-changed"),
        (UNKNOWN, 403, "auth-changed"),
        (OUR_BAD_BODY, 200, "validation-lost"),
        (OUR_BAD_BODY, 204, "validation-lost"),
        (BAD_BODY, 400, None),
        (BAD_BODY, 401, None),
        (BAD_BODY, 404, None),
        (BAD_BODY, 422, "status-undocumented"),
        (BAD_BODY, 500, None),
        (BAD, 404, "status-changed"),
        (BAD, 422, "status-undocumented"),
        (BAD, 500, "status-changed"),
        (NOWHERE, 404, None),
        (NOWHERE, 401, None),
        (NOWHERE, 200, "path-new"),
        (NOWHERE, 410, None),
        (evolve(NOWHERE, origin="live"), 410, "status-changed"),
        (evolve(NOWHERE, origin="live"), 302, "status-changed"),
        (GET, 405, None),
        (GET, 404, None),
        (GET, 401, None),
        (GET, 302, None),
        (GET, 200, "method-new"),
    ],
)  # fmt: skip
def test_status_codes(question: Exchange, code: int, expected: str | None) -> None:
    """The right code follows from the request; any other is one finding, and what came with it is not another."""
    body = PROCESSING if code < 400 else ERROR
    findings = list(judge(OURS, answered(b"" if code == 204 else body, code, question)))
    assert [finding.code for finding in findings] == ([] if expected is None else [expected])
    assert {finding.pointer for finding in findings} <= {"status"}
    if question in (GOOD, BAD_BODY) and code >= 400:
        assert {finding.severity for finding in findings} <= {Severity.ADDITIVE}


@pytest.mark.parametrize(
    ("question", "code", "expected"),
    [
        (GOOD, 401, "auth-changed"),
        (GOOD, 403, "auth-changed"),
        (GOOD, 404, "endpoint-gone"),
        (BAD_BODY, 401, "auth-changed"),
    ],
)
def test_whoever_asks_vouches_for_key_and_request(question: Exchange, code: int, expected: str) -> None:
    """Recorded traffic may have deserved its 401, 403 or 404. A probe knows what it sends, and hears of it."""
    assert kinds(answered(ERROR, code, question)) == []
    assert kinds(evolve(answered(ERROR, code, question), origin="live")) == [(expected, "status")]
    assert kinds(evolve(answered(ERROR, code, question), origin="documentation")) == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"request_id": ""}', b'{"request_id": 5}', b'{"request_id": null}', b'"abc"', b"\xff"],
)
def test_every_bad_body_must_be_refused(body: bytes) -> None:
    """What is not valid for the request's schema must not be answered."""
    bad = evolve(GOOD, request_body=body, origin="live")
    assert kinds(answered(PROCESSING, to=bad)) == [("validation-lost", "status")]
    (found,) = judge(OURS, answered(PROCESSING, to=evolve(bad, origin="unknown")))
    assert (found.code, found.pointer.removesuffix("/request_id")) == ("validation-lost", "request:")
    assert kinds(answered(ERROR, 400, bad)) == []


def test_a_request_of_others_may_be_ahead_of_the_contract() -> None:
    """What a recorded request breaks is told with both of its meanings, and a secret in it is not shown."""
    properties = {"size": {"type": "integer"}, "access_token": {"type": "integer"}}
    media = {"application/json": {"schema": {"type": "object", "properties": properties}}}
    operation = {"requestBody": {"content": media}, "responses": {"200": {"description": "Yes."}, "422": {}}}
    spec = make_spec({"openapi": "3.1.0", "info": {}, "paths": {"/a": {"post": operation}}})
    asked = Exchange(
        "POST", "https://a.test/a", JSON, b'{"size": "big", "access_token": "mine"}', 200, {}, b"", "a test"
    )
    size, token = judge(spec, asked)
    assert (size.pointer, size.expected) == ("request:/size", "of type integer, or else HTTP 422")
    assert size.rule.endswith("/schema/properties/size/type")
    assert size.seen == '"big", answered with HTTP 200: the contract lags, or a check was lost'
    assert token.seen.startswith("a value that is not shown, answered with HTTP 200")
    assert token.evidence is None


def test_another_content_type_must_be_refused() -> None:
    """A body of another type must not be answered, even if it is JSON."""
    bad = evolve(GOOD, request_headers={"content-type": "text/plain", **KEY}, origin="live")
    assert kinds(answered(PROCESSING, to=bad)) == [("validation-lost", "status")]
    assert kinds(answered(ERROR, 400, bad)) == []


def test_a_request_without_a_content_type_may_be_refused() -> None:
    """A recording may have lost the header, so nothing is certain; what the body is like still is."""
    bare = evolve(GOOD, request_headers=KEY)
    assert kinds(answered(PROCESSING, to=bare)) == []
    assert kinds(answered(ERROR, 400, bare)) == []
    found = kinds(answered(PROCESSING, to=evolve(bare, request_body=b"{}")))
    assert found == [("validation-lost", "request:/request_id")]


def test_a_request_that_only_strict_readers_refuse() -> None:
    """A byte order mark, a name twice, and a compressed body may be accepted or refused."""
    twice = b'{"request_id": "abc", "request_id": "abc"}'
    compressed = evolve(GOOD, request_body=b"\x1f\x8b", request_headers=JSON | KEY | {"content-encoding": "gzip"})
    for bad in (evolve(GOOD, request_body=twice), evolve(GOOD, request_body=b"\xef\xbb\xbf" + twice), compressed):
        assert kinds(answered(PROCESSING, to=bad)) == []
        assert kinds(answered(ERROR, 400, bad)) == []


def test_a_request_without_any_body_must_be_refused() -> None:
    """No body at all, and nothing in the headers that speaks of one, is a bad request."""
    bad = evolve(GOOD, request_body=None, request_headers={**KEY, "content-length": "0"}, origin="live")
    assert kinds(answered(PROCESSING, to=bad)) == [("validation-lost", "status")]


def test_a_body_that_was_not_recorded_may_have_been_good_or_bad() -> None:
    """Nothing is concluded from what nobody wrote down."""
    unrecorded = evolve(GOOD, request_body=None)
    assert kinds(answered(PROCESSING, to=unrecorded)) == []
    assert kinds(answered(ERROR, 400, unrecorded)) == []


@pytest.mark.parametrize(
    "question",
    [GOOD, NO_KEY, WRONG_KEY, UNKNOWN, BAD_BODY, evolve(NOWHERE, origin="live"), evolve(GET, origin="live")],
)
def test_an_error_inside_of_a_success(question: Exchange) -> None:
    """An error with 200 is that, whatever was asked, and not a lost check."""
    assert [code for code, _ in kinds(answered(ERROR, 200, question))] == ["error-in-success"]


@pytest.mark.parametrize(
    "body", [ERROR, {"success": False, **ERROR}, {"status": "error", **ERROR}, {"status": "error", "code": 5, **ERROR}]
)
def test_forms_of_an_error_inside_of_a_success(body: Any) -> None:
    """Whatever else is with it, an error inside of a success is one finding."""
    assert kinds(answered(body)) == [("error-in-success", "")]


def test_a_new_method_named_by_allow() -> None:
    """A 405 that allows a method which the contract does not have gives it away."""
    refused = answered(ERROR, 405, GET, JSON | {"allow": "POST, PUT, OPTIONS"})
    assert kinds(refused) == [("method-new", "header:allow")]
    assert kinds(answered(ERROR, 405, GET, JSON | {"allow": "POST, OPTIONS, HEAD"})) == []


def test_a_browsers_own_question_is_not_a_method() -> None:
    """OPTIONS is answered by servers and CDNs for reasons of their own."""
    assert kinds(answered(b"", 204, evolve(GET, method="OPTIONS"))) == []


def test_an_unknown_path_is_refused_in_the_documented_form() -> None:
    """The 404 of a path that does not exist has the form that the contract has for all 404."""
    asked = evolve(NOWHERE, origin="live")
    assert kinds(answered({"message": "no"}, 404, asked)) == [("field-renamed", "/message")]
    assert kinds(answered({"message": "no"}, 404, NOWHERE)) == []  # It may be of another contract.


@pytest.mark.parametrize("url", ["https://pictures.test/abc.png", "https://elsewhere.test/", "http://[broken"])
def test_other_traffic_is_none_of_ours(url: str) -> None:
    """A recording of a browser holds much else. Nothing is said of it, unless somebody knows that it is ours."""
    other = answered(b"<html>", 200, evolve(GET, url=url), {"content-type": "text/html", "deprecation": "@1"})
    assert not concerns(OURS, other)
    assert kinds(other) == []
    assert kinds(evolve(other, origin="sandbox"))[0][0] == "path-new"


# --- Headers and bodies.


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("deprecation", "@1767225600"),
        ("deprecation", "true"),
        ("sunset", "Thu, 31 Dec 2026 23:59:59 GMT"),
        ("link", '<https://a.test/next>; rel="successor-version"'),
        ("link", '<https://a.test/why>; type="text/html"; rel=deprecation'),
        ("link", '<https://a.test/2>; rel="next", <https://a.test/end>; rel="help sunset"'),
        ("warning", '299 - "this version will go"'),
        ("x-api-deprecated", "2026-12-31"),
        ("x-sunset-date", "2026-12-31"),
    ],
)
@pytest.mark.parametrize(("question", "code"), [(GOOD, 200), (NO_KEY, 401), (NOWHERE, 404), (GET, 405)])
def test_announcements(question: Exchange, code: int, name: str, value: str) -> None:
    """What is announced in a header is a notice, with whichever answer it comes."""
    body = PROCESSING if code == 200 else ERROR
    findings = list(judge(OURS, answered(body, code, question, JSON | {name: value})))
    assert [(one.code in {"deprecated", "warning"}, one.severity, one.pointer) for one in findings] == [
        (True, Severity.NOTICE, f"header:{name}")
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"server": "nginx"},
        {"content-type": ""},
        {"content-type": "text/json"},
        {"content-type": "text/html"},
        {"content-type": "text/plain; charset=utf-8"},
        {"content-type": "application/problem+json"},
        {"content-type": "application/octet-stream"},
    ],
)
def test_another_content_type(headers: dict[str, str]) -> None:
    """JSON of another type, or of none, is one finding."""
    assert kinds(answered(PROCESSING, headers=headers)) == [("content-type-changed", "header:content-type")]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body-empty"),
        (b" \n", "body-empty"),
        (b"OK", "body-not-json"),
        (b"<html><title>Hello</title></html>", "body-not-json"),
        (b"{'status': 'processing'}", "body-not-json"),
        (b"callback({})", "body-not-json"),
        (json.dumps(PROCESSING).encode("utf-16"), "body-not-json"),
        (b"\xef\xbb\xbf" + json.dumps(PROCESSING).encode(), "body-not-json"),
        (json.dumps(PROCESSING | {"progress": float("nan")}).encode(), "body-not-json"),
        (json.dumps(PROCESSING | {"progress": float("inf")}).encode(), "body-not-json"),
        (json.dumps(PROCESSING).encode() * 2, "body-not-json"),
        (json.dumps(PROCESSING)[:-1].encode() + b', "status": "processing"}', "name-repeated"),
        (b"1" * 5000, "body-not-json"),
        *((json.dumps(PROCESSING)[:length].encode(), "body-cut") for length in (1, 5, 12, 20, 40, -1)),
    ],
)
def test_a_body_that_is_no_json(body: bytes, code: str) -> None:
    """Whatever is not JSON by the letter is one finding, even where some readers take it."""
    assert kinds(answered(body)) == [(code, "")]


def test_fewer_bytes_than_announced() -> None:
    """A body that is shorter than its header says was cut, whatever is left of it."""
    assert kinds(answered(b"", to=ASKED, headers=JSON | {"content-length": "60"})) == [("body-empty", "")]
    assert kinds(answered(b"", headers=JSON | {"content-length": "60"})) == []  # A recorder may have left it out.
    cut = answered(b"proce", headers=JSON | {"content-length": "60"})
    assert kinds(cut) == [("body-cut", "")]


def test_a_page_in_place_of_an_answer_is_one_finding() -> None:
    """A page with 200 is another content type, and nothing more."""
    page = answered(b"<!doctype html><title>Hello</title>", headers={"content-type": "text/html"})
    assert kinds(page) == [("content-type-changed", "header:content-type")]


# --- Outages.


PAGE = b"<!DOCTYPE html><html><title>Just a moment...</title></html>"
HTML = {"content-type": "text/html; charset=UTF-8"}


@pytest.mark.parametrize(
    ("code", "body", "headers"),
    [
        *((code, body, JSON) for code in (502, 503, 504, *range(520, 531)) for body in (b"", PAGE, b'{"a": 1}')),
        *((code, body, HTML) for code in (500, 505) for body in (PAGE, b"")),
        (500, b"error code: 1101", {"content-type": "text/plain"}),
        (403, PAGE, HTML),
        (403, b"error code: 1020", {"content-type": "text/plain"}),
        (503, PAGE, {**HTML, "cf-mitigated": "challenge"}),
        (200, PAGE, {**HTML, "cf-mitigated": "challenge"}),
        (429, b'{"error": "too many"}', JSON),
        (429, b"", {}),
        (429, PAGE, HTML),
        (500, b'{"error": "sorry"}', JSON),
        (304, b"", {}),
        (0, b"", {}),
    ],
)
def test_an_outage_is_no_drift(code: int, body: bytes, headers: dict[str, str]) -> None:
    """What the CDN says, or a service that is broken or busy, tells nothing about the contract."""
    exchange = answered(body, code, to=ASKED, headers=headers | {"deprecation": "@1"})
    assert (outage(OURS, exchange) or "").startswith(f"HTTP {code}: ")
    assert kinds(exchange) == []


@pytest.mark.parametrize(
    ("question", "code", "body"),
    [(BAD, 500, ERROR), (NO_KEY, 500, ERROR), (GOOD, 500, {"message": "no"}), (GOOD, 429, {"message": "no"})],
)
def test_what_looks_like_an_outage_and_is_drift(question: Exchange, code: int, body: Any) -> None:
    """A service that breaks down over a bad request has lost a check; and an error of another form is drift."""
    exchange = answered(body, code, question)
    assert outage(OURS, exchange) is None
    assert worst(list(judge(OURS, exchange))) is Severity.BREAKING


# --- Faults of our own.


def test_a_fault_costs_the_exchange_in_which_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told by its kind and place, and not by its words, which may hold a secret. The others are judged."""

    def fail(*_: Any, **__: Any) -> Any:
        raise KeyError("a secret")

    good, bad = answered(PROCESSING), answered(PROCESSING | {"status": "x"})
    before = kinds(bad)
    with monkeypatch.context() as patch:
        patch.setattr("longcat.contract.checks.judge.compare_body", fail)
        (event,) = events([Judgement(OURS, good)], Baseline(date(2026, 1, 31)), tally := Tally())
    assert isinstance(event, JudgedExchange)
    (gap,) = event.gaps
    assert (gap.unclear, gap.operation) == (True, "get_request_result")
    assert "fault of longcat: KeyError in line" in gap.why
    assert "secret" not in gap.why
    assert verdict(tally, Severity.NOTICE) == Verdict.UNCLEAR
    assert before == kinds(bad) != []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupt_within_an_exchange_gets_through(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Whoever wants the run to end ends it, wherever it is."""

    def interrupt(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("longcat.contract.checks.comparison.Comparison.compare", interrupt)
    with pytest.raises(error):
        list(events([Judgement(OURS, answered(PROCESSING))], Baseline(date(2026, 1, 31)), Tally()))


# --- What it costs.


@pytest.mark.parametrize(
    "exchange",
    [
        answered(PROCESSING),
        answered(ERROR, 500),
        answered({"message": "Another form."}, 500),
        answered(ERROR, 429),
        answered(ERROR, 500, BAD_BODY),
        answered(ERROR, 404, evolve(NOWHERE, origin="live")),
    ],
    ids=["a success", "a documented 500", "a 500 in another form", "a 429", "a 500 for a bad request", "a new path"],
)
def test_an_exchange_is_matched_and_decoded_once(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many checks look at an exchange, its URL is matched once, and each of its bodies decoded once at most."""
    calls: Counter[str | bytes] = Counter()

    def counting(function: Callable[..., Any], argument: int) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            calls[arguments[argument]] += 1
            return function(*arguments)

        return counted

    monkeypatch.setattr("longcat.contract.checks.observation.decode_json", counting(decode_json, 0))
    monkeypatch.setattr(Spec, "locate", counting(Spec.locate, 1))
    list(events([Judgement(OURS, exchange)], Baseline(date(2026, 1, 31)), Tally()))
    assert calls[exchange.url] == 1
    assert calls[exchange.response_body or b""] == 1
    assert set(calls.values()) == {1}


def test_the_function_and_its_module_have_places_of_their_own() -> None:
    """`judge` is a function where users import it from, and a module where it is written."""
    module = importlib.import_module("longcat.contract.checks.judge")
    assert isinstance(module, ModuleType)
    assert longcat.contract.judge is module.judge is judge

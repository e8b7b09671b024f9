"""Every drift of the sandbox does what its sentence says, there and nowhere else; what is harmless harms no client.

The sentences in the sandbox's own table are the specification: `PLACES` reads from a sentence which questions are
answered differently, and `CHECKS` what is different about the answers.
"""

import contextlib
import gzip
import http.client
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files
from itertools import product
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from attrs import frozen
from gateways import (
    DONE,
    QUEUE_DONE,
    QUEUE_FAILED,
    QUEUE_UNDER_WAY,
    QUEUE_WAITING,
    UNDER_WAY,
    Gateway,
    in_process,
)

from longcat import LongCat, State
from longcat.cli.run import run as main
from longcat.sandbox import DRIFTS, EXAMPLE_KEY, Settings, running
from longcat.sandbox.calls import RESULT, STATUS
from longcat.sandbox.drifts import changes, requests

PATH: Final = "/longcat-image-request-result"
JSON: Final = {"Content-Type": "application/json"}
KEY: Final = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}
HARMLESS: Final = [drift.name for drift in DRIFTS.values() if drift.severity is None]
QUEUE_FIELDS: Final = r"output\.media_url|output\.media_type|output|model_id|updated_at|completed_at"
FIELDS: Final = rf"{QUEUE_FIELDS}|status|progress|request_id|result_url|created_at|duration_seconds|model_version|error"


# --- What is asked.


def question(
    body: Any, method: str = "POST", target: str = PATH, headers: Mapping[str, str] = KEY | JSON
) -> dict[str, Any]:
    """Return the arguments of a request; the documented one, with this body, unless told otherwise."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"content": content, "method": method, "url": f"http://127.0.0.1{target}", "headers": headers}


GOOD: Final = {"request_id": UNDER_WAY}
QUESTIONS: Final = {
    "processing": question(GOOD),
    "completed": question({"request_id": DONE}),
    "no key": question(GOOD, headers=JSON),
    "wrong key": question(GOOD, headers=JSON | {"Ocp-Apim-Subscription-Key": "wrong"}),
    "no body": question(b""),
    "malformed": question(b'{"request_id": '),
    "no id": question({}),
    "empty id": question({"request_id": ""}),
    "number id": question({"request_id": 5}),
    "text": question(GOOD, headers=KEY | {"Content-Type": "text/plain"}),
    "unknown request": question({"request_id": "unknown"}),
    "unknown path": question(GOOD, target="/unknown"),
    "GET": question(b"", "GET", headers=KEY),
    "PUT": question(GOOD, "PUT"),
    "OPTIONS": question(b"", "OPTIONS", headers={}),
}


def queue_question(request_id: str, method: str = "GET", headers: Mapping[str, str] = KEY) -> dict[str, Any]:
    """Return the arguments of a request to the status call of the queue gateway."""
    return question(b"", method, f"/v2/requests/status/{request_id}", headers)


QUEUE_QUESTIONS: Final = {
    "queued": queue_question(QUEUE_WAITING),
    "processing": queue_question(QUEUE_UNDER_WAY),
    "completed": queue_question(QUEUE_DONE),
    "failed": queue_question(QUEUE_FAILED),
    "no key": queue_question(QUEUE_UNDER_WAY, headers={}),
    "wrong key": queue_question(QUEUE_UNDER_WAY, headers={"Ocp-Apim-Subscription-Key": "wrong"}),
    "unknown request": queue_question("unknown"),
    "unknown path": question(b"", "GET", "/unknown", KEY),
    "POST": queue_question(QUEUE_UNDER_WAY, "POST"),
    "PUT": queue_question(QUEUE_UNDER_WAY, "PUT"),
    "OPTIONS": queue_question(QUEUE_UNDER_WAY, "OPTIONS", {}),
}
ASKED: Final = {"result": QUESTIONS, "status": QUEUE_QUESTIONS}
"""What is asked, by the call that a drift changes."""


@frozen
class Answer:
    """All that is sent as an answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the value of a header."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def json(self) -> Any:
        """The decoded body. None: it is not JSON, or it is null."""
        body = gzip.decompress(self.body) if self.header("content-encoding") == "gzip" else self.body
        with contextlib.suppress(ValueError):
            return None if b"NaN" in body else json.loads(body)

    @property
    def accepts(self) -> bool:
        """Whether the request was taken for a good one."""
        return (
            self.status == 200
            and self.json["status"].lower() in {"processing", "queued"}
            and bool(self.json["request_id"])
        )


def ask(gateway: Gateway, arguments: Mapping[str, Any]) -> Answer:
    """Ask a gateway, and return the bytes that it sends."""
    response = gateway.client.send(gateway.client.build_request(**arguments), stream=True)
    headers = tuple((name.decode(), value.decode()) for name, value in response.headers.raw)
    return Answer(response.status_code, headers, b"".join(response.iter_raw()))


def ask_all(*drifts: str, call: str = "result") -> dict[str, Answer]:
    """Return the answers of a gateway with these drifts to every question about a call."""
    with in_process(drifts) as gateway:
        return {name: ask(gateway, arguments) for name, arguments in ASKED[call].items()}


@pytest.fixture(scope="module")
def honest() -> dict[str, dict[str, Answer]]:
    """Return what is answered without a drift, by call."""
    return {call: ask_all(call=call) for call in ASKED}


# --- Which answers a sentence is about.


ALL: Final = {*QUESTIONS}
PROCESSING, COMPLETED, UNKNOWN, NO_PATH = {"processing"}, {"completed"}, {"unknown request"}, {"unknown path"}
ANSWERS: Final = PROCESSING | COMPLETED
KEYLESS: Final = {"no key", "wrong key"}
INVALID: Final = {"no body", "malformed", "no id", "empty id", "number id", "text"}
CALL: Final = ALL - NO_PATH

PLACES: Final = {
    "while processing|^Processing|The status processing|was processing|under way answers": PROCESSING,
    "when completed|The end|completed request answers|The status completed|was completed|ptional": COMPLETED,
    "in the 400|was 400|wrong body": INVALID,
    "was 401|[Tt]he 401|wrong key|key is ignored": KEYLESS,
    "was 404|nknown request": UNKNOWN,
    "nknown path": NO_PATH,
    "^Errors|in errors|[Ee]very error": ALL - ANSWERS,
    "rather than": COMPLETED,
    "An empty request_id": {"empty id"},
    "A request_id that is no string": {"number id"},
    "without request_id": {"no id"},
    "without a body": {"no body"},
    "that is no JSON": {"malformed"},
    "Any content type": {"text"},
    "No key is needed": {"no key"},
    "Any key will do": {"wrong key"},
    "key is wanted": ANSWERS | INVALID | UNKNOWN,
    "is required": ANSWERS | UNKNOWN,
    "^Answers|^The answer|every answer|success|JSON is sent|No content type|All names|Fields come": ANSWERS,
    "^GET answers|^PUT answers": {"GET", "PUT", "OPTIONS"},
    "^A wrong method": {"GET", "PUT"},
    "^OPTIONS": {"OPTIONS"},
    "There is a header|indented|^Another host|^The path": CALL,
    "content type|[Hh]eaders|cookie|connection|chunks|compressed": ALL,
}
"""The first pattern that is found in a sentence tells which answers the drift changes."""


OPEN: Final = {"queued", "processing"}
QUEUE_ANSWERS: Final = OPEN | {"completed", "failed"}
QUEUE_ALL: Final = {*QUEUE_QUESTIONS}
QUEUE_PLACES: Final = {
    "open": OPEN,
    "while queued|QUEUED": {"queued"},
    "while processing|PROCESSING": {"processing"},
    "when completed|The end|completed request answers|COMPLETED|have a blank|an empty list": {"completed"},
    "when failed|was failed|status ERROR": {"failed"},
    "in the 404|was 404|nknown request": UNKNOWN,
    "was 401|wrong key|key is ignored": KEYLESS,
    "Any key will do": {"wrong key"},
    "key is wanted|is required": QUEUE_ANSWERS | UNKNOWN,
    "message is absent": KEYLESS | UNKNOWN,
    "^Errors|in errors|every error": QUEUE_ALL - QUEUE_ANSWERS,
    "Fields come": QUEUE_ANSWERS | KEYLESS | UNKNOWN,
    "^Answers|^The answer|every answer|JSON is sent|No content type|All names": QUEUE_ANSWERS,
    "^POST answers": {"POST", "PUT", "OPTIONS"},
    "^A wrong method": {"POST", "PUT"},
    "There is a header|indented|^The path": QUEUE_ALL - NO_PATH,
    "content type|[Hh]eaders|compressed": QUEUE_ALL,
}
PLACES_OF: Final = {"result": PLACES, "status": QUEUE_PLACES}


def places(call: str, sentence: str, honest: Mapping[str, Answer]) -> set[str]:
    """Return the questions whose answers a sentence is about: all that have its field, if it names no others."""
    for pattern, found in PLACES_OF[call].items():
        if re.search(pattern, sentence):
            return found
    (field,) = re.findall(rf"^({FIELDS})\b", sentence)
    return {name for name, answer in honest.items() if field in (answer.json or {})}


# --- What a sentence says of them.


Check = Callable[[re.Match[str], Answer, Answer], object]
"""Tells whether an answer is as the sentence says; of the match, the honest answer and the drifted one."""


def fields(match: re.Match[str], was: Answer, now: Answer) -> tuple[str, dict[str, Any], Any]:
    """Return the name of the field that a sentence begins with, and the objects with it.

    The name `output.media_url` is that of a field of the object `output`, beside which all must be as before.
    """
    outer, _, name = match[1].rpartition(".")
    if not outer:
        return name, was.json, now.json
    assert {**now.json, outer: 0} == {**was.json, outer: 0}
    return name, was.json[outer], now.json[outer]


def field_is(holds: Callable[[Any, Any], object]) -> Check:
    """Check a field's old and new value, and that all other fields are as before."""

    def check(match: re.Match[str], was: Answer, now: Answer) -> object:
        name, old, new = fields(match, was, now)
        return {**new, name: 0} == {**old, name: 0} and holds(old[name], new[name])

    return check


def field_becomes(made: Callable[[Any], Any]) -> Check:
    """Check that a field is replaced by these, and that all other fields are as before."""

    def check(match: re.Match[str], was: Answer, now: Answer) -> object:
        name, old, new = fields(match, was, now)
        return new == {other: old[other] for other in old if other != name} | made(old[name])

    return check


def renamed(match: re.Match[str], was: Answer, now: Answer) -> bool:
    """Check that a field has a new name and its old value, or that all have."""
    name, old, new = fields(match, was, now)
    return bool(new == {match[2] if one == name else one: value for one, value in old.items()})


def output_is(holds: Callable[[Any, Any], object]) -> Check:
    """Check the old and the new output, and that all other fields are as before."""
    return lambda _, was, now: (
        {**now.json, "output": 0} == {**was.json, "output": 0} and holds(was.json["output"], now.json["output"])
    )


def text(pattern: str) -> Check:
    """Check that a field's new value matches, as JSON without quotes."""
    return field_is(lambda was, now: now != was and re.fullmatch(pattern, json.dumps(now).strip('"')))


def same_body(_: re.Match[str], was: Answer, now: Answer) -> bool:
    """Check that body and status say what they said."""
    return (now.json, now.status) == (was.json, was.status)


FIELD: Final = rf"^({FIELDS}) "
DATES: Final = {"created_at", "updated_at", "completed_at"}
CHECKS: Final[Mapping[str, Check]] = {
    # Of one field.
    FIELD + "is (?:gone|absent)": field_becomes(lambda _: {}),
    FIELD + r"is called (\S+?)(?:\.$| while| when)": renamed,
    FIELD + "is null": field_is(lambda _, now: now is None),
    FIELD + r"is a number": field_is(lambda was, now: isinstance(now, int | float) and isinstance(was, str)),
    FIELD + "is an object": field_is(lambda was, now: was in now.values()),
    FIELD + "is a list": field_is(lambda was, now: now == [was]),
    FIELD + "is a text": field_is(lambda was, now: isinstance(now, str) and not isinstance(was, str)),
    FIELD + r"is a text\.": field_is(lambda was, now: now == str(was)),
    FIELD + "is a text with a percent sign": text(r"\d+%"),
    FIELD + "is a text such as PT42S": text(r"PT\d+S"),
    FIELD + "is true": field_is(lambda _, now: now is True),
    FIELD + r"is (?:-1|0\.6)": field_is(lambda _, now: now in {-1, 0.6}),
    FIELD + "counts to 100": field_is(lambda was, now: now == pytest.approx(was * 100)),
    FIELD + "has no zone": text(r"[\dT:-]{19}(\.\d{3})?"),
    FIELD + "is an HTTP date": text(r"\w{3}, .* GMT"),
    FIELD + "is a day": text(r"\d{4}-\d\d-\d\d"),
    FIELD + "is relative": text(r"/[^/].*"),
    FIELD + "is empty": text(""),
    FIELD + "has a query": text(r"http.*\?.+"),
    "(created_at) has a fraction": text(r".*T.*\.\d+Z"),
    "(duration_seconds) has a fraction": field_is(lambda _, now: isinstance(now, float)),
    FIELD + r"ends in \+00:00": text(r".*\+00:00"),
    FIELD + "is (?:another|not as it was asked for)": text(r"[\w-]+-v2"),
    FIELD + r"is result\.url": field_becomes(lambda was: {"result": {"url": was}}),
    FIELD + r"is job\.progress": field_becomes(lambda was: {"job": {"progress": was}}),
    FIELD + "is duration_ms": field_becomes(lambda was: {"duration_ms": was * 1000}),
    r"The (status) (\w+) is called (\w+)": lambda match, was, now: (
        (was.json["status"], now.json) == (match[2], {**was.json, "status": match[3]})
    ),
    "another request": lambda _, was, now: now.json == {**was.json, "request_id": "another-request"},
    "are worded otherwise": lambda _, __, now: now.json["error"] == "Please look at your request.",
    "are in German": lambda _, __, now: [*now.json] == ["error"] and "ü" in now.json["error"],
    FIELD + "is a single text": field_is(lambda was, now: now == was[0]),
    "^(output) is the bare address": field_is(lambda was, now: now == was["media_url"][0]),
    FIELD + "holds objects": field_is(lambda was, now: now == [{"url": was[0]}]),
    FIELD + "is an empty text": field_is(lambda _, now: now == ""),
    FIELD + "is an empty list": field_is(lambda _, now: now == []),
    FIELD + "is some other text": field_is(lambda was, now: isinstance(now, str) and now != was),
    "^output has a new field": output_is(lambda was, now: was.items() <= now.items() and len(now) == len(was) + 1),
    "^The address is empty": output_is(lambda _, now: now["media_url"] == [""]),
    "^The address is relative": output_is(lambda _, now: now["media_url"][0].startswith("/")),
    "^There are two addresses": output_is(lambda _, now: len(now["media_url"]) == 2),
    r"^The addresses are result\.images": lambda _, was, now: (
        {**now.json, "output": was.json["output"]} == {**was.json, "result": now.json["result"]}
        and now.json["result"]["images"][0]["url"].startswith("https:")
    ),
    # Of some fields.
    "^There are all dates": lambda _, was, now: (
        was.json.items() <= now.json.items() and now.json.keys() - was.json == DATES
    ),
    "^All dates are absent": lambda _, was, now: now.json == {k: v for k, v in was.json.items() if k not in DATES},
    "have a blank and no zone": lambda _, was, now: (
        {**now.json, "updated_at": 0, "completed_at": 0} == {**was.json, "updated_at": 0, "completed_at": 0}
        and re.fullmatch(r"\d{4}-\d\d-\d\d [\d:]{8}", now.json["updated_at"])
        and now.json["updated_at"] == now.json["completed_at"]
    ),
    "^What is null is absent": lambda _, was, now: now.json == {k: v for k, v in was.json.items() if v is not None},
    "^message is absent": lambda _, was, now: now.json == {"error": was.json["error"]},
    "^There is a number in status": lambda _, was, now: now.json == {**was.json, "status": 404},
    "is there|There is a new": lambda _, was, now: (
        was.json.items() <= now.json.items() and len(now.json) > len(was.json) and now.status == was.status
    ),
    "success is there, and (true|false)": lambda match, _, now: now.json["success"] is (match[1] == "true"),
    "success is there, and a text": lambda _, __, now: now.json["success"] == "true",
    FIELD + "is there": lambda match, _, now: match[1] in now.json,
    "There is a new": lambda _, was, now: not re.search(f"{FIELDS}|success", " ".join(now.json.keys() - was.json)),
    "as null": lambda _, was, now: {now.json[name] for name in now.json.keys() - was.json} == {None},
    "There is a new object": lambda _, __, now: isinstance([*now.json.values()][-1], dict),
    "in camelCase": lambda _, __, now: "requestId" in now.json and not re.search(r'_\w+":', now.body.decode()),
    "All optional fields are absent": lambda _, was, now: was.json.items() > now.json.items() and len(now.json) == 4,
    r"(?:stands?|stand) in (\w+)": lambda match, was, now: (
        now.json[match[1]].items() <= was.json.items()
        and was.json.items() <= (now.json | now.json[match[1]]).items()
        and match[1] not in was.json
    ),
    # Of a whole body.
    "is one of several": lambda _, was, now: now.json == {"items": [was.json], "next": None},
    "a list of one": lambda _, was, now: now.json == [was.json],
    "within a JSON string": lambda _, was, now: json.loads(now.json) == was.json,
    "bare JSON strings": lambda _, was, now: now.json == was.json["error"],
    "a list, in errors": lambda _, was, now: now.json == {"errors": [{"message": was.json["error"]}]},
    r"problem\+json": lambda _, was, now: now.json == {"title": was.json["error"], "status": was.status},
    "[ae]n? error, with|the error, with|Every error is sent": lambda _, __, now: (
        "error" in now.json and now.json.keys() <= {"error", "message"}
    ),
    "are null|answers null": lambda _, __, now: now.body == b"null",
    "page|plain text|XML|half-way|s are empty|wrong quotes|NaN|in a call|two JSON": lambda _, __, now: now.json is None,
    "half-way": lambda _, was, now: now.body == was.body[: len(was.body) // 2],
    "s are empty|no body": lambda _, __, now: now.body == b"",
    "a page|an HTML page": lambda _, __, now: now.body.startswith(b"<!DOCTYPE html>"),
    "plain text": lambda _, __, now: now.body == b"Something is wrong.",
    "XML": lambda _, __, now: now.body.startswith(b"<status>"),
    "wrong quotes": lambda _, was, now: now.body == was.body.replace(b'"', b"'"),
    "NaN": lambda _, __, now: b'"progress": NaN' in now.body,
    "in a call": lambda _, was, now: now.body == b"callback(" + was.body + b");",
    "two JSON documents": lambda _, was, now: now.body == was.body + b"\n" + was.body,
    "another order|is 1 rather|indented|written as": lambda match, was, now: (
        same_body(match, was, now) and (now.body, now.headers) != (was.body, was.headers)
    ),
    "indented": lambda _, __, now: now.body.startswith(b"{\n  "),
    "Fields come in another order": lambda _, was, now: [*now.json] == [*was.json][::-1],
    "is 1 rather": lambda _, __, now: b'"progress": 1,' in now.body,
    r"written as 4\.5e-1": lambda _, __, now: re.search(rb'"progress": \d\.\d+e[+-]0\d', now.body),
    "path answers JSON": lambda _, __, now: (now.status, now.json) == (200, {"ok": True}),
    # Of the status code.
    r"(?:with|one is|method is) (\d{3})": lambda match, _, now: now.status == int(match[1]),
    r"^What was": lambda _, was, now: (now.body, now.headers) == (was.body, was.headers),
    "accepted|is needed|will do|is ignored|is under way": lambda _, __, now: now.accepts,
    "is required": lambda _, __, now: (now.status, now.json) == (400, {"error": "Invalid request parameters"}),
    "is wanted": lambda _, __, now: now.status == 401 and "error" in now.json,
    "^POST answers": lambda _, __, now: now.header("allow") == "GET, POST" if now.status == 405 else now.accepts,
    r"^(GET|PUT) answers": lambda match, _, now: (
        now.header("allow") == f"{match[1]}, POST" if now.status == 405 else now.accepts
    ),
    # Of the headers.
    r"header (\w+)(?: and a header (\w+))?( when| in|\.$)": lambda match, was, now: (
        {name.lower() for name, _ in now.headers} - {name.lower() for name, _ in was.headers}
        == {name.lower() for name in match.groups()[:2] if name}
    ),
    "[Hh]eader (?!X)|headers|Headers tell|cookie|connection|chunk|compress|type (?:has|is w)|WWW|^JSON is": same_body,
    r"(?:sent as|written|Errors are) (\w+/\S+?(?:; \S+?)?)(?:\.$| when| in)": lambda match, _, now: (
        now.header("content-type") == match[1]
    ),
    "has a charset": lambda _, __, now: now.header("content-type") == "application/json; charset=utf-8",
    "No content type": lambda match, was, now: now.header("content-type") is None and same_body(match, was, now),
    "have capitals": lambda _, was, now: now.headers == tuple((name.title(), at) for name, at in was.headers[::-1]),
    "more headers": lambda _, was, now: len(set(now.headers) - set(was.headers)) == 5,
    "rate limit": lambda _, __, now: now.header("x-ratelimit-limit"),
    "cookie": lambda _, __, now: now.header("set-cookie"),
    "connection": lambda _, __, now: now.header("connection") == "close",
    "chunks": lambda _, __, now: now.header("content-length") is None,
    "compressed": lambda _, __, now: now.header("content-encoding") == "gzip",
    "WWW-Authenticate": lambda _, __, now: now.header("www-authenticate"),
    "redirects": lambda _, __, now: re.fullmatch(
        rf"/v2{PATH}|/v2/v2/requests/status/\S+", now.header("location") or ""
    ),
    "Another host": lambda _, __, now: now.header("location") == f"https://v2.example{PATH}",
    "answers a browser": lambda _, __, now: now.header("allow") == "POST, OPTIONS",
}
"""Every pattern that is found in a sentence is checked; there must be one."""


@pytest.mark.parametrize("name", DRIFTS)
def test_drift(name: str, honest: dict[str, dict[str, Answer]]) -> None:
    """Every drift of the table does what its sentence says, to the answers it is about and to no other."""
    sentence, call = DRIFTS[name].sentence, DRIFTS[name].call
    drifted, undrifted = ask_all(name, call=call), honest[call]
    checks = [(match, check) for pattern, check in CHECKS.items() if (match := re.search(pattern, sentence))]
    assert checks, f"Add to CHECKS what this means: {sentence}"
    hit = {question for question in drifted if drifted[question] != undrifted[question]}
    same = {"unknown request"} if name == "moved" else set()  # It was answered so before.
    assert hit == places(call, sentence, undrifted) - same
    for question in sorted(hit):
        for match, check in checks:
            was, now = undrifted[question], drifted[question]
            assert check(match, was, now), (question, match.re.pattern, was, now)


@pytest.mark.parametrize(
    ("name", "arguments"),
    {
        "key-bearer": question(GOOD, headers=JSON | {"Authorization": f"Bearer {EXAMPLE_KEY}"}),
        "key-header": question(GOOD, headers=JSON | {"X-API-Key": EXAMPLE_KEY}),
        "key-query": question(GOOD, target=f"{PATH}?subscription-key={EXAMPLE_KEY}", headers=JSON),
        "needs-header": question(GOOD, headers=KEY | JSON | {"X-API-Version": "2"}),
        "needs-field": question({**GOOD, "model": "longcat"}),
        **{name: question(GOOD, target=f"/v2{PATH}") for name in DRIFTS if re.match(r"moved|gone|redirect-3", name)},
    }.items(),
)
def test_another_way_to_ask(name: str, arguments: dict[str, Any], honest: dict[str, dict[str, Answer]]) -> None:
    """A drift that moves what is asked for answers there as the honest gateway answers the documented request."""
    with in_process([name]) as gateway:
        answer, documented = ask(gateway, arguments), honest["result"]["processing"].json
        # The request starts only now: the gateway was never asked about it in this way before.
        assert (answer.status, answer.json) == (200, {**documented, "progress": 0.0})


# --- The table.


def test_the_table_is_whole() -> None:
    """There are enough drifts of every kind, each with a name of its own and one short sentence."""
    for call, drifts, harmless in (("result", 143, 25), ("status", 40, 10)):
        severities = [drift.severity for drift in DRIFTS.values() if drift.call == call]
        assert severities.count(None) >= harmless
        assert len(severities) - severities.count(None) >= drifts
    sentences = [drift.sentence for drift in DRIFTS.values()]
    assert [text for text in sentences if not text.endswith(".") or len(text) > 80] == []
    assert all(name == drift.name for name, drift in DRIFTS.items())
    kinds = {(drift.severity, drift.patchable) for drift in DRIFTS.values()}
    assert kinds == {*product(("breaking", "additive", "notice"), (True, False)), (None, True)}


def test_the_table_names_what_there_is() -> None:
    """Every name that the table uses exists, and every operation, conversion and place is used."""
    table = tomllib.loads(files("longcat.sandbox.drifts").joinpath("drifts.toml").read_text("utf-8"))
    rows = [row for family in table.values() for row in family.values() if isinstance(row, list)]
    details = [one for _, *more in rows for one in more]
    shared = {"in", "severity", "patchable"}
    assert {key for one in details for key in one} - shared == set(changes.OPERATIONS)
    assert {name for one in details for name in one.get("convert", {}).values()} == set(changes.VALUES)
    assert {one["change"] for one in details if "change" in one} == set(changes.RESPONSES)
    for call, codes in ((RESULT, {"400", "401", "404", "405"}), (STATUS, {"401", "404", "405"})):
        of_call = [family for family in table.values() if family.get("call", "result") == call.name]
        rows = [row for family in of_call for row in family.values() if isinstance(row, list)]
        used = {one["in"] for _, *more in rows for one in more if "in" in one}
        assert used == {*changes.PLACES[call], *codes}
    assert {drift.name for drift in DRIFTS.values() if drift.request is not None} == set(requests.CHANGES)


def test_unknown_operation() -> None:
    """A row with a name that does not exist fails when it is read, not when a response comes."""
    with pytest.raises(KeyError, match="dorp"):
        changes.response_change("result answers", {"dorp": ["status"]})


def test_unknown_drift() -> None:
    """A name that does not exist is a ValueError that proposes one that does."""
    with pytest.raises(ValueError, match=r"There is no drift 'envelop-data'. Did you mean envelope-data\?"):
        Settings(drifts=("envelop-data",))


def test_drifts_work_together() -> None:
    """Several drifts work one after the other."""
    answer = ask_all("renamed-progress", "envelope-data", "status-processing-202", "key-ignored")["no key"]
    assert (answer.status, answer.json["success"], answer.json["data"]["percent"]) == (200, True, 0.43)


def test_drifts_come_before_faults() -> None:
    """A fault spoils what the drifted gateway would have answered; the sandbox's own calls are left alone."""
    with in_process(["new-field-completed"]) as gateway:
        own = question({"request_id": "f", "duration": 0, "fault": "unknown-status"}, target="/sandbox/requests")
        assert list(ask(gateway, own).json) == ["request_id", "duration", "outcome", "fault", "asked", "downloaded"]
        spoilt = ask(gateway, question({"request_id": "f"})).json
    assert (spoilt["status"], spoilt["seed"]) == ("paused", 42)


def test_long_body() -> None:
    """A body that is too long is refused, and not read to its end."""
    with in_process(["new-method-get"]) as gateway:
        assert ask(gateway, question(b" " * 70_000)).status == 400


def test_cli_lists_drifts(capsys: pytest.CaptureFixture[str]) -> None:
    """`longcat sandbox --drift list` prints a line for each."""
    assert main(["sandbox", "--drift", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        [drift.name, drift.severity or "harmless"] for drift in DRIFTS.values()
    ]


def test_cli_refuses_an_unknown_drift(capsys: pytest.CaptureFixture[str]) -> None:
    """A drift that does not exist is used wrongly: exit code 2."""
    assert main(["sandbox", "--drift", "nonsense"]) == 2
    assert "There is no drift 'nonsense'" in capsys.readouterr().err


# --- What clients notice.


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_to_clients(name: str) -> None:
    """With a harmless variation, a client reads both answers as it always does."""
    asked = {"result": (UNDER_WAY, DONE, f"results/{DONE}.png"), "status": (QUEUE_UNDER_WAY, QUEUE_DONE, "v1/")}
    under_way, done, picture = asked[DRIFTS[name].call]
    with in_process([name]) as gateway, LongCat(EXAMPLE_KEY, gateway.url, http_client=gateway.client) as cat:
        assert cat.status(under_way).state is State.PROCESSING
        assert cat.wait(done, timeout=10).url.startswith(f"{gateway.url}/{picture}")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("harmless-header-case", b"\r\nContent-Type: application/json\r\n"),
        ("harmless-chunked", b"\r\ntransfer-encoding: chunked\r\n"),
        ("harmless-connection-close", b"\r\nconnection: close\r\n"),
        ("harmless-gzip", b"\r\ncontent-encoding: gzip\r\n"),
        ("type-missing", b"HTTP/1.1 200 OK\r\n"),
        ("status-processing-204", b"HTTP/1.1 204 No Content\r\n"),
    ],
)
def test_on_the_wire(name: str, expected: bytes, client: httpx.Client) -> None:
    """What concerns the transport arrives on the wire as it should, and a client reads it if it is harmless."""
    with running(Settings(duration=0 if name in HARMLESS else 100, drifts=(name,))) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        connection.connect()
        body = b'{"request_id": "XXXXXXXXXXXXX"}'
        head = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "Accept-Encoding: gzip"]
        head += [f"{key}: {value}" for key, value in {**KEY, **JSON}.items()]
        connection.sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
        received = connection.sock.recv(65_536)
        connection.close()
        if name in HARMLESS:
            cat = LongCat(EXAMPLE_KEY, url, http_client=client)
            assert cat.wait("XXXXXXXXXXXXX").url == f"{url}/results/XXXXXXXXXXXXX.png"
    assert expected.lower() in received.lower()
    assert expected in received or name != "harmless-header-case"
    assert (b"content-type" in received.lower()) == (name not in {"type-missing", "status-processing-204"})


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Return an HTTP client for all tests: making one is slow."""
    with httpx.Client() as http_client:
        yield http_client

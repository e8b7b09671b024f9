"""Every drift of the sandbox does what its sentence says, there and nowhere else; what is harmless harms no client."""

import gzip
import http.client
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx
import pytest
from attrs import frozen

from longcat import LongCat
from longcat.cli import main
from longcat.sandbox import DRIFTS, EXAMPLE_KEY, Settings, create_app, running
from longcat.waiting.polling import FixedPolling

PATH = "/longcat-image-request-result"
LONG, SHORT = "LONG", "SHORT"
JSON = {"Content-Type": "application/json"}
RIGHT = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}
WRONG = {"Ocp-Apim-Subscription-Key": "wrong"}
HARMLESS = [drift.name for drift in DRIFTS.values() if drift.severity is None]
HARMFUL = [drift.name for drift in DRIFTS.values() if drift.severity is not None]


@frozen
class Raw:
    """An answer as it is sent."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The decoded body; None when there is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def header(self, name: str) -> str | None:
        """Return the value of a header."""
        return next((value for key, value in self.headers if key.lower() == name), None)


@frozen
class Question:
    """A question as it is sent."""

    body: bytes = b'{"request_id": "LONG"}'
    key: Mapping[str, str] = RIGHT
    method: str = "POST"
    target: str = PATH
    headers: Mapping[str, str] = JSON


def about(request_id: Any) -> bytes:
    """Return a body that asks about a request."""
    return json.dumps({"request_id": request_id}).encode()


QUESTIONS = {
    "processing": Question(),
    "completed": Question(about(SHORT)),
    "no key": Question(key={}),
    "wrong key": Question(key=WRONG),
    "no body": Question(b""),
    "malformed": Question(b'{"request_id": '),
    "no id": Question(b"{}"),
    "empty id": Question(about("")),
    "number id": Question(about(5)),
    "text": Question(headers={"Content-Type": "text/plain"}),
    "unknown request": Question(about("unknown")),
    "unknown path": Question(target="/unknown"),
    "GET": Question(b"", method="GET", headers={}),
    "PUT": Question(method="PUT"),
    "OPTIONS": Question(b"", {}, "OPTIONS", headers={}),
}
ANSWERS = {"processing", "completed"}
KEYLESS = {"no key", "wrong key"}
INVALID = {"no body", "malformed", "no id", "empty id", "number id", "text"}
METHODS = {"GET", "PUT", "OPTIONS"}
ERRORS = {*KEYLESS, *INVALID, *METHODS, "unknown request", "unknown path"}
CALLS = {*ANSWERS, *KEYLESS, *INVALID, "unknown request"}
EVERYTHING = {*CALLS, *METHODS}


async def ask(app: Any, question: Question) -> Raw:
    """Ask an app without a socket, and return the bytes that it would send."""
    sent: list[dict[str, Any]] = []
    parts = urlsplit(question.target)
    headers = {"host": "sandbox", "accept-encoding": "gzip", **question.headers, **question.key}
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": question.method,
        "scheme": "http",
        "server": ("sandbox", 80),
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": question.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    raw = tuple((name.decode(), value.decode()) for name, value in sent[0]["headers"])
    return Raw(sent[0]["status"], raw, b"".join(message.get("body", b"") for message in sent))


class Gateway:
    """A sandbox at a moment when one request is under way and one is done."""

    def __init__(self, *drifts: str) -> None:
        now = [0.0]
        settings = Settings(duration=100, requests=(LONG, SHORT), drifts=drifts)
        self._app = create_app(settings, clock=lambda: now[0], wall=lambda: 1_718_447_400.0)
        control = Question(b'{"request_id": "SHORT2", "duration": 0}', {}, target="/sandbox/requests")
        self.own = self(control)
        for request_id in (SHORT, LONG):
            self(Question(about(request_id)))
            now[0] += 145 if request_id == SHORT else 45

    def __call__(self, question: Question) -> Raw:
        return anyio.run(ask, self._app, question)


@frozen
class Seen:
    """What an honest and a drifted gateway answer."""

    gateway: Gateway
    honest: dict[str, Raw]
    drifted: dict[str, Raw]

    @property
    def hits(self) -> set[str]:
        """Which questions are answered otherwise."""
        return {name for name in QUESTIONS if self.honest[name] != self.drifted[name]}


@pytest.fixture(scope="module")
def honest() -> dict[str, Raw]:
    """Return what is answered without a drift."""
    gateway = Gateway()
    return {name: gateway(question) for name, question in QUESTIONS.items()}


# --- What each drift looks like: which questions it hits, and what is seen there, for each of them.


@frozen
class Sight:
    """Where a drift is seen, and how."""

    hits: Collection[str]
    shows: Callable[[Raw, Raw], object]  # Of the honest and the drifted answer.
    also: Callable[[Seen], object] = lambda _: True


def gone(field: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether a field is missing, and nothing else."""
    return lambda was, now: {**now.json, field: was.json[field]} == was.json and field not in now.json


def renamed(**names: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether fields have these new names, their values unchanged."""
    return lambda was, now: now.json == {names.get(key, key): value for key, value in was.json.items()}


def valued(field: str, shows: Callable[[Any, Any], object]) -> Callable[[Raw, Raw], bool]:
    """Tell whether a field has another value, and nothing else."""
    return lambda was, now: (
        {**now.json, field: 0} == {**was.json, field: 0} and bool(shows(was.json[field], now.json[field]))
    )


def null(field: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether a field is null, and nothing else."""
    return valued(field, lambda _, now: now is None)


def added(**fields: Any) -> Callable[[Raw, Raw], bool]:
    """Tell whether there are more fields, and nothing else."""
    return lambda was, now: now.json == {**was.json, **fields} and (was.status, len(fields)) <= (now.status, 2)


def coded(status: int) -> Callable[[Raw, Raw], bool]:
    """Tell whether the status code is another, and nothing else."""
    return lambda was, now: (now.status, now.body, now.headers) == (status, was.body, was.headers)


def typed(media_type: str | None) -> Callable[[Raw, Raw], bool]:
    """Tell whether the content type is another, and nothing else."""
    return lambda was, now: (now.header("content-type"), now.body, now.status) == (media_type, was.body, was.status)


def headed(**headers: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether there are more headers, and nothing else."""
    more = {(name.replace("_", "-"), value) for name, value in headers.items()}
    names = {name for name, _ in more}
    return lambda was, now: (
        {(name.lower(), value) for name, value in now.headers}
        == {(name, value) for name, value in was.headers if name not in names} | more
        and (now.body, now.status) == (was.body, was.status)
    )


def unreadable(begin: bytes = b"", end: bytes = b"") -> Callable[[Raw, Raw], bool]:
    """Tell whether the body is no JSON, and looks like this."""
    return lambda was, now: (
        (now.json, now.status) == (None, was.status) and now.body.startswith(begin) and now.body.endswith(end)
    )


def halved(was: Raw, now: Raw) -> bool:
    """Tell whether the body stops half-way."""
    return was.body.startswith(now.body) and len(now.body) == len(was.body) // 2


def accepted(_: Raw, now: Raw) -> bool:
    """Tell whether the answer is a success that keeps the contract."""
    return now.status == 200 and now.json["status"] == "processing" and bool(now.json["request_id"])


def allowed(method: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether the answer is a success, or a 405 that names the method."""
    return lambda was, now: now.header("allow") == f"{method}, POST" if now.status == 405 else accepted(was, now)


def redirected(code: int, location: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether the answer is a redirect."""
    return lambda _, now: (now.status, now.header("location")) == (code, location)


def refused(status: int, error: str) -> Callable[[Raw, Raw], bool]:
    """Tell whether the answer is a documented error."""
    return lambda _, now: (now.status, now.json) == (status, {"error": error})


def answers(**question: Any) -> Callable[[Seen], bool]:
    """Tell whether another way to ask is answered as the honest gateway answers the documented one."""

    def also(seen: Seen) -> bool:
        was, now = seen.honest["processing"], seen.gateway(Question(**question))
        return (now.status, valued("progress", lambda _, progress: progress == 0)(was, now)) == (200, True)

    return also


def equal(was: Raw, now: Raw) -> bool:
    """Tell whether the body means the same, in other bytes."""
    return now.json == was.json and now.body != was.body


UNAUTHORIZED = refused(401, "Invalid or missing authentication")
REFUSED = refused(400, "Invalid request parameters")
NO_PATH = refused(404, "Endpoint not found")
P, C, U = {"processing"}, {"completed"}, {"unknown request"}
SUNSET = "Sat, 01 Jan 2028 00:00:00 GMT"
META = ("created_at", "duration_seconds", "model_version")

FIELDS: dict[str, Sight] = {
    "removed-status": Sight(ANSWERS, gone("status")),
    "removed-progress-processing": Sight(P, gone("progress")),
    "removed-progress-completed": Sight(C, gone("progress")),
    "removed-request-id": Sight(ANSWERS, gone("request_id")),
    "removed-request-id-completed": Sight(C, gone("request_id")),
    "removed-result-url": Sight(C, gone("result_url")),
    "removed-error": Sight(ERRORS, gone("error")),
    "removed-error-400": Sight(INVALID, gone("error")),
    "absent-created-at": Sight(C, gone("created_at")),
    "absent-duration-seconds": Sight(C, gone("duration_seconds")),
    "absent-model-version": Sight(C, gone("model_version")),
    "absent-optional-fields": Sight(
        C, lambda was, now: now.json == {n: v for n, v in was.json.items() if n not in META}
    ),
    "renamed-status": Sight(ANSWERS, renamed(status="state")),
    "renamed-progress": Sight(ANSWERS, renamed(progress="percent")),
    "renamed-request-id": Sight(ANSWERS, renamed(request_id="id")),
    "renamed-result-url": Sight(C, renamed(result_url="url")),
    "renamed-error": Sight(ERRORS, renamed(error="message")),
    "renamed-created-at": Sight(C, renamed(created_at="created")),
    "renamed-duration-seconds": Sight(C, renamed(duration_seconds="duration")),
    "renamed-model-version": Sight(C, renamed(model_version="model")),
    "recased-result-url": Sight(C, renamed(result_url="resultUrl")),
    "recased-request-id-processing": Sight(P, renamed(request_id="Request_Id")),
    "recased-created-at": Sight(C, renamed(created_at="createdAt")),
    "recased-model-version": Sight(C, renamed(model_version="model-version")),
    "recased-error": Sight(ERRORS, renamed(error="Error")),
    "recased-every-field": Sight(ANSWERS, lambda was, now: "requestId" in now.json and len(now.json) == len(was.json)),
    "null-status": Sight(ANSWERS, null("status")),
    "null-progress-processing": Sight(P, null("progress")),
    "null-request-id": Sight(ANSWERS, null("request_id")),
    "null-result-url": Sight(C, null("result_url")),
    "null-created-at": Sight(C, null("created_at")),
    "null-duration-seconds": Sight(C, null("duration_seconds")),
    "null-model-version": Sight(C, null("model_version")),
    "null-error": Sight(ERRORS, null("error")),
    "null-fields-processing": Sight(P, added(result_url=None, created_at=None)),
    "retyped-status-number": Sight(ANSWERS, valued("status", lambda _, now: now in {1, 2})),
    "retyped-status-object": Sight(ANSWERS, valued("status", lambda was, now: now == {"name": was})),
    "retyped-progress-text": Sight(ANSWERS, valued("progress", lambda was, now: now == str(was))),
    "retyped-progress-percent-text": Sight(ANSWERS, valued("progress", lambda _, now: now.endswith("%"))),
    "retyped-progress-object": Sight(P, valued("progress", lambda was, now: now == {"done": was, "of": 1})),
    "retyped-request-id-number": Sight(ANSWERS, valued("request_id", lambda _, now: isinstance(now, int))),
    "retyped-request-id-list": Sight(C, valued("request_id", lambda was, now: now == [was])),
    "retyped-result-url-list": Sight(C, valued("result_url", lambda was, now: now == [was])),
    "retyped-result-url-object": Sight(C, valued("result_url", lambda was, now: now == {"href": was})),
    "retyped-created-at-number": Sight(C, valued("created_at", lambda _, now: now == 1_718_447_400)),
    "retyped-created-at-object": Sight(C, valued("created_at", lambda was, now: now == {"time": was, "zone": "UTC"})),
    "retyped-duration-seconds-text": Sight(C, valued("duration_seconds", lambda was, now: now == str(was))),
    "retyped-duration-seconds-iso": Sight(C, valued("duration_seconds", lambda was, now: now == f"PT{was}S")),
    "retyped-model-version-number": Sight(C, valued("model_version", lambda _, now: now == 1.2)),
    "retyped-model-version-object": Sight(C, valued("model_version", lambda was, now: now == {"name": was})),
    "retyped-error-object": Sight(ERRORS, valued("error", lambda was, now: now == {"code": "bad", "message": was})),
    "retyped-error-list": Sight(ERRORS, valued("error", lambda was, now: now == [was])),
    "retyped-error-flag": Sight(ERRORS, valued("error", lambda _, now: now is True)),
    "nested-result-url": Sight(C, lambda was, now: now.json["result"] == {"url": was.json["result_url"]}),
    "nested-progress": Sight(ANSWERS, lambda was, now: now.json["job"] == {"progress": was.json["progress"]}),
    "nested-optional-fields": Sight(C, lambda was, now: now.json["meta"] == {name: was.json[name] for name in META}),
    "reunited-progress": Sight(ANSWERS, valued("progress", lambda was, now: now == pytest.approx(was * 100))),
    "reunited-progress-processing": Sight(P, valued("progress", lambda was, now: now == pytest.approx(was * 100))),
    "reunited-duration": Sight(
        C, lambda was, now: now.json["duration_ms"] == 1000 * was.json["duration_seconds"] and len(now.json) == 7
    ),
    "negative-progress": Sight(P, valued("progress", lambda _, now: now == -1)),
    "negative-duration": Sight(C, valued("duration_seconds", lambda _, now: now == -1)),
    "reformatted-created-at": Sight(C, valued("created_at", lambda _, now: now == "2024-06-15T10:30:00")),
    "reformatted-created-at-http": Sight(
        C, valued("created_at", lambda _, now: now == "Sat, 15 Jun 2024 10:30:00 GMT")
    ),
    "reformatted-created-at-date": Sight(C, valued("created_at", lambda _, now: now == "2024-06-15")),
    "reformatted-result-url": Sight(C, valued("result_url", lambda _, now: now == "/results/SHORT.png")),
    "empty-result-url": Sight(C, valued("result_url", lambda _, now: now == "")),
    "unfinished": Sight(C, valued("progress", lambda _, now: now == 0.6)),
    "success-false": Sight(ANSWERS, added(success=False)),
    "success-text": Sight(ANSWERS, added(success="true")),
    "new-word-queued": Sight(P, valued("status", lambda _, now: now == "queued")),
    "new-word-processing-cased": Sight(P, valued("status", lambda _, now: now == "PROCESSING")),
    "new-word-succeeded": Sight(C, valued("status", lambda _, now: now == "succeeded")),
    "new-word-completed-cased": Sight(C, valued("status", lambda _, now: now == "Completed")),
    "new-word-failed": Sight(C, valued("status", lambda _, now: now == "failed")),
}

WHOLES: dict[str, Sight] = {
    "new-field-processing": Sight(P, added(queue_position=3)),
    "new-field-completed": Sight(C, added(seed=42)),
    "new-field-everywhere": Sight(ANSWERS, added(api_version="2")),
    "new-field-object": Sight(ANSWERS, added(links={"self": "/requests/1"})),
    "new-field-error": Sight(ERRORS, added(code="E_REQUEST")),
    "new-field-error-400": Sight(INVALID, added(field="request_id")),
    "new-field-result-url-processing": Sight(P, added(result_url="https://a.test/")),
    "other-request": Sight(ANSWERS, valued("request_id", lambda _, now: now == "another-request")),
    "other-request-completed": Sight(C, valued("request_id", lambda _, now: now == "another-request")),
    "other-id-format": Sight(P, valued("request_id", lambda _, now: now == "long-v2")),
    "error-in-200-completed": Sight(C, lambda _, now: (now.status, list(now.json)) == (200, ["error"])),
    "error-in-200-processing": Sight(P, lambda _, now: (now.status, list(now.json)) == (200, ["error"])),
    "error-in-200-key": Sight(KEYLESS, coded(200)),
    "error-in-200-request": Sight(U, coded(200)),
    "error-in-200-body": Sight(INVALID, coded(200)),
    "error-in-200": Sight(ERRORS, coded(200)),
    "unknown-request-null": Sight(U, lambda _, now: (now.status, now.body) == (200, b"null")),
    "unknown-request-accepted": Sight(U, accepted),
    "envelope-data": Sight(ANSWERS, lambda was, now: now.json == {"success": True, "data": was.json}),
    "envelope-result": Sight(ANSWERS, lambda was, now: now.json == {"result": was.json}),
    "envelope-list": Sight(ANSWERS, lambda was, now: now.json == [was.json]),
    "envelope-text": Sight(ANSWERS, lambda was, now: json.loads(now.json) == was.json),
    "envelope-completed": Sight(C, lambda was, now: now.json == {"data": was.json}),
    "error-nested": Sight(ERRORS, lambda was, now: now.json == {"data": was.json}),
    "error-list": Sight(ERRORS, lambda was, now: now.json == {"errors": [{"message": was.json["error"]}]}),
    "error-problem-json": Sight(
        ERRORS,
        lambda was, now: (
            now.json == {"title": was.json["error"], "status": was.status}
            and now.header("content-type") == "application/problem+json"
        ),
    ),
    "error-text": Sight(ERRORS, lambda was, now: now.json == was.json["error"]),
    "status-processing-202": Sight(P, coded(202)),
    "status-processing-204": Sight(P, lambda _, now: (now.status, now.body, now.headers) == (204, b"", ())),
    "status-completed-201": Sight(C, coded(201)),
    "status-completed-206": Sight(C, coded(206)),
    "status-400-422": Sight(INVALID, coded(422)),
    "status-400-415": Sight(INVALID, coded(415)),
    "status-400-401": Sight(INVALID, coded(401)),
    "status-400-404": Sight(INVALID, coded(404)),
    "status-400-500": Sight(INVALID, coded(500)),
    "status-401-400": Sight(KEYLESS, coded(400)),
    "status-401-403": Sight(KEYLESS, coded(403)),
    "status-401-404": Sight(KEYLESS, coded(404)),
    "status-404-400": Sight(U, coded(400)),
    "status-404-401": Sight(U, coded(401)),
    "status-404-403": Sight(U, coded(403)),
    "status-404-410": Sight(U, coded(410)),
    "type-vendor": Sight(ANSWERS, typed("application/vnd.longcat.v2+json")),
    "type-text": Sight(ANSWERS, typed("text/plain")),
    "type-html": Sight(ANSWERS, typed("text/html; charset=utf-8")),
    "type-text-completed": Sight(C, typed("text/plain")),
    "type-octets-error": Sight(ERRORS, typed("application/octet-stream")),
    "type-missing": Sight(ANSWERS, typed(None)),
    "no-json-page": Sight(ANSWERS, unreadable(b"<!DOCTYPE html>")),
    "no-json-page-completed": Sight(C, unreadable(b"<!DOCTYPE html>")),
    "no-json-page-404": Sight(U, unreadable(b"<!DOCTYPE html>")),
    "no-json-plain-errors": Sight(ERRORS, unreadable(b"Something is wrong.")),
    "no-json-xml": Sight(ANSWERS, unreadable(b"<status>")),
    "no-json-cut": Sight(ANSWERS, halved),
    "no-json-cut-completed": Sight(C, halved),
    "no-json-cut-errors": Sight(ERRORS, halved),
    "no-json-empty": Sight(ANSWERS, lambda was, now: (now.status, now.body) == (was.status, b"")),
    "no-json-empty-errors": Sight(ERRORS, lambda was, now: (now.status, now.body) == (was.status, b"")),
    "no-json-single-quotes": Sight(ANSWERS, unreadable(b"{'status'")),
    "no-json-not-a-number": Sight(ANSWERS, lambda _, now: b'"progress": NaN' in now.body),
    "no-json-callback": Sight(ANSWERS, unreadable(b"callback(", b");")),
    "no-json-two-documents": Sight(ANSWERS, lambda was, now: now.body == was.body + b"\n" + was.body),
    "null-body": Sight(ANSWERS, lambda was, now: (now.status, now.body) == (was.status, b"null")),
    "deprecation": Sight(EVERYTHING, headed(deprecation="@1735689600")),
    "deprecation-true": Sight(EVERYTHING, headed(deprecation="true")),
    "deprecation-completed": Sight(C, headed(deprecation="@1735689600")),
    "sunset": Sight(EVERYTHING, headed(sunset=SUNSET)),
    "sunset-error": Sight(ERRORS, headed(sunset=SUNSET)),
    "deprecation-and-sunset": Sight(EVERYTHING, headed(deprecation="@1735689600", sunset=SUNSET)),
}

BEARER = {"Authorization": f"Bearer {EXAMPLE_KEY}"}
NEW_PATH = f"/v2{PATH}"
VERSION = {**JSON, "X-API-Version": "2"}
CALLED = {*ANSWERS, *INVALID, "unknown request"}  # With the right key.

HANDLINGS: dict[str, Sight] = {
    "new-method-get": Sight(METHODS, allowed("GET")),
    "new-method-put": Sight(METHODS, allowed("PUT")),
    "any-path-json": Sight({"unknown path"}, lambda _, now: (now.status, now.json) == (200, {"ok": True})),
    "any-path-html": Sight({"unknown path"}, lambda _, now: (now.status, now.body) == (200, b"<!DOCTYPE html>")),
    "key-may-lack": Sight({"no key"}, accepted),
    "key-may-be-any": Sight({"wrong key"}, accepted),
    "key-ignored": Sight(KEYLESS, accepted),
    "key-bearer": Sight(CALLED, UNAUTHORIZED, answers(key=BEARER)),
    "key-header": Sight(CALLED, UNAUTHORIZED, answers(key={"X-API-Key": EXAMPLE_KEY})),
    "key-query": Sight(CALLED, UNAUTHORIZED, answers(key={}, target=f"{PATH}?subscription-key={EXAMPLE_KEY}")),
    "unchecked-no-body": Sight({"no body"}, accepted),
    "unchecked-malformed": Sight({"malformed"}, accepted),
    "unchecked-no-id": Sight({"no id"}, accepted),
    "unchecked-empty-id": Sight({"empty id"}, accepted),
    "unchecked-mistyped-id": Sight({"number id"}, accepted),
    "unchecked-content-type": Sight({"text"}, accepted),
    "needs-header": Sight({*ANSWERS, "unknown request"}, REFUSED, answers(headers=VERSION)),
    "needs-field": Sight(
        {*ANSWERS, "unknown request"}, REFUSED, answers(body=b'{"request_id": "LONG", "model": "longcat"}')
    ),
    "moved": Sight({*CALLED, *KEYLESS, *METHODS} - U, NO_PATH, answers(target=NEW_PATH)),
    "gone": Sight(EVERYTHING, refused(410, "This endpoint is gone"), answers(target=NEW_PATH)),
    "redirect-301": Sight(EVERYTHING, redirected(301, NEW_PATH), answers(target=NEW_PATH)),
    "redirect-307": Sight(EVERYTHING, redirected(307, NEW_PATH), answers(target=NEW_PATH)),
    "redirect-308": Sight(EVERYTHING, redirected(308, NEW_PATH), answers(target=NEW_PATH)),
    "redirect-elsewhere": Sight(EVERYTHING, redirected(302, f"https://v2.example{PATH}")),
}

ALL = {*EVERYTHING, "unknown path"}
VARIATIONS: dict[str, Sight] = {
    "harmless-wording": Sight(ERRORS, valued("error", lambda _, now: now == "Please look at your request.")),
    "harmless-wording-german": Sight(ERRORS, valued("error", lambda _, now: "ü" in now)),
    "harmless-integer-progress": Sight(C, lambda _, now: b'"progress": 1,' in now.body),
    "harmless-success-true": Sight(ANSWERS, added(success=True)),
    "harmless-success-processing": Sight(P, added(success=True)),
    "harmless-fraction-duration": Sight(C, valued("duration_seconds", lambda _, now: now == 42.5)),
    "harmless-fraction-created-at": Sight(C, valued("created_at", lambda _, now: now == "2024-06-15T10:30:00.125Z")),
    "harmless-offset-created-at": Sight(C, valued("created_at", lambda _, now: now == "2024-06-15T10:30:00+00:00")),
    "harmless-model-version": Sight(C, valued("model_version", lambda _, now: now == "longcat-v2")),
    "harmless-signed-result-url": Sight(C, valued("result_url", lambda was, now: now.startswith(f"{was}?signature="))),
    "harmless-order": Sight(ANSWERS, lambda was, now: list(now.json) == list(was.json)[::-1] and equal(was, now)),
    "harmless-indented": Sight(EVERYTHING, equal),
    "harmless-exponent": Sight(
        ANSWERS, lambda was, now: b"e-01" in now.body or (b"e+00" in now.body and equal(was, now))
    ),
    "harmless-charset": Sight(ALL, typed("application/json; charset=utf-8")),
    "harmless-type-case": Sight(ALL, typed("Application/JSON")),
    "harmless-header-case": Sight(
        ALL, lambda was, now: now.headers == tuple((name.title(), value) for name, value in reversed(was.headers))
    ),
    "harmless-unrelated-headers": Sight(ALL, lambda was, now: len(now.headers) == len(was.headers) + 5),
    "harmless-rate-headers": Sight(ALL, headed(x_ratelimit_limit="60", x_ratelimit_remaining="59")),
    "harmless-cookie": Sight(ALL, headed(set_cookie="cf=1; Path=/; Secure")),
    "harmless-connection-close": Sight(ALL, headed(connection="close")),
    "harmless-chunked": Sight(ALL, lambda was, now: now.header("content-length") is None and now.body == was.body),
    "harmless-gzip": Sight(ALL, lambda was, now: gzip.decompress(now.body) == was.body),
    "harmless-challenge": Sight(KEYLESS, headed(www_authenticate="Key")),
    "harmless-method-404": Sight({"GET", "PUT"}, NO_PATH),
    "harmless-preflight": Sight(
        {"OPTIONS"}, lambda _, now: (now.status, now.header("allow")) == (204, "POST, OPTIONS")
    ),
}
SIGHTS = {**FIELDS, **WHOLES, **HANDLINGS, **VARIATIONS}


@pytest.mark.parametrize("name", DRIFTS)
def test_drift(name: str, honest: dict[str, Raw]) -> None:
    """Every drift of the table does what its sentence says, to the answers it is about and to no other."""
    assert name in SIGHTS, f"Show in SIGHTS what the drift {name} looks like: {DRIFTS[name].sentence}"
    gateway = Gateway(name)
    seen = Seen(gateway, honest, {key: gateway(question) for key, question in QUESTIONS.items()})
    assert seen.hits == set(SIGHTS[name].hits)
    for question in sorted(seen.hits):
        was, now = honest[question], seen.drifted[question]
        assert SIGHTS[name].shows(was, now), (question, was, now)
    assert SIGHTS[name].also(seen)
    assert gateway.own == Gateway().own, "The sandbox's own calls are left alone."


# --- The table.


def test_the_table_is_whole() -> None:
    """There are enough of them, each with a name of its own, one sentence, and a sight; no sight is left over."""
    assert len(HARMFUL) >= 48
    assert len(HARMLESS) >= 12
    assert set(SIGHTS) == set(DRIFTS)
    sentences = [drift.sentence for drift in DRIFTS.values()]
    assert [text for text in sentences if not text.endswith(".") or len(text) > 80] == []
    assert all(name == drift.name for name, drift in DRIFTS.items())


def test_severities_and_patches() -> None:
    """Every severity occurs, with and without a patch where that can be; what is harmless needs none."""
    kinds = {(drift.severity, drift.patchable) for drift in DRIFTS.values()}
    assert kinds == {
        ("breaking", True),
        ("breaking", False),
        ("additive", True),
        ("additive", False),
        ("notice", True),
        ("notice", False),
        (None, True),
    }


def test_unknown_drift() -> None:
    """A name that does not exist is a ValueError that proposes one that does."""
    with pytest.raises(ValueError, match=r"There is no drift 'envelop-data'. Did you mean envelope-data\?"):
        Settings(drifts=("envelop-data",))


def test_drifts_work_together() -> None:
    """Several drifts work one after the other."""
    gateway = Gateway("renamed-progress", "envelope-data", "status-processing-202", "key-ignored")
    answer = gateway(Question(key={}))
    assert (answer.status, answer.json["success"], answer.json["data"]["percent"]) == (200, True, 0.42)


def test_drifts_come_before_faults() -> None:
    """A fault spoils what the drifted gateway would have answered."""
    app = create_app(Settings(duration=0, drifts=("new-field-completed",), faults=()))
    answer = anyio.run(
        ask, app, Question(b'{"request_id": "f", "fault": "unknown-status"}', {}, target="/sandbox/requests")
    )
    assert answer.status == 201
    spoilt = anyio.run(ask, app, Question(about("f"))).json
    assert (spoilt["status"], spoilt["seed"]) == ("paused", 42)


def test_long_body() -> None:
    """A body that is too long is refused, and not read to its end."""
    assert Gateway("new-method-get")(Question(b" " * 70_000)).status == 400


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


# --- On a real connection.


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Return an HTTP client for all tests: making one is slow."""
    with httpx.Client() as http_client:
        yield http_client


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_to_clients(name: str, client: httpx.Client) -> None:
    """With a harmless variation, a wait over real HTTP ends with the picture's address."""
    with running(Settings(duration=0.01, drifts=(name,))) as url:
        cat = LongCat(EXAMPLE_KEY, url, polling=FixedPolling(0.02), http_client=client)
        assert cat.wait("XXXXXXXXXXXXX", timeout=10).url.startswith(f"{url}/results/XXXXXXXXXXXXX.png")


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
def test_on_the_wire(name: str, expected: bytes) -> None:
    """What concerns the transport arrives on the wire as it should."""
    with running(Settings(duration=100, drifts=(name,))) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)
        connection.connect()
        body = about("XXXXXXXXXXXXX")
        head = [f"POST {PATH} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "Accept-Encoding: gzip"]
        head += [f"{key}: {value}" for key, value in {**RIGHT, **JSON}.items()]
        connection.sock.sendall("\r\n".join([*head, "", ""]).encode() + body)
        received = connection.sock.recv(65_536)
        connection.close()
    assert expected.lower() in received.lower()
    assert expected in received or name != "harmless-header-case"
    assert (b"content-type" in received.lower()) == (name not in {"type-missing", "status-processing-204"})

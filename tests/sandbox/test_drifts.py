"""Every drift of the sandbox changes what it is about and nothing else; what is harmless harms no client."""

import gzip
import http.client
import json
import re
from collections.abc import Callable, Iterator, Mapping
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
from longcat.sandbox.calls import CALLS, call_at
from longcat.sandbox.drifts import Drift, request_changes, response_changes
from longcat.sandbox.mutator import SentResponse
from longcat.sandbox.mutator.answer_mutations import HARMLESS as SPELLINGS

PATH: Final = "/longcat-image-request-result"
JSON: Final = {"Content-Type": "application/json"}
KEY: Final = {"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}
HARMLESS: Final = [drift.name for drift in DRIFTS.values() if drift.severity is None]
BY_REQUEST: Final = [drift for drift in DRIFTS.values() if drift.request is not None]
BY_RESPONSE: Final = [drift for drift in DRIFTS.values() if drift.request is None]


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
        return SentResponse(self.status, self.headers, body).json

    @property
    def accepts(self) -> bool:
        """Whether the request was taken for a good one."""
        return self.status == 200 and self.json["status"].lower() in {"processing", "queued"}

    def drifted(self, drift: Drift, path: str) -> "Answer":
        """Return the answer to a request on a path as a drift has it."""
        assert drift.response is not None
        sent = drift.response(SentResponse(self.status, self.headers, self.body, "gzip"), call_at(path))
        return Answer(sent.status, sent.headers, sent.body)


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


# --- What is done to responses.

SENT_AS: Final = {
    "in the 400": {"no body", "malformed", "no id", "empty id", "number id", "text"},
    "in the 401": {"no key", "wrong key"},
    "in the 404": {"unknown request"},
    "while queued": {"queued"},
    "while processing": {"processing"},
    "when completed": {"completed"},
    "when failed": {"failed"},
}
"""The questions whose answers a sentence is about that ends so; one that ends otherwise is about several kinds."""
ANSWERS: Final = {"queued", "processing", "completed", "failed"}


def hit(drift: Drift, honest: Mapping[str, Answer]) -> dict[str, Answer]:
    """Return the answers that a drift changes, as it leaves them, by question."""
    paths = {name: urlsplit(arguments["url"]).path for name, arguments in ASKED[drift.call].items()}
    drifted = {name: answer.drifted(drift, paths[name]) for name, answer in honest.items()}
    return {name: answer for name, answer in drifted.items() if answer != honest[name]}


def test_every_drift_changes_the_answers_that_it_is_about(honest: dict[str, dict[str, Answer]]) -> None:
    """Each changes some answer, and none but those that its sentence names; each harmless one keeps what it says."""
    for drift in BY_RESPONSE:
        undrifted = honest[drift.call]
        changed = hit(drift, undrifted)
        assert changed, drift
        ending = next((ending for ending in SENT_AS if drift.sentence.endswith(f"{ending}.")), None)
        if ending and drift.sentence.startswith(("There", "Answers", "The answer", "The status", "An error")):
            assert changed.keys() == SENT_AS[ending] & undrifted.keys(), drift
        elif ending:
            assert changed.keys() <= SENT_AS[ending], drift
        elif drift.sentence.startswith("Errors are"):
            assert changed.keys() == undrifted.keys() - ANSWERS, drift
        if drift.name.removeprefix("queue-").removeprefix("harmless-") in {name for name, *_ in SPELLINGS}:
            assert all(answer.json == undrifted[name].json for name, answer in changed.items()), drift


@pytest.mark.parametrize(
    ("name", "asked", "now"),
    [
        ("removed-progress-processing", "processing", {"progress": ...}),
        ("absent-created-at", "completed", {"created_at": ...}),
        ("renamed-progress", "processing", {"progress": ..., "percent": 0.43}),
        (
            "recased-result-url",
            "completed",
            {"result_url": ..., "resultUrl": "http://127.0.0.1/results/gauntlet-done.png"},
        ),
        ("null-progress-processing", "processing", {"progress": None}),
        ("retyped-progress-text", "processing", {"progress": "0.43"}),
        ("reunited-progress", "processing", {"progress": 43.0}),
        ("other-request-completed", "completed", {"request_id": "another-one"}),
        ("new-word-processing-cased", "processing", {"status": "PROCESSING"}),
        ("new-field-completed", "completed", {"api_version": "2"}),
        ("unfinished", "completed", {"progress": 0.6}),
        ("success-false", "processing", {"success": False}),
        ("nested-progress", "processing", {"progress": ..., "details": {"progress": 0.43}}),
        ("harmless-offset-created-at", "completed", {"created_at": "2024-06-15T10:30:00+00:00"}),
        ("harmless-fraction-created-at", "completed", {"created_at": "2024-06-15T10:30:00.125Z"}),
        ("queue-absent-nulls", "queued", {"error": ..., "output": ...}),
        ("queue-retyped-output-address", "completed", {"output": f"http://127.0.0.1/v1/{QUEUE_DONE}/output-1.png"}),
        ("queue-removed-media-url", "completed", {"output": {"media_type": "image/png"}}),
        ("queue-harmless-failure", "failed", {"error": "Out of memory"}),
        ("queue-new-field-status-error", "unknown request", {"status": 404}),
    ],
)
def test_fields(name: str, asked: str, now: dict[str, Any], honest: dict[str, dict[str, Answer]]) -> None:
    """A drift of fields changes those fields; `...` stands for one that is gone."""
    was = honest[DRIFTS[name].call]
    body = {**was[asked].json, **now}
    assert hit(DRIFTS[name], was)[asked].json == {field: value for field, value in body.items() if value is not ...}


@pytest.mark.parametrize(
    ("name", "asked", "status", "start"),
    [
        ("status-processing-202", "processing", 202, b'{"status": "processing"'),
        ("status-processing-204", "processing", 204, b""),
        ("status-400-422", "no id", 422, b'{"error": '),
        ("redirect-elsewhere", "completed", 302, b"{"),
        ("error-in-200-key", "no key", 200, b'{"error": '),
        ("error-in-200-completed", "completed", 200, b'{"error": '),
        ("unknown-request-null", "unknown request", 200, b"null"),
        ("envelope-data", "processing", 200, b'{"success": true, "data": {"status": "processing", '),
        ("envelope-text", "processing", 200, b'"{\\"status\\": '),
        ("no-json-page-404", "unknown request", 404, b"<!DOCTYPE html>"),
        ("no-json-not-a-number", "processing", 200, b'{"status": "processing", "progress": NaN'),
        ("error-problem-json", "unknown request", 404, b'{"title": "Endpoint not found", "status": 404}'),
        ("harmless-gzip", "processing", 200, b"\x1f\x8b"),
        ("queue-status-failed-422", "failed", 422, b'{"request_id": '),
    ],
)
def test_whole_answers(name: str, asked: str, status: int, start: bytes, honest: dict[str, dict[str, Answer]]) -> None:
    """A drift of whole answers changes their status code, their shape or their bytes."""
    now = hit(DRIFTS[name], honest[DRIFTS[name].call])[asked]
    assert (now.status, now.body[: len(start)]) == (status, start)
    assert now.header("content-length") in {None, str(len(now.body))}


# --- What is done to requests.

ALL: Final = {*QUESTIONS}
KEYLESS: Final = {"no key", "wrong key"}
INVALID: Final = SENT_AS["in the 400"]
TAKEN: Final = {"queued", "processing", "completed", "failed", "unknown request"}
OF_CALL: Final = {*QUESTIONS, *QUEUE_QUESTIONS} - {"unknown path"}
OTHER_METHODS: Final = {"GET", "PUT", "POST"}


def refused(status: int) -> Callable[[Answer], object]:
    """Return what tells whether an answer refuses a request with a status code."""
    return lambda answer: (answer.status, [*(answer.json or {})][:1]) == (status, ["error"])


def redirected(status: int) -> Callable[[Answer], object]:
    """Return what tells whether an answer redirects to the new path."""
    return lambda answer: answer.status == status and str(answer.header("location")).startswith("/v2/")


def allowed(methods: str) -> Callable[[Answer], object]:
    """Return what tells whether an answer takes a request, or names the methods that are taken."""
    return lambda answer: answer.header("allow") == methods if answer.status == 405 else answer.accepts


def accepted(answer: Answer) -> object:
    """Tell whether a request was taken for a good one."""
    return answer.accepts


OF_REQUESTS: Final[Mapping[str, tuple[set[str], Callable[[Answer], object]]]] = {
    "key-may-lack": ({"no key"}, accepted),
    "key-may-be-any": ({"wrong key"}, accepted),
    "key-ignored": (KEYLESS, accepted),
    "key-(bearer|header|query)": (TAKEN | INVALID, refused(401)),
    "unchecked-no-body": ({"no body"}, accepted),
    "unchecked-malformed": ({"malformed"}, accepted),
    "unchecked-no-id": ({"no id"}, accepted),
    "unchecked-empty-id": ({"empty id"}, accepted),
    "unchecked-mistyped-id": ({"number id"}, accepted),
    "unchecked-content-type": ({"text"}, accepted),
    "needs-(header|field)": (TAKEN, refused(400)),
    "moved": (OF_CALL, refused(404)),
    "gone": (OF_CALL, refused(410)),
    "redirect-301": (OF_CALL, redirected(301)),
    "redirect-307": (OF_CALL, redirected(307)),
    "redirect-308": (OF_CALL, redirected(308)),
    "new-method-get": ({"GET", "PUT", "OPTIONS"}, allowed("GET, POST")),
    "new-method-put": ({"GET", "PUT", "OPTIONS"}, allowed("PUT, POST")),
    "new-method-post": ({"POST", "PUT", "OPTIONS"}, allowed("GET, POST")),
    "any-path-json": ({"unknown path"}, lambda answer: answer.json == {"ok": True}),
    "any-path-html": ({"unknown path"}, lambda answer: answer.body == b"<!DOCTYPE html>"),
    "harmless-method-404": (OTHER_METHODS, refused(404)),
    "harmless-preflight": ({"OPTIONS"}, lambda answer: answer.header("allow") == "POST, OPTIONS"),
}
"""The questions that are answered differently, and how."""


@pytest.mark.parametrize("drift", BY_REQUEST, ids=lambda drift: drift.name)
def test_drift_of_requests(drift: Drift, honest: dict[str, dict[str, Answer]]) -> None:
    """A drift that reads requests otherwise answers those differently that it is about, and no others."""
    was, now = honest[drift.call], ask_all(drift.name, call=drift.call)
    name = drift.name.removeprefix("queue-")
    (asked, check) = next(row for pattern, row in OF_REQUESTS.items() if re.fullmatch(pattern, name))
    same = {"unknown request"} if drift.name == "moved" else set()  # It was answered so before.
    assert {one for one in now if now[one] != was[one]} == asked & now.keys() - same
    assert all(check(now[one]) for one in asked & now.keys())


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
    """There are drifts of every kind for both calls, each with a name of its own and one short sentence."""
    assert all(name == drift.name for name, drift in DRIFTS.items())
    assert [drift for drift in DRIFTS.values() if not re.fullmatch(r"[^{}]{1,79}\.", drift.sentence)] == []
    for call in ASKED:
        kinds = {(drift.severity, drift.patchable) for drift in DRIFTS.values() if drift.call == call}
        wanted = {("breaking", True), ("breaking", False), ("additive", True), ("notice", True), ("notice", False)}
        assert kinds >= wanted | {(None, True)}
    assert {drift.call for drift in DRIFTS.values()} <= {call.name for call in CALLS}
    assert {drift.name for drift in BY_REQUEST} == set(request_changes.REQUEST_CHANGES)


def test_unknown_operation() -> None:
    """A row with a name that does not exist fails when it is read, not when a response comes."""
    with pytest.raises(KeyError, match="dorp"):
        response_changes.response_change({"dorp": ["status"]})


def test_unknown_drift() -> None:
    """A name that does not exist is a ValueError that proposes one that does."""
    with pytest.raises(ValueError, match=r"There is no drift 'envelop-data'. Did you mean envelope-data\?"):
        Settings(drifts=("envelop-data",))


def test_drifts_work_together() -> None:
    """Several drifts work one after the other."""
    answer = ask_all("renamed-progress", "envelope-data", "status-202", "key-ignored")["no key"]
    assert (answer.status, answer.json["success"]) == (200, True)
    assert answer.json["data"]["percent"] == 0.43


def test_drifts_come_before_faults() -> None:
    """A fault spoils what the drifted gateway would have answered; the sandbox's own calls are left alone."""
    with in_process(["new-field-completed"]) as gateway:
        own = question({"request_id": "f", "duration": 0, "fault": "unknown-status"}, target="/sandbox/requests")
        assert list(ask(gateway, own).json) == ["request_id", "duration", "outcome", "fault", "asked", "downloaded"]
        spoilt = ask(gateway, question({"request_id": "f"})).json
    assert (spoilt["status"], spoilt["api_version"]) == ("paused", "2")


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


@pytest.mark.parametrize("call", ASKED)
def test_harmless_to_clients(call: str) -> None:
    """With any of the harmless variations, or with all at once, a client reads both answers as it always does."""
    asked = {"result": (UNDER_WAY, DONE, f"results/{DONE}.png"), "status": (QUEUE_UNDER_WAY, QUEUE_DONE, "v1/")}
    under_way, done, picture = asked[call]
    names = [name for name in HARMLESS if DRIFTS[name].call == call]
    for drifts in (*([name] for name in names), names):
        with in_process(drifts) as gateway, LongCat(EXAMPLE_KEY, gateway.url, http_client=gateway.client) as cat:
            assert cat.status(under_way).state is State.PROCESSING, drifts
            assert cat.wait(done, timeout=60).url.startswith(f"{gateway.url}/{picture}"), drifts


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
    with httpx.Client(timeout=60) as http_client:
        yield http_client

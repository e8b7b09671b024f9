"""What the probe asks, what it never asks, and how it behaves towards a gateway that is slow, busy, broken or gone."""

import json
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from longcat.contract import Exchange, load_spec
from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Inconclusive
from longcat.contract.openapi.spec import Spec, make_spec
from longcat.contract.probe.probe import WRONG_KEY, Pacing, is_loopback, origin_of, probe
from longcat.contract.probe.probe_requests import MAX_IDS, KeyUse, ProbeRequest, probe_requests
from longcat.contract.reports.baseline import Baseline
from longcat.contract.reports.verdict import Tally
from longcat.contract.run import events
from longcat.errors import ConfigurationError
from longcat.gateway.messages import (
    MAX_ANSWER,
)
from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, Fault, Settings, running
from longcat.sandbox.state import EXAMPLE_QUEUE_ID
from longcat.testing import VirtualClock

SPEC = load_spec()
LOCATE = Spec.locate
KEY = "the-users-own-key"
ELSEWHERE = "https://gateway.test"  # Neither this machine nor the contract's server.
PATH = "/longcat-image-request-result"
ORDER_PATH = "/longcat-image-498/v1/longcat-image-request"
RESULT = ("get_request_result",)
"""The operation that most of these tests ask about: with all three, the same would be asked three times."""
Answers = Callable[[httpx.Request], httpx.Response]


def says(status: int, body: Any = None, **headers: str) -> httpx.Response:
    """Return an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=body if body is not None else {"error": "no"}, headers=named)


class Gateway:
    """A gateway in memory: gives the answers in turn, the last one for ever, and keeps what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def asked(  # noqa: PLR0913 - what a probe takes.
    gateway: Answers,
    *,
    spec: Spec = SPEC,
    key: str | None = KEY,
    ids: Sequence[str] = (),
    base_url: str | None = ELSEWHERE,
    clock: VirtualClock | None = None,
    pacing: Pacing | None = None,
    operations: Sequence[str] | None = None,
) -> list[Exchange | Inconclusive]:
    """Return what comes of a probe of a gateway in memory; of our contract, one operation is asked about."""
    chosen = operations if operations is not None else RESULT if spec is SPEC else ()
    with httpx.Client(transport=httpx.MockTransport(gateway)) as http:
        clock = clock or VirtualClock()
        found = probe(spec, base_url, key, ids, operations=chosen, pacing=pacing, http_client=http, clock=clock)
        return exchanges(found)


def exchanges(outcomes: Iterable[Judgement | Inconclusive]) -> list[Exchange | Inconclusive]:
    """Return what was judged, instead of the judgements."""
    return [one.exchange if isinstance(one, Judgement) else one for one in outcomes]


def unasked(outcomes: Iterable[Exchange | Inconclusive], *, unclear: bool) -> dict[str, str]:
    """Return the questions without an answer, each with its reason."""
    found = [one for one in outcomes if isinstance(one, Inconclusive) and one.unclear is unclear]
    return {one.what.partition(": ")[2]: one.why for one in found}


def contract(paths: Mapping[str, Any], **more: Any) -> Spec:
    """Return a contract of these paths, whose key is a header X-KeyUse."""
    document = {
        "openapi": "3.1.0",
        "servers": [{"url": ELSEWHERE}],
        "security": [{"Key": []}],
        "components": {"securitySchemes": {"Key": {"type": "apiKey", "in": "header", "name": "X-Key"}}},
        "paths": paths,
        **more,
    }
    return make_spec(document, "of the test")


def operation(name: str, *, answer: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Return an operation whose success has these fields."""
    schema = {"type": "object", "properties": {field: {"type": "string"} for field in answer}}
    success = {"description": "", "content": {"application/json": {"schema": schema}}}
    return {"operationId": name, "responses": {"200": success, "404": {"description": ""}}, **more}


def body(*required: str, **properties: Any) -> dict[str, Any]:
    """Return a request body with these fields."""
    schema = {"type": "object", "required": list(required), "properties": properties}
    return {"required": True, "content": {"application/json": {"schema": schema}}}


SUBMIT = operation(
    "submit",
    answer=["request_id"],
    requestBody=body("prompt", "size", prompt={"type": "string"}, size={"type": "string", "enum": ["s", "l"]}),
)
STATUS = operation(
    "status",
    answer=["request_id", "state"],
    parameters=[{"name": "request_id", "in": "path", "required": True, "schema": {"type": "string"}}],
)
TEXT = {"type": "string", "minLength": 1}
ID_IN_PATH = {"name": "id", "in": "path", "required": True, "schema": TEXT}


class TestQuestions:
    @pytest.mark.parametrize(
        ("name", "method", "key", "content_type", "sent"),
        [
            ("no key", "POST", KeyUse.NONE, "application/json", b'{"request_id": "one"}'),
            ("a wrong key", "POST", KeyUse.WRONG, "application/json", b'{"request_id": "one"}'),
            ("the request one", "POST", KeyUse.VALID, "application/json", b'{"request_id": "one"}'),
            ("the request two", "POST", KeyUse.VALID, "application/json", b'{"request_id": "two"}'),
            (
                "an unknown request",
                "POST",
                KeyUse.VALID,
                "application/json",
                b'{"request_id": "longcat-contract-no-such-request"}',
            ),
            ("no body", "POST", KeyUse.VALID, None, None),
            ("malformed JSON", "POST", KeyUse.VALID, "application/json", b'{"request_id": "one"'),
            ("the wrong content type", "POST", KeyUse.VALID, "text/plain", b'{"request_id": "one"}'),
            ("request_id missing", "POST", KeyUse.VALID, "application/json", b"{}"),
            ("request_id empty", "POST", KeyUse.VALID, "application/json", b'{"request_id": ""}'),
            ("request_id of the wrong type", "POST", KeyUse.VALID, "application/json", b'{"request_id": 12345}'),
            ("the method GET", "GET", KeyUse.ANY, None, None),
            ("the method PUT", "PUT", KeyUse.NONE, None, None),
            ("the method PATCH", "PATCH", KeyUse.NONE, None, None),
            ("the method DELETE", "DELETE", KeyUse.NONE, None, None),
            ("an unknown path", "POST", KeyUse.ANY, "application/json", b'{"request_id": "one"}'),
        ],
    )
    def test_of_the_contract(
        self, name: str, method: str, key: KeyUse, content_type: str | None, sent: bytes | None
    ) -> None:
        """Each costs nothing and changes nothing."""
        question = _named(probe_requests(SPEC, ["one", "two"]), f"get_request_result: {name}")
        actual = (question.method, question.key, question.headers.get("Content-Type"), question.body)
        assert (method, key, content_type, sent) == actual
        assert question.obstacle is None

    def test_are_these_and_no_more(self) -> None:
        """Their number is fixed: fourteen, and one for each request."""
        assert len(probe_requests(SPEC, ["one", "two", "one"], operations=RESULT)) == 14 + 2

    def test_too_many_requests(self) -> None:
        """The number of calls is bounded."""
        with pytest.raises(ConfigurationError, match="20 requests at most, not 21"):
            probe_requests(SPEC, [str(number) for number in range(MAX_IDS + 1)])

    def test_of_an_operation_that_costs_something(self) -> None:
        """An operation that is not known to be safe is never asked with the key, and never with a valid body."""
        spec = contract({"/submit": {"post": SUBMIT}, "/status/{request_id}": {"get": STATUS}})
        gateway = Gateway(says(401))
        outcomes = asked(gateway, spec=spec, ids=["one"])
        calls = [request for request in gateway.asked if request.url.path == "/submit"]
        posts = [request for request in calls if request.method == "POST"]
        assert [request.headers.get("X-Key") for request in posts] == [None, WRONG_KEY]
        assert [request.content for request in posts] == [b"{}", b"{}"]
        assert KEY not in [request.headers.get("X-Key") for request in calls]
        assert "x-safe: true" in unasked(outcomes, unclear=False)["every question with the key"]

    @pytest.mark.parametrize("field", ["prompt", "request_id"])
    def test_of_an_operation_that_accepts_any_body(self, field: str) -> None:
        """Where no body can be invalid, the gateway has one reason less to refuse, and a POST is not asked at all."""
        spec = contract({"/cancel": {"post": operation("cancel", answer=[field], requestBody=body())}})
        spec.document["paths"]["/cancel"]["post"]["requestBody"]["content"]["application/json"]["schema"] = {}
        gateway = Gateway(says(401))
        asked(gateway, spec=make_spec(spec.document), ids=["one"])
        assert "POST" not in [request.method for request in gateway.asked]

    def test_of_a_get_that_is_not_safe(self) -> None:
        """The contract's word counts for more than the method's."""
        spec = contract({"/status/{request_id}": {"get": STATUS | {"x-safe": False}}})
        gateway = Gateway(says(401))
        asked(gateway, spec=spec, ids=["one"])
        assert {None} == {request.headers.get("X-Key") for request in gateway.asked}

    def test_of_an_operation_with_its_id_in_the_path(self) -> None:
        """Path parameters are ids; what would change the path is escaped."""
        spec = contract({"/status/{request_id}": {"get": STATUS}})
        paths = {question.name: question.path for question in probe_requests(spec, ["a/b ?c"])}
        assert paths["status: the request a/b ?c"] == "/status/a%2Fb%20%3Fc"
        assert paths["status: an unknown request"] == "/status/longcat-contract-no-such-request"
        assert paths["status: the method POST"] == "/status/a%2Fb%20%3Fc"

    def test_of_an_operation_that_is_about_nothing(self) -> None:
        """It is asked once, as documented."""
        names = [
            question.name for question in probe_requests(contract({"/models": {"get": operation("models")}}), ["one"])
        ]
        assert "models: as documented" in names
        assert "models: an unknown request" not in names

    def test_a_value_that_nobody_gave(self) -> None:
        """Nothing is made up but ids: what is meant to succeed is not asked, what is to be refused is."""
        needs = operation(
            "find", answer=["id"], requestBody=body("id", "place", id=TEXT, place=TEXT), **{"x-safe": True}
        )
        found = probe_requests(contract({"/find": {"post": needs}}), ["one"])
        assert _named(found, "find: the request one").obstacle == "nobody gave a value for place"
        assert _named(found, "find: no key").obstacle is None
        assert _named(found, "find: place empty").body == b'{"id": "one", "place": ""}'

    def test_values_that_the_contract_shows(self) -> None:
        """What the contract fixes or shows is sent along."""
        sized = body("id", "size", id=TEXT, size={"type": "string", "enum": ["s", "l"]})
        needs = operation("find", answer=["id"], requestBody=sized, **{"x-safe": True})
        question = _named(probe_requests(contract({"/find": {"post": needs}}), ["one"]), "find: the request one")
        assert question.body == b'{"id": "one", "size": "s"}'

    def test_ids_of_another_type(self) -> None:
        """An id is sent as the contract wants it."""
        numbered = operation("find", answer=["id"], requestBody=body("id", id={"type": "integer"}), **{"x-safe": True})
        found = probe_requests(contract({"/find": {"post": numbered}}), ["7", "seven"])
        assert _named(found, "find: the request 7").body == b'{"id": 7}'
        assert _named(found, "find: the request seven").obstacle == "the contract allows no such id"
        assert _named(found, "find: an unknown request").body == b'{"id": 2147483646}'

    def test_a_value_that_may_be_empty(self) -> None:
        """What the contract allows is not asked as if it had to be refused."""
        open_ended = operation("find", answer=["id"], requestBody=body("id", id={}), **{"x-safe": True})
        names = [question.name for question in probe_requests(contract({"/find": {"post": open_ended}}), ["7"])]
        assert "find: id missing" in names
        assert not {"find: id empty", "find: id of the wrong type"} & set(names)

    def test_an_operation_on_another_server(self) -> None:
        """Only the server that an operation lives on is asked about it; a stranger, such as the sandbox, about all."""
        other = {"/status/{request_id}": {"get": STATUS, "servers": [{"url": "https://other.test"}]}}
        spec = contract({"/models": {"get": operation("models")}, **other})
        here = probe_requests(spec, [], ELSEWHERE)
        assert _named(here, "status: every question").obstacle == "the contract puts it on another server"
        assert _named(probe_requests(spec, [], "http://127.0.0.1:1"), "status: no key").obstacle is None

    def test_no_key_is_needed(self) -> None:
        """Where no key is needed, nothing is asked about keys, and nothing waits for one."""
        spec = contract({"/models": {"get": operation("models", security=[])}})
        gateway = Gateway(says(200, {}))
        outcomes = asked(gateway, spec=spec, key=None)
        assert unasked(outcomes, unclear=False) == {}
        assert [request.url.path for request in gateway.asked] == ["/models", "/longcat-contract-no-such-path"]


class TestOperations:
    """Which operations are asked about, where, and with which ids."""

    def test_only_those_that_are_chosen(self) -> None:
        """Nothing is asked about the others, not even about their paths."""
        found = probe_requests(SPEC, [], operations=["get_request_status"])
        assert {question.operation.operation_id for question in found} == {"get_request_status"}
        assert "get_request_status: an unknown path" in [question.name for question in found]

    def test_an_unknown_one_is_refused(self) -> None:
        """The message lists those that there are."""
        known = "submit_request, get_request_result, get_request_status"
        with pytest.raises(ConfigurationError, match=f'There is no operation "status". The contract has: {known}.'):
            probe_requests(SPEC, [], operations=["get_request_status", "status"])

    def test_a_method_of_an_operation_that_is_not_chosen(self) -> None:
        """It is documented, so it is not asked as if it were not."""
        item = {"get": operation("read"), "delete": operation("remove")}
        names = [one.name for one in probe_requests(contract({"/thing": item}), [], operations=["read"])]
        assert "read: the method DELETE" not in names
        assert "read: the method PUT" in names

    def test_each_at_its_own_server(self) -> None:
        """Without a base URL, each operation is asked at its own server, and each server about an unknown path."""
        asked_at = {(one.operation.operation_id, one.base_url) for one in probe_requests(SPEC, [])}
        queue, result = "https://gateway.pixazo.ai", "https://gateway-falai-automate.appypie.workers.dev"
        assert asked_at == {
            ("submit_request", queue),
            ("get_request_status", queue),
            ("get_request_result", result),
        }
        paths = [one.base_url for one in probe_requests(SPEC, []) if one.name.endswith(": an unknown path")]
        assert sorted(paths) == sorted([queue, result])

    def test_all_at_the_one_that_is_given(self) -> None:
        """A stranger's base URL stands for all servers, and is asked about one unknown path."""
        found = probe_requests(SPEC, [], "http://127.0.0.1:1")
        assert {one.base_url for one in found} == {"http://127.0.0.1:1"}
        assert [one.name for one in found if "unknown path" in one.name] == ["get_request_result: an unknown path"]

    def test_no_server_at_all(self) -> None:
        """What nobody can be asked about is named."""
        spec = contract({"/models": {"get": operation("models")}}, servers=[])
        assert [one.obstacle for one in probe_requests(spec, [])] == ["the contract names no server (--base-url)"]

    def test_a_server_that_is_gone_does_not_silence_the_others(self) -> None:
        """Two failures in a row end the questions to that server alone."""

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.host == "gateway.pixazo.ai":
                raise httpx.ConnectError("refused")
            return says(401)

        outcomes = asked(answer, base_url=None, operations=())
        hosts = {one.url.split("/")[2] for one in outcomes if isinstance(one, Exchange)}
        assert hosts == {"gateway-falai-automate.appypie.workers.dev"}
        lost = [one.what for one in outcomes if isinstance(one, Inconclusive) and one.unclear]
        assert {name.partition(":")[0] for name in lost} == {"submit_request", "get_request_status"}

    def test_an_id_is_asked_where_its_form_belongs(self) -> None:
        """One that matches a pattern goes there; one that matches none goes where there is no pattern."""
        queue = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
        about = [one.name for one in probe_requests(SPEC, ["one", queue]) if ": the request" in one.name]
        assert about == ["get_request_result: the request one", f"get_request_status: the request {queue}"]
        only = probe_requests(SPEC, ["one"])
        assert _named(only, "get_request_status: a request that exists").obstacle == (
            "no request id of its form was given (--request-id)"
        )

    def test_an_id_whose_operation_is_not_chosen(self) -> None:
        """Who chooses the operations settles where an id belongs, as far as the contract allows it."""
        queue = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
        assert (
            _named(probe_requests(SPEC, [queue], operations=RESULT), f"get_request_result: the request {queue}").body
            == json.dumps({"request_id": queue}).encode()
        )
        strict = probe_requests(SPEC, ["one"], operations=["get_request_status"])
        assert _named(strict, "get_request_status: the request one").obstacle == "the contract allows no such id"

    def test_an_id_that_matches_two_patterns(self) -> None:
        """It is asked of both, and of no operation without a pattern."""

        def by(pattern: str | None) -> dict[str, Any]:
            schema = {"type": "string"} | ({"pattern": pattern} if pattern else {})
            found = {"name": "id", "in": "path", "required": True, "schema": schema}
            return operation(f"by {pattern}", parameters=[found])

        paths = {f"/{n}/{{id}}": {"get": by(pattern)} for n, pattern in enumerate(["^a", "b$", "^c", None])}
        names = [one.name for one in probe_requests(contract(paths), ["ab"]) if "the request" in one.name]
        assert names == ["by ^a: the request ab", "by b$: the request ab"]

    def test_long_ids_that_begin_alike(self) -> None:
        """Each has a name of its own, by which its answer is kept."""
        ids = [f"longcat-image-498_019d0000-0000-7000-8000-00000000000{n}" for n in range(3)]
        assert len({one.name for one in probe_requests(SPEC, ids) if ": the request" in one.name}) == 3


class TestOrders:
    """An order is never sent: an operation that may cost something is called without the key, and with a bad body."""

    @pytest.mark.parametrize("key", [EXAMPLE_KEY, None], ids=["with a key", "keyless"])
    def test_the_sandbox_counts_none(self, key: str | None) -> None:
        """The gateway gets two calls of the order that it must refuse, and takes neither."""
        with running(Settings(duration=0)) as url:
            list(probe(SPEC, url, key, [EXAMPLE_ID, EXAMPLE_QUEUE_ID]))
            counted = httpx.get(f"{url}/sandbox/orders/count", timeout=60).json()
        assert counted == {"posts": 2, "taken": 0, "spent": "0.00"}

    @pytest.mark.parametrize("drift", ["key-ignored", "key-may-lack", "key-may-be-any"])
    def test_the_other_lock_holds(self, drift: str) -> None:
        """Where a gateway has lost its check of the key, the body alone keeps it from taking an order."""
        with running(Settings(duration=0, drifts=(drift,))) as url:
            list(probe(SPEC, url, EXAMPLE_KEY, [EXAMPLE_ID, EXAMPLE_QUEUE_ID]))
            assert httpx.get(f"{url}/sandbox/orders/count", timeout=60).json()["taken"] == 0

    @pytest.mark.parametrize(
        "answer",
        [
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
            b"",
            b"HTTP/1.1 429 \r\n\r\n",
        ],
        ids=["takes anything", "hangs up", "429"],
    )
    def test_on_the_wire(self, answer: bytes) -> None:
        """Whatever is answered, no bytes on the socket hold the key and lead to the order's path."""
        heads: list[bytes] = []

        def listen(connection: socket.socket) -> None:
            received = chunk = connection.recv(65_536)
            while chunk and received.endswith(b"Content-Length: 2\r\n\r\n"):  # The body may come by itself.
                received += (chunk := connection.recv(65_536))
            heads.append(received)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_RDWR)

        with _listening(listen) as url:
            list(probe(SPEC, url, KEY, ["one", EXAMPLE_QUEUE_ID], pacing=Pacing(patience=0), clock=VirtualClock()))
        ordering = [head for head in heads if head.partition(b" ")[2].startswith(ORDER_PATH.encode())]
        assert ordering
        assert not [head for head in ordering if KEY.encode() in head]
        bodies = {head.partition(b"\r\n\r\n")[2] for head in ordering if head.startswith(b"POST ")}
        assert bodies == {b"{}"}

    @pytest.mark.parametrize("request_id", ["order", "ORDER%", ".", ".."])
    @pytest.mark.parametrize("safe_first", [True, False])
    def test_an_id_that_is_the_path_of_an_order(self, request_id: str, safe_first: bool) -> None:
        """The key does not go to an operation that may cost something by way of a safe one, nor out of its folder."""
        safe: dict[str, Any] = {"parameters": [ID_IN_PATH], "x-safe": True}
        paths = {"/{id}": {"post": operation("ask", **safe)}, "/order": {"post": operation("order")}}
        spec = contract(paths if safe_first else dict(reversed(paths.items())))
        gateway = Gateway(says(401))
        asked(gateway, spec=spec, ids=[request_id])
        with_key = [one.url.raw_path for one in gateway.asked if one.headers.get("X-Key") == KEY]
        assert b"/order" not in with_key
        assert not {b"/.", b"/..", b"/"} & set(with_key)

    def test_paths_that_a_gateway_may_tell_apart_otherwise(self) -> None:
        """Where a path fits two operations, and one of them may cost something, the key is not sent."""
        safe = operation("ask", parameters=[ID_IN_PATH]) | {"x-safe": True}
        spec = contract(
            {"/{id}/end": {"post": safe}, "/order/{id}": {"post": operation("order", parameters=[ID_IN_PATH])}}
        )
        question = _named(probe_requests(spec, ["order"]), "ask: the request order")
        assert question.obstacle == "its path is that of order, which the contract does not call safe"
        assert _named(probe_requests(spec, ["other"]), "ask: the request other").obstacle is None


class TestTheKey:
    def test_without_one(self) -> None:
        """The keyless questions are asked, and the others are named."""
        gateway = Gateway(says(401))
        outcomes = asked(gateway, key=None)
        names = [one.source.partition(": ")[2] for one in outcomes if isinstance(one, Exchange)]
        methods = [f"the method {method}" for method in ("GET", "PUT", "PATCH", "DELETE")]
        assert ["no key", "a wrong key", *methods, "an unknown path"] == names
        assert {"no key was given", "no request id was given (--request-id)"} == {
            *unasked(outcomes, unclear=False).values()
        }
        assert unasked(outcomes, unclear=True) == {}

    def test_goes_to_the_gateway_alone(self) -> None:
        """No redirect is followed, and the answer is an exchange like any other."""
        gateway = Gateway(says(307, location="https://thief.test/"))
        outcomes = asked(gateway, ids=["one"])
        assert {"gateway.test"} == {request.url.host for request in gateway.asked}
        assert {307} == {one.status_code for one in outcomes if isinstance(one, Exchange)}

    def test_is_in_no_exchange(self) -> None:
        """Not in the request, and not where the gateway repeats it."""

        def echo(request: httpx.Request) -> httpx.Response:
            key = request.headers.get("Ocp-Apim-Subscription-Key", "none")
            return says(401, {"error": f"bad key {key}"}, x_seen=key)

        outcomes = asked(echo, ids=["one"])
        assert KEY not in repr(outcomes)
        bodies = [one.response_body for one in outcomes if isinstance(one, Exchange)]
        assert b"bad key REMOVED" in b"".join(filter(None, bodies))
        assert KEY.encode() not in b"".join(filter(None, bodies))
        headers = [dict(one.request_headers) for one in outcomes if isinstance(one, Exchange)]
        assert "ocp-apim-subscription-key" in headers[1]
        assert "ocp-apim-subscription-key" not in headers[0]

    @pytest.mark.parametrize(
        ("scheme", "header", "value"),
        [
            ({"type": "apiKey", "in": "header", "name": "X-Other"}, "X-Other", KEY),
            ({"type": "http", "scheme": "bearer"}, "Authorization", f"Bearer {KEY}"),
        ],
    )
    def test_goes_where_the_contract_says(self, scheme: dict[str, str], header: str, value: str) -> None:
        """In the header of the security scheme, in its form; and in no exchange."""
        spec = contract({"/models": {"get": operation("models")}}, components={"securitySchemes": {"Key": scheme}})

        def echo(request: httpx.Request) -> httpx.Response:
            return says(401, {"error": request.headers.get(header, "").rpartition(" ")[2]})

        gateway = Gateway(says(200))
        asked(gateway, spec=spec)
        assert {value, value.replace(KEY, WRONG_KEY), None} == {one.headers.get(header) for one in gateway.asked}
        assert KEY not in repr(asked(echo, spec=spec))
        bodies = [one.response_body for one in asked(echo, spec=spec) if isinstance(one, Exchange)]
        assert KEY.encode() not in b"".join(filter(None, bodies))

    def test_that_does_not_travel_in_a_header(self) -> None:
        """It can't be kept out of logs, and is not sent."""
        scheme = {"type": "apiKey", "in": "query", "name": "key"}
        spec = contract({"/models": {"get": operation("models")}}, components={"securitySchemes": {"Key": scheme}})
        gateway = Gateway(says(200))
        reasons = unasked(asked(gateway, spec=spec), unclear=False)
        assert (reasons, gateway.asked) == ({"every question": "its key does not travel in a header"}, [])

    def test_cookies_are_not_kept(self) -> None:
        """One question does not depend on another."""
        gateway = Gateway(says(401, set_cookie="visitor=1"))
        asked(gateway)
        assert [None] * len(gateway.asked) == [request.headers.get("cookie") for request in gateway.asked]


class TestManners:
    def test_a_second_between_questions(self) -> None:
        """One at a time, with a pause between."""
        clock = VirtualClock()
        outcomes = asked(Gateway(says(401)), key=None, clock=clock)
        calls = sum(isinstance(one, Exchange) for one in outcomes)
        assert [1.0] * (calls - 1) == clock.sleeps

    @pytest.mark.parametrize("base_url", ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9"])
    def test_none_on_this_machine(self, base_url: str) -> None:
        """The sandbox needs no rest."""
        clock = VirtualClock()
        asked(Gateway(says(401)), key=None, base_url=base_url, clock=clock)
        assert clock.sleeps == []

    def test_as_told(self) -> None:
        """The pause can be chosen, on this machine too."""
        clock = VirtualClock()
        asked(Gateway(says(401)), key=None, base_url="http://127.0.0.1:9", clock=clock, pacing=Pacing(pause=3))
        assert {3} == set(clock.sleeps)

    @pytest.mark.parametrize(
        ("refusals", "sleeps"),
        [
            ([says(429, retry_after="7")], [7, 1]),
            ([says(429, retry_after="0")], [1, 1]),
            ([says(429, retry_after=formatdate(1_000_009, usegmt=True))], [9, 1]),
            ([says(429), says(429), says(429)], [2, 1, 4, 1, 8, 1]),
            ([says(503, retry_after="5"), says(429, retry_after="5")], [5, 1, 5, 1]),
        ],
    )
    def test_retry_after_is_obeyed(self, refusals: list[httpx.Response], sleeps: list[float]) -> None:
        """A 429 is waited out, as long as it says, else longer each time; then the question is asked again."""
        if refusals[0].status_code == 503:
            refusals[0] = httpx.Response(503, html="<html>down</html>", headers={"Retry-After": "5"})
        clock = VirtualClock(start=1_000_000.0)
        outcomes = asked(Gateway(*refusals, says(401)), key=None, clock=clock)
        assert unasked(outcomes, unclear=True) == {}
        assert sleeps == clock.sleeps[: len(sleeps)]
        assert {1.0} == set(clock.sleeps[len(sleeps) :])

    @pytest.mark.parametrize(
        ("refusal", "calls", "slept"),
        [
            (says(429, retry_after="21"), 1, 0),
            (says(429, retry_after="6"), 4, 18 + 3),
            (says(429), 5, 20 + 4),  # 2, 4, 8, and the 6 that are left; then one last question.
        ],
    )
    def test_nothing_but_429(self, refusal: httpx.Response, calls: int, slept: float) -> None:
        """All waiting together is bounded, and nobody is asked sooner than they want."""
        clock, gateway = VirtualClock(), Gateway(refusal)
        outcomes = asked(gateway, key=None, clock=clock)
        assert calls == len(gateway.asked)
        assert slept == sum(clock.sleeps)
        assert all("429" in reason for reason in unasked(outcomes, unclear=True).values())
        assert [one for one in outcomes if isinstance(one, Exchange)] == []

    def test_a_429_in_another_form(self) -> None:
        """It is waited out, and yielded as well, once: its form is what callers read."""
        gateway = Gateway(says(429, {"message": "slow"}), says(429, {"message": "slow"}), says(401))
        outcomes = asked(gateway, key=None)
        assert [one.status_code for one in outcomes if isinstance(one, Exchange)][:3] == [429, 401, 401]
        assert unasked(outcomes, unclear=True) == {}

    def test_each_exchange_is_matched_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is asked again, given up or judged: the URL of an exchange is matched with the contract once."""
        matched: list[str] = []

        def locate(spec: Spec, url: str, *arguments: Any) -> Any:
            if url.startswith(ELSEWHERE):  # A path alone is one that the probe looks for beforehand.
                matched.append(url)
            return LOCATE(spec, url, *arguments)

        monkeypatch.setattr(Spec, "locate", locate)
        gateway = Gateway(says(429, {"message": "slow"}), says(500), says(500), says(401))
        with httpx.Client(transport=httpx.MockTransport(gateway)) as http:
            outcomes = probe(SPEC, ELSEWHERE, None, operations=RESULT, http_client=http, clock=VirtualClock())
            list(events(outcomes, Baseline(date(2026, 1, 31)), Tally()))
        assert matched == [str(request.url) for request in gateway.asked]


class TestSilence:
    def test_once_is_forgiven(self) -> None:
        """A connection that broke once is no news."""
        outcomes = asked(Gateway(httpx.ReadError("reset"), says(401)), key=None)
        assert unasked(outcomes, unclear=True) == {}

    def test_twice_in_a_row_is_enough(self) -> None:
        """A gateway that is gone is not asked everything."""
        gateway = Gateway(httpx.ConnectError("refused"))
        reasons = unasked(asked(gateway, key=None), unclear=True)
        assert len(gateway.asked) == 2 * 2
        assert reasons["no key"] == f"no answer from {ELSEWHERE}: refused"
        assert reasons["an unknown path"] == "left out, because 2 questions in a row had no answer"

    def test_a_question_without_an_answer(self) -> None:
        """The others are asked all the same."""
        gateway = Gateway(says(401), httpx.ConnectError("a"), httpx.ConnectError("b"), says(401))
        assert list(unasked(asked(gateway, key=None), unclear=True)) == ["a wrong key"]

    def test_a_time_out_is_not_repeated(self) -> None:
        """It has waited long enough."""
        gateway = Gateway(httpx.ReadTimeout("slow"))
        reasons = unasked(asked(gateway, key=None), unclear=True)
        assert len(gateway.asked) == 2
        assert reasons["no key"] == f"no whole answer from {ELSEWHERE} within 10 s"

    @pytest.mark.parametrize(
        "page",
        [
            httpx.Response(522, html="<!DOCTYPE html><title>522</title>"),
            httpx.Response(
                403, html="<!DOCTYPE html><title>Just a moment...</title>", headers={"cf-mitigated": "challenge"}
            ),
        ],
    )
    def test_an_outage(self, page: httpx.Response) -> None:
        """A page of the CDN in front tells nothing: it is no exchange, and asked for once more."""
        gateway = Gateway(page)
        outcomes = asked(gateway, key=None)
        assert len(gateway.asked) == 2 * 2
        assert [one for one in outcomes if isinstance(one, Exchange)] == []

    def test_an_answer_without_end(self) -> None:
        """What is read of an answer is bounded."""
        endless = httpx.Response(200, content=b"x" * (2 * MAX_ANSWER))
        exchange = asked(Gateway(endless), key=None)[0]
        assert isinstance(exchange, Exchange)
        assert len(exchange.response_body or b"") == MAX_ANSWER


class TestOverSockets:
    def test_the_sandbox(self) -> None:
        """Everything is asked, and each answer is an exchange."""
        with running(Settings(duration=0)) as url:
            outcomes = exchanges(probe(SPEC, url, EXAMPLE_KEY, [EXAMPLE_ID], operations=RESULT))
        codes = {one.source.partition(": ")[2]: one.status_code for one in outcomes if isinstance(one, Exchange)}
        assert len(outcomes) == len(codes)
        assert codes.pop(f"the request {EXAMPLE_ID}") == 200
        assert (codes.pop("no key"), codes.pop("a wrong key")) == (401, 401)
        assert (codes.pop("an unknown request"), codes.pop("an unknown path")) == (404, 404)
        assert {405} == {codes.pop(f"the method {method}") for method in ("GET", "PUT", "PATCH", "DELETE")}
        assert {400} == set(codes.values())
        assert {"sandbox"} == {one.origin for one in outcomes if isinstance(one, Exchange)}

    def test_what_only_the_asker_knows(self) -> None:
        """The exchanges say that a key was wrong, or a request unknown."""
        with running() as url:
            outcomes = [
                one
                for one in exchanges(probe(SPEC, url, EXAMPLE_KEY, [EXAMPLE_ID], operations=RESULT))
                if isinstance(one, Exchange)
            ]
        intents = {one.source.partition(": ")[2]: one.intent for one in outcomes if one.intent}
        assert intents == {"a wrong key": "wrong-key", "an unknown request": "unknown-request"}

    def test_a_rate_limit(self) -> None:
        """The sandbox says 429 without a Retry-After; the probe waits, and gets through."""
        clock = VirtualClock()
        with running(Settings(faults=(Fault("rate-limit-bare", 2),))) as url:
            outcomes = exchanges(probe(SPEC, url, EXAMPLE_KEY, [EXAMPLE_ID], operations=RESULT, clock=clock))
        assert clock.sleeps == [2, 4]
        assert unasked(outcomes, unclear=True) == {}

    @pytest.mark.parametrize(("fault", "kept"), [("cut-body", True), ("hang-up", False), ("reset", False)])
    def test_a_connection_that_breaks(self, fault: str, kept: bool) -> None:
        """A body that stops twice is what the gateway answers. No answer is none, and a reset may be anybody's."""
        with running(Settings(faults=(Fault(fault, None),))) as url:
            outcomes = exchanges(probe(SPEC, url, EXAMPLE_KEY, [EXAMPLE_ID], operations=RESULT))
        reasons = unasked(outcomes, unclear=True)
        assert kept is (f"the request {EXAMPLE_ID}" not in reasons)
        if kept:
            cut = next(one for one in outcomes if isinstance(one, Exchange) and EXAMPLE_ID in one.source)
            with pytest.raises(json.JSONDecodeError):
                json.loads(cut.response_body or b"")

    def test_a_body_that_trickles(self) -> None:
        """A call's time is for the whole answer, however often a byte arrives."""
        with running(Settings(faults=(Fault("drip", None, 120),))) as url:
            for seconds in (0.3, 3, 20):  # A busy machine may need longer for the other answers.
                outcomes = exchanges(
                    probe(SPEC, url, EXAMPLE_KEY, [EXAMPLE_ID], operations=RESULT, pacing=Pacing(timeout=seconds))
                )
                reasons = unasked(outcomes, unclear=True)
                if len(reasons) == 1:
                    break
        assert reasons == {f"the request {EXAMPLE_ID}": f"no whole answer from {url} within {seconds} s"}

    def test_a_port_where_nobody_listens(self) -> None:
        """It is named, and nothing is raised."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        reasons = unasked(exchanges(probe(SPEC, url, None, operations=RESULT)), unclear=True)
        assert f"no answer from {url}" in reasons["no key"]

    def test_somebody_who_says_nothing(self) -> None:
        """A gateway that hangs costs two time-outs."""
        with _listening(_say_nothing) as url:
            reasons = unasked(
                exchanges(probe(SPEC, url, None, operations=RESULT, pacing=Pacing(timeout=0.2))), unclear=True
            )
        assert reasons["no key"] == f"no whole answer from {url} within 0.2 s"

    def test_somebody_who_does_not_speak_tls(self) -> None:
        """The error is named."""
        with _listening(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
            reasons = unasked(
                exchanges(probe(SPEC, url.replace("http:", "https:"), None, operations=RESULT)), unclear=True
            )
        assert "SSL" in reasons["no key"]

    def test_somebody_who_does_not_speak_http(self) -> None:
        """The error is named."""
        with _listening(lambda connection: connection.sendall(b"220 mail ready\r\n")) as url:
            reasons = unasked(exchanges(probe(SPEC, url, None, operations=RESULT)), unclear=True)
        assert f"no answer from {url}" in reasons["no key"]


class TestOrigin:
    @pytest.mark.parametrize(
        ("base_url", "origin"),
        [(SPEC.server, "live"), ("http://127.0.0.1:8000", "sandbox"), ("https://mirror.test", "unknown")],
    )
    def test_follows_from_the_base_url(self, base_url: str, origin: str) -> None:
        """Only the contract's own server is the live service."""
        assert origin == origin_of(SPEC, base_url)

    def test_a_server_may_have_variables(self) -> None:
        """The contract's own server is the one with each variable at its default, for the requests as well."""
        servers = [{"url": "https://{region}.test", "variables": {"region": {"default": "eu"}}}]
        elsewhere = [{"url": "https://other.test/"}]
        spec = contract(
            {"/status": {"get": operation("status")}, "/else": {"get": operation("else", servers=elsewhere)}},
            servers=servers,
        )
        assert [origin_of(spec, url) for url in ("https://eu.test", "https://us.test")] == ["live", "unknown"]
        assert [one.servers for one in spec.operations] == [("https://eu.test",), ("https://other.test",)]
        obstacles = {one.name: one.obstacle for one in probe_requests(spec, [], "https://eu.test")}
        assert obstacles["else: every question"] == "the contract puts it on another server"
        assert obstacles["status: no key"] is None

    @pytest.mark.parametrize("base_url", ["http://127.0.0.1.evil.test", "http://10.0.0.1", "https://localhost.test"])
    def test_this_machine_is_no_other(self, base_url: str) -> None:
        """A name that only looks like this machine is another."""
        assert not is_loopback(base_url)


def _named(found: Sequence[ProbeRequest], name: str) -> ProbeRequest:
    (question,) = [one for one in found if one.name == name]
    return question


def _say_nothing(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


@contextmanager
def _listening(talk: Callable[[socket.socket], object]) -> Iterator[str]:
    """Listen, and do one thing with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(60)
                    try:
                        talk(connection)
                        connection.recv(65_536)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            done.set()
            with socket.create_connection(listener.getsockname()):
                pass
            thread.join()

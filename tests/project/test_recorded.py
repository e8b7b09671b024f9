"""Recorded answers, played to the client through the real HTTP stack; and what every recording must be like.

Those in `cassettes/documentation/` are the vendor's examples: they prove that the client does what the documentation
says, not that the service does.
"""

import base64
import gc
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from contract_file import CONTRACT
from fakes import KEY, Driver
from libraries import LIBRARIES
from pytest_recording.network import blocking_context
from servers import drive
from vcr import VCR  # type: ignore[import-untyped]
from vcr.cassette import Cassette  # type: ignore[import-untyped]
from vcr.errors import CannotOverwriteExistingCassetteException  # type: ignore[import-untyped]
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from longcat import (
    AuthenticationError,
    BadRequestError,
    Image,
    InsufficientBalanceError,
    InternalServerError,
    LongCat,
    LongCatError,
    NotFoundError,
    Order,
    PermissionDeniedError,
    RateLimitError,
    State,
    Status,
)
from longcat.contract import Exchange, judge, load_spec
from longcat.contract.traffic.recordings import Provenance, provenance, read
from longcat.contract.traffic.redact import PLACEHOLDER
from longcat.sandbox import Settings, running

ROOT = Path(__file__).parents[2]
CASSETTES = ROOT / "cassettes"
DOCUMENTED = sorted((CASSETTES / "documentation").glob("*.yaml"))
SPEC = load_spec(ROOT / "openapi.yaml")
KEY_HEADER = "ocp-apim-subscription-key"
LOOPBACK = "127.0.0.1"
REQUEST_ID = "XXXXXXXXXXXXX"
PICTURE = "https://storage.pixazo.ai/results/XXXXXXXXXXXXX.png"
QUEUE_ID = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
ORDER: dict[str, Any] = {
    "prompt": "A lioness in tall grass, golden hour",
    "image_size": "landscape_4_3",
    "num_inference_steps": 28,
    "guidance_scale": 4.5,
    "num_images": 1,
    "enable_safety_checker": True,
    "output_format": "png",
    "acceleration": "regular",
}
QUESTIONS: dict[str, Any] = {
    "get_request_result": REQUEST_ID,
    "get_request_status": QUEUE_ID,
    "submit_request": ORDER,
}
"""What each operation is asked in the cassettes: about a request, or for pictures."""
QUEUE_PICTURE = "https://pub-REMOVED.r2.dev/v1/longcat-image-498_019dxxxx-xxxx/output.ext"
"""The host looks like a key, which a cassette must not hold."""


def processing(progress: float) -> Status:
    """Return the status of a request that is under way."""
    return Status(REQUEST_ID, State.PROCESSING, "processing", progress)


COMPLETED = Status(
    REQUEST_ID,
    State.COMPLETED,
    "completed",
    1.0,
    Image(
        REQUEST_ID,
        PICTURE,
        (PICTURE,),
        created_at=datetime(2024, 6, 15, 10, 30, tzinfo=UTC),
        duration=timedelta(seconds=42),
        model_version="longcat-v1.2",
    ),
)
OUTCOMES: dict[str, Status | Order | tuple[type[LongCatError], str]] = {
    "get_request_result-200-processing_30": processing(0.3),
    "get_request_result-200-processing_45": processing(0.45),
    "get_request_result-200-completed": COMPLETED,
    "get_request_result-400-table": (BadRequestError, "Invalid request parameters"),
    "get_request_result-400-example_error_response": (BadRequestError, "Invalid parameters"),
    "get_request_result-401-table": (AuthenticationError, "Invalid or missing authentication"),
    "get_request_result-403-table": (PermissionDeniedError, "Access denied for this operation"),
    "get_request_result-404-table": (NotFoundError, "Endpoint not found"),
    "get_request_result-429-table": (RateLimitError, "Rate limit exceeded, please retry later"),
    "get_request_result-500-table": (InternalServerError, "An unexpected error occurred, please try again later"),
    "get_request_status-200-completed": Status(
        QUEUE_ID,
        State.COMPLETED,
        "COMPLETED",
        None,
        Image(
            QUEUE_ID,
            QUEUE_PICTURE,
            (QUEUE_PICTURE,),
            created_at=datetime(2026, 3, 31, 10, tzinfo=UTC),
            duration=timedelta(seconds=15),
        ),
    ),
    "get_request_status-200-error": Status(QUEUE_ID, State.FAILED, "ERROR", error="Description of the error"),
    "submit_request-202-queued": Order(
        QUEUE_ID,
        Status(QUEUE_ID, State.QUEUED, "QUEUED"),
        f"https://gateway.pixazo.ai/v2/requests/status/{QUEUE_ID}",
    ),
    "submit_request-400-model_disabled": (
        BadRequestError,
        "Model not found: Model 'longcat-image-498' not found or is disabled",
    ),
    "submit_request-402-balance": (
        InsufficientBalanceError,
        "Insufficient Balance: Your wallet does not have enough balance.",
    ),
}


# --- Playing. ---


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the contract's server, and look up no name: that would go out before anything connects."""
    monkeypatch.delenv("LONGCAT_BASE_URL", raising=False)

    look_up = socket.getaddrinfo

    def refuse(host: object, *more: Any, **options: Any) -> Any:
        if host != LOOPBACK:
            raise AssertionError(f"The name {host!r} was looked up.")
        return look_up(LOOPBACK, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def cassette(name: str) -> Iterator[Cassette]:
    """Play a cassette, with no network besides: each answer only to the very question that it was given to."""
    player = VCR(record_mode="none", match_on=["method", "scheme", "host", "port", "path", "query", "body"])
    with blocking_context(), player.use_cassette(str(CASSETTES / "documentation" / f"{name}.yaml")) as played:
        yield played


def asked(cat: Any, question: Any) -> Any:
    """Order, or ask how a request stands."""
    return cat.submit(**question) if isinstance(question, dict) else cat.status(question)


def ask(driver: Driver, question: Any, base_url: str | None = None) -> Status | Order:
    """Do so with a client of its own."""
    answer: Status | Order = drive(driver, base_url, lambda cat: asked(cat, question), http=None)
    return answer


@pytest.mark.in_turn
@pytest.mark.parametrize("name", OUTCOMES)
def test_documented_answer(driver: Driver, cassette: Cassette, name: str) -> None:
    """Each documented answer becomes the status, or the error by name and message, that the documentation promises."""
    outcome, question = OUTCOMES[name], QUESTIONS[name.partition("-")[0]]
    if isinstance(outcome, Status | Order):
        assert ask(driver, question) == outcome
    else:
        kind, message = outcome
        with pytest.raises(kind) as caught:
            ask(driver, question)
        error = caught.value
        assert type(error) is kind
        assert getattr(error, "message", None) == message
        assert getattr(error, "request_id", None) == (question if isinstance(question, str) else None)
        assert error.transient == (kind in {RateLimitError, InternalServerError})
        assert message in str(error)
        assert str(error).endswith(".")
    assert cassette.play_count == 1


@pytest.mark.parametrize("name", ["get_request_result-200-completed"])
@pytest.mark.usefixtures("cassette")
def test_another_question_is_not_answered(driver: Driver, name: str) -> None:
    """What was not recorded is not answered, and not sent either."""
    assert name in OUTCOMES
    with pytest.raises(CannotOverwriteExistingCassetteException):
        ask(driver, "another")


# The block is an exception that the standard library does not foresee: it leaves its socket open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_network_is_blocked(driver: Driver) -> None:
    """A client without a cassette reaches nothing, not even this machine."""
    with blocking_context():
        with pytest.raises((RuntimeError, ExceptionGroup)) as caught:
            ask(driver, REQUEST_ID, f"http://{LOOPBACK}:9")
        assert "Network is disabled" in f"{caught.value!r} {getattr(caught.value, 'exceptions', '')}"
        with pytest.raises(RuntimeError, match="Network is disabled"), socket.socket() as plain:
            plain.connect((LOOPBACK, 9))
    gc.collect()  # Such sockets are to be dropped here, where that is no error, and not during another test.


def test_every_documented_answer_is_played() -> None:
    """Each cassette of the documentation has its outcome in the table above."""
    assert [path.stem for path in DOCUMENTED] == sorted(OUTCOMES)


# --- The documentation's cassettes and the contract. ---


def documented() -> Iterator[tuple[str, str, Any]]:
    """Yield operation, status code and body of every answer that a page shows, without what looks like a key."""
    for path in CONTRACT["paths"].values():
        for operation in (value for value in path.values() if "responses" in value):
            for code, response in operation["responses"].items():
                for content in response.get("content", {}).values():
                    for example in content.get("examples", {}).values():
                        if "Inferred" not in example["summary"]:
                            body = re.sub("[0-9a-f]{32}", PLACEHOLDER, json.dumps(example["value"]))
                            yield operation["operationId"], code, json.loads(body)


def recorded(path: Path) -> list[Exchange]:
    """Return the exchanges of a file or a folder, all of which can be read."""
    items = list(read(path, [KEY_HEADER]))
    assert [item for item in items if not isinstance(item, Exchange)] == []
    return [item for item in items if isinstance(item, Exchange)]


def test_cassettes_are_the_contract_s_examples() -> None:
    """Every example of the contract has its cassette, and every cassette of the documentation is such an example."""
    there = []
    for exchange in recorded(CASSETTES / "documentation"):
        operation = SPEC.match(exchange.method, exchange.url)
        assert operation is not None
        there.append((operation.operation_id, str(exchange.status_code), json.loads(exchange.response_body or b"")))
    assert sorted(map(repr, there)) == sorted(map(repr, documented()))


@pytest.mark.parametrize("operation", QUESTIONS)
def test_cassettes_ask_what_the_client_asks(operation: str) -> None:
    """The questions are those of the client, but for the key, and for versions of what it is made of."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(403, json={"error": "no"})

    with httpx.Client(transport=httpx.MockTransport(answer)) as http, pytest.raises(PermissionDeniedError):
        asked(LongCat("test-key", http_client=http), QUESTIONS[operation])
    (request,) = sent
    headers = dict(request.headers) | {KEY_HEADER: PLACEHOLDER, "user-agent": "longcat-image"}
    headers["accept-encoding"] = "gzip, deflate"
    cassettes = [path for path in DOCUMENTED if path.name.startswith(f"{operation}-")]
    assert cassettes
    for exchange in [one for path in cassettes for one in recorded(path)]:
        assert (exchange.method, exchange.url) == (request.method, str(request.url))
        assert (exchange.request_headers, exchange.request_body) == (headers, request.content)


@pytest.mark.parametrize("name", ["document_cassettes.py", "demonstrate_drift.py"])
def test_what_is_made_of_the_documentation_is_up_to_date(name: str) -> None:
    """The tools would write the same cassettes, and the same page of what they show, again."""
    tool = ROOT / "tools" / name
    done = subprocess.run([sys.executable, tool, "--check"], check=False, capture_output=True, text=True)  # noqa: S603
    assert (done.returncode, done.stderr) == (0, "")


# --- The live recordings. ---


def test_live_recordings() -> None:
    """The folder holds no recording; or each in it is of the live service, which then still keeps the contract."""
    folder = CASSETTES / "live"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    exchanges = recorded(folder)
    assert bool(files) == bool(exchanges), "There is a file without an exchange in it."
    assert [exchange.source for exchange in exchanges if exchange.origin != "live"] == []
    assert [str(finding) for exchange in exchanges for finding in judge(SPEC, exchange)] == []


def test_what_was_recorded_with_one_library_is_played_to_both(driver: Driver, tmp_path: Path) -> None:
    """The recorder sees the calls of either library, and the client takes its answers for the gateway's with either."""
    recorder, path = VCR(match_on=["method", "port", "path", "body"]), str(tmp_path / "cassette.yaml")
    with running(Settings(api_key=KEY, duration=0)) as url, recorder.use_cassette(path) as made:
        order = ask(driver, ORDER, url)
        assert isinstance(order, Order)
        status = ask(driver, order.request_id, url)
        assert len(made) == 2
    with blocking_context(), recorder.use_cassette(path, record_mode="none", allow_playback_repeats=True):
        for library in LIBRARIES:
            again = Driver(driver.name, library)
            assert [ask(again, ORDER, url), ask(again, order.request_id, url)] == [order, status]


# --- What every recording must be like. ---

SECRETS = {
    "a subscription key": re.compile(r"(?<![0-9a-z])[0-9a-f]{32}(?![0-9a-z])", re.IGNORECASE),
    "a bearer token": re.compile(r"\bbearer\s+(?!REMOVED)[\w.~+/=-]{8,}", re.IGNORECASE),
    "basic credentials": re.compile(r"\bbasic\s+(?!REMOVED)[\w+/]{8,}=*", re.IGNORECASE),
    "a JSON web token": re.compile(r"eyJ[\w-]+\.[\w-]+"),
    "a secret key": re.compile(r"\b(?:sk|pk|rk)[-_]\w{12,}"),
    "a signature in a URL": re.compile(r"[?&](?:[\w-]*(?:key|token|sig|signature|secret))=(?!REMOVED)", re.IGNORECASE),
    "a user in a URL": re.compile(r"://(?!REMOVED)[^/\s@'\"]+@"),
}
HEADERS = re.compile("key|token|secret|auth(?!enticate)|cookie|session", re.IGNORECASE)


def faults(path: Path) -> list[str]:
    """Return why a file may not lie among the cassettes."""
    found = [name for name, pattern in SECRETS.items() if pattern.search(path.read_text("utf-8"))]
    facts = provenance(path)
    if not isinstance(facts, Provenance):
        return [*found, facts.why]
    if facts.origin not in {"live", "documentation", "sandbox"}:
        found.append("an unknown origin")
    if not facts.command or not re.fullmatch("[0-9a-f]{64}", facts.spec) or facts.recorded.tzinfo is None:
        found.append("no command, digest or date")
    for interaction in yamlserializer.deserialize(path.read_text("utf-8"))["interactions"]:
        for side in ("request", "response"):
            headers = interaction[side]["headers"].items()
            found += [
                f"a value of {name}" for name, values in headers if HEADERS.search(name) and values != [PLACEHOLDER]
            ]
        query = parse_qsl(urlsplit(interaction["request"]["uri"]).query)
        found += [f"a value of {name}" for name, value in query if HEADERS.search(name) and value != PLACEHOLDER]
    return found


def test_cassettes_have_an_origin_and_no_secrets() -> None:
    """Every file among the cassettes says where it comes from, and none holds what might be a key."""
    files = [path for path in CASSETTES.rglob("*") if path.is_file() and path.name != "README.md"]
    assert {path.suffix for path in files} == {".yaml"}
    assert {str(path): faults(path) for path in files if faults(path)} == {}
    for path in files:
        facts = provenance(path)
        assert isinstance(facts, Provenance)
        assert facts.origin == path.relative_to(CASSETTES).parts[0]


GOOD = (CASSETTES / "documentation" / "get_request_result-200-completed.yaml").read_text("utf-8")
HEX = "0123456789abcdef" * 2


def packed(text: bytes) -> str:
    """Return text in base64. What looks like a key is put together here, so that no file of this project holds it."""
    return base64.b64encode(text).decode().strip("=")


PLANTED = [
    ("- REMOVED", f"- {HEX}", "a value of ocp-apim-subscription-key"),
    ("- REMOVED", "- short", "a value of ocp-apim-subscription-key"),
    ("- REMOVED", "- ''", "a value of ocp-apim-subscription-key"),
    ('"request_id": "X', f'"request_id": "{HEX}", "x": "X', "a subscription key"),
    ('"request_id": "X', f'"request_id": "{HEX.upper()}", "x": "X', "a subscription key"),
    ("accept:\n      - application/json", "accept:\n      - Bearer " + "sesame" * 3, "a bearer token"),
    ("accept:\n      - application/json", "authorization:\n      - abc", "a value of authorization"),
    ("accept:\n      - application/json", "accept:\n      - Basic " + packed(b"me:sesame"), "basic credentials"),
    (
        "content-type:\n      - application/json\n    body:\n",
        "set-cookie:\n      - a=b\n    body:\n",
        "a value of set-cookie",
    ),
    (
        "question: 200 completed",
        "question: " + packed(b'{"alg": "none"}') + "." + packed(b'{"sub": "1"}'),
        "a JSON web token",
    ),
    ("question: 200 completed", "question: sk-" + "sesame" * 3, "a secret key"),
    ("request-result\n", "request-result?subscription-key=abc\n", "a value of subscription-key"),
    ("XXX.png", "XXX.png?X-Amz-Signature=abc", "a signature in a URL"),
    ("https://storage", "https://me:sesame@storage", "a user in a URL"),
    ("  origin: documentation\n", "", "does not say where it comes from: origin is missing"),
    ("origin: documentation", "origin: hearsay", "an unknown origin"),
    ("  command: ", "  order: ", "does not say where it comes from: command is missing"),
    ("  spec: ", "  spec: x", "no command, digest or date"),
    ("  recorded: ", "  date: ", "does not say where it comes from: recorded is missing"),
    ("about:", "around:", "does not say where it comes from: origin, recorded, command, spec is missing"),
]


@pytest.mark.parametrize(("old", "new", "fault"), PLANTED)
def test_faults_are_found(tmp_path: Path, old: str, new: str, fault: str) -> None:
    """The check above finds what it looks for: each kind of secret, and each fact that is missing."""
    path = tmp_path / "a.yaml"
    path.write_text(GOOD, encoding="utf-8")
    assert faults(path) == []
    assert old in GOOD
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    assert fault in faults(path)

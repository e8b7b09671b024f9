"""The generated client as `longcat.api_client` gives it: every way to call it, on a socket and with recordings."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias, assert_never

import pytest
from longcat_api import AuthenticatedClient
from longcat_api.api.requests import get_request_result, get_request_status, submit_request
from longcat_api.models import (
    CompletedRequest,
    CompletedStatus,
    Error,
    FailedRequest,
    OpenRequest,
    ProcessingStatus,
    QueueError,
    StatusRequest,
    SubmitRequest,
    SubmittedRequest,
)
from longcat_api.types import Response
from vcr import VCR  # type: ignore[import-untyped]

from longcat import ConfigurationError, LongCat, api_client
from longcat.gateway.contract import contract
from longcat.sandbox import EXAMPLE_ID, EXAMPLE_KEY, Fault, Settings, running

CASSETTES = Path(__file__).parents[2] / "cassettes" / "documentation"
PLAYER = VCR(record_mode="none", match_on=["method", "scheme", "host", "port", "path", "query", "body"])
Answer: TypeAlias = CompletedStatus | ProcessingStatus | Error


def model(response: Response[Answer]) -> Answer | None:
    """Return the model in a detailed answer, whose code and bytes are there as well."""
    assert response.content
    assert (response.status_code == 200) == isinstance(response.parsed, CompletedStatus | ProcessingStatus)
    return response.parsed


def sync(client: AuthenticatedClient, body: StatusRequest) -> Answer | None:
    """Ask, and wait for the answer."""
    with client:
        return get_request_result.sync(client=client, body=body)


def sync_detailed(client: AuthenticatedClient, body: StatusRequest) -> Answer | None:
    """Ask, and wait for the answer with its code, headers and bytes."""
    with client:
        return model(get_request_result.sync_detailed(client=client, body=body))


def awaited(client: AuthenticatedClient, body: StatusRequest) -> Answer | None:
    """Ask on an event loop."""

    async def run() -> Answer | None:
        async with client:
            return await get_request_result.asyncio(client=client, body=body)

    return asyncio.run(run())


def awaited_detailed(client: AuthenticatedClient, body: StatusRequest) -> Answer | None:
    """Ask on an event loop for the answer with its code, headers and bytes."""

    async def run() -> Answer | None:
        async with client:
            return model(await get_request_result.asyncio_detailed(client=client, body=body))

    return asyncio.run(run())


Ask: TypeAlias = Callable[[AuthenticatedClient, StatusRequest], Answer | None]
each_way = pytest.mark.parametrize("ask", [sync, sync_detailed, awaited, awaited_detailed])


def told(answer: Answer | None) -> str:
    """Return what an answer says. A type checker sees that no kind of answer is left out."""
    match answer:
        case ProcessingStatus(progress=progress):
            return f"{progress:.0%} done"
        case CompletedStatus(result_url=url):
            return url
        case Error(error=message):
            return message
        case None:
            return "undocumented"
        case _:
            assert_never(answer)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[str]:
    """Return the URL of a sandbox whose requests are done at once."""
    with running(Settings(duration=0)) as url:
        yield url


@each_way
@pytest.mark.parametrize(
    ("key", "request_id", "outcome"),
    [
        (EXAMPLE_KEY, EXAMPLE_ID, rf"http://127\.0\.0\.1:\d+/.*{EXAMPLE_ID}.*"),
        (EXAMPLE_KEY, "nobody", "Endpoint not found"),
        ("another-key", EXAMPLE_ID, "Invalid or missing authentication"),
    ],
    ids=["completed", "not found", "wrong key"],
)
def test_the_sandbox_is_asked(sandbox: str, ask: Ask, key: str, request_id: str, outcome: str) -> None:
    """On a real socket, each answer is the model that the contract names for it."""
    answer = told(ask(api_client(key, sandbox), StatusRequest(request_id)))
    assert re.fullmatch(outcome, answer)


@each_way
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_without_a_proxy(
    sandbox: str, ask: Ask, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy of the environment, which would see the key, has no part in a question to this machine."""
    for variable in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    assert EXAMPLE_ID in told(
        ask(api_client(EXAMPLE_KEY, sandbox.replace("127.0.0.1", host)), StatusRequest(EXAMPLE_ID))
    )


@each_way
def test_an_undocumented_code_has_no_model(ask: Ask) -> None:
    """The answer to a code that is not in the contract is None, and the types say so."""
    with running(Settings(faults=(Fault("cdn-522"),))) as url:
        assert told(ask(api_client(EXAMPLE_KEY, url), StatusRequest(EXAMPLE_ID))) == "undocumented"


@each_way
@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("200-processing_30", "30% done"),
        ("200-completed", "https://storage.pixazo.ai/results/XXXXXXXXXXXXX.png"),
        ("404-table", "Endpoint not found"),
        ("500-table", "An unexpected error occurred, please try again later"),
    ],
)
def test_the_documented_answers_are_read(ask: Ask, name: str, outcome: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The contract's server is asked with the documented body, and each answer becomes the model to match on."""
    monkeypatch.delenv("LONGCAT_BASE_URL", raising=False)
    with PLAYER.use_cassette(str(CASSETTES / f"get_request_result-{name}.yaml")) as cassette:
        assert told(ask(api_client("test-key"), StatusRequest("XXXXXXXXXXXXX"))) == outcome
        assert cassette.all_played


# --- The queue gateway. ---


def told_of_order(answer: SubmittedRequest | QueueError | None) -> str:
    """Return the id of the request that came of an order, or why there is none."""
    match answer:
        case SubmittedRequest(request_id=request_id):
            return request_id
        case QueueError(error=reason):
            return f"no: {reason}"
        case None:
            return "undocumented"
        case _:
            assert_never(answer)


def told_of_request(answer: OpenRequest | CompletedRequest | FailedRequest | QueueError | None) -> str:
    """Return what the queue gateway says about a request."""
    match answer:
        case OpenRequest(status=word):
            return word
        case CompletedRequest(output=output):
            return " ".join(output.media_url)
        case FailedRequest(status=word, error=reason):
            return f"{word}: {reason}"
        case QueueError(error=reason):
            return f"no: {reason}"
        case None:
            return "undocumented"
        case _:
            assert_never(answer)


ORDER = SubmitRequest("two cats", "square_1_1", num_images=2)
DOCUMENTED_ORDER = SubmitRequest(
    *("A lioness in tall grass, golden hour", "landscape_4_3"),
    num_inference_steps=28,
    guidance_scale=4.5,
    num_images=1,
    enable_safety_checker=True,
    output_format="png",
    acceleration="regular",
)
"""The order that the documentation has for an example."""
ORDERED = "longcat-image-498_019dxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("submit_request-202-queued", ORDERED),
        ("submit_request-400-model_disabled", "no: Model not found"),
        ("submit_request-402-balance", "no: Insufficient Balance"),
        (
            "get_request_status-200-completed",
            # The recording does not keep what looks like a secret in the address.
            "https://pub-REMOVED.r2.dev/v1/longcat-image-498_019dxxxx-xxxx/output.ext",
        ),
        ("get_request_status-200-error", "ERROR: Description of the error"),
    ],
)
def test_the_queue_gateways_documented_answers_are_read(name: str, outcome: str) -> None:
    """The contract's server is asked as documented, and each answer becomes the model to match on."""
    with PLAYER.use_cassette(str(CASSETTES / f"{name}.yaml")) as cassette:
        with api_client("test-key", gateway="queue") as client:
            if name.startswith("submit_request"):
                answer = told_of_order(submit_request.sync(client=client, body=DOCUMENTED_ORDER))
            else:
                answer = told_of_request(get_request_status.sync(ORDERED, client=client))
        assert (answer, cassette.all_played) == (outcome, True)


def test_an_order_is_sent_and_asked_about(sandbox: str) -> None:
    """On a real socket, the answers to an order, and to a question about it, are the models that the contract names."""
    with api_client(EXAMPLE_KEY, sandbox, gateway="queue") as client:
        request_id = told_of_order(submit_request.sync(client=client, body=ORDER))
        urls = told_of_request(get_request_status.sync(request_id, client=client))
        assert re.fullmatch(rf"(http://127\.0\.0\.1:\d+/v1/{request_id}/output-[12]\.png ?){{2}}", urls)
        unknown = told_of_request(get_request_status.sync(f"{request_id}0", client=client))
        assert unknown.startswith("no: ")


def test_an_order_is_sent_and_asked_about_on_an_event_loop(sandbox: str) -> None:
    """The same with `await`; without a key that the gateway knows, the answer is an error."""

    async def run(key: str) -> str:
        async with api_client(key, sandbox, gateway="queue") as client:
            order = await submit_request.asyncio(client=client, body=ORDER)
            if not isinstance(order, SubmittedRequest):
                return told_of_order(order)
            return told_of_request(await get_request_status.asyncio(order.request_id, client=client))

    assert asyncio.run(run(EXAMPLE_KEY)).startswith("http://127.0.0.1:")
    assert asyncio.run(run("another-key")) == "no: Unauthorized"


@pytest.mark.parametrize(
    ("arguments", "operation"),
    [
        ({}, "get_request_result"),
        ({"gateway": "result"}, "get_request_result"),
        ({"gateway": "queue"}, "submit_request"),
    ],
    ids=str,
)
def test_each_gateway_has_the_server_of_its_operations(arguments: Any, operation: Any) -> None:
    """Without a base URL, it is the contract's for the gateway, which is the result gateway unless told otherwise."""
    client = api_client("test-key", **arguments)
    assert (str(client.get_httpx_client().base_url), client.auth_header_name) == (
        contract(operation).server,
        contract(operation).key_header,
    )
    given = api_client("test-key", "https://gateway.test", **arguments)
    assert str(given.get_httpx_client().base_url) == "https://gateway.test"


def test_another_gateway_is_refused() -> None:
    """There are two of them, and the error names them."""
    unknown: Any = "webhooks"
    with pytest.raises(ConfigurationError, match="'queue' or 'result'"):
        api_client("test-key", gateway=unknown)


# --- The key, the server and the time. ---


def test_key_and_server_are_found_as_the_facade_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, the variable, the file: the same request leaves by both."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LONGCAT_BASE_URL", "http://gateway.test:8000/")
    monkeypatch.delenv("PIXAZO_API_KEY", raising=False)
    (tmp_path / ".pixazo").mkdir()
    (tmp_path / ".pixazo" / "api-key").write_text("from-file\n")
    client = api_client()
    assert (client.token, client.prefix, client.auth_header_name) == ("from-file", "", "Ocp-Apim-Subscription-Key")
    assert str(client.get_httpx_client().base_url) == "http://gateway.test:8000"
    monkeypatch.setenv("PIXAZO_API_KEY", "from-variable")
    headers = api_client(None, "https://argument.test").get_httpx_client().headers
    assert headers["Ocp-Apim-Subscription-Key"] == "from-variable"
    assert "authorization" not in headers


@pytest.mark.parametrize("arguments", [("",), ("two words",), (42,), ("test-key", "gateway.test"), ("test-key", "")])
def test_what_cannot_be_used_is_refused_as_the_facade_refuses_it(arguments: tuple[str, ...]) -> None:
    """The error is the same, word for word."""
    with pytest.raises(ConfigurationError) as ours:
        api_client(*arguments)
    with pytest.raises(ConfigurationError) as facades:
        LongCat(*arguments)
    assert str(ours.value) == str(facades.value)


def test_no_repr_shows_the_key() -> None:
    """Neither before nor after the HTTP clients are made, which put the key among the headers."""
    client = api_client("a-secret-key", "https://gateway.test")
    shown = [repr(client)]
    with client:
        client.get_async_httpx_client()
        shown += [repr(client), repr(client.with_headers({"X": "y"})), str(client)]
    assert all("secret" not in one for one in shown)
    assert "https://gateway.test" in shown[0]


def test_a_call_has_a_timeout() -> None:
    """The generated client alone would wait for ever."""
    assert api_client("test-key").get_httpx_client().timeout.read == 30.0

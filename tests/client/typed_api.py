"""The types that a caller sees, used as a caller would. A test has a type checker agree with all of it."""

from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, assert_type

import httpx
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

from longcat import (
    AdaptivePolling,
    APIResponseValidationError,
    APIStatusError,
    AsyncLongCat,
    Clock,
    ConfigurationError,
    FixedPolling,
    GenerationFailed,
    GeometricPolling,
    Image,
    LongCat,
    LongCatError,
    Order,
    OrderRequest,
    Outcome,
    Outcomes,
    Plan,
    Polling,
    State,
    Status,
    Violation,
    WaitTimeout,
    api_client,
)
from longcat.testing import FakeGateway, Progress, Question, ScriptedFault, Submission, VirtualClock, refusal

HOOK: Final = "https://me.test/hook"


def make(http: httpx.Client, clock: Clock) -> LongCat:
    """Make a client with every argument."""
    polling: Polling = FixedPolling(5.0)
    assert_type(GeometricPolling(ratio=0.5).plan().next(1.0, None), float)
    adaptive: Polling = AdaptivePolling(question_worth=0.01)
    assert_type(AdaptivePolling().plan().remaining(1.0, share=0.9), float)
    plan: Plan = adaptive.plan()
    plan.finished(1.0)
    return LongCat(
        *("test-key", "https://gateway.test"),
        polling=polling,
        http_client=http,
        clock=clock,
        max_rate=100.0,
        max_in_flight=5,
        journal=None,
    )


def make_async(http: httpx.AsyncClient, clock: Clock) -> AsyncLongCat:
    """Make an asynchronous client with every argument."""
    return AsyncLongCat("test-key", "https://gateway.test", polling=FixedPolling(5), http_client=http, clock=clock)


def use(cat: LongCat) -> None:
    """Call every method, ask six times, and close the client."""
    with cat as entered:
        assert_type(entered, LongCat)
        inspect_status(assert_type(cat.status("r"), Status))
        inspect_image(assert_type(cat.wait("r", timeout=10), Image))
        assert_type(cat.wait("r", None, unknown="raise"), Image)
        statuses = cat.watch("r", 10.0, unknown="wait")
        assert_type(statuses, Iterator[Status])
        for status in statuses:
            assert_type(status, Status)
        outcomes = cat.as_completed(["r"], 10.0, batch_timeout=60.0, on_change=inspect_status)
        assert_type(outcomes, Generator[Outcome])
        inspect_outcome(next(outcomes))
        assert_type(cat.wait_all((one for one in ["r"]), 10, unknown="raise"), list[Image | LongCatError])
    assert_type(cat.close(), None)


def order(cat: LongCat) -> None:
    """Order in every way, four times."""
    with cat:
        taken = assert_type(cat.submit("two cats", image_size="square_1_1", num_images=2, webhook_url=HOOK), Order)
        assert_type((taken.request_id, taken.status, taken.polling_url), tuple[str, Status, str | None])
        assert_type(cat.wait(taken), Image)
        assert_type(cat.status(taken, gateway="queue"), Status)
        assert_type(cat.generate("two cats", timeout=None, id="mine", output_format="webp", guidance_scale=4), Image)
        many: list[str | dict[str, object]] = ["two cats", {"prompt": "a dog", "num_images": 1}]
        outcomes = cat.generate_all(many, 60, resubmit_unknown=True, on_order=inspect_order, on_change=inspect_status)
        assert_type(outcomes, Generator[Outcome])
        for outcome in outcomes:
            inspect_outcome(outcome)
    with suppress(ConfigurationError):
        cat.submit("two cats", image_size="round")  # type: ignore[arg-type]
    with suppress(ConfigurationError):
        cat.generate("two cats", image_sise="square_1_1")  # type: ignore[call-arg]


async def order_async(cat: AsyncLongCat) -> None:
    """Order in every way, three times."""
    async with cat:
        taken = assert_type(
            await cat.submit("two cats", acceleration="regular", webhook_mode="sync", webhook_url=HOOK), Order
        )
        assert_type(await cat.wait(taken.request_id, gateway="queue"), Image)
        assert_type(await cat.generate("two cats", on_change=inspect_status, enable_safety_checker=False), Image)
        outcomes = cat.generate_all(iter([OrderRequest("two cats", {"num_inference_steps": 20})]), batch_timeout=60)
        assert_type(outcomes, Outcomes)
        async for outcome in outcomes:
            inspect_outcome(outcome)


def inspect_order(order: OrderRequest, taken: Order) -> None:
    """Read every attribute."""
    assert_type(
        (order.prompt, order.id, order.webhook_url, order.webhook_mode), tuple[str, str | None, str | None, str | None]
    )
    assert_type((order.body, order.pictures), tuple[dict[str, Any], int])
    assert_type(taken.request_id, str)


async def use_async(cat: AsyncLongCat) -> None:
    """Call every method, ask six times, and close the client."""
    async with cat as entered:
        assert_type(entered, AsyncLongCat)
        inspect_status(assert_type(await cat.status("r"), Status))
        inspect_image(assert_type(await cat.wait("r", timeout=10), Image))
        assert_type(await cat.wait("r", None, unknown="raise"), Image)
        statuses = cat.watch("r", 10.0, unknown="wait")
        assert_type(statuses, AsyncGenerator[Status])
        async for status in statuses:
            assert_type(status, Status)
        outcomes = cat.as_completed(["r"], 10.0, batch_timeout=60.0, on_change=inspect_status)
        assert_type(outcomes, Outcomes)
        assert_type(outcomes.remaining(), float | None)
        inspect_outcome(await anext(outcomes))
        assert_type(await outcomes.aclose(), None)
        assert_type(await cat.wait_all((one for one in ["r"]), 10, unknown="raise"), list[Image | LongCatError])
    assert_type(await cat.close(), None)


def save(cat: LongCat, image: Image, folder: Path) -> None:
    """Download by every kind of argument."""
    assert_type(cat.download(image, folder), Path)
    assert_type(cat.download(image.url, str(folder / "cat.png"), overwrite=True, max_bytes=1, timeout=None), Path)
    assert_type(cat.download_all(image, folder), list[Path])


async def save_async(cat: AsyncLongCat, image: Image, folder: Path) -> None:
    """Download by every kind of argument."""
    assert_type(await cat.download(image, folder), Path)
    assert_type(await cat.download(image.url, str(folder / "cat"), overwrite=True, max_bytes=1, timeout=None), Path)
    assert_type(await cat.download_all(image, folder), list[Path])


def inspect_outcome(outcome: Outcome) -> None:
    """Read every attribute."""
    assert_type(outcome.request_id, str)
    assert_type(outcome.image, Image | None)
    assert_type(outcome.error, LongCatError | None)
    assert_type(outcome.status, Status | None)
    assert_type(outcome.elapsed, float)
    assert_type(outcome.order, OrderRequest | None)
    assert_type(outcome.result(), Image)


def inspect_status(status: Status) -> None:
    """Read every attribute."""
    assert_type(status.request_id, str)
    assert_type(status.state, State)
    assert_type(status.state.is_final, bool)
    assert_type(status.raw_state, str)
    # Wrong on purpose: a checker that took everything for Any would find nothing to ignore here, and say so.
    assert_type(status.raw_state, int)  # type: ignore[assert-type]
    assert_type(status.progress, float | None)
    assert_type(status.image, Image | None)
    assert_type(status.error, str | None)


def inspect_image(image: Image) -> None:
    """Read every attribute."""
    assert_type(image.request_id, str)
    assert_type(image.url, str)
    assert_type(image.urls, tuple[str, ...])
    assert_type(image.created_at, datetime | None)
    assert_type(image.duration, timedelta | None)
    assert_type(image.model_version, str | None)


def pretend() -> None:
    """Script a gateway with every argument, and make clients of it."""
    gateway = FakeGateway(VirtualClock(start=0.0), latency=0.5, max_rate=5)
    faults: list[ScriptedFault] = [
        429,
        refusal(429, retry_after=7),
        httpx.ReadTimeout("late"),
        lambda _: httpx.Response(500),
    ]
    progress: Progress = "eased"
    chained = gateway.request(
        "r", 42, progress, words={"queued": 10}, fails="no", faults=faults, picture=b"", answer=None
    )
    assert_type(chained, FakeGateway)
    assert_type(chained.request("s", takes=5, progress=lambda share: share, ends="cancelled"), FakeGateway)
    assert_type(gateway.order(5, times=None, words={"QUEUED": 2}, ends="ERROR", picture=[b"one", b"two"]), FakeGateway)
    rich = FakeGateway(balance=1.3).order_faults(503, *faults).order(takes=5)
    assert_type(rich.balance, Decimal | None)
    assert_type(rich.orders, list[Submission])
    assert_type(gateway.clock, Clock)
    assert_type(gateway.questions, list[Question])
    assert_type(gateway.downloads, list[str])
    assert_type(gateway.picture("r"), bytes)
    assert_type(gateway.client(polling=FixedPolling(5)), LongCat)
    assert_type(gateway.async_client("test-key", "https://gateway.test"), AsyncLongCat)
    httpx.Client(transport=gateway).close()


def send_the_typed_client() -> None:
    """Make the generated client, and send one call with it."""
    client = api_client("test-key", "https://gateway.test")
    assert_type(client, AuthenticatedClient)
    answer = get_request_result.sync(client=client, body=StatusRequest("r"))
    assert_type(answer, CompletedStatus | ProcessingStatus | Error | None)
    queue = api_client("test-key", "https://gateway.test", gateway="queue")
    order = submit_request.sync(client=queue, body=SubmitRequest("two cats", "square_1_1"))
    assert_type(order, SubmittedRequest | QueueError | None)
    status = get_request_status.sync("r", client=queue)
    assert_type(status, OpenRequest | CompletedRequest | FailedRequest | QueueError | None)


def inspect_errors(raised: list[Exception]) -> None:
    """Read every attribute of the exceptions that have some."""
    for one in raised:
        with suppress(ValueError):
            inspect_error(one)


def inspect_error(raised: Exception) -> None:
    """Catch one, and read its attributes."""
    try:
        raise raised
    except APIStatusError as error:
        assert_type(error.status_code, int)
        assert_type(error.message, str)
        assert_type(error.body, bytes)
        assert_type(error.retry_after, float | None)
        assert_type(error.request_id, str | None)
    except APIResponseValidationError as error:
        assert_type(error.findings, tuple[Violation, ...])
        assert_type(error.body, bytes)
    except GenerationFailed as error:
        assert_type(error.status, Status)
    except WaitTimeout as error:
        assert_type(error.request_id, str)
        assert_type(error.elapsed, float)
        assert_type(error.last_status, Status | None)
        assert_type(error.last_error, LongCatError | None)
    except LongCatError as error:
        assert_type(error.transient, bool)

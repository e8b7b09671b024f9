"""What `submit`, `generate`, `generate_all`, and `wait` and `status` of an order do, in virtual time.

How an order can end that is not plainly taken is in `test_submit.py`.
"""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import repeat
from math import inf, nan
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from attrs import evolve, frozen
from fakes import (
    IMAGE,
    KEY,
    ORDERED,
    URL,
    Cat,
    Driver,
    Reply,
    Script,
    anatomy,
    by_driver,
    changes,
    completed,
    fails,
    says,
)

from longcat import (
    APIResponseValidationError,
    APITimeoutError,
    AuthenticationError,
    ConfigurationError,
    GenerationCancelled,
    GenerationFailed,
    Image,
    InsufficientBalanceError,
    LongCatError,
    NotFoundError,
    Order,
    OrderRequest,
    Outcome,
    State,
    Status,
    Violation,
    WaitTimeout,
)
from longcat.gateway.contract import contract
from longcat.gateway.gateways import age
from longcat.testing import FakeGateway, VirtualClock
from longcat.testing.gateway import ORDER_PATH, RESULT_PATH, STATUS_PATH

pytestmark = pytest.mark.usefixtures("no_jitter")

SYNC: Final = Driver("sync")
"""For what is decided before a driver has anything to do."""
PICTURES: Final = ("https://storage.test/one.png", "https://storage.test/two.png")
PROMPT: Final = "two cats"
ORDER: Final = OrderRequest(PROMPT, {"image_size": "landscape_4_3"})
SUBMITTED: Final = {"request_id": ORDERED, "status": "QUEUED", "polling_url": f"{URL}{STATUS_PATH}{ORDERED}"}
TAKEN: Final = says(SUBMITTED, 202)


def tells(word: str, **more: Any) -> dict[str, Any]:
    """Return the queue gateway's answer about a request with this word, and more fields if wanted."""
    usual = {"request_id": ORDERED, "status": word, "model_id": "longcat-image-498", "error": None, "output": None}
    return {**usual, **more}


DATES: Final = {
    "created_at": "2026-03-31T10:00:00.000Z",
    "updated_at": "2026-03-31T10:00:15.000Z",
    "completed_at": "2026-03-31T10:00:15.000Z",
}
OUTPUT: Final = {"media_url": [*PICTURES], "media_type": "image/png"}
FINISHED: Final = says(tells("COMPLETED", output=OUTPUT, **DATES))
MADE: Final = Image(
    ORDERED, PICTURES[0], PICTURES, datetime(2026, 3, 31, 10, tzinfo=UTC), timedelta(seconds=15), model_version=None
)
QUEUED: Final = Status(ORDERED, State.QUEUED, "QUEUED")
PROCESSING: Final = Status(ORDERED, State.PROCESSING, "PROCESSING")
DONE: Final = Status(ORDERED, State.COMPLETED, "COMPLETED", image=MADE)
AT_ONCE: Final = evolve(DONE, image=Image(ORDERED, PICTURES[0], PICTURES))
"""A status whose answer had the pictures and no dates."""


# --- What is sent. ---


def sent(driver: Driver, prompt: str = PROMPT, **fields: Any) -> httpx.Request:
    """Order, and return what went out."""
    script = Script(TAKEN)

    async def scenario(cat: Cat) -> Order:
        return await cat.submit(prompt, **fields)

    assert driver.run(scenario, script).request_id == ORDERED
    (request,) = script.requests
    return request


def test_an_order_is_the_documented_call(driver: Driver) -> None:
    """It is a POST with the prompt, the size that the documentation's example has, and nothing that was not set."""
    request = sent(driver)
    headers = dict(request.headers)
    assert (request.method, str(request.url)) == ("POST", f"{URL}{ORDER_PATH}")
    assert json.loads(request.content) == {"prompt": PROMPT, "image_size": "landscape_4_3"}
    for name in ("accept-encoding", "connection", "user-agent", "content-length", "host"):
        del headers[name]
    assert headers == {
        "accept": "application/json",
        "cache-control": "no-cache",
        "content-type": "application/json",
        "ocp-apim-subscription-key": KEY,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"image_size": "square_1_1"},
        {"num_inference_steps": 28, "guidance_scale": 4.5, "num_images": 1, "enable_safety_checker": True},
        {"enable_safety_checker": False, "output_format": "webp", "acceleration": "high_performance"},
        {"guidance_scale": 4, "output_format": "jpeg", "image_size": "ultra_portrait_9_16"},
    ],
    ids=str,
)
def test_what_is_set_is_sent_as_it_is(fields: dict[str, Any]) -> None:
    """False and numbers included; and nothing else but a size."""
    body = json.loads(sent(SYNC, **fields).content)
    assert body == {"prompt": PROMPT, "image_size": "landscape_4_3", **fields}


def test_none_is_as_if_it_was_not_set() -> None:
    """A caller may pass None on for what their own caller did not name."""
    body = json.loads(sent(SYNC, image_size=None, num_images=None, webhook_url=None, id=None).content)
    assert body == {"prompt": PROMPT, "image_size": "landscape_4_3"}


@pytest.mark.parametrize("prompt", ["猫 und Löwin 🦁", 'quo"tes and \\ and\nlines', "x" * 100_000], ids=len)
def test_a_prompt_is_sent_as_it_is(prompt: str) -> None:
    """Letters of any script, quotes and line breaks arrive unharmed; no length is documented."""
    assert json.loads(sent(SYNC, prompt).content)["prompt"] == prompt


def test_webhooks_are_headers_and_the_name_stays_here(driver: Driver) -> None:
    """The documentation has the webhook in headers. The caller's own name for an order is nobody else's business."""
    request = sent(driver, webhook_url="https://me.test/hook", webhook_mode="sync", id="lioness-1")
    assert (request.headers["x-webhook-url"], request.headers["x-webhook-mode"]) == ("https://me.test/hook", "sync")
    assert json.loads(request.content) == {"prompt": PROMPT, "image_size": "landscape_4_3"}
    assert "lioness" not in str(request.headers)


# --- What is refused before anything is sent. ---

REFUSED: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "an unknown size": ({"image_size": "landscape"}, "/image_size should be landscape_4_3 or"),
    "a size in capitals": ({"image_size": "SQUARE_1_1"}, "/image_size should be"),
    "no size": ({"image_size": ""}, "/image_size should be"),
    "an unknown format": ({"output_format": "gif"}, "/output_format should be png or jpeg or webp"),
    "an unknown acceleration": ({"acceleration": "none"}, "/acceleration should be regular or high_performance"),
    "a number as text": ({"num_images": "2"}, "/num_images should be"),
    "no whole number": ({"num_inference_steps": 28.5}, "/num_inference_steps should be"),
    "a truth as a number": ({"num_images": True}, "/num_images should be"),
    "no picture": ({"num_images": 0}, "/num_images should be at least 1, but is 0"),
    "fewer than none": ({"num_images": -1}, "/num_images should be at least 1, but is -1"),
    "no step": ({"num_inference_steps": 0}, "/num_inference_steps should be at least 1, but is 0"),
    "a number as a truth": ({"enable_safety_checker": 0}, "/enable_safety_checker should be"),
    "no number": ({"guidance_scale": nan}, "can't be sent as JSON: a number in it is not finite"),
    "no end": ({"guidance_scale": inf}, "can't be sent as JSON: a number in it is not finite"),
    "an unknown field": ({"seed": 7}, 'has no field "seed": there are prompt, image_size'),
    "a field that is misspelt": ({"image_sise": "square_1_1"}, 'has no field "image_sise"'),
    "an empty prompt": ({"prompt": ""}, "The prompt is empty"),
    "a prompt of spaces": ({"prompt": " \n"}, "The prompt is empty"),
    "a prompt that is none": ({"prompt": 7}, "/prompt should be"),
    "half a letter": ({"prompt": "\ud800"}, "can't be sent as JSON: a text in it is not Unicode"),
    "an id that is none": ({"id": 7}, "The id of an order is a printable text"),
    "an id of two lines": ({"id": "a\nb"}, "The id of an order is a printable text"),
    "a webhook in the clear": ({"webhook_url": "http://me.test/"}, "must be https:// and a host"),
    "a webhook that is none": ({"webhook_url": "me.test"}, "must be https:// and a host"),
    "a webhook of two lines": ({"webhook_url": "https://me.test/\r\nX: y"}, "must be https:// and a host"),
    "a webhook in letters that no header takes": ({"webhook_url": "https://me.test/ц"}, "must be https:// and a host"),
    "a webhook with a space": ({"webhook_url": "https://me.test/a b"}, "must be https:// and a host"),
    "an unknown mode": ({"webhook_url": "https://me.test/", "webhook_mode": "all"}, "terminal or sync"),
    "a mode alone": ({"webhook_mode": "sync"}, "needs a webhook_url"),
}
METHODS: Final[dict[str, Callable[[Any, dict[str, Any]], Any]]] = {
    "submit": lambda cat, order: cat.submit(**order),
    "generate": lambda cat, order: cat.generate(**order),
    "generate_all": lambda cat, order: cat.generate_all([PROMPT, order]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED)
def test_what_can_not_be_ordered_is_refused_before_anything_is_paid(
    method: str, fields: dict[str, Any], message: str
) -> None:
    """The error names the field and what it may be; of a list, every order is looked at before the first goes out."""
    script = Script()

    async def scenario(cat: Cat) -> None:
        call = METHODS[method](cat, {"prompt": PROMPT, **fields})
        if method != "generate_all":
            await call

    with pytest.raises(ConfigurationError) as caught:
        SYNC.run(scenario, script)
    assert message in str(caught.value)
    assert ("Order 2: " in str(caught.value)) == (method == "generate_all")
    assert script.requests == []


@pytest.mark.parametrize("order", [7, None, b"a cat", ["a cat"], {7: "a cat"}, {"prompt": "a cat", None: 1}], ids=repr)
def test_what_is_no_order_is_refused_in_a_list(order: Any) -> None:
    """It says what an order is, and which one of the list is none."""
    with FakeGateway().client() as cat, pytest.raises(ConfigurationError) as caught:
        cat.generate_all([PROMPT, order])
    assert "Order 2: An order is a prompt, or a mapping of its fields, not " in str(caught.value)


@pytest.mark.parametrize("fields", [{"image_sise": "square_1_1"}, {"webhook_mode": "sync"}], ids=str)
def test_every_client_refuses_before_anything_is_paid(driver: Driver, fields: dict[str, Any]) -> None:
    """`AsyncLongCat` does so, too."""
    script = Script()

    async def scenario(cat: Cat) -> None:
        await cat.generate(PROMPT, **fields)

    with pytest.raises(ConfigurationError):
        driver.run(scenario, script)
    assert script.requests == []


@pytest.mark.parametrize("timeout", [-1, nan, True, "10"], ids=repr)
@pytest.mark.parametrize("method", METHODS)
def test_a_timeout_that_is_no_time_is_refused(method: str, timeout: Any) -> None:
    """Before anything is paid."""
    script = Script()

    async def scenario(cat: Cat) -> None:
        if method == "generate_all":
            cat.generate_all([PROMPT], timeout)
        else:
            await getattr(cat, method)(PROMPT, timeout=timeout)

    with pytest.raises(ConfigurationError, match=r"^A timeout is"):
        SYNC.run(scenario, script)
    assert script.requests == []


@pytest.mark.parametrize("orders", [PROMPT, b"two cats", {"prompt": PROMPT}, 7, None], ids=repr)
def test_orders_are_many(driver: Driver, orders: Any) -> None:
    """One order where many should be would be taken for its letters or names; it is refused."""

    async def scenario(cat: Cat) -> None:
        cat.generate_all(orders)

    script = Script()
    with pytest.raises(ConfigurationError, match="Pass the orders as a list"):
        driver.run(scenario, script)
    assert script.requests == []


@pytest.mark.parametrize("unknown", ["ignore", None])
def test_an_unknown_way_to_meet_unknown_words_is_refused(unknown: Any) -> None:
    """Before anything is paid, not after the order."""
    script = Script()

    async def one(cat: Cat) -> None:
        await cat.generate(PROMPT, unknown=unknown)

    async def many(cat: Cat) -> None:
        cat.generate_all([PROMPT], unknown=unknown)

    for scenario in (one, many):
        with pytest.raises(ConfigurationError, match=r"^unknown is 'wait' or 'raise'"):
            SYNC.run(scenario, script)
    assert script.requests == []


@pytest.mark.parametrize(
    ("fields", "warns"),
    [
        ({"num_inference_steps": 1}, False),
        ({"num_inference_steps": 100}, False),
        ({"num_inference_steps": 101}, True),
        ({"guidance_scale": 20}, False),
        ({"guidance_scale": 0.5}, True),
        ({"num_images": 4}, False),
        ({"num_images": 5}, True),
    ],
    ids=str,
)
def test_a_value_outside_of_a_sister_models_range_warns_and_goes_out(
    fields: dict[str, Any], warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The documentation has no range, so only a count below it is refused; the log names field, value and range."""
    assert json.loads(sent(SYNC, **fields).content).items() >= fields.items()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    ((name, value),) = fields.items()
    assert len(warnings) == warns
    assert all(f"{name} is {value}: the documentation gives no range" in warning for warning in warnings)


# --- What comes of an order that is taken: one table, through every method. ---


@frozen
class Row:
    """What a gateway does about an order and its request, and what comes of it.

    Attributes:
        replies: what the gateway does. The first reply is that to the order.
        asked: when each call goes out.
        seen: every change, the answer to the order first.
        end: the image, or what is raised.
        timeout: seconds for all of it. None: no bound.
        unknown: the argument of the same name.
    """

    replies: tuple[Reply, ...]
    asked: list[float]
    seen: list[Status]
    end: Image | LongCatError
    timeout: float | None = None
    unknown: Any = "wait"


def failing(kind: type[GenerationFailed], word: str, state: State, reason: str | None) -> Row:
    """Return the row of a request that fails."""
    status = Status(ORDERED, state, word, error=reason)
    return Row((TAKEN, says(tells(word, error=reason))), [0.0, 4.0], [QUEUED, status], kind(status))


def unseen(code: int = 404) -> Reply:
    """Return the answer about a request that the gateway does not know yet."""
    return says({"error": "Request not found"}, code)


NOT_FOUND: Final = NotFoundError(404, "Request not found", b'{"error": "Request not found"}', request_id=ORDERED)
DREAMING: Final = says(tells("DREAMING"))
BROKEN: Final = tells("COMPLETED", output={"media_url": []})

ROWS: Final = {
    "done": Row(
        (TAKEN, says(tells("QUEUED")), says(tells("PROCESSING")), FINISHED),
        [0.0, 4.0, 8.0, 12.0],
        [QUEUED, PROCESSING, DONE],
        MADE,
    ),
    "done at the first question": Row((TAKEN, FINISHED), [0.0, 4.0], [QUEUED, DONE], MADE),
    "a slow answer to the order": Row((says(SUBMITTED, 202, after=20.0), FINISHED), [0.0, 24.0], [QUEUED, DONE], MADE),
    "the pictures at once": Row(
        (says({**SUBMITTED, "status": "COMPLETED", "output": OUTPUT}, 202),), [0.0], [AT_ONCE], AT_ONCE.image or IMAGE
    ),
    "done, it says, without pictures": Row(
        (says({**SUBMITTED, "status": "COMPLETED"}, 202), FINISHED),
        [0.0, 4.0],
        [evolve(QUEUED, raw_state="COMPLETED"), DONE],
        MADE,
    ),
    "failed": failing(GenerationFailed, "FAILED", State.FAILED, "out of memory"),
    "failed, no reason": failing(GenerationFailed, "FAILED", State.FAILED, None),
    "an error of the system": failing(GenerationFailed, "ERROR", State.FAILED, "Description of the error"),
    "failed, in small letters": failing(GenerationFailed, "failed", State.FAILED, "out of memory"),
    "cancelled": failing(GenerationCancelled, "CANCELLED", State.CANCELLED, "as you wished"),
    "failed at once": Row(
        (says({"request_id": ORDERED, "status": "FAILED", "error": "no cats"}),),
        [0.0],
        [Status(ORDERED, State.FAILED, "FAILED", error="no cats")],
        GenerationFailed(Status(ORDERED, State.FAILED, "FAILED", error="no cats")),
    ),
    "not visible at first": Row((TAKEN, unseen(), unseen(), FINISHED), [0.0, 4.0, 4.5, 5.5], [QUEUED, DONE], MADE),
    "not visible for too long": Row(
        (TAKEN, *[unseen()] * 8), [0.0, 4.0, 4.5, 5.5, 7.5, 11.5, 19.5, 29.5, 39.5], [QUEUED], NOT_FOUND
    ),
    "faults that pass": Row(
        (TAKEN, says(b"", 522), fails(httpx.ReadError("reset")), says(b"<html></html>", 403), FINISHED),
        [0.0, 4.0, 4.5, 5.5, 7.5],
        [QUEUED, DONE],
        MADE,
    ),
    "a rate limit": Row(
        (TAKEN, says({"error": "slow down"}, 429, {"Retry-After": "9"}), FINISHED),
        [0.0, 4.0, 13.0],
        [QUEUED, DONE],
        MADE,
    ),
    "a key that is no longer good": Row(
        (TAKEN, says({"error": "Unauthorized"}, 401)),
        [0.0, 4.0],
        [QUEUED],
        AuthenticationError(401, "Unauthorized", b'{"error": "Unauthorized"}', request_id=ORDERED),
    ),
    "breaks the contract": Row(
        (TAKEN, says(BROKEN)),
        [0.0, 4.0],
        [QUEUED],
        APIResponseValidationError(
            (Violation("/output/media_url", "of at least 1 items", "[]"),), json.dumps(BROKEN).encode(), ORDERED
        ),
    ),
    "an unknown word": Row(
        (TAKEN, DREAMING, FINISHED), [0.0, 4.0, 8.0], [QUEUED, Status(ORDERED, State.UNKNOWN, "DREAMING"), DONE], MADE
    ),
    "the deadline": Row(
        (TAKEN, says(tells("PROCESSING")), says(tells("PROCESSING"))),
        [0.0, 4.0, 8.0],
        [QUEUED, PROCESSING],
        WaitTimeout(ORDERED, 9.0, PROCESSING),
        timeout=9.0,
    ),
}
rows = by_driver(ROWS, "row", "done", "the pictures at once", "failed", "not visible at first", "the deadline")


def plain(error: LongCatError) -> tuple[Any, list[str]]:
    """Return what tells an error from another one, and its notes."""
    notes = vars(error).pop("__notes__", [])
    return anatomy(error), notes


@rows
def test_generate_does_what_the_table_says(driver: Driver, row: Row) -> None:
    """It orders once, asks at these moments, tells of every change, and ends so; an error's note has the id."""
    script, seen, end, notes = Script(*row.replies), list[Status](), None, list[str]()

    async def scenario(cat: Cat) -> Image:
        return await cat.generate(PROMPT, timeout=row.timeout, unknown=row.unknown, on_change=seen.append)

    try:
        end = driver.run(scenario, script)
    except LongCatError as error:
        end, notes = plain(error)
    assert (script.asked, seen, end) == (row.asked, row.seen, anatomy(row.end))
    assert [ORDERED in note for note in notes] == ([] if isinstance(row.end, Image) else [True])
    assert [request.method for request in script.requests] == ["POST", *["GET"] * (len(row.replies) - 1)]


@rows
def test_submit_and_wait_do_what_generate_does(driver: Driver, row: Row) -> None:
    """The wait for an order goes on where the answer to it ended: the same questions, changes and end."""
    script, left = Script(*row.replies), row.timeout

    async def scenario(cat: Cat) -> tuple[list[Status], LongCatError | None]:
        order = await cat.submit(PROMPT)
        assert order.status == row.seen[0]
        return await changes(cat.watch(order, left, unknown=row.unknown))

    seen, error = driver.run(scenario, script)
    end = None if isinstance(row.end, Image | GenerationFailed) else row.end
    assert (script.asked, seen, anatomy(error)) == (row.asked, row.seen, anatomy(end))


@rows
def test_generate_all_yields_what_generate_ends_in(driver: Driver, row: Row) -> None:
    """An outcome has the image or the error, the id of the request, the last answer and what was ordered."""
    script = Script(*row.replies)

    async def scenario(cat: Cat) -> list[Outcome]:
        return [one async for one in cat.generate_all([PROMPT], row.timeout, unknown=row.unknown)]

    (outcome,) = driver.run(scenario, script)
    ended = outcome.image or plain(outcome.error or LongCatError())[0]
    assert (script.asked, ended) == (row.asked, anatomy(row.end))
    assert (outcome.request_id, outcome.order, outcome.status) == (ORDERED, ORDER, row.seen[-1])
    assert outcome.elapsed == script.clock.now


# --- Which gateway is asked. ---

DOCUMENTED_IDS: Final = {
    "the documentation's": ORDERED,
    "of a sister model": "flux-1-schnell-512_019b36ea-c8e2-7e1b-9f24-3a0b1c2d4e5f6",
    "not quite a UUID": "longcat-image-498_019DXXXX-1-2-3-45678901234567890",
}
OTHER_IDS: Final = {
    "the result gateway's": "XXXXXXXXXXXXX",
    "a UUID": "019b36ea-c8e2-7e1b-9f24-3a0b1c2d4e5f",
    "no groups": "longcat-image-498_019b36eac8e27e1b",
    "four groups": "longcat-image-498_019b36ea-c8e2-7e1b-9f24",
    "two underscores": "longcat_image_498_019b36ea-c8e2-7e1b-9f24-3a0b1c2d4e5f6x",
    "something after it": f"{ORDERED} again",
    "a path": f"../{ORDERED}/x",
}
ASKING: Final[dict[str, Callable[[Any, str, dict[str, Any]], Any]]] = {
    "status": lambda cat, request_id, options: cat.status(request_id, **options),
    "wait": lambda cat, request_id, options: cat.wait(request_id, **options),
    "wait_all": lambda cat, request_id, options: cat.wait_all([request_id], **options),
    "watch": lambda cat, request_id, options: _all(cat.watch(request_id, **options)),
    "as_completed": lambda cat, request_id, options: _all(cat.as_completed([request_id], **options)),
}


async def _all(values: Any) -> list[Any]:
    return [value async for value in values]


def asked(driver: Driver, method: str, request_id: str, **options: Any) -> str:
    """Ask about a request that is done, and return which gateway was asked."""
    script = Script(then=repeat(says({**completed(request_id=request_id), "output": OUTPUT})))

    async def scenario(cat: Cat) -> None:
        await ASKING[method](cat, request_id, options)

    driver.run(scenario, script)
    (request,) = script.requests
    if request.method == "POST":
        assert (request.url.path, json.loads(request.content)) == (RESULT_PATH, {"request_id": request_id})
        return "result"
    assert (request.method, request.url.path, request.content) == ("GET", f"{STATUS_PATH}{request_id}", b"")
    return "queue"


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("request_id", DOCUMENTED_IDS.values(), ids=DOCUMENTED_IDS)
def test_a_bare_id_of_the_documented_form_goes_to_the_queue_gateway(method: str, request_id: str) -> None:
    """Whichever method is called, and whatever the last groups look like."""
    assert asked(SYNC, method, request_id) == "queue"


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("request_id", OTHER_IDS.values(), ids=OTHER_IDS)
def test_every_other_bare_id_goes_to_the_result_gateway(method: str, request_id: str) -> None:
    """As before there was another one."""
    assert asked(SYNC, method, request_id) == "result"


@pytest.mark.in_turn
@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize(("request_id", "gateway"), [(ORDERED, "result"), ("r/é ?#%2F", "queue")])
def test_the_caller_settles_doubt(driver: Driver, method: str, request_id: str, gateway: Any) -> None:
    """With `gateway=`, the form of the id does not matter, and an id of any form is quoted in the path."""
    assert asked(driver, method, request_id, gateway=gateway) == gateway


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("gateway", ["Queue", "", "status", 7, []], ids=repr)
def test_a_gateway_that_there_is_not_is_refused(method: str, gateway: Any) -> None:
    """The error names the two that there are, and nothing is asked."""
    with pytest.raises(ConfigurationError, match="'queue' or 'result'"):
        asked(SYNC, method, ORDERED, gateway=gateway)


def test_the_question_is_the_documented_one(driver: Driver) -> None:
    """A GET with the key in its header, and no body."""
    script = Script(FINISHED)

    async def scenario(cat: Cat) -> Status:
        return await cat.status(ORDERED)

    assert driver.run(scenario, script) == DONE
    headers = dict(script.requests[0].headers)
    for name in ("accept-encoding", "connection", "user-agent", "host"):
        del headers[name]
    assert headers == {"accept": "application/json", "ocp-apim-subscription-key": KEY}


def test_each_gateway_has_the_server_of_the_contract(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no base URL is given, orders and their requests go to the one, other requests to the other."""
    monkeypatch.setattr("fakes.URL", None)
    script = Script(TAKEN, FINISHED, says(completed()))

    async def scenario(cat: Cat) -> None:
        await cat.generate(PROMPT)
        await cat.wait("r")

    driver.run(scenario, script)
    servers = [contract(name).server for name in ("submit_request", "get_request_status", "get_request_result")]
    assert [f"{request.url.scheme}://{request.url.host}" for request in script.requests] == servers


# --- An order, once it is taken. ---


def test_status_asks_about_an_order_once(driver: Driver) -> None:
    """One question to the queue gateway, also about an id of another form, and no pause."""
    order = Order("r", evolve(QUEUED, request_id="r"))
    script = Script(says(tells("PROCESSING", request_id="r")))

    async def scenario(cat: Cat) -> Status:
        return await cat.status(order)

    assert driver.run(scenario, script) == evolve(PROCESSING, request_id="r")
    assert (script.requests[0].url.path, script.clock.sleeps) == (f"{STATUS_PATH}r", [])


def test_an_order_of_an_hour_ago_is_asked_about_at_once(driver: Driver) -> None:
    """What the answer to the order said is news only as long as the order is new, which its id tells."""
    clock = VirtualClock()
    born = f"{int(clock.time() * 1000):012x}"
    request_id = f"longcat-image-498_{born[:8]}-{born[8:]}-7000-8000-0123456789abc"
    script = Script(
        says({**SUBMITTED, "request_id": request_id}, 202),
        says(tells("COMPLETED", request_id=request_id, output=OUTPUT)),
        clock=clock,
    )

    async def scenario(cat: Cat) -> Image:
        order = await cat.submit(PROMPT)
        clock.now += 1800.0
        return await cat.wait(order)

    assert driver.run(scenario, script).urls == PICTURES
    assert (script.asked, clock.sleeps) == ([0.0, 1800.0], [])


def test_a_bare_id_that_is_not_known_is_an_error_at_once(driver: Driver) -> None:
    """Only of an order that was taken is it known that there must be such a request."""
    script = Script(unseen())

    async def scenario(cat: Cat) -> None:
        await cat.wait(ORDERED)

    with pytest.raises(NotFoundError):
        driver.run(scenario, script)


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.test/v2/requests/status/x",
        "http://gateway.test/v2/requests/status/x",
        "https://gateway.test:444/v2/requests/status/x",
        "https://gateway.test@elsewhere.test/x",
        f"{URL}/another/path",
    ],
)
def test_a_polling_url_is_a_hint_that_is_never_followed(driver: Driver, url: str) -> None:
    """The key goes to the gateway that the client knows, wherever the answer points; the caller can read the hint."""
    script = Script(says({**SUBMITTED, "polling_url": url}, 202), FINISHED)

    async def scenario(cat: Cat) -> str | None:
        order = await cat.submit(PROMPT)
        assert (await cat.wait(order)).urls == PICTURES
        return order.polling_url

    assert driver.run(scenario, script) == url
    assert [str(request.url) for request in script.requests] == [f"{URL}{ORDER_PATH}", f"{URL}{STATUS_PATH}{ORDERED}"]


@pytest.mark.parametrize("url", [None, "", 7, "/v2/requests", "ftp://gateway.test/", "https://", ["x"], "javascript:x"])
def test_a_polling_url_that_is_none_is_left_out(url: Any) -> None:
    """An order that is taken is not given up for it."""
    script = Script(says({**SUBMITTED, "polling_url": url}, 202))

    async def scenario(cat: Cat) -> Order:
        return await cat.submit(PROMPT)

    assert SYNC.run(scenario, script) == Order(ORDERED, QUEUED, None)


# --- What sister models of the same queue answer. ---


@frozen
class Variant:
    """An answer of another form than the documented one, and what it says.

    Attributes:
        body: its fields; of those that `tells` has, None leaves one out.
        status: what it says.
    """

    body: dict[str, Any]
    status: Status


def failed(reason: str | None, word: str = "FAILED") -> Status:
    """Return the status of a request that failed."""
    return Status(ORDERED, State.FAILED, word, error=reason)


WITHOUT: Final[dict[str, Any]] = {"model_id": ..., "error": ..., "output": ...}
"""Marks fields that are not there."""
VARIANTS: Final = {
    "a message while it runs": Variant({**WITHOUT, "status": "PROCESSING", "message": "Working"}, PROCESSING),
    "a message while it waits": Variant({**WITHOUT, "status": "QUEUED", "message": "Accepted"}, QUEUED),
    "the supplier's word for queued": Variant({"status": "IN_QUEUE"}, evolve(QUEUED, raw_state="IN_QUEUE")),
    "the supplier's word for running": Variant({"status": "in_progress"}, evolve(PROCESSING, raw_state="in_progress")),
    "result.images": Variant(
        {**WITHOUT, "status": "COMPLETED", "result": {"images": [{"url": url, "width": 8} for url in PICTURES]}},
        AT_ONCE,
    ),
    "images at the top": Variant({"status": "COMPLETED", "images": [{"url": url} for url in PICTURES]}, AT_ONCE),
    "a picture as one string": Variant(
        {"status": "COMPLETED", "output": {"media_url": PICTURES[0], "media_type": "image/png"}},
        evolve(AT_ONCE, image=Image(ORDERED, PICTURES[0], PICTURES[:1])),
    ),
    "no pictures here, but there": Variant(
        {"status": "COMPLETED", "output": {"media_url": []}, "result": {"images": [{"url": url} for url in PICTURES]}},
        AT_ONCE,
    ),
    "dates without a zone": Variant(
        {
            "status": "COMPLETED",
            "output": OUTPUT,
            "created_at": "2026-03-31T10:00:00.000Z",
            "updated_at": "2026-03-31 10:00:15",
            "completed_at": "2026-03-31 10:00:15",
        },
        DONE,
    ),
    "dates without a zone, with a T and a fraction": Variant(
        {
            "status": "COMPLETED",
            "output": OUTPUT,
            "created_at": "2026-03-31T10:00:00.000",
            "completed_at": "2026-03-31 10:00:15.000000",
        },
        DONE,
    ),
    "dates with a blank and a zone": Variant(
        {
            "status": "COMPLETED",
            "output": OUTPUT,
            "created_at": "2026-03-31 10:00:00Z",
            "completed_at": "2026-03-31 12:00:15+02:00",
        },
        DONE,
    ),
    "dates that are null": Variant({"status": "COMPLETED", "output": OUTPUT, **dict.fromkeys(DATES)}, AT_ONCE),
    "an error that is empty": Variant({"status": "COMPLETED", "output": OUTPUT, **DATES, "error": ""}, DONE),
    "an error as an object": Variant(
        {"status": "FAILED", "error": {"code": "UPSTREAM", "message": "no cats today"}}, failed("no cats today")
    ),
    "an error as an object without a message": Variant(
        {"status": "ERROR", "error": {"code": 7}}, failed(None, "ERROR")
    ),
    "error_message": Variant(
        {**WITHOUT, "status": "FAILED", "error_message": "no cats today"}, failed("no cats today")
    ),
    "error_message of a cancelled one": Variant(
        {**WITHOUT, "status": "CANCELLED", "error_message": "as you wished"},
        Status(ORDERED, State.CANCELLED, "CANCELLED", error="as you wished"),
    ),
    "a message without an error": Variant({**WITHOUT, "status": "FAILED", "message": "no cats"}, failed("no cats")),
    "an error and a message": Variant(
        {"status": "FAILED", "error": "Failed", "message": "no cats"}, failed("Failed: no cats")
    ),
    "an output that is empty": Variant({"status": "FAILED", "error": "no cats", "output": {}}, failed("no cats")),
    "fields that nobody documented": Variant({"status": "PROCESSING", "queue_position": 7, "eta": None}, PROCESSING),
}


def body_of(variant: Variant) -> dict[str, Any]:
    """Return the whole body of a variant."""
    return {name: value for name, value in {**tells(""), **variant.body}.items() if value is not ...}


@by_driver(VARIANTS, "variant", "result.images", "an error as an object")
def test_the_answers_of_sister_models_are_understood(driver: Driver, variant: Variant) -> None:
    """`status` tells what such an answer says; its word stays as it came."""

    async def scenario(cat: Cat) -> Status:
        return await cat.status(ORDERED)

    assert driver.run(scenario, Script(says(body_of(variant)))) == variant.status


ACCEPTANCES: Final[dict[str, tuple[dict[str, Any], int, Status]]] = {
    "a message": ({"request_id": ORDERED, "status": "QUEUED", "message": "Accepted"}, 202, QUEUED),
    "another code": (SUBMITTED, 200, QUEUED),
    "created": (SUBMITTED, 201, QUEUED),
    "the id alone": ({"request_id": ORDERED}, 202, evolve(QUEUED, raw_state="queued")),
    "the supplier's word": ({**SUBMITTED, "status": "IN_QUEUE"}, 202, evolve(QUEUED, raw_state="IN_QUEUE")),
    "running already": ({**SUBMITTED, "status": "PROCESSING"}, 202, PROCESSING),
    "a word that nobody knows": ({**SUBMITTED, "status": "DREAMING"}, 202, Status(ORDERED, State.UNKNOWN, "DREAMING")),
    "a word that is none": ({**SUBMITTED, "status": 202}, 202, evolve(QUEUED, raw_state="queued")),
    "failed": (
        {"request_id": ORDERED, "status": "ERROR", "error": {"message": "no cats"}},
        200,
        failed("no cats", "ERROR"),
    ),
    "failed, error_message": (
        {"request_id": ORDERED, "status": "FAILED", "error_message": "no cats"},
        200,
        failed("no cats"),
    ),
    "images": ({**SUBMITTED, "images": [{"url": url} for url in PICTURES]}, 200, AT_ONCE),
    "done": (
        {**SUBMITTED, "status": "COMPLETED", "result": {"images": [{"url": url} for url in PICTURES]}},
        200,
        AT_ONCE,
    ),
}


@pytest.mark.parametrize(("body", "code", "status"), ACCEPTANCES.values(), ids=ACCEPTANCES)
def test_an_order_is_taken_whatever_words_say_so(body: dict[str, Any], code: int, status: Status) -> None:
    """A success that names a request is an order that was paid for, and is used."""

    async def scenario(cat: Cat) -> Order:
        return await cat.submit(PROMPT)

    order = SYNC.run(scenario, Script(says(body, code)))
    expected = status if status.image is None or "images" not in body else evolve(status, raw_state="QUEUED")
    assert (order.request_id, order.status) == (ORDERED, expected)


def test_pictures_without_an_id_are_used(driver: Driver) -> None:
    """The vendor publishes an answer to the order that is the pictures alone. They get a name, and nothing is asked."""
    script = Script(then=repeat(says({"images": [{"url": url} for url in PICTURES]})))

    async def scenario(cat: Cat) -> tuple[Image, Image]:
        return await cat.generate(PROMPT), await cat.wait(await cat.submit(PROMPT))

    generated, waited = driver.run(scenario, script)
    assert (generated, generated.urls, generated.url) == (waited, PICTURES, PICTURES[0])
    assert generated.request_id.startswith("unnamed-")
    assert (len(script.requests), script.clock.sleeps) == (2, [])


def test_pictures_without_an_id_are_remembered(driver: Driver, tmp_path: Path) -> None:
    """With a journal, they are not lost with the program that ordered them, although nobody can be asked about them."""
    journal = tmp_path / "orders.db"
    script = Script(says({"images": [{"url": url} for url in PICTURES]}))

    async def submit(cat: Cat) -> str:
        return (await cat.submit(PROMPT, id="lioness-1")).request_id

    async def generate(cat: Cat) -> Image:
        return await cat.generate(PROMPT, id="lioness-1")

    request_id = driver.run(submit, script, journal=journal)
    assert driver.run(generate, script, journal=journal) == Image(request_id, PICTURES[0], PICTURES)
    assert len(script.requests) == 1


@pytest.mark.parametrize("journal", [None, "orders.db"])
def test_pictures_that_come_at_the_last_moment_are_used(driver: Driver, journal: str | None, tmp_path: Path) -> None:
    """An answer to the order that takes all the time there is still has the pictures."""
    script = Script(says({"images": [{"url": url} for url in PICTURES]}, after=30.0))

    async def scenario(cat: Cat) -> Image:
        return await cat.generate(PROMPT, timeout=30)

    image = driver.run(scenario, script, journal=journal and tmp_path / journal)
    assert (image.urls, script.clock.now) == (PICTURES, 30.0)


# --- Time. ---


def test_one_bound_is_for_the_order_and_the_wait_together(driver: Driver) -> None:
    """What the order takes is taken from the time of the wait, and no call has more time than is left."""
    script = Script(says(SUBMITTED, 202, after=20.0), then=repeat(says(tells("PROCESSING"), after=1.0)))

    async def scenario(cat: Cat) -> None:
        await cat.generate(PROMPT, timeout=30)

    with pytest.raises(WaitTimeout) as caught:
        driver.run(scenario, script)
    assert (caught.value.last_status, script.clock.now) == (PROCESSING, 30.0)
    for request, began in zip(script.requests, script.asked, strict=True):
        assert max(request.extensions["timeout"].values()) <= 30.0 - began


@pytest.mark.parametrize("method", ["submit", "generate"])
def test_no_time_is_no_order(driver: Driver, method: str) -> None:
    """With a timeout of 0, nothing is sent, and the error says so."""
    script = Script()

    async def scenario(cat: Cat) -> None:
        await getattr(cat, method)(PROMPT, timeout=0)

    with pytest.raises(APITimeoutError) as caught:
        driver.run(scenario, script)
    assert (caught.value.sent, script.requests) == (False, [])


@pytest.mark.parametrize("timeout", [None, inf])
def test_no_bound_is_for_ever(driver: Driver, timeout: float | None) -> None:
    """An order may still not take longer than a minute to be answered, nor a question than half of one."""
    script = Script(TAKEN, *[says(tells("PROCESSING"))] * 100, FINISHED)

    async def scenario(cat: Cat) -> Image:
        return await cat.generate(PROMPT, timeout=timeout)

    assert driver.run(scenario, script) == MADE
    assert [max(request.extensions["timeout"].values()) for request in script.requests] == [60.0, *[30.0] * 101]


# --- What brings a generation to its end. ---


def interrupt() -> None:
    """Be the user who presses Ctrl-C."""
    raise KeyboardInterrupt


def test_ctrl_c_after_the_order_has_a_note_with_the_id(driver: Driver) -> None:
    """What was paid for can be taken up again, whatever ended the wait for it."""
    script = Script(TAKEN)
    script.clock.on_sleep = interrupt

    async def scenario(cat: Cat) -> list[str]:
        try:
            await cat.generate(PROMPT)
        except KeyboardInterrupt as stopped:
            return stopped.__notes__
        return []

    (note,) = driver.run(scenario, script)
    assert note == f"The order was taken: request {ORDERED}. Wait for it to get its picture."


def test_what_on_change_raises_has_the_note_too(driver: Driver) -> None:
    """Also when it raises at the very first change, which is the answer to the order."""

    def on_change(status: Status) -> None:
        raise LookupError(status.raw_state)

    async def scenario(cat: Cat) -> None:
        await cat.generate(PROMPT, on_change=on_change)

    with pytest.raises(LookupError, match="QUEUED") as caught:
        driver.run(scenario, Script(TAKEN))
    assert [ORDERED in note for note in caught.value.__notes__] == [True]


def test_an_error_of_the_order_itself_has_no_note(driver: Driver) -> None:
    """Nothing was taken, so there is nothing to wait for."""

    async def scenario(cat: Cat) -> None:
        await cat.generate(PROMPT)

    with pytest.raises(AuthenticationError) as caught:
        driver.run(scenario, Script(says({"error": "no"}, 401)))
    assert not hasattr(caught.value, "__notes__")
    assert (caught.value.request_id, "Check the key" in str(caught.value)) == (None, True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_wait_asks_no_more(backend: str) -> None:
    """A scope that is cancelled ends the generation at once, and no connection is held."""
    script = Script(TAKEN)

    async def scenario(cat: Cat) -> bool:
        with anyio.CancelScope() as scope:
            script.clock.on_sleep = scope.cancel
            await cat.generate(PROMPT)
        return scope.cancelled_caught

    assert Driver(backend).run(scenario, script)
    assert [body.closed for body in script.bodies] == [True]


# --- Many orders. ---


def taken(number: int) -> Reply:
    """Return the answer to the n-th order."""
    return says({**SUBMITTED, "request_id": f"{ORDERED}{number}"}, 202)


def finished(number: int) -> Reply:
    """Return the answer that the request of the n-th order is done."""
    return says(tells("COMPLETED", request_id=f"{ORDERED}{number}", output=OUTPUT))


async def outcomes(cat: Cat, orders: Any, **options: Any) -> list[Outcome]:
    """Return what comes of orders."""
    return [one async for one in cat.generate_all(orders, **options)]


def test_every_item_is_one_order_also_if_it_comes_twice(driver: Driver) -> None:
    """A prompt, a mapping and an `OrderRequest` may stand side by side; outcomes say which order they are of."""
    mixed = [
        PROMPT,
        PROMPT,
        {"prompt": "a dog", "num_images": 2, "id": "dog"},
        OrderRequest("a fish", {"num_images": 3}),
    ]
    gateway = FakeGateway()

    found = driver.run(lambda cat: outcomes(cat, mixed), gateway)
    size = {"image_size": "landscape_4_3"}
    assert sorted((order.fields for order in gateway.orders), key=str) == [
        {"prompt": "a dog", **size, "num_images": 2},
        {"prompt": "a fish", **size, "num_images": 3},
        *({"prompt": PROMPT, **size},) * 2,
    ]
    ordered = {order.request_id: order.fields for order in gateway.orders}
    assert {one.request_id: one.order and one.order.body for one in found} == ordered
    assert [one.order.id for one in found if one.order and one.order.prompt == "a dog"] == ["dog"]
    assert {one.image and len(one.image.urls) for one in found} == {1, 2, 3}


def test_a_bad_order_of_an_iterator_is_an_outcome(driver: Driver) -> None:
    """What can't be looked at before is refused when it comes; the others go on."""
    script = Script(taken(1), finished(1))
    bad: Iterator[Any] = iter([{"prompt": PROMPT, "image_sise": "square_1_1"}, PROMPT])
    first, second = driver.run(lambda cat: outcomes(cat, bad), script)
    assert (first.request_id, first.image, isinstance(first.error, ConfigurationError)) == ("", None, True)
    assert second.request_id == f"{ORDERED}1"


def test_an_order_that_is_not_taken_is_an_outcome_without_an_id(driver: Driver) -> None:
    """It has its error and what was ordered."""
    script = Script(says({"error": "Insufficient Balance", "message": "No money."}, 402))
    (outcome,) = driver.run(lambda cat: outcomes(cat, [PROMPT]), script)
    assert (outcome.request_id, outcome.order, outcome.status) == ("", ORDER, None)
    assert isinstance(outcome.error, InsufficientBalanceError)


def test_the_id_of_each_order_is_told_as_soon_as_it_is_known(driver: Driver) -> None:
    """`on_order` comes before the first question, and `on_change` after it."""
    script, told = Script(taken(1), finished(1)), list[str]()

    def on_order(order: OrderRequest, taken: Order) -> None:
        told.append(f"{order.prompt}: {taken.request_id}, {len(script.requests)} calls")

    driver.run(
        lambda cat: outcomes(cat, [PROMPT], on_order=on_order, on_change=lambda status: told.append(status.raw_state)),
        script,
    )
    assert told == [f"two cats: {ORDERED}1, 1 calls", "QUEUED", "COMPLETED"]


@pytest.mark.parametrize(
    ("request_id", "seconds"),
    [
        ("longcat-image-498_0187d1a0-f0ff-75fe-ceb6-6ffc86f38d952", 0.001),
        ("longcat-image-498_0187d1a0-f100-75fe-ceb6-6ffc86f38d952", 0.0),
        ("longcat-image-498_0187d1a0-f101-75fe-ceb6-6ffc86f38d952", 0.0),
        ("longcat-image-498_0187d1a0-ed18-75fe-ceb6-6ffc86f38d952", 1.0),
        ("XXXXXXXXXXXXX", 0.0),
        ("longcat-image-498_", 0.0),
    ],
)
def test_an_id_tells_how_old_its_order_is(request_id: str, seconds: float) -> None:
    """It has the milliseconds since the epoch in it. What is to come, or is none, tells nothing."""
    assert age(request_id, 0x0187D1A0F100 / 1000) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize(("passed", "at_once"), [(0.0, False), (1.9, False), (2.0, True), (7200.0, True)])
def test_an_order_of_long_ago_is_asked_about_at_once(passed: float, *, at_once: bool) -> None:
    """The answer to an order says nothing about its request any more once the order is two seconds old."""
    gateway = FakeGateway().order(takes=7200)
    with gateway.client() as cat:
        order = cat.submit(PROMPT)
        gateway.clock.sleep(passed)
        cat.wait(order, timeout=None)
    assert (gateway.questions[0].at == passed) is at_once
    assert passed < 7200 or len(gateway.questions) == 1


def test_orders_are_waited_for_at_once(driver: Driver) -> None:
    """Many orders, or ids beside them, are waited for as `wait` does for one; the results are in their order."""
    gateway = FakeGateway()

    async def scenario(cat: Cat) -> tuple[list[str], list[str]]:
        orders = [await cat.submit(prompt) for prompt in ("one", "two")]
        results = await cat.wait_all([*orders, orders[0].request_id, "nobody"])
        return [order.request_id for order in orders], [getattr(one, "request_id", "") or "" for one in results]

    ordered, waited = driver.run(scenario, gateway)
    assert waited == [*ordered, ordered[0], "nobody"]
    assert hash(OrderRequest("one", {"num_images": 2})) == hash(OrderRequest("one", {"num_images": 2}))

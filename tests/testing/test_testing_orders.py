"""That the fake gateway takes orders as it was told and as the contract says, and notes each of them."""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from math import nan
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import pytest
from attrs import frozen
from fakes import FOUR, ORDERED, Cat, Driver

from longcat import (
    APIConnectionError,
    AsyncLongCat,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    GenerationCancelled,
    GenerationFailed,
    Image,
    InsufficientBalanceError,
    LongCatError,
    NotFoundError,
    Order,
    PermissionDeniedError,
    State,
    Status,
    SubmitUnknown,
    WaitTimeout,
)
from longcat.contract import Exchange, judge, load_spec
from longcat.gateway.contract import contract
from longcat.gateway.gateways import age
from longcat.testing import FakeGateway, Question, Submission, VirtualClock, refusal
from longcat.testing.gateway import ORDER_PATH, STATUS_PATH
from longcat.testing.script import MODEL

SPEC: Final = load_spec(Path(__file__).parents[2] / "openapi.yaml")
KEY_HEADER: Final = contract("submit_request").key_header

pytestmark = pytest.mark.usefixtures("no_jitter")


def codes(gateway: FakeGateway) -> list[int | None]:
    """Return the status code of the answer to each order."""
    return [order.code for order in gateway.orders]


async def generate(cat: Cat) -> Image:
    """Order two cats, and wait for them."""
    return await cat.generate("two cats", image_size="square_1_1", timeout=None)


async def submit(cat: Cat) -> Order:
    """Order two cats."""
    return await cat.submit("two cats", image_size="square_1_1")


# --- What is taken, and noted. ---


def test_an_order_becomes_a_request(driver: Driver) -> None:
    """A program that orders and waits gets its picture in virtual time, and the test sees that it ordered once."""
    gateway = FakeGateway().order(takes=600)
    image = driver.run(generate, gateway)
    (order,) = gateway.orders
    assert (order.at, order.code, order.request_id) == (0.0, 202, image.request_id)
    assert order.fields == {"prompt": "two cats", "image_size": "square_1_1"}
    assert gateway.clock.monotonic() == 600.0
    assert [question.at for question in gateway.questions] == [4.0 * number for number in range(1, 151)]
    assert gateway.questions[-2:] == [
        Question(596.0, image.request_id, 200, "PROCESSING"),
        Question(600.0, image.request_id, 200, "COMPLETED"),
    ]


def test_the_headers_of_an_order_are_noted_without_the_key(driver: Driver) -> None:
    """A test sees which webhook was asked for; nothing that is noted holds the key."""
    gateway = FakeGateway()

    async def scenario(cat: Cat) -> None:
        await cat.submit("two cats", webhook_url="https://me.test/hook", webhook_mode="sync")

    driver.run(scenario, gateway)
    headers = gateway.orders[0].headers
    assert (headers["x-webhook-url"], headers["x-webhook-mode"]) == ("https://me.test/hook", "sync")
    assert KEY_HEADER.lower() not in headers
    assert "test-key" not in repr([*headers.items()])


def test_an_id_has_the_documented_form_and_begins_with_the_moment() -> None:
    """It is the model's id and something like a UUID, which begins with the gateway's time; none comes twice."""
    gateway = FakeGateway(VirtualClock(start=1_774_951_200.0))
    with gateway.client() as cat:
        gateway.clock.sleep(7.25)
        orders = [cat.submit("two cats") for _ in range(20)]
    ids = [order.request_id for order in orders]
    assert len(set(ids)) == 20
    for request_id in ids:
        assert re.search(contract("get_request_status").parameters["request_id"]["pattern"], request_id)
        assert request_id.startswith(f"{MODEL}_")
        assert age(request_id, 1_774_951_210.25) == 3.0
    assert {order.polling_url for order in orders} == {f"https://gateway.test{STATUS_PATH}{one}" for one in ids}


# --- How its request goes on. ---

COURSES: Final[Mapping[str, tuple[dict[str, Any], list[str]]]] = {
    "at once": ({}, ["QUEUED", "COMPLETED"]),
    "running": ({"takes": 8}, ["QUEUED", "PROCESSING", "COMPLETED"]),
    "queued": ({"takes": 12, "words": {"queued": 6}}, ["QUEUED", "PROCESSING", "COMPLETED"]),
    "words": ({"takes": 12, "words": {"IN_QUEUE": 6, "dreaming": 4}}, ["QUEUED", "IN_QUEUE", "DREAMING", "COMPLETED"]),
    "failed": ({"takes": 4, "fails": "no cats today"}, ["QUEUED", "FAILED"]),
    "an error of the system": ({"ends": "error", "fails": "no cats"}, ["QUEUED", "ERROR"]),
    "no reason": ({"ends": "FAILED"}, ["QUEUED", "FAILED"]),
    "cancelled": ({"ends": "cancelled"}, ["QUEUED", "CANCELLED"]),
}


@pytest.mark.in_turn
@pytest.mark.parametrize(("script", "words"), COURSES.values(), ids=COURSES)
def test_an_order_goes_as_it_was_scripted(driver: Driver, script: dict[str, Any], words: list[str]) -> None:
    """Whoever waits sees the scripted words, in the capitals of the queue gateway, and no progress; then the end."""
    gateway, seen = FakeGateway().order(**script), list[Status]()

    async def scenario(cat: Cat) -> Image | GenerationFailed:
        try:
            return await cat.generate("two cats", on_change=seen.append)
        except GenerationFailed as error:
            return error

    end = driver.run(scenario, gateway)
    assert [status.raw_state for status in seen] == words
    assert {status.progress for status in seen} == {None}
    if isinstance(end, GenerationFailed):
        assert isinstance(end, GenerationCancelled) == (seen[-1].state is State.CANCELLED)
        assert end.status.error == script.get("fails") or seen[-1].state is State.CANCELLED
    assert len(gateway.orders) == 1


def test_each_order_has_its_own_script(driver: Driver) -> None:
    """Scripts are used up in turn, as often as each says; the orders after them are done at once."""
    gateway = FakeGateway().order(takes=8, times=2).order(takes=20)

    async def scenario(cat: Cat) -> list[timedelta | None]:
        return [(await cat.generate("two cats")).duration for _ in range(4)]

    assert driver.run(scenario, gateway) == [timedelta(seconds=takes) for takes in (8, 8, 20, 0)]


def test_a_script_may_be_that_of_all_orders(driver: Driver) -> None:
    """With `times=None`, however many are ordered at once, and each begins when it is ordered."""
    gateway = FakeGateway().order(fails="no cats").order(takes=30, faults=[503], times=None)

    async def scenario(cat: Cat) -> list[type[GenerationFailed] | None]:
        outcomes = [outcome async for outcome in cat.generate_all(["two cats"] * 30)]
        return [GenerationFailed if isinstance(one.error, GenerationFailed) else None for one in outcomes]

    assert driver.run(scenario, gateway) == [GenerationFailed, *[None] * 29]
    assert sum(question.code == 503 for question in gateway.questions) == 29
    assert len({order.request_id for order in gateway.orders}) == 30


@pytest.mark.parametrize("request_id", ["r", ORDERED])
@pytest.mark.parametrize("asked", ["queue", "result"])
def test_the_gateway_that_is_asked_answers_in_its_own_form(driver: Driver, request_id: str, asked: Any) -> None:
    """A request that was scripted by its id is known to both gateways."""
    gateway = FakeGateway().request(request_id, takes=8, words={"queued": 4})

    async def scenario(cat: Cat) -> list[tuple[str, float | None]]:
        return [(one.raw_state, one.progress) async for one in cat.watch(request_id, gateway=asked)]

    assert (
        driver.run(scenario, gateway)
        == {
            "queue": [("QUEUED", None), ("PROCESSING", None), ("COMPLETED", None)],
            "result": [("queued", None), ("processing", 0.5), ("completed", 1.0)],
        }[asked]
    )


def test_an_ordered_request_can_be_asked_about_by_its_id(driver: Driver) -> None:
    """Another client, tomorrow, finds it where it was ordered; and not what nobody ordered."""
    gateway = FakeGateway().order(takes=60)
    request_id = driver.run(submit, gateway).request_id
    gateway.clock.sleep(30.0)

    async def scenario(cat: Cat) -> Image:
        with pytest.raises(NotFoundError, match="Request not found"):
            await cat.wait(f"{request_id}0")
        return await cat.wait(request_id)

    assert driver.run(scenario, gateway).request_id == request_id
    assert gateway.clock.monotonic() == 62.0


# --- Pictures. ---


def test_as_many_pictures_as_were_ordered(driver: Driver, tmp_path: Path) -> None:
    """Each is a PNG of its own, at an address of its own."""
    gateway = FakeGateway()

    async def scenario(cat: Cat) -> Image:
        image = await cat.generate("two cats", num_images=3)
        for number, url in enumerate(image.urls, 1):
            await cat.download(url, tmp_path / f"{number}.png")
        return image

    image = driver.run(scenario, gateway)
    saved = [(tmp_path / f"{number}.png").read_bytes() for number in (1, 2, 3)]
    assert saved == [gateway.picture(image.request_id, number) for number in (1, 2, 3)]
    assert len(set(saved)) == 3
    assert gateway.downloads == [image.request_id] * 3


@pytest.mark.parametrize(
    ("picture", "ordered", "expected"),
    [
        (b"GIF89a one", 1, [b"GIF89a one"]),
        (b"GIF89a one", 2, [b"GIF89a one", b"GIF89a one"]),
        ([b"GIF89a one", b"GIF89a two"], 1, [b"GIF89a one", b"GIF89a two"]),
    ],
)
def test_the_pictures_may_be_given(picture: Any, ordered: int, expected: list[bytes]) -> None:
    """One is that of every picture that is ordered; several are what comes, whatever was ordered."""
    gateway = FakeGateway().order(picture=picture)
    with gateway.client() as cat:
        image = cat.generate("two cats", num_images=ordered)
    assert [gateway.picture(image.request_id, number) for number in range(1, len(image.urls) + 1)] == expected
    with pytest.raises(LookupError):
        gateway.picture(image.request_id, len(expected) + 1)


# --- Orders that are not taken. ---


@frozen
class Fault:
    """A fault that an order meets.

    Attributes:
        fault: the fault.
        error: what `submit` raises. None: it orders again, and gets its order.
        code: what is noted of the answer.
    """

    fault: Any
    error: type[LongCatError] | None
    code: int | None


FAULTS: Final = {
    "400": Fault(400, BadRequestError, 400),
    "401": Fault(401, AuthenticationError, 401),
    "402": Fault(402, InsufficientBalanceError, 402),
    "403": Fault(refusal(403), PermissionDeniedError, 403),
    "429": Fault(429, None, 429),
    "503 with Retry-After": Fault(refusal(503, retry_after=3), None, 503),
    "500": Fault(500, SubmitUnknown, 500),
    "522": Fault(522, SubmitUnknown, 522),
    "refused": Fault(httpx.ConnectError("refused"), None, None),
    "reset": Fault(httpx.ReadError("reset"), SubmitUnknown, None),
    "late": Fault(httpx.ReadTimeout("late"), SubmitUnknown, None),
    "a response": Fault(httpx.Response(200, html="<html></html>"), SubmitUnknown, 200),
    "a function": Fault(lambda _: httpx.Response(202, json={}), SubmitUnknown, 202),
}


@pytest.mark.parametrize("case", FAULTS.values(), ids=FAULTS)
def test_an_order_meets_its_fault_and_the_next_one_does_not(driver: Driver, case: Fault) -> None:
    """Each fault is that of one order, which is not taken; and both orders are noted."""
    gateway = FakeGateway().order_faults(case.fault).order(takes=8)

    async def scenario(cat: Cat) -> Image:
        if case.error is not None:
            with pytest.raises(case.error):
                await submit(cat)
        return await generate(cat)

    image = driver.run(scenario, gateway)
    assert [(order.code, order.request_id) for order in gateway.orders] == [(case.code, None), (202, image.request_id)]


def test_faults_come_one_for_each_order(driver: Driver) -> None:
    """A program that sends an order again meets the next fault, at the time that the one before asked for."""
    gateway = FakeGateway().order_faults(429, httpx.ConnectError("refused"), refusal(429, retry_after=7))
    order = driver.run(submit, gateway)
    assert codes(gateway) == [429, None, 429, 202]
    assert [one.at for one in gateway.orders] == [0.0, 0.5, 1.5, 8.5]
    assert gateway.orders[-1].request_id == order.request_id


def test_a_connection_that_is_never_made_ends_at_the_deadline(driver: Driver) -> None:
    """What is raised then is known not to have been sent."""
    gateway = FakeGateway().order_faults(*[httpx.ConnectError("refused")] * 50)

    async def scenario(cat: Cat) -> bool:
        with pytest.raises(APIConnectionError) as caught:
            await cat.submit("two cats", timeout=60)
        return caught.value.sent

    assert driver.run(scenario, gateway) is False
    assert {order.request_id for order in gateway.orders} == {None}


def test_the_balance_is_used_up(driver: Driver) -> None:
    """Each picture costs its price; what can't be paid is the documented 402, until the test tops it up."""
    gateway = FakeGateway(balance=0.5)

    async def scenario(cat: Cat) -> None:
        await cat.submit("two cats", num_images=3)
        with pytest.raises(InsufficientBalanceError, match="Your wallet does not have enough balance"):
            await cat.submit("a third cat")
        gateway.balance = Decimal("0.13")
        await cat.submit("a third cat")

    driver.run(scenario, gateway)
    assert (codes(gateway), gateway.balance) == ([202, 402, 202], Decimal(0))


def test_an_order_that_ends_in_an_error_costs_nothing() -> None:
    """ERROR is documented as not charged; a failure is not."""
    gateway = FakeGateway(balance=0.26).order(ends="ERROR").order(fails="no cats")
    with gateway.client() as cat:
        cat.submit("two cats")
        assert gateway.balance == Decimal("0.26")
        cat.submit("two cats")
        assert gateway.balance == Decimal("0.13")


def test_an_answer_that_comes_too_late_is_in_doubt_but_the_order_is_taken(driver: Driver) -> None:
    """The program can't know; the test does."""
    gateway = FakeGateway(latency=90.0)
    with pytest.raises(SubmitUnknown):
        driver.run(submit, gateway)
    (order,) = gateway.orders
    assert (order.at, order.code, order.request_id is not None) == (0.0, None, True)


def test_orders_count_for_the_rate(driver: Driver) -> None:
    """Orders and questions of one second are counted together."""
    gateway = FakeGateway(max_rate=2)

    async def scenario(cat: Cat) -> None:
        order = await submit(cat)
        await cat.status(order)
        await submit(cat)

    driver.run(scenario, gateway)
    assert (codes(gateway), [order.at for order in gateway.orders]) == ([202, 429, 202], [0.0, 0.0, 1.0])


def test_a_program_that_is_run_again_orders_nothing(driver: Driver, tmp_path: Path) -> None:
    """With a journal, a test sees that the second run of a program pays for nothing, and asks nothing."""
    gateway = FakeGateway().order(takes=30)

    async def program(cat: Cat) -> Image:
        return await cat.generate("two cats", id="lioness-1")

    first, second = (driver.run(program, gateway, journal=tmp_path / "orders.db") for _ in range(2))
    assert (first, len(gateway.orders), len(gateway.questions)) == (second, 1, 8)


# --- Many at once. ---


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_may_share_a_gateway(backend: str) -> None:
    """Forty tasks order at once, and each gets a request of its own."""
    gateway, images = FakeGateway(latency=0.25).order(takes=30, times=None), list[Image]()

    async def one(cat: AsyncLongCat, number: int) -> None:
        images.append(await cat.generate(f"cat {number}"))

    async def main() -> None:
        async with gateway.async_client(polling=FOUR) as cat, anyio.create_task_group() as group:
            for number in range(40):
                group.start_soon(one, cat, number)

    anyio.run(main, backend=backend)
    assert {image.request_id for image in images} == {order.request_id for order in gateway.orders}
    assert {order.fields["prompt"] for order in gateway.orders} == {f"cat {number}" for number in range(40)}
    assert len(gateway.orders) == 40


def test_threads_may_share_a_gateway() -> None:
    """Threads that order at once, with one client, all get their pictures, and every order is noted."""
    gateway = FakeGateway().order(takes=30, times=None)
    with gateway.client(polling=FOUR) as cat, ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda number: cat.generate(f"cat {number}", timeout=None), range(40)))
    assert {image.request_id for image in images} == {order.request_id for order in gateway.orders}
    assert len(gateway.orders) == 40


# --- What the contract says of its answers. ---


@frozen
class Asked:
    """A call to a fake gateway, and the status code of its answer."""

    code: int
    call: Mapping[str, Any] = {}
    script: Mapping[str, Any] = {}
    options: Mapping[str, Any] = {}


BODY: Final = {"prompt": "two cats", "image_size": "square_1_1", "num_images": 2}
ORDERS: Final = {
    "taken": Asked(202),
    "no key": Asked(401, {"headers": {}}),
    "no size": Asked(400, {"json": {"prompt": "two cats"}}),
    "an unknown size": Asked(400, {"json": {**BODY, "image_size": "round"}}),
    "no number": Asked(400, {"json": {**BODY, "num_images": "two"}}),
    "no object": Asked(400, {"json": ["two cats"]}),
    "no JSON": Asked(400, {"json": None, "content": b"{"}),
    "no money": Asked(402, options={"balance": 0}),
    "too fast": Asked(429, options={"max_rate": 1}),
    **{f"fault {code}": Asked(code, script={"fault": code}) for code in (401, 402, 403, 429, 500)},
}
STATUSES: Final = {
    "queued": Asked(200, script={"takes": 3, "words": {"queued": 3}}),
    "processing": Asked(200, script={"takes": 3}),
    "completed": Asked(200),
    "failed": Asked(200, script={"fails": "no cats"}),
    "failed, no reason": Asked(200, script={"ends": "failed"}),
    "an error of the system": Asked(200, script={"ends": "error", "fails": "no cats"}),
    "no key": Asked(401, {"headers": {}}),
    "an unknown id": Asked(404, {"url": f"https://gateway.pixazo.ai{STATUS_PATH}{ORDERED}0"}),
    **{f"fault {code}": Asked(code, script={"faults": [code]}) for code in (401, 403, 404, 429, 500)},
}


def exchanged(gateway: FakeGateway, method: str, path: str, call: Mapping[str, Any]) -> Exchange:
    """Send a call to a fake gateway, and return the exchange."""
    usual = {"url": f"{contract('submit_request').server}{path}", "headers": {KEY_HEADER: "k"}}
    with httpx.Client(transport=gateway) as http:
        response = http.request(method, **{**usual, **call})
    request = response.request
    return Exchange(
        method=request.method,
        url=str(request.url),
        request_headers=dict(request.headers),
        request_body=request.content,
        status_code=response.status_code,
        response_headers=dict(response.headers),
        response_body=response.content,
        source="a test",
        intent="unknown-request" if response.status_code == 404 else None,
    )


@pytest.mark.parametrize("asked", ORDERS.values(), ids=ORDERS)
def test_every_answer_to_an_order_keeps_the_contract(asked: Asked) -> None:
    """The judge of the drift check finds nothing in what the gateway answers, whether it takes the order or not."""
    gateway = FakeGateway(**asked.options)
    if "fault" in asked.script:
        gateway.order_faults(asked.script["fault"])
    if "max_rate" in asked.options:
        exchanged(gateway, "POST", ORDER_PATH, {"json": BODY})
    exchange = exchanged(gateway, "POST", ORDER_PATH, {"json": BODY, **asked.call})
    assert (exchange.status_code, list(judge(SPEC, exchange))) == (asked.code, [])
    assert codes(gateway)[-1] == asked.code
    assert (gateway.orders[-1].request_id is not None) == (asked.code == 202)


@pytest.mark.parametrize("asked", STATUSES.values(), ids=STATUSES)
def test_every_answer_of_the_queue_gateway_keeps_the_contract(asked: Asked) -> None:
    """The judge finds nothing in what the gateway says about a request, good answers and errors alike."""
    gateway = FakeGateway().request(ORDERED, **asked.script)
    exchange = exchanged(gateway, "GET", f"{STATUS_PATH}{ORDERED}", asked.call)
    assert (exchange.status_code, list(judge(SPEC, exchange))) == (asked.code, [])


def test_the_models_id_is_that_of_the_order_call() -> None:
    """The fake gateway's ids have the name that the contract's path has."""
    assert ORDER_PATH.split("/")[1] == MODEL


# --- Scripting. ---


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ({"takes": -1}, "takes is zero or more seconds, not -1"),
        ({"times": 0}, "times is one or more orders, or None, not 0"),
        ({"times": 1.5}, "times is one or more orders"),
        ({"words": {"QUEUED": 5}, "takes": 4}, "The words last 5 s, and the request takes 4 s only"),
        ({"words": {"ERROR": 1}, "takes": 4}, 'The word "ERROR" is final'),
        ({"ends": "COMPLETED", "fails": "why"}, "A completed request has no reason to fail"),
        ({"faults": [200]}, "from 400 to 599, not 200"),
        ({"picture": "a cat"}, 'A picture is its bytes.*not "a cat"'),
        ({"picture": []}, "A picture is its bytes"),
        ({"picture": [b"a", "b"]}, "A picture is its bytes"),
    ],
    ids=str,
)
def test_a_script_that_can_not_be_meant_is_refused(script: dict[str, Any], message: str) -> None:
    """A mistake is told at once, in the line that makes it, with what to do; and the next order is done at once."""
    gateway = FakeGateway()
    with pytest.raises(ConfigurationError, match=rf"{message}.*\.$"):
        gateway.order(**script)
    with gateway.client() as cat:
        assert cat.generate("two cats").duration is not None


@pytest.mark.parametrize("fault", [200, "429", httpx.ReadTimeout, None], ids=str)
def test_a_fault_that_is_none_is_refused(fault: Any) -> None:
    """What `request` takes for no fault, `order_faults` doesn't either."""
    gateway = FakeGateway()
    with pytest.raises(ConfigurationError, match=r"fault.*\.$"):
        gateway.order_faults(429, fault)
    with gateway.client() as cat:
        cat.submit("two cats")
    assert codes(gateway) == [202]


def test_nothing_comes_after_the_script_of_all_orders() -> None:
    """A script that would never be used is refused."""
    gateway = FakeGateway().order(times=None)
    with pytest.raises(ConfigurationError, match="All further orders are scripted already"):
        gateway.order()
    with pytest.raises(ConfigurationError, match="All further orders are scripted already"):
        gateway.order_faults(429)


@pytest.mark.parametrize("balance", [-1, nan, "much", True], ids=str)
def test_a_balance_that_is_no_money_is_refused(balance: Any) -> None:
    """It is zero or more dollars."""
    with pytest.raises(ConfigurationError, match=r"^balance is zero or more US dollars, not .*\.$"):
        FakeGateway(balance=balance)


def test_a_request_may_not_be_seen_at_first(driver: Driver) -> None:
    """Faults about an ordered request are the questions' own: here a gateway that is not up to date for a while."""
    gateway = FakeGateway().order(faults=[404, 404])
    image = driver.run(generate, gateway)
    assert [question.code for question in gateway.questions] == [404, 404, 200]
    assert gateway.orders == [
        Submission(0.0, image.request_id, 202, gateway.orders[0].fields, gateway.orders[0].headers)
    ]


def test_an_order_that_never_ends_is_waited_for_until_the_deadline(driver: Driver) -> None:
    """The note on the error has the id that the test sees, too."""
    gateway = FakeGateway().order(takes=float("inf"))

    async def scenario(cat: Cat) -> list[str]:
        with pytest.raises(WaitTimeout) as caught:
            await cat.generate("two cats", timeout=60)
        return caught.value.__notes__

    (note,) = driver.run(scenario, gateway)
    assert str(gateway.orders[0].request_id) in note

"""How an order can end, on real connections, and how many orders the gateway counted: one at most, whatever happens."""

import gzip
import json
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from attrs import frozen
from fakes import KEY, Driver, drivers_for
from journals import Place
from libraries import WAYS
from servers import (
    LIMIT,
    Connection,
    HangupError,
    Script,
    Server,
    crowded,
    drive,
    eventually,
    http_client,
    read,
    refusing,
    reset,
    response,
    stall,
    tidy,
)

from longcat import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AsyncLongCat,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    InsufficientBalanceError,
    JournalError,
    LongCat,
    LongCatError,
    NotFoundError,
    Order,
    OrderRequest,
    PermissionDeniedError,
    State,
    Status,
    SubmitUnknown,
)
from longcat.gateway.messages import MAX_ANSWER, Answer, Call
from longcat.gateway.order_fields import usable_order
from longcat.gateway.queue import QueueGateway
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.order_table import OrderTable
from longcat.testing import VirtualClock
from longcat.waiting import submit
from longcat.waiting.commands import RunInThread
from longcat.waiting.order_store import OrderState
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.submit import Submit, TakenRequests

TYPE = "Content-Type: application/json"
ID = "longcat-image-498_019a1b2c-0000-7000-8000-0123456789abc"
ACCEPTED = json.dumps(
    {"request_id": ID, "status": "QUEUED", "polling_url": f"https://gateway.test/v2/requests/status/{ID}"}
).encode()
TAKEN = response(ACCEPTED, TYPE, status="202 Accepted")
PAGE = b"<!DOCTYPE html><title>Just a moment...</title>"
PICTURES = b'{"images": [{"url": "https://storage.test/one.png"}]}'


def answers(status: str, body: bytes = b'{"error": "no"}', *lines: str) -> Script:
    """Return the script of a server that reads an order and answers it so."""
    return [read, response(body, TYPE, *lines, status=status)]


def partly(size: int) -> Callable[[Connection], None]:
    """Read so many bytes of an order, and cut the connection off."""

    def step(connection: Connection) -> None:
        while len(connection.received) < size:
            connection.receive()
        reset(connection)

    return step


def head_only(connection: Connection) -> None:
    """Read the head of an order, and cut the connection off."""
    while b"\r\n\r\n" not in connection.received:
        connection.receive()
    reset(connection)


def unread(connection: Connection) -> None:
    """Wait until an order begins to arrive, read nothing of it, and cut the connection off."""
    connection.socket.recv(1, socket.MSG_PEEK)
    reset(connection)


def hang_up(_: Connection) -> None:
    """Close the connection."""
    raise HangupError


def no_more(connection: Connection) -> None:
    """Say that there is nothing more to send, and wait."""
    connection.socket.shutdown(socket.SHUT_WR)
    stall(connection)


@frozen
class Row:
    """One way in which an order can end.

    Attributes:
        scripts: what the gateway does with one connection after the other.
        end: what comes of it: an error's class, or `Order`.
        orders: how many orders the gateway read.
    """

    scripts: tuple[Script, ...]
    end: type[Order] | type[LongCatError]
    orders: int = 1


TABLE: dict[str, Row] = {
    "taken": Row(([read, TAKEN],), Order),
    "packed, by a name in capitals": Row(
        ([read, response(gzip.compress(ACCEPTED), TYPE, "Content-Encoding: GZIP", status="202 Accepted")],), Order
    ),
    "200 instead of 202": Row((answers("200 OK", ACCEPTED),), Order),
    "201 instead of 202": Row((answers("201 Created", ACCEPTED),), Order),
    "the pictures": Row((answers("200 OK", PICTURES),), Order),
    "without a polling_url": Row((answers("202 Accepted", json.dumps({"request_id": ID}).encode()),), Order),
    # Certainly not taken, and sent again.
    "429, then taken": Row((answers("429 Too Many Requests"), [read, TAKEN]), Order, orders=2),
    "429 with Retry-After, then taken": Row(
        (answers("429 Too Many Requests", b"{}", "Retry-After: 7"), [read, TAKEN]), Order, orders=2
    ),
    "503 with Retry-After, then taken": Row(
        (answers("503 Service Unavailable", PAGE, "Retry-After: 7"), [read, TAKEN]), Order, orders=2
    ),
    "429 with an id alone, then taken": Row(
        (answers("429 Too Many Requests", json.dumps({"request_id": ID, "error": "no"}).encode()), [read, TAKEN]),
        Order,
        orders=2,
    ),
    "429 with a failure, then taken": Row(
        (answers("429 Too Many Requests", json.dumps({"request_id": ID, "status": "ERROR"}).encode()), [read, TAKEN]),
        Order,
        orders=2,
    ),
    "429, then reset": Row((answers("429 Too Many Requests"), [read, reset]), SubmitUnknown, orders=2),
    # Certainly not taken, and not worth another try.
    "400": Row((answers("400 Bad Request"),), BadRequestError),
    "401": Row((answers("401 Unauthorized"),), AuthenticationError),
    "402": Row((answers("402 Payment Required"),), InsufficientBalanceError),
    "403": Row((answers("403 Forbidden"),), PermissionDeniedError),
    "403, a page": Row((answers("403 Forbidden", PAGE),), PermissionDeniedError),
    "404": Row((answers("404 Not Found"),), NotFoundError),
    "405": Row((answers("405 Method Not Allowed"),), APIStatusError),
    "409": Row((answers("409 Conflict"),), APIStatusError),
    "413": Row((answers("413 Content Too Large"),), APIStatusError),
    "422": Row((answers("422 Unprocessable Content"),), APIStatusError),
    "425": Row((answers("425 Too Early"),), APIStatusError),
    "307": Row((answers("307 Temporary Redirect", b"", "Location: /elsewhere"),), APIStatusError),
    # Nobody knows.
    "303": Row((answers("303 See Other", b"", "Location: /elsewhere"),), SubmitUnknown),
    "408": Row((answers("408 Request Timeout"),), SubmitUnknown),
    **{
        f"{code}": Row((answers(f"{code} Failed", PAGE),), SubmitUnknown)
        for code in (500, 501, 502, 503, 504, 507, *range(520, 531), 599)
    },
    "502 with Retry-After": Row((answers("502 Bad Gateway", PAGE, "Retry-After: 1"),), SubmitUnknown),
    **{
        f"{code}, though it was taken": Row((answers(f"{code} No", ACCEPTED, "Retry-After: 0"),), SubmitUnknown)
        for code in (307, 400, 402, 409, 429, 503)
    },
    "202, cut JSON": Row((answers("202 Accepted", ACCEPTED[:40]),), SubmitUnknown),
    "202, no JSON": Row((answers("202 Accepted", PAGE),), SubmitUnknown),
    "202, no id": Row((answers("202 Accepted", b'{"status": "QUEUED"}'),), SubmitUnknown),
    "202, a list": Row((answers("202 Accepted", b"[]"),), SubmitUnknown),
    "202, an empty id": Row((answers("202 Accepted", b'{"request_id": ""}'),), SubmitUnknown),
    "202, an id that leads elsewhere": Row((answers("202 Accepted", b'{"request_id": ".."}'),), SubmitUnknown),
    "202, an id that is no text": Row((answers("202 Accepted", b'{"request_id": 7}'),), SubmitUnknown),
    "202, nothing": Row((answers("202 Accepted", b""),), SubmitUnknown),
    "202, too long": Row((answers("202 Accepted", b'{"a": "' + b"x" * MAX_ANSWER + b'"}'),), SubmitUnknown),
    "204": Row((answers("204 No Content", b""),), SubmitUnknown),
    "200, a page": Row((answers("200 OK", PAGE),), SubmitUnknown),
    "200, an error": Row((answers("200 OK", b'{"error": "Insufficient Balance"}'),), SubmitUnknown),
    "no HTTP": Row(([read, b"SSH-2.0-OpenSSH\r\n"],), SubmitUnknown),
    "silence": Row(([read, stall],), SubmitUnknown),
    "hangs up": Row(([read],), SubmitUnknown),
    "hangs up, and waits": Row(([read, no_more],), SubmitUnknown),
    "accepts, and hangs up unread": Row(([unread],), SubmitUnknown, orders=0),
    "resets within the head": Row(([partly(30)],), SubmitUnknown, orders=0),
    "resets after the head": Row(([head_only],), SubmitUnknown, orders=0),
}
"""By its name, each way in which a gateway that is there can end an order."""


@pytest.fixture(autouse=True)
def _tidy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if "place" in request.fixturenames:
        request.getfixturevalue("place")  # Its server is started before what a test leaves is counted.
    with tidy(monkeypatch):
        yield


@pytest.fixture
def clean_http(sync_driver: Driver) -> Iterator[Any]:
    """Return an HTTP client that knows no proxy."""
    with http_client(sync_driver, {"trust_env": False}) as http:
        yield http


def end(driver: Driver, url: str, timeout: float = 60.0) -> Any:
    """Return the order, or the error that its sending ended in. Pauses take no time; the network takes its own."""
    try:
        return drive(driver, url, lambda cat: cat.submit("a cat", timeout=timeout), clock=VirtualClock())
    except LongCatError as error:
        return error


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        pytest.param(driver, name, id=f"{driver}-{name}")
        for name in TABLE
        for driver in drivers_for(name, WAYS if name in {"taken", "429, then taken", "hangs up"} else ("sync",))
    ],
)
def test_an_order_is_sent_once(driver: Driver, name: str) -> None:
    """An order is sent again only after an answer that says that it was not taken."""
    row = TABLE[name]
    timeout = 1.0 if name in {"silence", "hangs up, and waits"} else 60.0
    with Server(*row.scripts, [read, TAKEN]) as gateway:
        result = end(driver, gateway.url, timeout)
    assert isinstance(result, row.end), result
    assert len(gateway.requests) == row.orders
    assert len(gateway.connections) == max(row.orders, 1)


def test_no_order_gets_the_request_of_another_one(driver: Driver) -> None:
    """A cache may give the answer to one order to another, which is then in doubt; equal orders may be one request."""
    cat, dog = (methodcaller("submit", prompt) for prompt in ("a cat", "a dog"))
    with Server([read, TAKEN]) as gateway, pytest.raises(SubmitUnknown, match=f"{ID}, which came of another") as caught:
        drive(driver, gateway.url, cat, cat, dog)
    assert (caught.value.order.prompt, caught.value.request_id, len(gateway.requests)) == ("a dog", None, 3)


def test_orders_are_compared_by_their_fields_of_any_kind() -> None:
    """The contract may come to allow objects in an order; in which order the fields are given is no matter."""
    requests, order = TakenRequests(), OrderRequest("a cat", {"size": {"width": 1, "height": 2}, "num_images": 1})
    requests.check(order, Order(ID, Status(ID, State.QUEUED, "QUEUED")))
    requests.check(
        OrderRequest("a cat", {"num_images": 1, "size": {"height": 2, "width": 1}}),
        Order(ID, Status(ID, State.QUEUED, "QUEUED")),
    )
    with pytest.raises(SubmitUnknown):
        requests.check(
            OrderRequest("a cat", {"size": {"width": 2, "height": 2}, "num_images": 1}),
            Order(ID, Status(ID, State.QUEUED, "QUEUED")),
        )


def test_a_client_does_not_remember_requests_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the many that it makes in months, it compares new ones with the last."""
    monkeypatch.setattr(submit, "MAX_REMEMBERED", 2)
    requests, cat, dog = TakenRequests(), OrderRequest("a cat"), OrderRequest("a dog")
    for name in ("1", "2", "3"):
        requests.check(cat, Order(name, Status(name, State.QUEUED, "QUEUED")))
    requests.check(dog, Order("1", Status("1", State.QUEUED, "QUEUED")))
    with pytest.raises(SubmitUnknown):
        requests.check(dog, Order("3", Status("3", State.QUEUED, "QUEUED")))


# --- No connection: nothing was sent, and that is certain. ---


@contextmanager
def unknown_name() -> Iterator[str]:
    """Yield the URL of a host that there is not."""
    yield "http://gateway.invalid"


@pytest.mark.parametrize("reach", [refusing, unknown_name, crowded])
def test_an_order_that_could_not_leave_is_tried_again_and_then_not_sent(
    driver: Driver, reach: Callable[[], AbstractContextManager[str]]
) -> None:
    """Without a connection, the error says that the order was not sent, once the time is up."""
    with reach() as url:
        result = end(driver, url, 0.2 if reach is crowded else 20.0)
    assert isinstance(result, APIConnectionError)
    assert not result.sent


def test_an_order_waits_for_the_gateway_to_come_up(driver: Driver) -> None:
    """A refused connection is tried again, and the order goes out once when the gateway listens."""
    clock, gateway = VirtualClock(), Server([read, TAKEN])
    port = gateway.url.rpartition(":")[2]
    gateway._listener.close()  # Not yet.

    def come_up() -> None:
        if len(clock.sleeps) == 3:
            gateway._listener = socket.create_server(("127.0.0.1", int(port)))
            gateway.__enter__()

    clock.on_sleep = come_up
    try:
        order = drive(driver, gateway.url, lambda cat: cat.submit("a cat", timeout=60.0), clock=clock)
    finally:
        gateway.__exit__(None, None, None)
    assert (order.request_id, len(gateway.requests)) == (ID, 1)


def test_an_order_with_no_time_left_is_not_sent(driver: Driver) -> None:
    """A timeout of zero sends nothing."""
    with Server([read, TAKEN]) as gateway:
        result = end(driver, gateway.url, 0.0)
    assert isinstance(result, APITimeoutError)
    assert (result.sent, gateway.connections) == (False, [])


# --- Cut at every byte. ---


def test_an_answer_that_is_cut_at_any_byte_leaves_one_order_in_doubt(clean_http: Any) -> None:
    """Whichever byte of the acceptance is the last to come, before a close or a reset, the order is not sent again."""
    scripts: list[Script] = [[read, TAKEN[:size], (reset, hang_up)[size % 2]] for size in range(len(TAKEN))]
    with Server(*scripts, [read, TAKEN]) as gateway:
        cat = LongCat(KEY, gateway.url, http_client=clean_http, clock=VirtualClock())
        for size in range(len(TAKEN)):
            with pytest.raises(SubmitUnknown):
                cat.submit("a cat")
            assert len(gateway.requests) == size + 1
        assert cat.submit("a cat").request_id == ID


def test_an_order_that_is_cut_at_any_byte_is_in_doubt(clean_http: Any) -> None:
    """Once the first byte has gone out, an order is not sent again, however little of it the gateway read."""
    with Server([read, TAKEN]) as gateway:
        LongCat(KEY, gateway.url, http_client=clean_http).submit("a cat")
        size = len(gateway.requests[0].text)
    with Server(*[[partly(count)] for count in range(1, size, 7)]) as gateway:
        cat = LongCat(KEY, gateway.url, http_client=clean_http, clock=VirtualClock())
        for _ in range(1, size, 7):
            with pytest.raises(SubmitUnknown):
                cat.submit("a cat")
    assert (len(gateway.connections), gateway.requests) == (len(range(1, size, 7)), [])


def test_a_connection_that_the_gateway_has_closed_meanwhile_is_not_used(driver: Driver) -> None:
    """An order does not end in doubt because a kept connection is long gone."""
    kept = response(ACCEPTED, TYPE, status="202 Accepted", keep=True)
    with Server([read, kept, hang_up], [read, kept]) as gateway:

        def again(cat: Any) -> Any:
            eventually(lambda: len(gateway.connections) == 1 and gateway.connections[0].socket.fileno() == -1)
            return cat.submit("a cat")

        order = drive(driver, gateway.url, lambda cat: cat.submit("a cat"), again)
    assert (order.request_id, len(gateway.requests)) == (ID, 2)


def test_an_order_that_waits_too_long_for_its_turn_is_not_sent(clean_http: Any) -> None:
    """Where other calls of the client are in flight all the time, the error says that the order did not go out."""
    with Server([read, stall]) as gateway:
        cat = LongCat(KEY, gateway.url, http_client=clean_http, max_in_flight=1)
        ends: list[BaseException] = []

        def first() -> None:
            with pytest.raises(SubmitUnknown) as caught:
                cat.submit("a cat", timeout=LIMIT)
            ends.append(caught.value)

        thread = threading.Thread(target=first)
        thread.start()
        assert eventually(lambda: gateway.requests)
        with pytest.raises(APITimeoutError) as caught:
            cat.submit("a dog", timeout=0.1)
    thread.join()  # The gateway has hung up.
    assert (caught.value.sent, len(gateway.requests), len(ends)) == (False, 1, 1)


def test_an_order_that_gets_no_connection_of_a_small_pool_is_not_sent(event_loop_driver: Driver) -> None:
    """Where the caller's own HTTP client has too few connections, the error says that the order did not go out."""

    async def order_two() -> APITimeoutError:
        limits = event_loop_driver.http.Limits(max_connections=1)
        async with (
            http_client(event_loop_driver, {"trust_env": False, "limits": limits}) as http,
            anyio.create_task_group() as tasks,
        ):
            cat = AsyncLongCat(KEY, gateway.url, http_client=http)
            tasks.start_soon(partial(cat.submit, "a cat", timeout=60.0))
            assert await anyio.to_thread.run_sync(eventually, lambda: gateway.requests)
            with pytest.raises(APITimeoutError) as caught:
                await cat.submit("a dog", timeout=0.5)
            tasks.cancel_scope.cancel()
        return caught.value

    with Server([read, stall]) as gateway:
        error = anyio.run(order_two, backend=event_loop_driver.name)
    assert (error.sent, len(gateway.requests)) == (False, 1)


def test_an_order_is_in_doubt_when_the_callers_own_http_client_fails(sync_driver: Driver, place: Place) -> None:
    """What a hook of the HTTP client raises says nothing about the order; the error tells so, and the journal."""
    hooks = {"response": [sync_driver.http.Response.raise_for_status]}
    with (
        Server(answers("500 Failed")) as gateway,
        http_client(sync_driver, {"trust_env": False, "event_hooks": hooks}) as http,
        LongCat(KEY, gateway.url, http_client=http, journal=place) as cat,
    ):
        for message in ("HTTPStatusError was raised while it was sent", "HTTPStatusError was raised while it was sent"):
            with pytest.raises(SubmitUnknown, match=message):
                cat.submit("a cat", id="x")
    assert len(gateway.requests) == 1


# --- What is said. ---


def test_what_is_in_doubt_is_told(driver: Driver) -> None:
    """The error names the order, what is known about it, and what to do."""
    with Server(answers("502 Bad Gateway", PAGE)) as gateway:
        error = end(driver, gateway.url)
    assert isinstance(error, SubmitUnknown)
    assert (error.order.prompt, error.status_code) == ("a cat", 502)
    assert str(error) == (
        "The order for 'a cat' is in doubt: the gateway answered 502: an HTML page titled \"Just a moment...\". It may"
        " have been taken, and paid for. Look into the account before you send it again; longcat does not, by itself."
    )


def test_the_key_is_in_no_error_about_an_order(driver: Driver) -> None:
    """An answer that quotes the key is shown without it."""
    quoting = json.dumps({"error": f"bad key {KEY}"}).encode()
    for status in ("200 OK", "400 Bad Request", "502 Bad Gateway", "202 Accepted"):
        with Server(answers(status, quoting)) as gateway:
            error = end(driver, gateway.url)
        shown = "".join(traceback.format_exception(error))
        assert KEY not in shown
        assert KEY not in repr(vars(error))


def test_an_address_that_the_answer_only_repeats_is_no_picture(clean_http: Any) -> None:
    """An order that is queued, with some other address in the answer, has no picture yet."""
    body = {"request_id": ID, "status": "QUEUED", "image": "https://storage.test/yours.png", "url": "https://me.test/"}
    with Server(answers("202 Accepted", json.dumps(body).encode())) as gateway:
        order = LongCat(KEY, gateway.url, http_client=clean_http).submit("a cat")
    assert (order.status.state, order.status.image) == (State.QUEUED, None)


def test_what_is_sent(driver: Driver) -> None:
    """An order is the documented call: its path, its headers, the fields that were set, and a size."""
    with Server([read, TAKEN]) as gateway:
        drive(driver, gateway.url, lambda cat: cat.submit("a cat", num_images=2, webhook_url="https://me.test/done"))
    [request] = gateway.requests
    assert (request.method, request.target) == ("POST", "/longcat-image-498/v1/longcat-image-request")
    assert json.loads(request.body) == {"prompt": "a cat", "image_size": "landscape_4_3", "num_images": 2}
    names = ("content-type", "cache-control", "ocp-apim-subscription-key", "x-webhook-url", "x-webhook-mode")
    assert [request.values(name) for name in names] == [
        ["application/json"],
        ["no-cache"],
        [KEY],
        ["https://me.test/done"],
        [],
    ]


# --- With a journal. ---


def test_an_id_stands_for_one_order(place: Place, clean_http: Any) -> None:
    """The same order under the same id is sent once; another one under that id is refused, and not sent."""
    with (
        Server([read, TAKEN]) as gateway,
        LongCat(KEY, gateway.url, http_client=clean_http, journal=place) as cat,
    ):
        assert cat.submit("a cat", id="x").request_id == cat.submit("a cat", id="x").request_id == ID
        with pytest.raises(ConfigurationError, match="'x' names another order"):
            cat.submit("a dog", id="x")
    assert len(gateway.requests) == 1


@pytest.mark.parametrize("name", ["taken", "unknown"])
def test_a_journal_that_fails_after_the_order_went_out_does_not_hide_it(
    place: Place, driver: Driver, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, the error names the request that was paid for, or says that the order is in doubt."""

    def full(*_: object) -> None:
        raise JournalError("The disk is full.")

    monkeypatch.setattr(OrderTable, name, full)
    monkeypatch.setattr(
        "longcat.saving.journal.journal.GRACE_FOR_WRITES", 0.0
    )  # Closing need not wait for what won't be noted.
    ids = {"taken": ID, "unknown": None}
    with Server([read, TAKEN] if name == "taken" else [read, reset]) as gateway:
        with pytest.raises(SubmitUnknown) as caught:
            drive(driver, gateway.url, lambda cat: cat.submit("a cat", id="x"), journal=place)
        [outcome] = drive(driver, gateway.url, lambda cat: cat.generate_all(["a dog"]), journal=place)
        # The next program knows from the intent that it must not be sent again.
        with pytest.raises(SubmitUnknown):
            drive(driver, gateway.url, lambda cat: cat.submit("a cat", id="x"), journal=place)
    assert (caught.value.request_id, ID in str(caught.value)) == (ids[name], name == "taken")
    assert isinstance(outcome.error, SubmitUnknown)
    assert outcome.request_id == (ids[name] or "")
    assert len(gateway.requests) == 2


def test_an_order_that_is_not_ours_any_more_is_begun_anew_before_a_byte_of_it_goes_out(
    tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the journal can't be certain of that once the connection is made, the gateway gets the order later, once."""
    checks: list[str] = []

    def check(_: OrderTable, key: str) -> None:
        checks.append(key)
        if len(checks) == 2:  # The first one was before it connected.
            raise JournalError("This program stood still.", locked=True)

    monkeypatch.setattr(OrderTable, "check", check)
    with Server([read], [read, TAKEN]) as gateway:
        order = drive(driver, gateway.url, lambda cat: cat.submit("a cat", id="x"), journal=tmp_path / "orders.db")
    assert order.request_id == ID
    assert (len(gateway.requests), len(gateway.connections), len(checks)) == (1, 2, 4)


@pytest.mark.parametrize(
    ("at", "state"),
    [("Acquire", None), ("begin", None), ("Call", OrderState.UNKNOWN), ("taken", OrderState.TAKEN)],
)
@pytest.mark.parametrize("goes_on", [False, True], ids=["", "while a thread goes on"])
def test_an_order_that_is_stopped_is_in_doubt_only_while_it_is_under_way(
    place: Place, at: str, state: OrderState | None, *, goes_on: bool
) -> None:
    """Whatever stops it, the journal tells the truth: nothing was sent, nobody knows, or this request came of it.

    A thread that writes into the journal may go on when the task that waits for it is cancelled.
    """
    gateway, clock = QueueGateway("https://gateway.test", KEY), VirtualClock()
    with Journal(place, time=clock.time) as journal:
        orders = journal.orders(gateway.base_url)
        submit = Submit(
            gateway, usable_order("a cat"), RateLimiter(), 60.0, clock.monotonic, lambda: 0.5, orders, "the cat"
        )
        flow, reached = submit.result(), iter(["Acquire", "begin", "Call", "taken"])
        command = next(flow)
        assert isinstance(command, RunInThread)
        command.function()  # The journal does not know the order.
        command = flow.send(None)
        while next(reached) != at:
            match command:
                case Call():
                    command = flow.send(Answer(202, {}, ACCEPTED))
                case RunInThread(function):
                    function()
                    command = flow.send(None)
                case _:
                    command = flow.send(None)
        write = command.function if isinstance(command, RunInThread) else lambda: None
        if at == "begin" and not goes_on:
            write()  # It is done when the flow is stopped.
        with pytest.raises(KeyboardInterrupt) as caught:
            flow.throw(KeyboardInterrupt())
        if goes_on:
            write()
        notes = "".join(getattr(caught.value, "__notes__", []))
        assert (ID in notes, "may have been taken" in notes) == (at == "taken", at == "Call")
        journal.flush()
        known = orders.known("the cat")
        assert (known.state if known is not None else None) == state
        if state is None:
            assert orders.begin("the cat", submit.order, Decimal(0)).state is OrderState.INTENDED

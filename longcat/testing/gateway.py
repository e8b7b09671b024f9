"""A gateway that answers as it was told, within the process: the transport of an HTTP client."""

import json
import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Decimal
from os import PathLike
from typing import Any, Final, Self, TypedDict, Unpack

import httpx
from anyio.lowlevel import checkpoint
from attrs import frozen

from longcat.client.async_client import AsyncLongCat
from longcat.client.sync_client import LongCat
from longcat.clock import Clock
from longcat.errors import ConfigurationError
from longcat.gateway.contract import SUBMIT, OperationId, contract
from longcat.gateway.queue import QueueGateway
from longcat.gateway.result import ResultGateway
from longcat.models import OrderRequest
from longcat.sending.http.async_transports import AsyncTransports
from longcat.sending.http.transports import SyncTransports
from longcat.sending.proxies import Proxies
from longcat.settings import usable_request_id
from longcat.testing.clock import VirtualClock
from longcat.testing.order_scripts import OrderScripts, Submission, begun, dollars, mistake_in, new_request_id
from longcat.testing.script import (
    STORAGE,
    Pictures,
    Progress,
    Reaction,
    Script,
    ScriptedFault,
    react,
    refusal,
    seconds,
)
from longcat.text import show
from longcat.waiting.schedule.plan import Polling

GATEWAY_URL: Final = "https://gateway.test"
GATEWAY_KEY: Final = "test-key"
_QUEUE: Final = QueueGateway(GATEWAY_URL, GATEWAY_KEY)
ORDER_PATH: Final = httpx.URL(_QUEUE.order(OrderRequest("p", {"image_size": "square_1_1"}), 0.0).url).path
STATUS_PATH: Final = httpx.URL(_QUEUE.ask("r", 0.0).url).path.removesuffix("r")
RESULT_PATH: Final = httpx.URL(ResultGateway(GATEWAY_URL, GATEWAY_KEY).ask("r", 0.0).url).path
KEY_HEADER: Final = contract(SUBMIT).key_header.lower()

LATE: Final = "The answer takes longer than the request allows."


class ClientOptions(TypedDict, total=False):
    """The other arguments of a client. See `LongCat`."""

    polling: Polling | None
    max_rate: float | None
    max_in_flight: int
    journal: str | PathLike[str] | None


@frozen
class Question:
    """One question about a request, and what was answered.

    Attributes:
        at: when it came, in seconds on the gateway's clock.
        request_id: which request it was about. None: it could not be read.
        code: the HTTP status code of the answer. None: an exception was raised instead.
        word: the status word in the answer. None: it had none, or came from a fault or a function.
    """

    at: float
    request_id: str | None
    code: int | None
    word: str | None = None


class FakeGateway(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Both gateways for tests, which know the requests that were scripted or ordered. Threads and tasks may share it.

    It answers as `openapi.yaml` says: 401 without a key, 400 to what can't be read, 404 about a request that it does
    not know, else 200, and 202 to an order. Any key is good. `client` and `async_client` make clients of it; other code
    gets it as the `transport` of an HTTP client, and its clock as the `clock` of a `LongCat`.

    Attributes:
        clock: the time. What the requests take passes on it.
        balance: how many US dollars are left for orders. None: there is no end of them. A test may set it.
        orders: what was ordered, in the order of the answers.
        questions: what was asked about requests, in the order of the answers.
        downloads: the request of each picture that was fetched, in order.

    Args:
        clock: the time. None: a new `VirtualClock`, on which sleeps take no real time.
        latency: how many seconds each answer takes. One that takes longer than the request allows is a time-out; an
            order is taken all the same.
        max_rate: how many orders and questions of any one second are answered; others get a 429 with a `Retry-After`.
            None: all.
        balance: US dollars for orders; one that costs more than is left gets a 402. None: there is no end of them.

    Raises:
        ConfigurationError: an argument can't be used.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        latency: float = 0.0,
        max_rate: int | None = None,
        balance: float | Decimal | None = None,
    ) -> None:
        self.clock: Clock = clock if clock is not None else VirtualClock()
        self.balance = dollars(balance)
        self.orders: list[Submission] = []
        self.questions: list[Question] = []
        self.downloads: list[str] = []
        self._latency = seconds("latency", latency)
        self._max_rate = _rate(max_rate)
        self._answered: deque[float] = deque(maxlen=self._max_rate)
        self._scripts: dict[str, Script] = {}
        self._pictures: dict[str, tuple[Script, int]] = {}
        self._order_scripts = OrderScripts()
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._scripts)} requests, {len(self.questions)} questions)"

    def request(  # noqa: PLR0913 - one line is to say it all.
        self,
        request_id: str,
        takes: float = 0.0,
        progress: Progress = "linear",
        *,
        words: Mapping[str, float] | None = None,
        ends: str | None = None,
        fails: str | None = None,
        faults: Iterable[ScriptedFault] = (),
        picture: Pictures = None,
        answer: Reaction | None = None,
    ) -> Self:
        """Script a request, and return the gateway, so that calls can be chained.

        Whichever gateway is asked about it answers in its own form. The queue gateway's has the words in capitals and
        no progress, the result gateway's the first picture only.

        Args:
            request_id: its id.
            takes: seconds on the clock from now until it is done. `math.inf`: it never is.
            progress: how its progress grows: `linear`, `eased`, `stepped` (by quarters), `stuck` (at 0.9), or a
                function from the share of the time to the progress, both from 0 to 1. None: it stays 0.
            words: what it says first instead of `processing`, and for how many seconds each: `{"queued": 10}`.
            ends: the status word once it is done. None: `completed`, or `failed` where `fails` is given.
            fails: the reason that goes with the end. None: the answer gives no reason.
            faults: what comes instead of the first good answers, one for each question: a status code from 400 to 599,
                an `httpx.Response`, an exception such as `httpx.ReadTimeout("late")`, or a function as in `answer`.
            picture: the bytes of its picture, or of each of several. None: a small PNG, different for each id.
            answer: a function that is called with the request and returns the response, instead of every good answer.

        Raises:
            ConfigurationError: an argument can't be used, or the request is known already.
        """
        with self._lock:
            if usable_request_id(request_id) in self._scripts:
                raise ConfigurationError(
                    f"The request {show(request_id)} is scripted already. Choose another id, or make a new FakeGateway."
                )
            self._add(
                Script(
                    request_id=request_id,
                    began=self.clock.monotonic(),
                    created=self.clock.time(),
                    takes=takes,
                    progress=progress,
                    words={} if words is None else dict(words),
                    ends=ends,
                    fails=fails,
                    faults=deque(faults),
                    picture=picture,
                    answer=answer,
                )
            )
        return self

    def order(  # noqa: PLR0913 - as above.
        self,
        takes: float = 0.0,
        *,
        times: int | None = 1,
        words: Mapping[str, float] | None = None,
        ends: str | None = None,
        fails: str | None = None,
        faults: Iterable[ScriptedFault] = (),
        picture: Pictures = None,
        answer: Reaction | None = None,
    ) -> Self:
        """Script the request that the next order becomes, and return the gateway. Other orders are done at once.

        Args:
            takes: seconds on the clock from the order until it is done.
            times: how many orders it is the script of. None: of all that follow.
            words: as in `request`.
            ends: as in `request`. An order that ends in `error` takes nothing off the balance.
            fails: as in `request`.
            faults: as in `request`: they meet the questions. `order_faults` has those that meet orders.
            picture: as in `request`. None: as many small PNGs as were ordered.
            answer: as in `request`.

        Raises:
            ConfigurationError: an argument can't be used, or all orders are scripted already.
        """
        script = Script(
            takes=takes,
            words={} if words is None else dict(words),
            ends=ends,
            fails=fails,
            faults=deque(faults),
            picture=picture,
            answer=answer,
        )
        with self._lock:
            self._order_scripts.add(script, times)
        return self

    def order_faults(self, *faults: ScriptedFault) -> Self:
        """Script what the next orders get instead of being taken, one fault for each, and return the gateway.

        Raises:
            ConfigurationError: one of them is no fault, see `request`; or all orders are scripted already.
        """
        with self._lock:
            self._order_scripts.add_faults(faults)
        return self

    def picture(self, request_id: str, number: int = 1) -> bytes:
        """Return the bytes of a request's n-th picture. Raises LookupError when there is none."""
        return self._scripts[request_id].pictures[number - 1]

    def client(
        self, api_key: str = GATEWAY_KEY, base_url: str = GATEWAY_URL, **options: Unpack[ClientOptions]
    ) -> LongCat:
        """Return a `LongCat` that asks this gateway and lives by its clock. The arguments are those of `LongCat`."""
        return _FakeLongCat(self, api_key, base_url, options)

    def async_client(
        self, api_key: str = GATEWAY_KEY, base_url: str = GATEWAY_URL, **options: Unpack[ClientOptions]
    ) -> AsyncLongCat:
        """Return an `AsyncLongCat` that asks this gateway and lives by its clock."""
        return _FakeAsyncLongCat(self, api_key, base_url, options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request: httpx calls this."""
        request.read()
        asked, (delay, late) = self.clock.monotonic(), self._delay(request)
        if delay > 0:
            self.clock.sleep(delay)
        return self._answer(request, asked, late)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request, and let other tasks run first: httpx calls this."""
        await request.aread()
        asked, (delay, late) = self.clock.monotonic(), self._delay(request)
        if delay > 0:
            await self.clock.asleep(delay)
        else:
            await checkpoint()
        return self._answer(request, asked, late)

    def _delay(self, request: httpx.Request) -> tuple[float, bool]:
        """Return how many seconds pass before the answer, and whether the request does not allow for so many."""
        allowed = request.extensions.get("timeout", {}).get("read")
        allowed = math.inf if allowed is None else allowed
        return min(self._latency, allowed), self._latency > allowed

    def _add(self, script: Script) -> None:
        """Answer for a request from now on, and have its pictures."""
        self._scripts[script.request_id] = script
        self._pictures.update({url: (script, number) for number, url in enumerate(script.urls)})

    def _answer(self, request: httpx.Request, asked: float, late: bool) -> httpx.Response:
        with self._lock:
            if request.method == "GET" and str(request.url).startswith(STORAGE):
                return self._storage(request, late)
            if (request.method, request.url.path) == ("POST", ORDER_PATH):
                return self._order(request, asked, late)
            return self._question(request, asked, late)

    def _storage(self, request: httpx.Request, late: bool) -> httpx.Response:
        """Return the answer to a request for a picture."""
        if late:
            raise httpx.ReadTimeout(LATE, request=request)
        script, number = self._pictures.get(str(request.url), (None, 0))
        if script is None or not script.is_completed(self.clock.monotonic()):
            return refusal(404)
        self.downloads.append(script.request_id)
        return httpx.Response(200, headers={"Content-Type": "image/png"}, content=script.pictures[number])

    def _order(self, request: httpx.Request, asked: float, late: bool) -> httpx.Response:
        """Return the answer to an order, and note both. An answer that comes too late is raised, and noted as none."""
        fields = _fields(request)
        headers = {name: value for name, value in request.headers.items() if name != KEY_HEADER}
        try:
            response, request_id = self._order_answer(request, fields)
        except Exception:
            self.orders.append(Submission(asked, None, None, fields or {}, headers))
            raise
        self.orders.append(Submission(asked, request_id, None if late else response.status_code, fields or {}, headers))
        if late:
            raise httpx.ReadTimeout(LATE, request=request)
        return response

    def _order_answer(
        self, request: httpx.Request, fields: Mapping[str, Any] | None
    ) -> tuple[httpx.Response, str | None]:
        """Return the answer to an order, and the id of the request that came of it if it was taken."""
        mistake = "the body is no JSON object" if fields is None else mistake_in(fields)
        objection = self._objection(request, SUBMIT)
        if objection is not None or fields is None or mistake is not None:
            return objection or httpx.Response(400, json={"error": "Invalid request", "message": mistake}), None
        order = OrderRequest("", fields)
        if self.balance is not None and _QUEUE.cost(order) > self.balance:
            return refusal(402), None
        script = self._order_scripts.pop()
        if not isinstance(script, Script):
            return react(script, request), None
        now, moment = self.clock.monotonic(), self.clock.time()
        request_id = new_request_id(len(self._scripts), moment)
        self._add(begun(script, request_id, order.pictures, now, moment))
        if self.balance is not None and not script.is_free:
            self.balance -= _QUEUE.cost(order)
        url = str(request.url.copy_with(raw_path=f"{STATUS_PATH}{request_id}".encode()))
        body = {"request_id": request_id, "status": "QUEUED", "polling_url": url}
        return httpx.Response(202, json=body), request_id

    def _question(self, request: httpx.Request, asked: float, late: bool) -> httpx.Response:
        """Return the answer to a question, and note both."""
        by_queue = request.method == "GET" and request.url.path.startswith(STATUS_PATH)
        request_id = request.url.path.removeprefix(STATUS_PATH) if by_queue else _request_id(request)
        try:
            response, word = self._question_answer(request, request_id, by_queue, late)
        except Exception:
            self.questions.append(Question(asked, request_id, None))
            raise
        self.questions.append(Question(asked, request_id, response.status_code, word))
        return response

    def _question_answer(
        self, request: httpx.Request, request_id: str | None, by_queue: bool, late: bool
    ) -> tuple[httpx.Response, str | None]:
        """Return the answer to a question, and the status word in it if there is one."""
        if late:
            raise httpx.ReadTimeout(LATE, request=request)
        if not by_queue and (request.method, request.url.path) != ("POST", RESULT_PATH):
            return refusal(404), None
        objection = self._objection(request, "get_request_status" if by_queue else "get_request_result")
        if objection is not None or request_id is None:
            return objection or refusal(400), None
        script = self._scripts.get(request_id)
        if script is None:
            return httpx.Response(404, json={"error": "Request not found"}) if by_queue else refusal(404), None
        scripted = script.faults.popleft() if script.faults else script.answer
        if scripted is not None:
            return react(scripted, request), None
        now = self.clock.monotonic()
        body = script.queue_body(now) if by_queue else script.result_body(now)
        return httpx.Response(200, json=body), body["status"]

    def _objection(self, request: httpx.Request, operation_id: OperationId) -> httpx.Response | None:
        """Return the error for a missing key, or for too many calls. None: neither is wrong."""
        if not request.headers.get(contract(operation_id).key_header):
            return refusal(401)
        if (retry_after := self._too_fast(self.clock.monotonic())) is not None:
            return refusal(429, retry_after)
        return None

    def _too_fast(self, now: float) -> float | None:
        """Count a call and return None; or return, in whole seconds, when to ask again if there were too many."""
        if self._max_rate is not None and len(self._answered) == self._max_rate:
            left = self._answered[0] + 1.0 - now
            if left > 0:
                return float(math.ceil(left))
        self._answered.append(now)
        return None


def _rate(max_rate: Any) -> int | None:
    """Return the rate, or raise ConfigurationError when it is no count."""
    if max_rate is None or (isinstance(max_rate, int) and max_rate >= 1):
        return max_rate
    raise ConfigurationError(f"max_rate is one or more whole calls a second, not {show(max_rate)}. Pass such a number.")


def _fields(request: httpx.Request) -> dict[str, Any] | None:
    """Return the JSON object in the body of a call, or None when there is none."""
    try:
        body: Any = json.loads(request.content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _request_id(request: httpx.Request) -> str | None:
    """Return which request a question to the result gateway is about, or None when it can't be read."""
    request_id = (_fields(request) or {}).get("request_id")
    return request_id if isinstance(request_id, str) and request_id else None


class _FakeLongCat(LongCat):
    """A client whose own HTTP client, which it closes, leads to a fake gateway."""

    def __init__(self, fake: FakeGateway, api_key: str, base_url: str, options: ClientOptions) -> None:
        self._fake = fake
        super().__init__(api_key, base_url, clock=fake.clock, allow_private=True, **options)  # There is no network.

    def _new_transports(self) -> SyncTransports:
        return SyncTransports(Proxies(), lambda *_: self._fake)


class _FakeAsyncLongCat(AsyncLongCat):
    """The same for asyncio and trio."""

    def __init__(self, fake: FakeGateway, api_key: str, base_url: str, options: ClientOptions) -> None:
        self._fake = fake
        super().__init__(api_key, base_url, clock=fake.clock, allow_private=True, **options)  # There is no network.

    def _new_transports(self) -> AsyncTransports:
        return AsyncTransports(Proxies(), lambda *_: self._fake)

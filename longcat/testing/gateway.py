"""A gateway that answers as it was told, within the process: the transport of an HTTP client."""

import json
import math
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Final, Self, TypedDict, Unpack
from urllib.parse import quote

import httpx
from anyio.lowlevel import checkpoint
from attrs import frozen

from longcat.client import AsyncLongCat, LongCat
from longcat.clock import Clock
from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract
from longcat.gateway.result import ResultGateway
from longcat.settings import usable_request_id
from longcat.testing.clock import VirtualClock
from longcat.testing.picture import draw
from longcat.testing.script import Progress, Reaction, Script, ScriptedFault, react, refusal, seconds
from longcat.text import show
from longcat.waiting.polling import Polling

URL: Final = "https://gateway.test"
KEY: Final = "test-key"
STORAGE: Final = "https://storage.test/results/"
"""Where the pictures are. Names that end in `.test` lead nowhere, should a test ask outside."""

LATE: Final = "The answer takes longer than the request allows."


class Options(TypedDict, total=False):
    """What else a client takes. See `LongCat`."""

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
    """A gateway for tests, which knows the requests that were scripted. It may be shared by threads and tasks.

    It answers as `openapi.yaml` says: 401 without a key, 400 to a question that can't be read, 404 about a request that
    was not scripted, else 200. Any key is good. `client` and `async_client` make clients of it; other code gets it as
    the `transport` of an HTTP client, and its clock as the `clock` of a `LongCat`.

    Attributes:
        clock: the time. What the requests take passes on it.
        questions: what was asked about requests, in the order of the answers.
        downloads: the id of each picture that was fetched, in order.

    Args:
        clock: the time. None: a new `VirtualClock`, on which sleeps take no real time.
        latency: how many seconds each answer takes. One that takes longer than the request allows is a time-out.
        max_rate: how many questions of any one second are answered; others get a 429 with a `Retry-After`. None: all.

    Raises:
        ConfigurationError: an argument can't be used.
    """

    def __init__(self, clock: Clock | None = None, *, latency: float = 0.0, max_rate: int | None = None) -> None:
        self.clock: Clock = clock if clock is not None else VirtualClock()
        self.questions: list[Question] = []
        self.downloads: list[str] = []
        self._latency = seconds("latency", latency)
        self._max_rate = _rate(max_rate)
        self._answered: deque[float] = deque(maxlen=self._max_rate)
        self._scripts: dict[str, Script] = {}
        self._pictures: dict[str, Script] = {}
        self._lock = threading.RLock()
        call = ResultGateway(URL, KEY).ask("r", 0.0)
        self._operation = (call.method, httpx.URL(call.url).path)

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
        picture: bytes | None = None,
        answer: Reaction | None = None,
    ) -> Self:
        """Script a request, and return the gateway, so that calls can be chained.

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
            picture: the bytes of its picture. None: a small PNG, different for each id.
            answer: a function that is called with the request and returns the response, instead of every good answer.

        Raises:
            ConfigurationError: an argument can't be used, or the request is known already.
        """
        with self._lock:
            if usable_request_id(request_id) in self._scripts:
                raise ConfigurationError(
                    f"The request {show(request_id)} is scripted already. Choose another id, or make a new FakeGateway."
                )
            script = Script(
                request_id=request_id,
                url=str(httpx.URL(f"{STORAGE}{quote(request_id, safe='')}.png")),
                began=self.clock.monotonic(),
                created=self.clock.time(),
                takes=takes,
                progress=progress,
                words={} if words is None else dict(words),
                ends=ends,
                fails=fails,
                faults=deque(faults),
                picture=draw(request_id) if picture is None else picture,
                answer=answer,
            )
            self._scripts[request_id] = self._pictures[script.url] = script
        return self

    def picture(self, request_id: str) -> bytes:
        """Return the bytes of a request's picture. Raises KeyError when it was not scripted."""
        return self._scripts[request_id].picture

    def client(self, api_key: str = KEY, base_url: str = URL, **options: Unpack[Options]) -> LongCat:
        """Return a `LongCat` that asks this gateway and lives by its clock. The arguments are those of `LongCat`."""
        return _FakeLongCat(self, api_key, base_url, options)

    def async_client(self, api_key: str = KEY, base_url: str = URL, **options: Unpack[Options]) -> AsyncLongCat:
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

    def _answer(self, request: httpx.Request, asked: float, late: bool) -> httpx.Response:
        with self._lock:
            if request.method == "GET" and str(request.url).startswith(STORAGE):
                return self._storage(request, late)
            request_id = _request_id(request)
            try:
                response, word = self._gateway(request, request_id, late)
            except Exception:
                self.questions.append(Question(asked, request_id, None))
                raise
            self.questions.append(Question(asked, request_id, response.status_code, word))
            return response

    def _storage(self, request: httpx.Request, late: bool) -> httpx.Response:
        """Return the answer to a request for a picture."""
        if late:
            raise httpx.ReadTimeout(LATE, request=request)
        script = self._pictures.get(str(request.url))
        if script is None or not script.is_completed(self.clock.monotonic()):
            return refusal(404)
        self.downloads.append(script.request_id)
        return httpx.Response(200, headers={"Content-Type": "image/png"}, content=script.picture)

    def _gateway(self, request: httpx.Request, request_id: str | None, late: bool) -> tuple[httpx.Response, str | None]:
        """Return the answer to a question, and the status word in it if there is one."""
        if late:
            raise httpx.ReadTimeout(LATE, request=request)
        now = self.clock.monotonic()
        script = self._scripts.get(request_id or "")
        objection = self._objection(request, request_id, now)
        if objection is not None or script is None:
            return objection or refusal(404), None
        if script.faults:
            return react(script.faults.popleft(), request), None
        if script.answer is not None:
            return react(script.answer, request), None
        return httpx.Response(200, json=script.body(now)), script.word(now)

    def _objection(self, request: httpx.Request, request_id: str | None, now: float) -> httpx.Response | None:
        """Return the error for a wrong path, key, rate or body. None: the question is in order."""
        if (request.method, request.url.path) != self._operation:
            return refusal(404)
        if not request.headers.get(contract("get_request_result").key_header):
            return refusal(401)
        if (retry_after := self._too_fast(now)) is not None:
            return refusal(429, retry_after)
        return refusal(400) if request_id is None else None

    def _too_fast(self, now: float) -> float | None:
        """Count a question and return None; or return, in whole seconds, when to ask again if there were too many."""
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
    raise ConfigurationError(
        f"max_rate is one or more whole questions a second, not {show(max_rate)}. Pass such a number."
    )


def _request_id(request: httpx.Request) -> str | None:
    """Return which request a question is about, or None when it can't be read."""
    try:
        body: Any = json.loads(request.content)
    except (ValueError, RecursionError):
        return None
    request_id = body.get("request_id") if isinstance(body, dict) else None
    return request_id if isinstance(request_id, str) and request_id else None


class _FakeLongCat(LongCat):
    """A client whose own HTTP client, which it closes, leads to a fake gateway."""

    def __init__(self, fake: FakeGateway, api_key: str, base_url: str, options: Options) -> None:
        self._fake = fake
        super().__init__(api_key, base_url, clock=fake.clock, **options)

    def _new_http(self) -> httpx.Client:
        return httpx.Client(transport=self._fake, timeout=None, trust_env=False)  # noqa: S113 - each call has its own.


class _FakeAsyncLongCat(AsyncLongCat):
    """The same for asyncio and trio."""

    def __init__(self, fake: FakeGateway, api_key: str, base_url: str, options: Options) -> None:
        self._fake = fake
        super().__init__(api_key, base_url, clock=fake.clock, **options)

    def _new_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=self._fake, timeout=None, trust_env=False)  # noqa: S113 - as above.

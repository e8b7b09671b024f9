"""Sends the probe's requests one at a time, with a pause between; obeys `Retry-After`, within bounds.

No redirect is followed, and the key goes to the servers of the contract, or to the base URL that is given, alone.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx
from attrs import define, evolve, field, frozen

from longcat.clock import Clock, SystemClock
from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Exchange, Inconclusive, Origin
from longcat.contract.openapi.spec import Spec
from longcat.contract.probe.probe_requests import KeyUse, ProbeRequest, probe_requests
from longcat.contract.traffic.redact import redact
from longcat.errors import APIConnectionError, APITimeoutError
from longcat.gateway.messages import Answer, Call
from longcat.sending.addresses import is_local
from longcat.sending.answer_reader import AnswerReader
from longcat.sending.sync_sender import SyncSender
from longcat.text import shorten, show
from longcat.text.hiding import hide_body, hiding_cut
from longcat.text.known_keys import KNOWN_KEYS

CALL_PAUSE: Final = 1.0
"""Seconds between two calls, except on this machine."""
MAX_FAILURES: Final = 2
"""How many requests in a row may fail before the rest is left out."""
BACKOFF: Final = 2.0
"""Seconds to wait after a first 429 that does not say how long; each further one doubles it."""
MIN_WAIT: Final = 1.0
"""Seconds to wait after a 429 at least, so that a `Retry-After` of 0 does not make us send for ever."""
WRONG_KEY: Final = "longcat-contract-wrong-key"
"""Sent where a key must be refused."""
SOURCE: Final = "probe, "
"""The source of each exchange is this, and the name of its request."""


@frozen
class Pacing:
    """The pace at which a gateway is asked.

    Attributes:
        pause: seconds between two calls. None: `CALL_PAUSE`, and nothing on this machine.
        timeout: seconds that one call may take.
        patience: seconds that may be spent in all on waiting because the gateway asks for it.
    """

    pause: float | None = None
    timeout: float = 10.0
    patience: float = 20.0


def probe(  # noqa: PLR0913 - what is sent, where to, and how.
    spec: Spec,
    base_url: str | None,
    api_key: str | None,
    request_ids: Sequence[str] = (),
    *,
    operations: Sequence[str] = (),
    pacing: Pacing | None = None,
    origin: Origin | None = None,
    http_client: httpx.Client | None = None,
    clock: Clock | None = None,
) -> Iterator[Judgement | Inconclusive]:
    """Send every request, and yield the judgement of each answer, in order and as it comes.

    An inconclusive answer, such as a page of the CDN in front, is asked for once more and then is `Inconclusive`.
    When two requests in a row to one server fail, or it says 429 for longer than the patience lasts, the rest is not
    sent there.

    Args:
        spec: the contract.
        base_url: scheme and host. None: each operation is asked at its own server.
        api_key: the user's. None: the requests that need it are not sent.
        request_ids: the requests to ask about.
        operations: the ids of the operations to ask about. Empty: all of them.
        pacing: None: the usual one.
        origin: what kind of evidence the answers are. None: as the base URL suggests.
        http_client: sends the calls, and stays open. None: one of our own.
        clock: the time. None: this machine's.

    Raises:
        ConfigurationError: there are too many ids, there is no operation of a name, or the HTTP client can't be made.
    """
    pacing, clock = pacing or Pacing(), clock or SystemClock()
    KNOWN_KEYS.add(api_key or "")
    requests = probe_requests(spec, request_ids, base_url, operations)
    servers = {request.base_url for request in requests if request.obstacle is None}
    new_transports = partial(SyncSender.new_transports, servers)
    with closing(SyncSender(http_client, new_transports, clock, max_in_flight=1)) as sender:
        run = _Probe(
            spec=spec,
            api_key=api_key,
            origin=origin,
            sender=sender,
            clock=clock,
            pause=pacing.pause,
            timeout=pacing.timeout,
            patience=pacing.patience,
        )
        for request in requests:
            outcome = run.ask(request)
            yield from run.undocumented
            run.undocumented.clear()
            yield outcome


@frozen
class _Failure:
    """No answer came, or only a part of one.

    Attributes:
        reason: what happened, in words.
        partial: the judgement of an answer whose body stopped before its end. None: nothing.
        may_pass: whether it may pass, so that sending once more is worth it. A time-out has waited long enough.
    """

    reason: str
    partial: Judgement | None = None
    may_pass: bool = True


@frozen
class _Judged:
    """An answer.

    Attributes:
        judgement: of the exchange.
        retry_after: seconds that the gateway asks to wait. None: it does not say.
    """

    judgement: Judgement
    retry_after: float | None


@define
class _Probe:
    """One probe, and how it went so far.

    Attributes:
        origin: what kind of evidence the answers are. None: as each base URL suggests.
        pause: seconds between two calls. None: as long as each base URL deserves.
        timeout: seconds until a whole answer must be there.
        patience: seconds of waiting that are left.
        calls: how many were sent.
        failures: by base URL, how many requests in a row had no answer.
        given_up: by base URL, why nothing more is sent there.
        undocumented: 429s in another form than documented, to be judged although they are waited out; one of a kind.
    """

    spec: Spec
    api_key: str | None
    origin: Origin | None
    sender: SyncSender
    clock: Clock
    pause: float | None
    timeout: float
    patience: float
    calls: int = 0
    failures: Counter[str] = field(factory=Counter)
    given_up: dict[str, str] = field(factory=dict)
    undocumented: list[Judgement] = field(factory=list)
    _bodies: set[bytes | None] = field(factory=set)

    def ask(self, request: ProbeRequest) -> Judgement | Inconclusive:
        if request.obstacle is not None:
            return Inconclusive(request.name, request.obstacle, unclear=False)
        if request.key is KeyUse.VALID and self.api_key is None:
            return Inconclusive(request.name, "no key was given", unclear=False)
        server = request.base_url
        if server in self.given_up:
            return Inconclusive(request.name, f"left out, because {self.given_up[server]}")
        outcome = self._send_until_conclusive(request)
        if isinstance(outcome, Judgement):
            self.failures[server] = 0
            return outcome
        self.failures[server] += 1
        if self.failures[server] >= MAX_FAILURES:
            self.given_up.setdefault(server, f"{MAX_FAILURES} questions in a row had no answer")
        return Inconclusive(request.name, outcome)

    def _send_until_conclusive(self, request: ProbeRequest) -> Judgement | str:
        """Send until an answer can be judged, or return why none can."""
        tries, slow_downs, was_cut = 0, 0, False
        while True:
            answer = self._send(request)
            tries += 1
            if isinstance(answer, _Failure):
                if was_cut and answer.partial is not None:
                    return answer.partial  # Cut twice: that is what it answers.
                if tries > 1 or not answer.may_pass:
                    return answer.reason
                was_cut = answer.partial is not None
                continue
            judgement, hint, body = answer.judgement, answer.retry_after, answer.judgement.exchange.response_body
            if judgement.exchange.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                if judgement.outage is None and body not in self._bodies:
                    self._bodies.add(body)
                    self.undocumented.append(judgement)
                wait = BACKOFF * 2**slow_downs if hint is None else max(hint, MIN_WAIT)
                slow_downs += 1
                tries -= 1
                if not self._wait(wait, capped=hint is None):
                    self.given_up[request.base_url] = _too_long(hint)
                    return self.given_up[request.base_url]
            elif judgement.outage is None:
                return judgement
            elif tries > 1 or not self._wait(hint or 0.0, capped=False):
                return judgement.outage

    def _wait(self, seconds: float, *, capped: bool) -> bool:
        """Wait, and return whether there was the patience for it. Capped: no longer than the patience that is left."""
        if capped:
            seconds = min(seconds, self.patience)
        if seconds > self.patience or (capped and not seconds):
            return False
        self.patience -= seconds
        if seconds:
            self.clock.sleep(seconds)
        return True

    def _send(self, request: ProbeRequest) -> _Judged | _Failure:
        """Send a request, once."""
        default = 0.0 if is_loopback(request.base_url) else CALL_PAUSE
        pause = default if self.pause is None else self.pause
        if self.calls and pause:
            self.clock.sleep(pause)
        self.calls += 1
        call = Call(request.method, request.base_url + request.path, self.timeout, self._headers(request), request.body)
        reader = AnswerReader(call, self.clock)
        try:
            answer = self.sender.send(call, reader=reader)
            if answer.coding is not None:
                coding = show(answer.coding, KNOWN_KEYS.hide)
                return _Failure(f"the answer is in the content coding {coding}, which can't be read", may_pass=False)
            return _Judged(self._judgement(request, call, answer), answer.retry_after)
        except APITimeoutError:
            return _Failure(f"no whole answer from {request.base_url} within {self.timeout:g} s", may_pass=False)
        except APIConnectionError as error:
            part = reader.partial() if isinstance(error.__cause__, httpx.RemoteProtocolError) else None
            partial = None if part is None else self._judgement(request, call, evolve(part, whole=False))
            advice = f". {error.next_step.rstrip('.')}" if error.lasting else ""  # It is put into a sentence.
            reason = f"no answer from {request.base_url}: {shorten(error.message, 200)}{advice}"
            if error.lasting:
                self.given_up.setdefault(request.base_url, shorten(error.message, 200))
            return _Failure(reason, partial, may_pass=error.transient)

    def _headers(self, request: ProbeRequest) -> dict[str, str]:
        key = {KeyUse.NONE: None, KeyUse.WRONG: WRONG_KEY}.get(request.key, self.api_key)
        headers = {"Accept": "application/json", **request.headers}
        if request.key_header is not None and key is not None:
            headers[request.key_header] = request.key_prefix + key
        return headers

    def _judgement(self, request: ProbeRequest, call: Call, answer: Answer) -> Judgement:
        message, key = self.sender.request(call), self.api_key or ""
        origin = self.origin or origin_of(self.spec, request.base_url)
        exchange = Exchange(
            method=message.method,
            url=str(message.url),
            request_headers={name.lower(): value for name, value in message.headers.items()},
            request_body=request.body,
            status_code=answer.status_code,
            response_headers=answer.headers,
            response_body=answer.body if answer.whole else hide_body(answer.body, hiding_cut(key)),
            source=f"{SOURCE}{request.name}",
            origin=origin,
            intent=request.intent or ("known-request" if origin == "unknown" else None),
        )
        # A value with a prefix is `Authorization`, which is known to hold a secret after it.
        names = [request.key_header] if request.key_header and not request.key_prefix else []
        return Judgement(self.spec, redact(exchange, names, thorough=False, secrets=[key]))


def _too_long(hint: float | None) -> str:
    wish = "" if hint is None else f", and wants to be left alone for {math.ceil(hint)} s"
    return f"the gateway says 429, too many calls{wish}: longer than the probe may wait"


def is_loopback(base_url: str) -> bool:
    """Return whether a base URL names this machine."""
    return is_local(urlsplit(base_url).hostname or "")


def origin_of(spec: Spec, base_url: str) -> Origin:
    """Return what kind of evidence answers from a base URL are.

    The contract's own server is the live service. On this machine, it is taken to be the sandbox.
    """
    hosts = {urlsplit(server).netloc for operation in spec.operations for server in operation.servers}
    if urlsplit(base_url).netloc in hosts:
        return "live"
    return "sandbox" if is_loopback(base_url) else "unknown"

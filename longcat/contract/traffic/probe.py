"""Sends the probe's requests one at a time, with a pause between; obeys `Retry-After`, within bounds."""

import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from http import HTTPStatus
from typing import Final

import httpx
from attrs import define, field, frozen

from longcat.clock import Clock, SystemClock
from longcat.contract.checks.judge import outage
from longcat.contract.model import Exchange, Origin
from longcat.contract.openapi.spec import Spec
from longcat.contract.traffic.probe_requests import KeyUse, ProbeRequest, Unanswered, probe_requests
from longcat.contract.traffic.sender import Failure, ProbeSender, is_loopback, origin_of
from longcat.gateway.messages import Answer

PAUSE: Final = 1.0
"""Seconds between two calls, except on this machine."""
MAX_FAILURES: Final = 2
"""How many requests in a row may fail before the rest is left out."""
BACKOFF: Final = 2.0
"""Seconds to wait after a first 429 that does not say how long; each further one doubles it."""
MIN_WAIT: Final = 1.0
"""Seconds to wait after a 429 at least, so that a `Retry-After` of 0 does not make us send for ever."""


@frozen
class Pacing:
    """How a gateway is treated.

    Attributes:
        pause: seconds between two calls. None: `PAUSE`, and nothing on this machine.
        timeout: seconds that one call may take.
        patience: seconds that may be spent in all on waiting because the gateway asks for it.
    """

    pause: float | None = None
    timeout: float = 10.0
    patience: float = 20.0


def probe(  # noqa: PLR0913 - what is sent, where to, and how.
    spec: Spec,
    base_url: str,
    api_key: str | None,
    request_ids: Sequence[str] = (),
    *,
    pacing: Pacing | None = None,
    origin: Origin | None = None,
    http_client: httpx.Client | None = None,
    clock: Clock | None = None,
) -> Iterator[Exchange | Unanswered]:
    """Send every request, and yield what came of each, in order and as it comes.

    An answer that tells nothing, such as a page of the CDN in front, is asked for once more and then is `Unanswered`.
    When two requests in a row fail, or the gateway says 429 for longer than the patience lasts, the rest is not sent.

    Args:
        spec: the contract.
        base_url: scheme and host.
        api_key: the user's. None: the requests that need it are not sent.
        request_ids: the requests to ask about.
        pacing: None: the usual one.
        origin: what kind of evidence the answers are. None: as the base URL suggests.
        http_client: sends the calls. None: one of our own.
        clock: the time. None: this machine's.

    Raises:
        ConfigurationError: there are too many ids, or the HTTP client can't be made.
    """
    pacing = pacing or Pacing()
    requests = probe_requests(spec, request_ids, base_url)
    pause = pacing.pause if pacing.pause is not None else 0.0 if is_loopback(base_url) else PAUSE
    origin, clock = origin or origin_of(spec, base_url), clock or SystemClock()
    with closing(ProbeSender(base_url, api_key, pacing.timeout, origin, http_client, clock)) as sender:
        run = _Probe(spec, sender, clock, pause, pacing.patience)
        for request in requests:
            outcome = run.ask(request)
            yield from run.undocumented
            run.undocumented.clear()
            yield outcome


@define
class _Probe:
    """One probe, and how it went so far.

    Attributes:
        pause: seconds between two calls.
        patience: seconds of waiting that are left.
        calls: how many were sent.
        failures: how many requests in a row had no answer.
        given_up: why nothing more is sent. None: it still is.
        undocumented: 429s in another form than documented, to be judged although they are waited out; one of a kind.
    """

    spec: Spec
    sender: ProbeSender
    clock: Clock
    pause: float
    patience: float
    calls: int = 0
    failures: int = 0
    given_up: str | None = None
    undocumented: list[Exchange] = field(factory=list)
    _bodies: set[bytes | None] = field(factory=set)

    def ask(self, request: ProbeRequest) -> Exchange | Unanswered:
        if request.obstacle is not None:
            return Unanswered(request, request.obstacle, unclear=False)
        if request.key is KeyUse.VALID and self.sender.api_key is None:
            return Unanswered(request, "no key was given", unclear=False)
        if self.given_up is not None:
            return Unanswered(request, f"left out, because {self.given_up}")
        outcome = self._send_until_told(request)
        if isinstance(outcome, Exchange):
            self.failures = 0
            return outcome
        self.failures += 1
        if self.failures >= MAX_FAILURES and self.given_up is None:
            self.given_up = f"{MAX_FAILURES} questions in a row had no answer"
        return Unanswered(request, outcome)

    def _send_until_told(self, request: ProbeRequest) -> Exchange | str:
        """Send until there is an answer that tells something, or return why there is none."""
        tries, slow_downs, was_cut = 0, 0, False
        while True:
            answer = self._send(request)
            tries += 1
            if isinstance(answer, Failure):
                if was_cut and answer.partial is not None:
                    return answer.partial  # Cut twice: that is what it answers.
                if tries > 1 or not answer.may_pass:
                    return answer.reason
                was_cut = answer.partial is not None
                continue
            if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
                if outage(self.spec, answer) is None and answer.response_body not in self._bodies:
                    self._bodies.add(answer.response_body)
                    self.undocumented.append(answer)
                hint = _retry_after(answer, self.clock)
                wait = BACKOFF * 2**slow_downs if hint is None else max(hint, MIN_WAIT)
                slow_downs += 1
                tries -= 1
                if not self._wait(wait, capped=hint is None):
                    self.given_up = _too_long(hint)
                    return self.given_up
                continue
            why_it_tells_nothing = outage(self.spec, answer)
            if why_it_tells_nothing is None:
                return answer
            if tries > 1 or not self._wait(_retry_after(answer, self.clock) or 0.0, capped=False):
                return why_it_tells_nothing

    def _send(self, request: ProbeRequest) -> Exchange | Failure:
        if self.calls and self.pause:
            self.clock.sleep(self.pause)
        self.calls += 1
        return self.sender.send(request)

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


def _retry_after(exchange: Exchange, clock: Clock) -> float | None:
    return Answer(exchange.status_code, exchange.response_headers, b"", received=clock.time()).retry_after


def _too_long(hint: float | None) -> str:
    wish = "" if hint is None else f", and wants to be left alone for {math.ceil(hint)} s"
    return f"the gateway says 429, too many calls{wish}: longer than the probe may wait"

"""Asks the questions, politely: one at a time, with a pause between, a `Retry-After` obeyed, and a bound on it all."""

import math
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

import httpx
from attrs import define, field, frozen

from longcat.clock import Clock, SystemClock
from longcat.contract.checks.judge import outage
from longcat.contract.model import Exchange, Origin
from longcat.contract.openapi.spec import Spec
from longcat.contract.traffic.questions import Key, Question, questions
from longcat.contract.traffic.sender import Failure, Sender, client_for, is_loopback, origin_of
from longcat.gateway.messages import (
    Answer,
)

PAUSE: Final = 1.0
"""Seconds between two questions, except on this machine."""
ENOUGH: Final = 2
"""How many questions in a row may fail before the rest is left."""
BACKOFF: Final = 2.0
"""Seconds to wait after a first 429 that does not say how long; each further one doubles it."""

SHORTEST: Final = 1.0
"""Seconds to wait after a 429 at least, so that a `Retry-After` of 0 does not make us ask for ever."""


@frozen
class Politeness:
    """How a gateway is treated.

    Attributes:
        pause: seconds between two calls. None: `PAUSE`, and nothing on this machine.
        timeout: seconds that one call may take.
        patience: seconds that all waiting for a gateway that wants to be left alone may take together.
    """

    pause: float | None = None
    timeout: float = 10.0
    patience: float = 20.0


@frozen
class Unanswered:
    """A question to which there is no answer.

    Attributes:
        reason: one sentence, without a full stop.
        unclear: whether it was meant to be asked, so that the probe as a whole could not tell. False: nobody gave what
            it needs.
    """

    question: Question
    reason: str
    unclear: bool = True


def probe(  # noqa: PLR0913 - what is asked, of whom, and how.
    spec: Spec,
    base_url: str,
    api_key: str | None,
    request_ids: Sequence[str] = (),
    *,
    politeness: Politeness | None = None,
    origin: Origin | None = None,
    http_client: httpx.Client | None = None,
    clock: Clock | None = None,
) -> Iterator[Exchange | Unanswered]:
    """Ask every question, and yield what came of each, in order and as it comes.

    An answer that tells nothing, such as a page of the CDN in front, is asked for once more and then is `Unanswered`.
    When two questions in a row fail, or the gateway says 429 for longer than the patience lasts, the rest is not asked.

    Args:
        spec: the contract.
        base_url: scheme and host.
        api_key: the user's. None: the questions that need it are not asked.
        request_ids: the requests to ask about.
        politeness: None: the usual one.
        origin: what kind of evidence the answers are. None: as the base URL suggests.
        http_client: sends the calls. None: one of our own.
        clock: the time. None: this machine's.

    Raises:
        ConfigurationError: there are too many ids, or the HTTP client can't be made.
    """
    manners = politeness or Politeness()
    asked = questions(spec, request_ids, base_url)
    pause = manners.pause if manners.pause is not None else 0.0 if is_loopback(base_url) else PAUSE
    with client_for(manners.timeout, http_client) as http:
        sender = Sender(base_url, api_key, http, manners.timeout, origin or origin_of(spec, base_url))
        asker = _Asker(spec, sender, clock or SystemClock(), pause, manners.patience)
        for question in asked:
            outcome = asker.ask(question)
            yield from asker.misformed
            asker.misformed.clear()
            yield outcome


@define
class _Asker:
    """One probe: who is asked, and how it went so far.

    Attributes:
        pause: seconds between two calls.
        patience: seconds of waiting that are left.
        calls: how many were sent.
        failed: how many questions in a row had no answer.
        given_up: why nothing more is asked. None: it still is.
        misformed: 429s in another form than documented, to be judged although they are waited out; one of a kind.
    """

    spec: Spec
    sender: Sender
    clock: Clock
    pause: float
    patience: float
    calls: int = 0
    failed: int = 0
    given_up: str | None = None
    misformed: list[Exchange] = field(factory=list)
    _bodies: set[bytes | None] = field(factory=set)

    def ask(self, question: Question) -> Exchange | Unanswered:
        if question.obstacle is not None:
            return Unanswered(question, question.obstacle, unclear=False)
        if question.key is Key.VALID and self.sender.api_key is None:
            return Unanswered(question, "no key was given", unclear=False)
        if self.given_up is not None:
            return Unanswered(question, f"left out, because {self.given_up}")
        outcome = self._insist(question)
        if isinstance(outcome, Exchange):
            self.failed = 0
            return outcome
        self.failed += 1
        if self.failed >= ENOUGH and self.given_up is None:
            self.given_up = f"{ENOUGH} questions in a row had no answer"
        return Unanswered(question, outcome)

    def _insist(self, question: Question) -> Exchange | str:
        """Ask until there is an answer that tells something, or return why there is none."""
        tries, slow_downs, was_cut = 0, 0, False
        while True:
            answer = self._call(question)
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
                    self.misformed.append(answer)
                hint = _retry_after(answer, self.clock)
                wait = BACKOFF * 2**slow_downs if hint is None else max(hint, SHORTEST)
                slow_downs += 1
                tries -= 1
                if not self._wait(wait, capped=hint is None):
                    self.given_up = _impatient(hint)
                    return self.given_up
                continue
            silence = outage(self.spec, answer)
            if silence is None:
                return answer
            if tries > 1 or not self._wait(_retry_after(answer, self.clock) or 0.0, capped=False):
                return silence

    def _call(self, question: Question) -> Exchange | Failure:
        if self.calls and self.pause:
            self.clock.sleep(self.pause)
        self.calls += 1
        return self.sender.send(question)

    def _wait(self, seconds: float, *, capped: bool) -> bool:
        """Wait, and return whether there was the patience for it. Capped: what is left of it will do."""
        if capped:
            seconds = min(seconds, self.patience)
        if seconds > self.patience or (capped and not seconds):
            return False
        self.patience -= seconds
        if seconds:
            self.clock.sleep(seconds)
        return True


def _retry_after(exchange: Exchange, clock: Clock) -> float | None:
    answer = Answer(exchange.status_code, exchange.response_headers, b"", received=clock.time())
    return answer.retry_after


def _impatient(hint: float | None) -> str:
    wish = "" if hint is None else f", and wants to be left alone for {math.ceil(hint)} s"
    return f"the gateway says 429, too many calls{wish}: longer than the probe may wait"

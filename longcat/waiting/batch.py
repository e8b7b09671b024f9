"""Many waits at once: which of them speaks next. No I/O, and no clock but the one that it is given.

A batch holds the conversation about every request that is open. A driver takes calls from it with `send`, has several
of them under way, and gives back what came of each with `receive`. In between it sleeps for `pause` seconds.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Final

from attrs import define, field

from longcat.errors import ConfigurationError, LongCatError, WaitTimeout
from longcat.gateway.messages import (
    Answer,
    Call,
)
from longcat.models import Image, Status
from longcat.waiting.adaptive import (
    AdaptivePlan,
    last_done,
)
from longcat.waiting.commands import (
    Acquire,
    Command,
    Flow,
    RunInThread,
    Sleep,
)
from longcat.waiting.rate_limit import LONGEST_SLEEP, RESOLUTION, RateLimiter, Slot
from longcat.waiting.wait import (
    Outcome,
    Wait,
)

MAX_OPEN: Final = 10_000
"""How many requests a batch has open at a time, and outcomes that nobody has taken yet."""


@define(eq=False)
class Job:
    """The conversation about one request.

    Attributes:
        wait: whose conversation it is.
        command: its last one.
        step: how many commands it has given. A note that was made at an earlier one is out of date.
        has_alarm: whether it is woken at its deadline.
    """

    wait: Wait
    _flow: Flow[Outcome]
    command: Command | None = None
    step: int = 0
    has_alarm: bool = False

    @property
    def call(self) -> Call:
        """The call to send."""
        if not isinstance(self.command, Call):
            raise TypeError("it has no call to send")
        return self.command

    def go_on(self, answer: Answer | LongCatError | None) -> Command | Outcome:
        """Say what came of the last command, and return the next one, or the outcome."""
        self.step += 1
        self.command = None
        try:
            self.command = self._flow.throw(answer) if isinstance(answer, LongCatError) else self._flow.send(answer)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        return self.command

    def close(self) -> None:
        """Leave the conversation where it is."""
        self._flow.close()


class FairQueue:
    """Those who wait for their turn. Who is overdue most comes first, see `Acquire.overdue`.

    Who that is changes with time, but not among those whose pauses are of one magnitude, near enough: there it is who
    was answered first. So each magnitude has a queue of its own, and the heads of the queues are compared.
    """

    def __init__(self) -> None:
        self._queues: dict[int, list[tuple[float, int, Job, int]]] = {}
        self._number = count()

    def join(self, job: Job, turn: Acquire) -> None:
        """Take a place. It is given up when the conversation goes on."""
        magnitude = math.frexp(max(turn.due - turn.since, RESOLUTION))[1]
        entry = turn.since, next(self._number), job, job.step
        heapq.heappush(self._queues.setdefault(magnitude, []), entry)

    def first(self, now: float) -> Job | None:
        """Return who comes first. None: nobody waits."""
        heads: list[tuple[float, int, Job]] = []
        for magnitude, queue in [*self._queues.items()]:
            while queue and queue[0][2].step != queue[0][3]:
                heapq.heappop(queue)
            if not queue:
                del self._queues[magnitude]
                continue
            _, number, job, _ = queue[0]
            if isinstance(job.command, Acquire):
                heads.append((-job.command.overdue(now), number, job))
        return min(heads)[2] if heads else None


@define(eq=False)
class Batch:
    """The conversations about many requests, and their order.

    Attributes:
        begin: makes the wait for a request, or raises ConfigurationError if the id can't be one.
        on_change: told of every change of every request. None: nobody is.
        traffic: the client's budget.
        monotonic: the clock, in seconds.
        max_in_flight: how many calls may be under way.
        end: from this moment on, no more requests are wanted. It does not end those that are open.
        outcomes: those that nobody has taken yet, in the order in which they came.
        fed: whether every request is known. The driver says so.
        in_flight: how many calls are under way.
    """

    begin: Callable[[str], Wait]
    on_change: Callable[[Status], object] | None
    rate_limiter: RateLimiter
    monotonic: Callable[[], float]
    max_in_flight: int
    end: float = math.inf
    outcomes: deque[Outcome] = field(factory=deque, init=False)
    fed: bool = field(default=False, init=False)
    in_flight: int = field(default=0, init=False)
    _seen: set[str] = field(factory=set, init=False)
    _open: set[Job] = field(factory=set, init=False)
    _new: Job | None = field(default=None, init=False)
    """A request that was not asked about yet. There is one at most, as ids are taken when they can be asked about."""
    _new_goes_first: bool = field(default=True, init=False)
    _line: FairQueue = field(factory=FairQueue, init=False)
    _alarms: list[tuple[float, int, Job, int | None]] = field(factory=list, init=False)
    """When to wake whom: after a pause, at that step; or at its deadline, if it waits for its turn then."""
    _number: Iterator[int] = field(factory=count, init=False)
    _calls: deque[Job] = field(factory=deque, init=False)
    _slot: Slot | None = field(default=None, init=False)

    @property
    def wants_more(self) -> bool:
        """Whether the next request is wanted now."""
        return not self._full and self._new is None and len(self._open) + len(self.outcomes) < MAX_OPEN

    @property
    def done(self) -> bool:
        """Whether nothing is left to do but to take the outcomes."""
        return self._full and not self._open

    @property
    def _full(self) -> bool:
        return self.fed or self.end - self.monotonic() < RESOLUTION

    def feed(self, request_id: str) -> None:
        """Take in a request, unless it was taken in before. Raises ConfigurationError when the id is no string."""
        if not isinstance(request_id, str):
            raise ConfigurationError(f"A request id is a string, not {type(request_id).__name__}. Pass strings only.")
        if request_id in self._seen:
            return
        self._seen.add(request_id)
        try:
            wait = self.begin(request_id)
        except ConfigurationError as error:
            self.outcomes.append(Outcome(request_id, error=error))
            return
        job = Job(wait, wait.outcome(self.on_change))
        self._open.add(job)
        self._go_on(job, None)

    def send(self) -> Job | None:
        """Return who has a call that is to be sent now. None: nobody, for `pause` seconds."""
        now = self.monotonic()
        self._wake(now)
        while not self._calls and self.in_flight < self.max_in_flight:
            job = self._next(now)
            if job is None:
                return None
            self._go_on(job, None)
        if not self._calls or self.in_flight >= self.max_in_flight:
            return None
        self.in_flight += 1
        return self._calls.popleft()

    def receive(self, job: Job, answer: Answer | LongCatError) -> None:
        """Take in what came of a call."""
        self.in_flight -= 1
        self._go_on(job, answer)

    def pause(self) -> float:
        """Return the seconds until `send` is to be called again, unless an answer comes before."""
        now = self.monotonic()
        while self._alarms and self._is_stale(*self._alarms[0][2:]):
            heapq.heappop(self._alarms)
        moments = [self.end if self.end > now else math.inf, now + LONGEST_SLEEP]
        if self._alarms:
            moments.append(self._alarms[0][0])
        someone_waits = self._new is not None or self._line.first(now) is not None
        if self._slot is not None and someone_waits and self.in_flight < self.max_in_flight:
            moments.append(now + (self.rate_limiter.pause(self._slot, now) or 0.0))
        return max(min(moments) - now, 0.0)

    def remaining(self) -> float | None:
        """Return in how many seconds all requests will be done, as likely as not. None: nobody knows.

        The estimate is that of the schedule, so it is there with `AdaptivePolling` only, and when every id is known.
        It is no less than the budget needs to ask about each request once more.
        """
        waits = [job.wait for job in self._open]
        plans = [(wait.plan, wait.elapsed) for wait in waits if isinstance(wait.plan, AdaptivePlan)]
        if not plans or not self._full or self._new is not None:
            return None
        return max(last_done(plans), len(plans) / self.rate_limiter.rate(self.monotonic()))

    def close(self) -> None:
        """Leave every conversation where it is."""
        for job in self._open:
            job.close()
        self._open.clear()

    def _is_stale(self, job: Job, step: int | None) -> bool:
        return job not in self._open or step not in {None, job.step}

    def _wake(self, now: float) -> None:
        """Go on with those whose pause is over, and those who waited for their turn until the deadline."""
        while self._alarms and self._alarms[0][0] - now < RESOLUTION:
            _, _, job, step = heapq.heappop(self._alarms)
            if job.step == step or (step is None and isinstance(job.command, Acquire)):
                self._go_on(job, None)

    def _next(self, now: float) -> Job | None:
        """Return whose turn it is now. None: nobody's.

        A slot is reserved as soon as somebody waits, and given away when it comes, to who needs it most by then. When
        there are not enough, every other one goes to a request that was not asked about yet, so that old requests do
        not keep new ones from being asked, nor new ones old ones.
        """
        new, waiting = self._new, self._line.first(now)
        if new is None and waiting is None:
            return None
        if self._slot is None or self.rate_limiter.pause(self._slot, now) is None:
            self._slot = self.rate_limiter.reserve(now)
        if (self.rate_limiter.pause(self._slot, now) or 0.0) >= RESOLUTION:
            return None
        self._slot = None
        if new is not None and waiting is not None:
            new_goes_first, self._new_goes_first = self._new_goes_first, not self._new_goes_first
            return new if new_goes_first else waiting
        return new or waiting

    def _go_on(self, job: Job, answer: Answer | LongCatError | None) -> None:
        is_new = job.step == 0
        command = job.go_on(answer)
        if job is self._new:
            self._new = None
        if isinstance(command, Outcome):
            self._open.discard(job)
            self.outcomes.append(command)
        elif isinstance(command, Sleep):
            self._set_alarm(job, command.seconds, job.step)
        elif isinstance(command, Call):
            self._calls.append(job)
        elif isinstance(command, RunInThread):
            raise TypeError("a wait has no blocking work to do")
        else:
            if is_new:
                self._new = job
            else:
                self._line.join(job, command)
            if not job.has_alarm and command.left < math.inf:
                job.has_alarm = True
                self._set_alarm(job, command.left, None)

    def _set_alarm(self, job: Job, seconds: float, step: int | None) -> None:
        heapq.heappush(self._alarms, (self.monotonic() + seconds, next(self._number), job, step))


class OrderedResults:
    """The ids of a batch in the order in which they were given, and what came of each."""

    def __init__(self) -> None:
        self._called: list[str] = []
        self._results: dict[str, Image | LongCatError | None] = {}

    def call(self, request_id: str) -> str:
        """Put an id on the roll, and return it."""
        self._called.append(request_id)
        return request_id

    def note(self, outcome: Outcome) -> None:
        """Take in what came of a request."""
        self._results[outcome.request_id] = outcome.image or outcome.error

    def results(self, rest: Iterable[str]) -> list[Image | LongCatError]:
        """Return one result for each id. The rest, which is called by being taken, was not even asked about."""
        deque(rest, maxlen=0)
        late = (WaitTimeout(request_id, 0.0, asked=False) for request_id in self._called)
        return [self._results.get(one.request_id) or one for one in late]

"""Many waits at once: which of them asks next. No I/O, and no clock but the one that it is given.

A batch has a job for every request that is open. A driver calls `next`, does the step that it returns, and tells the
batch what came of it. So threads and tasks differ only in how they do a step.
"""

import heapq
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import count
from typing import Any, Final, TypeAlias, assert_never

from attrs import define, field, frozen

from longcat.errors import ConfigurationError, LongCatError, WaitTimeout
from longcat.gateway.messages import Answer, Call
from longcat.models import Image, Status
from longcat.waiting.adaptive import AdaptivePlan, last_done
from longcat.waiting.commands import Acquire, Command, Flow, RunInThread, Sleep
from longcat.waiting.rate_limit import LONGEST_SLEEP, RESOLUTION, RateLimiter, Slot
from longcat.waiting.wait import Outcome, Wait

MAX_OPEN: Final = 10_000  # How many open requests and untaken outcomes a batch holds at a time.
SKIP_LIMIT: Final = 100
"""How many ids may be taken in a row that need no question: they are repeated, or their outcome is known already."""
SKIP_PAUSE: Final = 0.01
"""Seconds until the next id is taken after that. Without it, an endless source of such ids would block all jobs."""


@define(eq=False)
class Job:
    """The wait for one request of a batch.

    Attributes:
        wait: the state of the wait.
        command: the last command of its flow. None: the flow has not begun.
        step: how many commands it has given. A note that was made at an earlier step is out of date.
        has_alarm: whether it is woken at its deadline.
    """

    wait: Wait
    _flow: Flow[Outcome]
    command: Command | None = None
    step: int = 0
    has_alarm: bool = False

    def go_on(self, result: Answer | LongCatError | None) -> Command | Outcome:
        """Send the result of the last command into the flow, and return the next command, or the outcome."""
        self.step += 1
        try:
            self.command = self._flow.throw(result) if isinstance(result, LongCatError) else self._flow.send(result)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        return self.command

    def close(self) -> None:
        """End the flow where it is."""
        self._flow.close()


class FairQueue:
    """The jobs that wait for permission to ask. The one that is most overdue comes first, see `Acquire.overdue`.

    Which one that is changes with time, but hardly among jobs whose pauses are of one magnitude: there it is the one
    that was answered first. So each magnitude has a queue of its own, and the heads of the queues are compared.
    """

    def __init__(self) -> None:
        self._queues: dict[int, list[tuple[float, int, Job, int]]] = {}
        self._number = count()

    def join(self, job: Job, acquire: Acquire) -> None:
        """Add a job. It leaves the queue when its flow goes on."""
        magnitude = math.frexp(max(acquire.due - acquire.since, RESOLUTION))[1]
        entry = acquire.since, next(self._number), job, job.step
        heapq.heappush(self._queues.setdefault(magnitude, []), entry)

    def first(self, now: float) -> Job | None:
        """Return the job that comes first. None: the queue is empty."""
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


@frozen
class Perform:
    """Start to perform the command of a job, and call `Batch.receive` with the result."""

    job: Job
    command: Call | RunInThread


@frozen
class TakeId:
    """Take the next request id, and call `Batch.feed` with it, or `Batch.end_ids` if there is none."""


@frozen
class Rest:
    """There is nothing to do for so many seconds, until something is fed, received or taken."""

    seconds: float


@frozen
class Finished:
    """There is nothing left to do but to take the outcomes."""


Step: TypeAlias = Perform | TakeId | Rest | Finished


@define(eq=False)
class Batch:
    """The jobs of many requests, and the order in which they ask.

    Attributes:
        begin: makes the wait for a request, or raises ConfigurationError if the id can't be one.
        on_change: called with every change of every request. None: changes are not reported.
        rate_limiter: the client's.
        monotonic: the clock, in seconds.
        max_in_flight: how many commands may be performed at a time.
        end: from this moment on, no more ids are taken. It does not end the requests that are open.
        outcomes: those that the caller has not taken yet, in the order in which they came.
        in_flight: how many commands are being performed.
    """

    begin: Callable[[str], Wait]
    on_change: Callable[[Status], object] | None
    rate_limiter: RateLimiter
    monotonic: Callable[[], float]
    max_in_flight: int
    end: float = math.inf
    outcomes: deque[Outcome] = field(factory=deque, init=False)
    in_flight: int = field(default=0, init=False)
    _open: set[Job] = field(factory=set, init=False)
    _ready: deque[tuple[Job, Call | RunInThread]] = field(factory=deque, init=False)
    """Jobs with a command that can be performed now."""
    _queue: FairQueue = field(factory=FairQueue, init=False)
    _slot: Slot | None = field(default=None, init=False)
    """The slot for the next question, reserved as soon as a job waits for one."""
    _alarms: list[tuple[float, int, Job, int | None]] = field(factory=list, init=False)
    """When to wake which job: after a sleep, at that step; or at its deadline, if it waits for permission then."""
    _number: Iterator[int] = field(factory=count, init=False)
    _new: Job | None = field(default=None, init=False)
    """The job that has not asked yet. There is one at most, as ids are taken when they can be asked about."""
    _new_goes_first: bool = field(default=True, init=False)
    _seen: set[str] = field(factory=set, init=False)
    _taking: bool = field(default=False, init=False)  # Whether the driver is about to feed the next id.
    _ids_ended: bool = field(default=False, init=False)
    _skipped: int = field(default=0, init=False)  # How many ids in a row needed no question.
    _skip_until: float = field(default=-math.inf, init=False)

    def next(self) -> Step:
        """Return what the driver is to do now."""
        now = self.monotonic()
        if self._wants_id(now):
            self._taking = True
            return TakeId()
        self._wake(now)
        while not self._ready and self.in_flight < self.max_in_flight and (job := self._next_to_ask(now)) is not None:
            self._go_on(job, None)
        if self._ready and self.in_flight < self.max_in_flight:
            self.in_flight += 1
            return Perform(*self._ready.popleft())
        if not self._open and self._has_all(now):
            return Finished()
        return Rest(self._pause(now))

    def feed(self, request_id: str) -> None:
        """Take in a request, unless it was taken in before. Raises ConfigurationError when the id is no string."""
        if not isinstance(request_id, str):
            raise ConfigurationError(f"A request id is a string, not {type(request_id).__name__}. Pass strings only.")
        self._taking = False
        self._skipped += 1
        if request_id not in self._seen:
            self._seen.add(request_id)
            try:
                wait = self.begin(request_id)
            except ConfigurationError as error:
                self.outcomes.append(Outcome(request_id, error=error))
            else:
                job = Job(wait, wait.outcome(self.on_change))
                self._open.add(job)
                self._go_on(job, None)
        if self._skipped >= SKIP_LIMIT:
            self._skipped, self._skip_until = 0, self.monotonic() + SKIP_PAUSE

    def end_ids(self) -> None:
        """Take note that there are no more ids."""
        self._ids_ended = True

    def receive(self, job: Job, result: Answer | LongCatError | None) -> None:
        """Take in the result of a command that was performed."""
        self.in_flight -= 1
        self._go_on(job, result)

    def pop_outcome(self) -> Outcome:
        """Return the next outcome, which makes room for one more id. Raises IndexError when there is none."""
        self._skip_until = -math.inf
        return self.outcomes.popleft()

    def remaining(self) -> float | None:
        """Return in how many seconds all requests will be done, with a chance of one half. None: there is no estimate.

        The waits' plans make the estimate, so it is there with `AdaptivePolling` only, and when every id is known.
        It is no less than the rate limiter needs to let each request ask once more.
        """
        waits = [job.wait for job in self._open]
        plans = [(wait.plan, wait.elapsed) for wait in waits if isinstance(wait.plan, AdaptivePlan)]
        now = self.monotonic()
        if not plans or not self._has_all(now) or self._new is not None:
            return None
        return max(last_done(plans), len(plans) / self.rate_limiter.rate(now))

    def close(self) -> None:
        """End every flow where it is."""
        for job in self._open:
            job.close()
        self._open.clear()

    def _has_all(self, now: float) -> bool:
        """Whether no more ids are wanted, ever."""
        return self._ids_ended or self.end - now < RESOLUTION

    def _wants_id(self, now: float) -> bool:
        has_room = self._new is None and len(self._open) + len(self.outcomes) < MAX_OPEN
        return has_room and not self._taking and self._skip_until - now < RESOLUTION and not self._has_all(now)

    def _pause(self, now: float) -> float:
        """Return after how many seconds `next` has something to do, if nothing happens before."""
        while self._alarms and self._is_stale(*self._alarms[0][2:]):
            heapq.heappop(self._alarms)
        moments = [now + LONGEST_SLEEP, *(moment for moment in (self.end, self._skip_until) if moment > now)]
        if self._alarms:
            moments.append(self._alarms[0][0])
        someone_waits = self._new is not None or self._queue.first(now) is not None
        if self._slot is not None and someone_waits and self.in_flight < self.max_in_flight:
            moments.append(now + (self.rate_limiter.pause(self._slot, now) or 0.0))
        return max(min(moments) - now, 0.0)

    def _is_stale(self, job: Job, step: int | None) -> bool:
        return job not in self._open or step not in {None, job.step}

    def _wake(self, now: float) -> None:
        """Let the jobs go on whose sleep is over, and those that waited for permission until their deadline."""
        while self._alarms and self._alarms[0][0] - now < RESOLUTION:
            _, _, job, step = heapq.heappop(self._alarms)
            if not self._is_stale(job, step) and (step is not None or isinstance(job.command, Acquire)):
                self._go_on(job, None)

    def _next_to_ask(self, now: float) -> Job | None:
        """Return the job that may ask now. None: there is none.

        A slot is reserved as soon as a job waits, and given away when it comes, to the job that needs it most by then.
        When there are too few slots, every other one goes to a request that was not asked about yet, so that old
        requests do not keep new ones from being asked about, nor new ones old ones.
        """
        new, waiting = self._new, self._queue.first(now)
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

    def _go_on(self, job: Job, result: Answer | LongCatError | None) -> None:
        """Let a job's flow go on, and put the job where its next command belongs."""
        is_new = job.step == 0
        if job is self._new:
            self._new = None
        command = job.go_on(result)
        match command:
            case Outcome():
                self._open.discard(job)
                self.outcomes.append(command)
            case Call() | RunInThread():
                self._ready.append((job, command))
            case Sleep(seconds):
                self._set_alarm(job, seconds, job.step)
            case Acquire(left=left):
                if is_new:
                    self._new, self._skipped = job, 0
                else:
                    self._queue.join(job, command)
                if not job.has_alarm and left < math.inf:
                    job.has_alarm = True
                    self._set_alarm(job, left, None)
            case _:
                assert_never(command)

    def _set_alarm(self, job: Job, seconds: float, step: int | None) -> None:
        heapq.heappush(self._alarms, (self.monotonic() + seconds, next(self._number), job, step))


class OrderedResults:
    """What came of each request of a batch, in the order in which the ids were given."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._results: dict[str, Image | LongCatError | None] = {}

    def add_id(self, request_id: str) -> str:
        """Note an id that is taken, and return it."""
        self._ids.append(request_id)
        return request_id

    def add(self, outcome: Outcome) -> None:
        """Take in what came of a request."""
        self._results[outcome.request_id] = outcome.image or outcome.error

    def results(self, request_ids: Any) -> list[Image | LongCatError]:
        """Return one result for each id. An id of a collection that was not even taken gets a `WaitTimeout`.

        Args:
            request_ids: what the ids were taken from.
        """
        ids = request_ids if isinstance(request_ids, Collection) else self._ids
        return [self._results.get(one) or WaitTimeout(one, 0.0, asked=False) for one in ids]

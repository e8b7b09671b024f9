"""Many requests at once: which of them is ordered or asked about next. No I/O, and no clock but the one it is given.

A batch has a job for every request that is open. A driver calls `next`, does the step that it returns, and tells the
batch what came of it. So threads and tasks differ only in how they do a step.
"""

import heapq
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count, islice
from typing import Final, Generic, TypeAlias, TypeVar, assert_never
from weakref import ref

from attrs import define, field, frozen

from longcat.clock import LONGEST_SLEEP, RESOLUTION
from longcat.errors import LongCatError
from longcat.gateway.messages import Answer, Call
from longcat.models import Status
from longcat.waiting.commands import Acquire, Command, Flow, RunInThread, Sleep
from longcat.waiting.generate import Generate
from longcat.waiting.outcome import Outcome
from longcat.waiting.rates.rate_limit import RateLimiter, Slot
from longcat.waiting.schedule.adaptive import AdaptivePlan
from longcat.waiting.schedule.time_left import time_left
from longcat.waiting.wait import Wait
from longcat.waiting.wake import WakeEvent

T = TypeVar("T")

MAX_OPEN: Final = 10_000  # How many open requests and untaken outcomes a batch holds at a time.
MAX_STARTING: Final = 8
"""About how many items a journal is asked at a time. What it does not know is ours from then on, so they are few."""
REPLANNED: Final = 16
"""How many jobs plan their next question anew at a time. All do so, in turn, once a request was seen done."""
REPLAN_INTERVAL: Final = 0.02
"""Seconds until the next few do so at the earliest. Else that would cost more than to ask, where many are done."""
SKIP_LIMIT: Final = 100
"""How many items may be taken in a row that need no call: they are repeated, or their outcome is known already."""
SKIP_PAUSE: Final = 0.01
"""Seconds until the next item is taken after that. Without it, an endless source of such items would block all jobs."""
MANY_VOID: Final = 64
"""Void alarms or deadlines are dropped once there are so many, and more of them than of the jobs that are open."""
MAX_WOKEN: Final = 10
"""How many jobs go on at a time whose sleep is over. More would keep an event loop from its other tasks."""


@define(eq=False)
class Job:
    """One request of a batch.

    Attributes:
        work: the state of the wait, or of the order and the wait.
        command: the last command of its flow. None: the flow has not begun.
        step: how many commands it has given. A note that was made at an earlier step is out of date.
        alarm: the number of the alarm that ends its sleep. None: it does not sleep.
        has_deadline: whether it is woken at its deadline, or as soon as it can't ask before that.
        until: for how long it waits, or last waited, for permission: a moment on the client's clock.
    """

    work: Wait | Generate
    _flow: Flow[Outcome]
    command: Command | None = None
    step: int = 0
    alarm: int | None = None
    has_deadline: bool = False
    until: float = math.inf

    def go_on(self, result: Answer | LongCatError | None) -> Command | Outcome:
        """Send the result of the last command into the flow, and return the next command, or the outcome."""
        self.step += 1
        self.alarm = None
        try:
            self.command = self._flow.throw(result) if isinstance(result, LongCatError) else self._flow.send(result)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        if isinstance(self.command, Call):
            self.command.progress.watched = True  # Until it is performed, nothing of it has gone out.
        return self.command

    @property
    def wait(self) -> Wait | None:
        """The wait. None: the request is not ordered yet."""
        return self.work if isinstance(self.work, Wait) else self.work.wait

    def close(self) -> None:
        """End the flow where it is. Notes about the job are out of date from then on."""
        self.step += 1
        self.alarm = None
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
class TakeItem:
    """Take the next item, and call `Batch.feed` with it, or `Batch.end_items` if there is none."""


@frozen
class Idle:
    """There is nothing to do for so many seconds, until something is fed, received or taken.

    Attributes:
        wake: ends that time early when it is set. None: nothing does.
    """

    seconds: float
    wake: WakeEvent | None = None


@frozen
class Finished:
    """There is nothing left to do but to take the outcomes."""


Step: TypeAlias = Perform | TakeItem | Idle | Finished


@define(eq=False)
class Batch(Generic[T]):
    """The jobs of many requests, and which of them goes next.

    Attributes:
        begin: takes an item, a request id or an order, and returns what is to be done about it; or the outcome if that
            is known already; or None if nothing is to be done about it. What it raises ends the batch.
        on_change: called with every change of every request. None: changes are not reported.
        rate_limiter: the client's.
        monotonic: the clock, in seconds.
        max_in_flight: how many commands may be performed at a time.
        end: from this moment on, no more items are taken. It does not end the requests that are open.
        outcomes: those that the caller has not taken yet, in the order in which they came.
        in_flight: how many commands are being performed.
    """

    begin: Callable[[T], Wait | Generate | Outcome | None]
    on_change: Callable[[Status], object] | None
    rate_limiter: RateLimiter
    monotonic: Callable[[], float]
    max_in_flight: int
    end: float = math.inf
    outcomes: deque[Outcome] = field(factory=deque, init=False)
    in_flight: int = field(default=0, init=False)
    _open: OrderedDict[Job, None] = field(factory=OrderedDict, init=False)
    """The jobs that have not ended, in the order in which they plan their next question anew."""
    _ready: deque[tuple[Job, Call | RunInThread]] = field(factory=deque, init=False)
    """Jobs with a command that can be performed now."""
    _queue: FairQueue = field(factory=FairQueue, init=False)
    _slot: Slot | None = field(default=None, init=False)
    """The slot for the next question, reserved as soon as a job waits for one."""
    _alarms: list[tuple[float, int, Job]] = field(factory=list, init=False)
    """When the sleep of which job ends, if it still has that alarm."""
    _deadlines: list[tuple[float, int, ref[Job]]] = field(factory=list, init=False)
    """When which job must end that waited for permission. It may have done something else since, or be gone."""
    _woken: deque[tuple[Job, int]] = field(factory=deque, init=False)
    """Jobs that were woken from a sleep, each with its step. Any thread adds to them, and then sets `_wake`."""
    _wake: WakeEvent | None = field(default=None, init=False)  # None: no job can be woken.
    _replans_left: int = field(default=0, init=False)  # How many jobs are still to plan anew since one was done.
    _more_to_wake: bool = field(default=False, init=False)  # Whether `MAX_WOKEN` jobs have gone on, and others may.
    _replan_from: float = field(default=-math.inf, init=False)  # The moment from which the next few may do so.
    _number: Iterator[int] = field(factory=count, init=False)
    _new: deque[tuple[Job, int]] = field(factory=deque, init=False)
    """The jobs that made no call yet, each with its step. There is one, as items are taken when a call can be made; or
    a few, where an order is followed by the first question about its request."""
    _starting: list[Job] = field(factory=list, init=False)
    """The jobs that were fed last, while a journal is asked what it knows of them."""
    _ordering: set[Job] = field(factory=set, init=False)
    """Jobs whose order is under way. An answer to an order may take long, so they leave room for questions."""
    _new_goes_first: bool = field(default=True, init=False)
    _taking: bool = field(default=False, init=False)  # Whether the driver is about to feed the next item.
    _items_ended: bool = field(default=False, init=False)
    _stopped: bool = field(default=False, init=False)
    _skipped: int = field(default=0, init=False)  # How many ids in a row needed no question.
    _skip_until: float = field(default=-math.inf, init=False)

    def next(self) -> Step:
        """Return what the driver is to do now."""
        now = self.monotonic()
        if self._wants_item(now):
            self._taking = True
            return TakeItem()
        self._wake_up(now)
        self._replan_some(now)
        while not self._ready and self.in_flight < self.max_in_flight and (found := self._next_to_ask(now)) is not None:
            self._go_on(*found)
        while self._ready and self._ready[0][0] not in self._open:
            self._ready.popleft()
        if self._ready and self.in_flight < self.max_in_flight:
            self.in_flight += 1
            return Perform(*self._ready.popleft())
        if not self._open and self._has_all(now):
            return Finished()
        return Idle(self._pause(now), self._wake)

    def feed(self, item: T) -> None:
        """Take in an item. Raises what `begin` raises."""
        self._taking = False
        self._skipped += 1
        work = self.begin(item)
        if isinstance(work, Outcome):
            self.outcomes.append(work)
        elif work is not None:
            job = Job(work, work.outcome(self.on_change))
            self._open[job] = None
            self._starting.append(job)
            self._go_on(job, None)
        if self._skipped >= SKIP_LIMIT:
            self._skipped, self._skip_until = 0, self.monotonic() + SKIP_PAUSE

    def end_items(self) -> None:
        """Take note that there are no more items."""
        self._items_ended = True

    def receive(self, job: Job, result: Answer | LongCatError | None) -> None:
        """Take in the result of a command that was performed."""
        self.in_flight -= 1
        if job in self._open:
            self._go_on(job, result)

    @property
    def wants_item(self) -> bool:
        """Whether the next step is to take an item."""
        return self._wants_item(self.monotonic())

    def pop_outcome(self) -> Outcome:
        """Return the next outcome, which makes room for one more item. Raises IndexError when there is none."""
        self._skip_until = -math.inf
        return self.outcomes.popleft()

    def remaining(self) -> float | None:
        """Return in how many seconds all requests will be done, as likely as not. None: that can't be told, or not yet.

        The waits' plans make the estimate, so it is there with `AdaptivePolling` only, and when every item is taken;
        see `time_left`. It is no less than the rate limiter needs to let each request ask once more.
        """
        waits = [job.wait for job in self._open]
        plans = [(one.plan, one.elapsed) for one in waits if one is not None and isinstance(one.plan, AdaptivePlan)]
        now = self.monotonic()
        if not plans or len(plans) < len(waits) or not self._has_all(now):
            return None
        left = time_left(plans)
        return None if left is None else max(left, len(plans) / self.rate_limiter.rate(now))

    def stop(self) -> None:
        """Let the orders that have gone out be answered, and end everything else. `next` gives the last steps."""
        self._stopped = self._items_ended = True
        unsent = {job for job, command in self._ready if isinstance(command, Call)}
        for job in [*self._open]:
            if job not in self._ordering or job in unsent:
                self._drop(job)

    def close(self) -> None:
        """End every flow where it is."""
        for job in [*self._open]:
            self._drop(job)

    def _drop(self, job: Job) -> None:
        job.close()
        self._open.pop(job, None)
        self._ordering.discard(job)

    def _has_all(self, now: float) -> bool:
        """Whether no more items are wanted, ever."""
        return self._items_ended or self.end - now < RESOLUTION

    def _wants_item(self, now: float) -> bool:
        if self._taking or self._items_ended:
            return False
        self._starting = [job for job in self._starting if job in self._open and isinstance(job.command, RunInThread)]
        if len(self._starting) >= MAX_STARTING:
            return False
        has_room = self._first_new() is None and len(self._open) + len(self.outcomes) < MAX_OPEN
        return has_room and self._skip_until - now < RESOLUTION and not self._has_all(now)

    def _pause(self, now: float) -> float:
        """Return after how many seconds `next` has something to do, if nothing happens before."""
        if self._more_to_wake:
            return 0.0
        while self._alarms and self._alarms[0][2].alarm != self._alarms[0][1]:
            heapq.heappop(self._alarms)
        while self._deadlines and self._deadlines[0][2]() not in self._open:
            heapq.heappop(self._deadlines)
        moments = [now + LONGEST_SLEEP, *(moment for moment in (self.end, self._skip_until) if moment > now)]
        moments += [heap[0][0] for heap in (self._alarms, self._deadlines) if heap]
        if self._replans_left:
            moments.append(self._replan_from)
        if self._slot is not None and self.in_flight < self.max_in_flight and self._someone_waits(now):
            moments.append(now + (self.rate_limiter.seconds_until(self._slot, now) or 0.0))
        return max(min(moments) - now, 0.0)

    def _someone_waits(self, now: float) -> bool:
        return self._new_to_ask() is not None or self._queue.first(now) is not None

    def _is_stale(self, job: Job, step: int) -> bool:
        return job not in self._open or step != job.step

    def _wake_up(self, now: float) -> None:
        """Let jobs go on that sleep no longer, so many at a time."""
        if self._wake is not None:
            self._wake.clear()
        woken = 0
        for job in islice(self._no_longer_asleep(now), MAX_WOKEN):
            self._go_on(job, None)
            woken += 1
        self._more_to_wake = woken == MAX_WOKEN

    def _no_longer_asleep(self, now: float) -> Iterator[Job]:
        """Yield the jobs whose sleep is over, and those that can't ask any more before their deadline."""
        while self._woken:
            job, at_step = self._woken.popleft()
            if not self._is_stale(job, at_step):
                yield job
        while self._alarms and self._alarms[0][0] - now < RESOLUTION:
            _, number, job = heapq.heappop(self._alarms)
            if job.alarm == number:
                yield job
        while self._deadlines and self._deadlines[0][0] - max(now, self.rate_limiter.quiet_until) < RESOLUTION:
            waiting = heapq.heappop(self._deadlines)[2]()
            if waiting is not None and waiting in self._open:
                waiting.has_deadline = False
                left = waiting.until - max(now, self.rate_limiter.quiet_until)
                if isinstance(waiting.command, Acquire) and left >= RESOLUTION:
                    self._set_deadline(waiting, waiting.until - now)  # It waits for another one by now.
                elif isinstance(waiting.command, Acquire | Sleep):
                    yield waiting

    def _next_to_ask(self, now: float) -> tuple[Job, LongCatError | None] | None:
        """Return the job that may ask now, or one that never may, with the error. None: there is none.

        A slot is reserved as soon as a job waits, and given away when it comes, to the job that needs it most by then.
        When there are too few slots, every other one goes to an order, or to a request that was not asked about yet, so
        that old requests do not hold up new ones, nor new ones old ones.
        """
        new, waiting = self._new_to_ask(), self._queue.first(now)
        if new is None and waiting is None:
            return None
        if self._slot is None or self.rate_limiter.seconds_until(self._slot, now) is None:
            try:
                self._slot = self.rate_limiter.reserve(now)
            except LongCatError as error:
                self._slot = None
                job = new or waiting
                return (job, error) if job is not None else None
        if (self.rate_limiter.seconds_until(self._slot, now) or 0.0) >= RESOLUTION:
            return None
        slot, self._slot = self._slot, None
        chosen = new or waiting
        if new is not None and waiting is not None:
            new_goes_first, self._new_goes_first = self._new_goes_first, not self._new_goes_first
            chosen = new if new_goes_first else waiting
        if chosen is not None and isinstance(chosen.command, Acquire):
            chosen.command.spend(slot)
        return (chosen, None) if chosen is not None else None

    def _go_on(self, job: Job, result: Answer | LongCatError | None) -> None:
        """Let a job's flow go on, and put the job where its next command belongs."""
        command = job.go_on(result)
        # Once it has stopped, what came of an order is still noted, but no more are sent.
        if job.wait is None and isinstance(command, RunInThread if self._stopped else Call | RunInThread):
            self._ordering.add(job)
        else:
            self._ordering.discard(job)
            if self._stopped and not isinstance(command, Outcome):
                self._drop(job)
                return
        match command:
            case Outcome():
                self._end(job, command)
            case Call() | RunInThread():
                self._ready.append((job, command))
            case Sleep(seconds, wake):
                self._set_alarm(job, seconds)
                if wake is not None:
                    self._wake = self._wake or WakeEvent()
                    wake.listen(partial(self._on_news, self._wake, job, job.step))
            case Acquire(left=left):
                if command.is_first:
                    self._skipped = 0
                    self._new.append((job, job.step))
                else:
                    self._queue.join(job, command)
                job.until = self.monotonic() + left
                if not job.has_deadline and left < math.inf:
                    self._set_deadline(job, left)
            case _:
                assert_never(command)

    def _end(self, job: Job, outcome: Outcome) -> None:
        """Take in what came of a job. If its plan has taught the others something, they plan anew."""
        self._open.pop(job, None)
        self.outcomes.append(outcome)
        if job.wait is not None and job.wait.done and isinstance(job.wait.plan, AdaptivePlan):
            self._replans_left = len(self._open)

    def _set_alarm(self, job: Job, seconds: float) -> None:
        """Let a job go on after so many seconds. An alarm that it had before is void."""
        if len(self._alarms) > 2 * len(self._open) + MANY_VOID:
            self._alarms = sorted(one for one in self._alarms if one[2].alarm == one[1])  # That is a heap, too.
        job.alarm = next(self._number)
        heapq.heappush(self._alarms, (self.monotonic() + seconds, job.alarm, job))

    def _set_deadline(self, job: Job, left: float) -> None:
        """Let a job go on after so many seconds if it waits for permission, or as soon as it can't get any by then."""
        if len(self._deadlines) > 2 * len(self._open) + MANY_VOID:
            self._deadlines = sorted(one for one in self._deadlines if one[2]() in self._open)
        job.has_deadline = True
        heapq.heappush(self._deadlines, (self.monotonic() + left, next(self._number), ref(job)))

    def _replan_some(self, now: float) -> None:
        """Let a few jobs that sleep plan their next question anew, if one like them was done since they last did."""
        if not self._replans_left or self._replan_from - now >= RESOLUTION:
            return
        self._replan_from = now + REPLAN_INTERVAL
        few = min(REPLANNED, self._replans_left)
        self._replans_left -= few
        for job in [*islice(self._open, few)]:
            self._open.move_to_end(job)
            wait = job.wait if isinstance(job.command, Sleep) else None
            if wait is not None and (pause := wait.replan()) is not None:
                self._set_alarm(job, pause)

    def _on_news(self, wake: WakeEvent, job: Job, step: int) -> None:
        """Take note, in any thread, that a job is woken."""
        self._woken.append((job, step))
        wake.set()

    def _first_new(self) -> Job | None:
        """Return the first job that waits to make its first call. None: there is none."""
        while self._new and self._is_stale(*self._new[0]):
            self._new.popleft()
        return self._new[0][0] if self._new else None

    def _new_to_ask(self) -> Job | None:
        """Return the first job that waits to make its first call, unless enough orders are under way."""
        new = self._first_new()
        has_room = len(self._ordering) < max(self.max_in_flight // 2, 1)
        return new if new is None or new.wait is not None or has_room else None

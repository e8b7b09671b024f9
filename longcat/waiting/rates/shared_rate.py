"""One client's part of a shared budget: see `shared_budget`. No I/O, no clock."""

import math
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from typing import Final

from attrs import define, field

from longcat.clock import RESOLUTION
from longcat.errors import LongCatError
from longcat.models import Pause
from longcat.waiting.rates.rate_limit import RateLimiter, Slot
from longcat.waiting.rates.shared_budget import (
    LOT_SECONDS,
    MAX_LATE_SECONDS,
    SETTLED_AFTER_SECONDS,
    VALID_FOR,
    CountedAnswer,
    ExchangeInput,
    SharedBudget,
)

HEARTBEAT: Final = 10.0  # Seconds until a client has an exchange that it doesn't need.
LOOK_AGAIN: Final = 1.0  # Seconds until a wait looks whether its slot may come sooner by now.
LARGEST_LOT: Final = 1024  # Slots that one client wants at a time at most.
MAX_ANSWERS: Final = 4096  # Answers that a client keeps while it can have no exchange. Older ones are dropped.
TYPICAL_EXCHANGE_SECONDS: Final = 0.005  # An exchange is taken to last so long until one was made.
MIN_LOOK_AGAIN_SECONDS: Final = 2 * RESOLUTION
"""A wait without a slot looks again after so long at the earliest. Less than `RESOLUTION` would be no pause."""
NO_SLOT: Final = -1  # The generation of a slot that only says when to look again.


@define
class HeldSlots:
    """The slots that one client has, and how many it can use.

    Attributes:
        unreserved: slots that nobody has reserved.
        reserved: slots that a wait has reserved, until they come.
        lot: how many slots the client can use at a time.
        is_lacking: whether a wait found no slot since the last exchange.
        is_waited_for: whether the last slot had not come when it was reserved.
    """

    unreserved: deque[Slot] = field(factory=deque)
    reserved: deque[Slot] = field(factory=deque)
    lot: int = 1
    is_lacking: bool = False
    is_waited_for: bool = False

    @property
    def wants_more(self) -> bool:
        """Whether the client should get more slots before those at hand are spent, as a wait is always ready."""
        return self.is_waited_for and self.lot > 1 and len(self.unreserved) <= self.lot // 2

    def take(self, now: float, may_be_spent: Callable[[Slot, float], bool]) -> Slot | None:
        """Reserve the first slot that is good, and return it. None: there is none. Void ones make the lot smaller."""
        while self.unreserved:
            slot = self.unreserved.popleft()
            if may_be_spent(slot, now):
                self.reserved.append(slot)
                self.is_waited_for = slot.moment - now >= RESOLUTION
                return slot
            self.shrink()
        return None

    def shrink(self) -> None:
        """Halve the lot, as some of it was void before it was used."""
        self.lot = max(self.lot // 2, 1)

    def moments(self, now: float) -> list[float]:
        """Return the moments of all slots that have not come."""
        while self.reserved and self.reserved[0].moment <= now:
            self.reserved.popleft()
        return [slot.moment for slot in (*self.reserved, *self.unreserved)]

    def clear(self) -> None:
        """Forget all slots."""
        self.unreserved.clear()
        self.reserved.clear()


@define
class SharedRateLimiter(RateLimiter):
    """Gives the waits of one client their slots of a shared budget. Many threads may use it.

    Its moments are on the client's clock. The clock of the budget is `offset` seconds ahead.

    Attributes:
        max_rate: this client's own bound, in questions per second.
        on_demand: called when an exchange is due earlier than was said before.
    """

    on_demand: Callable[[], None] = field(kw_only=True)
    _budget: SharedBudget = field(factory=SharedBudget, init=False)  # As it was at the last exchange.
    _offset: float = field(default=0.0, init=False)
    _last_exchange: float = field(default=-math.inf, init=False)  # The moment at which its row was locked.
    _exchange_seconds: float = field(default=TYPICAL_EXCHANGE_SECONDS, init=False)
    _usable_in: float = field(default=0.0, init=False)  # Seconds from that moment until its slots are here.
    _slots: HeldSlots = field(factory=HeldSlots, init=False)
    _kept_until: float = field(default=-math.inf, init=False)
    """A slot of the previous generation is good if it comes before this moment, unless there is a pause."""
    _answered: deque[CountedAnswer] = field(factory=lambda: deque(maxlen=MAX_ANSWERS), init=False)
    _is_exchanging: bool = field(default=False, init=False)
    _judged: float = field(default=math.inf, init=False)  # From then on, an exchange shows the effect of the last 429.
    _failure: LongCatError | None = field(default=None, init=False)
    """It prevents all exchanges, and won't pass by itself."""

    def free(self, now: float) -> float:
        """Return the moment before which no slot comes, as far as is known."""
        return max(now, self.quiet_until)

    def reserve(self, now: float) -> Slot:
        """Reserve a slot. If none is at hand, the one returned says when to look again, and is void when it comes.

        Raises the error of `end_waits` if none is at hand and none will come.
        """
        failure = None
        with self._lock:
            slot = self._take(now)
            if slot is not None and not self._slots.wants_more:
                return slot
            if slot is None:
                self._slots.is_lacking, failure = True, self._failure
                until_exchange = 0.0 if self._is_exchanging else max(self._due(now) - now, 0.0)
                left = min(until_exchange + min(self._exchange_seconds, MAX_LATE_SECONDS / 2), VALID_FOR / 2)
                slot = Slot(now + max(left, MIN_LOOK_AGAIN_SECONDS), NO_SLOT)
        self.on_demand()
        if failure is not None:
            raise copy(failure)  # The caller may add notes to it.
        return slot

    def seconds_until(self, slot: Slot, now: float) -> float | None:
        """Return the seconds until a slot comes, or to look again. None: it is void, and another must be reserved."""
        pause = slot.moment - now
        if slot.generation == NO_SLOT:
            return pause if pause >= RESOLUTION else None
        return min(max(pause, 0.0), LOOK_AGAIN) if self.may_be_spent(slot, now) else None

    def may_be_spent(self, slot: Slot, now: float) -> bool:
        """Whether a slot may be spent when it comes, or now if it has come, as far as is known."""
        if slot.generation != self._generation:
            is_kept = slot.generation == self._generation - 1 and slot.moment < self._kept_until
            if not is_kept or slot.moment < self.quiet_until:
                return False
        if slot.moment - now >= RESOLUTION:
            return True
        is_late = now - slot.moment > MAX_LATE_SECONDS and math.isfinite(self.rate(now))
        return not is_late and now - self._last_exchange < VALID_FOR

    def on_answer(self, now: float, asked: float) -> None:
        """Take note of an answer that is no 429, to a question that was sent at the moment `asked`."""
        with self._lock:
            self._answered.append(CountedAnswer(now, asked, None))

    def on_rate_limited(self, now: float, asked: float, pause: Pause) -> None:
        """Take note of a 429. Its effect depends on the answers that others get, and a later exchange shows it."""
        with self._lock:
            self._answered.append(CountedAnswer(now, asked, pause))
            self._judged = now + SETTLED_AFTER_SECONDS + MIN_LOOK_AGAIN_SECONDS
        self.on_demand()

    def rate(self, moment: float) -> float:
        """Return how many questions all clients may ask in a second at this moment. Infinite: there is no bound."""
        return min(self._budget.rate(moment + self._offset), self.max_rate)

    def next_exchange(self, now: float) -> float:
        """Return the moment at which the next exchange is due, which may be over."""
        with self._lock:
            return self._due(now)

    def begin_exchange(self, now: float, offset: float) -> ExchangeInput:
        """Begin an exchange, and return this client's part. `end_exchange` or `fail_exchange` ends it.

        Args:
            now: this moment.
            offset: how many seconds the budget's clock is ahead of the client's.
        """
        with self._lock:
            self._offset = offset
            slots = self._slots
            wants, had = slots.is_lacking or slots.wants_more, len(slots.unreserved)
            slots.unreserved = deque(slot for slot in slots.unreserved if self.may_be_spent(slot, now))
            if len(slots.unreserved) < had:
                slots.shrink()
            elif wants and now - self._last_exchange < max(LOT_SECONDS / 2, 2 * self._exchange_seconds):
                slots.lot = min(2 * slots.lot, LARGEST_LOT)
            held = len(slots.moments(now))
            wanted = max(slots.lot - held, 0) if wants else 0
            answers = [one.on_clock(offset) for one in self._answered]
            self._answered.clear()
            slots.is_lacking = slots.is_waited_for = False
            self._is_exchanging = True
            if self._judged <= now:
                self._judged = math.inf
            return ExchangeInput(answers, wanted, held, self._usable_in)

    def end_exchange(self, given: ExchangeInput, budget: SharedBudget, moments: Sequence[float], now: float) -> None:
        """End an exchange: take in the budget and the slots.

        Args:
            given: the part that `begin_exchange` returned.
            budget: the budget as it was then.
            moments: those of the slots, on its clock.
            now: the moment at which the exchange has ended.
        """
        with self._lock:
            self._is_exchanging, self._failure = False, None
            offset, passed = self._offset, budget.generation - self._budget.generation
            if passed:
                self._generation += 1 if passed == 1 else 2
                self._kept_until = budget.kept_until - offset
            self._budget, self._last_exchange = budget, budget.moment - offset
            held = self._slots
            held.reserved = deque(slot for slot in held.reserved if self.may_be_spent(slot, now))
            self._usable_in = min(max((self._usable_in + now - self._last_exchange) / 2, 0.0), VALID_FOR / 2)
            if budget.quiet_until:
                self.quiet_until, self.pause = budget.quiet_until - offset, budget.pause
            held.unreserved.extend(Slot(moment - offset, self._generation) for moment in moments)
            if moments:  # The waits that look again find them.
                held.is_lacking = False
            if len(moments) < given.wanted:
                held.lot = max(len(held.moments(now)), 1)

    def fail_exchange(self, given: ExchangeInput) -> None:
        """End an exchange that failed, and take its answers back. All slots are void: others may get them."""
        with self._lock:
            kept = given.answers[: MAX_ANSWERS - len(self._answered)]
            self._answered.extendleft(one.on_clock(-self._offset) for one in reversed(kept))
            self._slots.is_lacking = self._slots.is_lacking or given.wanted > 0
            self._void()

    def end_waits(self, error: LongCatError) -> None:
        """Let this error end all waits for a slot until an exchange has been made: it won't pass by itself."""
        with self._lock:
            self._failure = error

    def note_exchange_seconds(self, seconds: float) -> None:
        """Take note of how many seconds an exchange took."""
        self._exchange_seconds = (self._exchange_seconds + seconds) / 2

    def reset(self) -> None:
        """Forget all slots and answers, in a forked process: they are the parent's."""
        with self._lock:
            self._answered.clear()
            self._failure = None
            self._void()

    def _void(self) -> None:
        self._is_exchanging = False
        self._slots.clear()
        self._last_exchange = -math.inf
        self._generation += 2

    def _take(self, now: float) -> Slot | None:
        """Return the first slot at hand that is good, or one that is now if there is no bound. None: there is none."""
        if (slot := self._slots.take(now, self.may_be_spent)) is not None:
            return slot
        if math.isinf(self.rate(now)) and now >= self.quiet_until and now - self._last_exchange < VALID_FOR:
            self._slots.is_lacking = True
            return Slot(now, self._generation)
        return None

    def _due(self, now: float) -> float:
        """Return when the next exchange is due."""
        slots, held = self._slots, self._slots.moments(now)
        due = min(self._judged, self._last_exchange + (LOOK_AGAIN if held or slots.is_lacking else HEARTBEAT))
        if self._answered:
            due = min(due, self._answered[0].received + LOT_SECONDS)
        if slots.is_lacking or slots.wants_more:
            if math.isinf(self.rate(now)):
                due = min(due, max(self._last_exchange + LOT_SECONDS, self.quiet_until))
            else:  # With more than half a lot at hand, the next one is due when half is left.
                due = min(due, held[-(slots.lot // 2) - 1] if len(held) > slots.lot // 2 else now)
        if held and held[-1] >= self._last_exchange + VALID_FOR:
            due = min(due, max(self._last_exchange + LOT_SECONDS, held[-1] - LOT_SECONDS - self._exchange_seconds))
        return due

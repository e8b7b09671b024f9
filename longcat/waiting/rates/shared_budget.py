"""The budget of all clients that ask one gateway with one key. No I/O, no clock.

The clients share a `SharedBudget`, which is a `RateLimiter` on a clock that is the same for all. Each client has a
`SharedRateLimiter`, and now and then makes an exchange with the budget: it hands in the answers that it got, and takes
some slots, which it spends without asking the budget again. Only one client at a time makes an exchange.

A client may spend its slots for `VALID_FOR` seconds after an exchange. So all clients know of every change after that
time, and a client that can't make an exchange asks nothing.
"""

import math
from collections.abc import Sequence
from typing import Final

from attrs import define, evolve, field, frozen

from longcat.gateway.messages import LONGEST_PAUSE
from longcat.models import Pause
from longcat.settings import LOWEST_RATE
from longcat.waiting.rates.rate_limit import MIN_RATE_AFTER_CUT, SHARE_SPAN, RateLimiter

VALID_FOR: Final = 0.5  # Seconds after an exchange in which a client may ask.
MAX_LATE_SECONDS: Final = 0.1  # A slot that was not spent so long after its moment is void.
MAX_BURST_FACTOR: Final = 1.2
"""How many times the rate may be sent in one second by all clients together, rounded down: 6 at a rate of 5, 1 at 1."""
LOT_SECONDS: Final = 0.25  # A client gets its share of the slots that lie in this time at once.
MAX_AHEAD_SECONDS: Final = 0.7  # A client whose exchanges take long gets slots up to so far ahead.
SETTLED_AFTER_SECONDS: Final = 0.3
"""An answer is counted after so long. By then, all clients have handed in those that came before it."""
ALIVE_FOR: Final = 30.0  # Seconds after an exchange in which the bound of a client holds for all.


@frozen
class CountedAnswer:
    """An answer that one client got.

    Attributes:
        received: when it came.
        asked: when the question was sent.
        pause: how long the wait that was refused pauses. None: it was not refused.
    """

    received: float
    asked: float
    pause: Pause | None

    def on_clock(self, ahead: float) -> "CountedAnswer":
        """Return the answer with its moments on a clock that is so many seconds ahead."""
        return evolve(self, received=self.received + ahead, asked=self.asked + ahead)


@frozen
class BudgetMember:
    """A client that shares a budget.

    Attributes:
        max_rate: its bound, in questions per second.
        seen: when it had its last exchange.
        until: its last slot.
    """

    max_rate: float
    seen: float
    until: float = -math.inf


@frozen
class ExchangeInput:
    """A client's part of an exchange: it hands in answers, and wants slots.

    Attributes:
        answers: those that it got since the last one.
        wanted: how many slots it wants at most.
        held: how many it has that have not come.
        usable_in: in how many seconds it can use the first one.
    """

    answers: list[CountedAnswer]
    wanted: int
    held: int = 0
    usable_in: float = 0.0


@define
class SharedBudget(RateLimiter):
    """Gives each client its slots, and adapts the rate to all their answers. All moments are on one clock.

    Attributes:
        moment: that of the last exchange.
        kept_until: clients still spend slots of the previous generation that come before this moment.
        members: the clients that are alive.
        answers: those that are not counted yet, in the order in which they came.
        ahead: the slots given that come more than `VALID_FOR` after the last exchange, and the last one before them.
    """

    moment: float = 0.0
    kept_until: float = 0.0
    members: dict[str, BudgetMember] = field(factory=dict)
    answers: list[CountedAnswer] = field(factory=list)
    ahead: list[float] = field(factory=list)

    @property
    def generation(self) -> int:
        """The generation of the slots that are given now. It changes when earlier ones come too soon or too late."""
        return self._generation

    @property
    def is_possible(self) -> bool:
        """Whether the figures can be right. Impossible ones could make every client wait for ever."""
        latest, pause = self.moment + 2 * VALID_FOR, self.pause.seconds if self.pause is not None else 0.0
        if not (math.isfinite(latest) and 0 <= pause <= LONGEST_PAUSE and self.max_rate >= LOWEST_RATE):
            return False
        members = self.members.values()
        slots = [self._last, *self.ahead, *(one.until for one in members)]
        ahead = MAX_AHEAD_SECONDS + (len(members) + 1) * self._spacing(min(self.max_rate, MIN_RATE_AFTER_CUT))
        return (
            self.quiet_until <= latest + pause
            and max(slots) <= max(latest, self.quiet_until) + ahead
            and all(one.max_rate >= LOWEST_RATE and one.seen <= latest for one in members)
            and all(one.received <= latest for one in self.answers)
            and self._recent.is_possible(SHARE_SPAN, latest)
            and self._rate.is_possible(latest)
        )

    def exchange(
        self, now: float, member: str, max_rate: float, given: ExchangeInput, *, renewed: bool = False
    ) -> list[float]:
        """Take in a client's answers, and return the moments of the slots that it gets: none if there is no bound.

        Args:
            now: this moment. It may be a little before that of the last exchange, not more.
            member: names the client.
            max_rate: the client's bound, in questions per second.
            given: the client's answers, and how many slots it wants.
            renewed: whether slots that were given may have been forgotten, as after a crash of the database. Those of
                this client are void then.
        """
        now = self.moment = max(now, self.moment)
        if renewed:
            self.members.pop(member, None)
        if all(now - one.seen >= ALIVE_FOR for one in self.members.values()):  # No client is alive: this begins alone.
            self.quiet_until, self.answers = min(self.quiet_until, now), []
            self._begin_slots(now)
        until = self.members[member].until if member in self.members else -math.inf
        self._set_members({**self.members, member: BudgetMember(max_rate, now, until)})
        if renewed:
            self._last = max(self._last, now + VALID_FOR - self._spacing(self.rate(now)))
            self.ahead.append(self._last)
        self._take_in(given.answers)
        slots = self._give(member, given) if given.wanted else []
        if slots:
            self.members[member] = evolve(self.members[member], until=slots[-1])
            self.ahead += slots
        self.ahead = self.ahead[max(sum(one <= now + VALID_FOR for one in self.ahead) - 1, 0) :]
        return slots

    def leave(self, now: float, member: str) -> None:
        """Forget a client that asks nothing any more."""
        self.moment = max(now, self.moment)
        self._set_members({name: one for name, one in self.members.items() if name != member})

    def _set_members(self, members: dict[str, BudgetMember]) -> None:
        """Keep the members that are alive, and apply the lowest of their bounds."""
        bound = self.max_rate
        self.members = {name: one for name, one in members.items() if self.moment - one.seen < ALIVE_FOR}
        self.max_rate = min((one.max_rate for one in self.members.values()), default=bound)
        if self.max_rate > bound and self._last > self.moment + VALID_FOR:  # All slots may come sooner.
            self._begin_slots(self.moment)
        else:
            self._give_back()

    def _give_back(self) -> None:
        """Put the next slot after the last one that a client may still spend."""
        until = max((one.until for one in self.members.values()), default=-math.inf)
        self.ahead = [one for one in self.ahead if one <= max(self.moment + VALID_FOR, until)]
        self._last = max(self.ahead, default=-math.inf)

    def _take_in(self, answers: Sequence[CountedAnswer]) -> None:
        """Count the answers in the order in which they came, once they are settled.

        The answers that have come since also decide whether the refusals among them pause all clients.
        """
        answers = [evolve(one, received=min(one.received, self.moment)) for one in answers]
        self.answers = sorted([*self.answers, *answers], key=lambda one: one.received)
        settled = sum(one.received <= self.moment - SETTLED_AFTER_SECONDS for one in self.answers)
        counted, self.answers = self.answers[:settled], self.answers[settled:]
        for one in counted:
            self._rate.lag = self.moment - one.received + VALID_FOR
            self._count(one.received, one.asked, refused=one.pause is not None)
        refuses_most = self._refuses_most(one.pause is not None for one in self.answers)
        for one in counted:
            self._rate.lag = self.moment - one.received + VALID_FOR
            if one.pause is None:
                self._end_pause(one.received, one.asked)
            elif refuses_most and one.received > counted[-1].received - SHARE_SPAN:
                self._obey(one.received, one.pause)

    def _give(self, member: str, given: ExchangeInput) -> list[float]:
        """Return the moments of the next slots: with those that the client has, a fair share of those in `LOT_SECONDS`.

        There is at least one for a client that has none. A client whose exchanges take long gets more at a time.
        """
        first = self.moment + given.usable_in
        rate = self.rate(first)
        if math.isinf(rate):
            return []
        others = sum(one.until > self.moment - LOT_SECONDS for name, one in self.members.items() if name != member)
        seconds = min(max(LOT_SECONDS, 5 * given.usable_in), MAX_AHEAD_SECONDS)
        lot = max(int(seconds * rate / (1 + others)), 1)
        return [self.reserve(first).moment for _ in range(min(given.wanted, lot - given.held))]

    def _spacing(self, rate: float) -> float:
        """Return the seconds from one slot to the next at a rate.

        A client may spend one slot `MAX_LATE_SECONDS` late, and those after it in time. If that would bring more than
        `MAX_BURST_FACTOR` times the rate into a second, as at 1 to 4 a second, the slots lie further apart.
        """
        if not math.isfinite(rate):
            return 0.0
        return max(1 / rate, (1 + MAX_LATE_SECONDS) / max(math.floor(MAX_BURST_FACTOR * rate), 1))

    def _begin_slots(self, now: float) -> None:  # noqa: ARG002 - it is that of the answer.
        """Begin another generation of slots, after those that may still be spent."""
        self.kept_until = self.moment + VALID_FOR
        self.members = {name: evolve(one, until=min(one.until, self.kept_until)) for name, one in self.members.items()}
        self._give_back()
        self._generation += 1

"""The budget that all clients of one gateway and key share, by itself: without a database, in virtual time."""

import heapq
import json
import random
from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import count, pairwise
from math import inf
from statistics import fmean, pvariance
from typing import Any, Final

import pytest
from attrs import define, field, fields

from longcat.clock import RESOLUTION
from longcat.models import Pause
from longcat.processes import ForkSafeLock
from longcat.saving.journal.postgres.values import as_json, from_json
from longcat.waiting.rates.rate_limit import SHARE_SPAN, Slot
from longcat.waiting.rates.shared_budget import (
    ALIVE_FOR,
    MAX_LATE_SECONDS,
    SETTLED_AFTER_SECONDS,
    VALID_FOR,
    CountedAnswer,
    ExchangeInput,
    SharedBudget,
)
from longcat.waiting.rates.shared_rate import SharedRateLimiter
from longcat.waiting.schedule.adaptive import AdaptivePolling
from longcat.waiting.schedule.forecast import ProgressShape
from longcat.waiting.schedule.knowledge import Knowledge
from longcat.waiting.schedule.shared_knowledge import KnowledgeRecord, KnowledgeSharer, _pooled


@define(eq=False)
class Client:
    """One client of a `World`, whose clock is another one than the budget's."""

    name: str
    limiter: SharedRateLimiter
    ahead: float  # How many seconds its clock is ahead of the budget's.
    latency: float  # Seconds from it to the budget.
    pause: float  # Seconds from one question to the next, at least.
    asked: list[float] = field(factory=list)
    is_exchanging: bool = False
    is_stopped: bool = False
    missed: list[Callable[[], None]] = field(factory=list)  # What came while it was stopped.


@define
class World:
    """Clients that share a budget, in virtual time. A client asks as often as it may, unless told otherwise."""

    rate: float
    refuses: Callable[[float], Pause | None] = field(default=lambda _: None)
    now: float = 100.0
    budget: SharedBudget = field(factory=SharedBudget)
    clients: list[Client] = field(factory=list)
    _locked_until: float = 0.0
    _events: list[tuple[float, int, Callable[[], None]]] = field(factory=list)
    _numbers: Iterable[int] = field(factory=count)
    _random: random.Random = field(factory=lambda: random.Random(1))  # noqa: S311 - no secret.

    def add(self, latency: float = 0.001, pause: float = 0.0005, rate: float | None = None) -> Client:
        """Let one more client begin. Its bound is the world's if `rate` is None."""
        limiter = SharedRateLimiter(self.rate if rate is None else rate, on_demand=lambda: self.look(client))
        client = Client(str(len(self.clients)), limiter, self._random.uniform(-50.0, 50.0), latency, pause)
        self.clients.append(client)
        if pause < inf:
            self.at(0.0, lambda: self.want(client))
        return client

    def at(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen after so many seconds."""
        heapq.heappush(self._events, (self.now + seconds, next(iter(self._numbers)), event))

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        end = self.now + seconds
        while self._events and self._events[0][0] < end:
            self.now, _, event = heapq.heappop(self._events)
            event()
        self.now = end

    def want(self, client: Client) -> None:
        """Have a client reserve a slot, and wait for it."""
        self.wait(client, client.limiter.reserve(self.now + client.ahead))

    def wait(self, client: Client, slot: Slot) -> None:
        """Have a client wait for its slot, ask, and go on."""
        if client.is_stopped:
            client.missed.append(lambda: self.wait(client, slot))
            return
        pause = client.limiter.seconds_until(slot, self.now + client.ahead)
        if pause is None:
            self.want(client)
        elif pause >= RESOLUTION:
            self.at(pause, lambda: self.wait(client, slot))
        else:
            client.asked.append(self.now)
            asked, refusal = self.now + client.ahead, self.refuses(self.now)
            self.at(0.01, lambda: self.answer(client, asked, refusal))
            self.at(client.pause, lambda: self.want(client))

    def go_on(self, client: Client) -> None:
        """Let a client go on that was stopped, with all that came meanwhile."""
        client.is_stopped = False
        missed, client.missed = client.missed, []
        for event in missed:
            event()

    def answer(self, client: Client, asked: float, refusal: Pause | None) -> None:
        """Let the gateway answer."""
        now = self.now + client.ahead
        if refusal is None:
            client.limiter.on_answer(now, asked)
        else:
            client.limiter.on_rate_limited(now, asked, refusal)

    def look(self, client: Client) -> None:
        """Begin an exchange of a client, if it is due and none is under way."""
        if client.is_stopped:
            client.missed.append(lambda: self.look(client))
            return
        if client.is_exchanging:
            return
        due = client.limiter.next_exchange(self.now + client.ahead) - client.ahead
        if due > self.now + 1e-6:
            self.at(due - self.now, lambda: self.look(client))
            return
        client.is_exchanging = True
        given, began = client.limiter.begin_exchange(self.now + client.ahead, -client.ahead), self.now
        self.at(client.latency, lambda: self.lock(client, given, began))

    def lock(self, client: Client, given: ExchangeInput, began: float) -> None:
        """Let a client have the budget as soon as nobody else has it, and keep it until its answer has come."""
        if self.now < self._locked_until:
            self.at(self._locked_until - self.now, lambda: self.lock(client, given, began))
            return
        slots = self.budget.exchange(self.now, client.name, client.limiter.max_rate, given)
        seen = from_json(SharedBudget, as_json(self.budget))
        assert seen.is_possible
        self._locked_until = self.now + 2 * client.latency
        self.at(3 * client.latency, lambda: self.end(client, given, seen, slots, began))

    def end(self, client: Client, given: ExchangeInput, seen: SharedBudget, slots: list[float], began: float) -> None:
        """Let a client have what its exchange has brought."""
        if client.is_stopped:
            client.missed.append(lambda: self.end(client, given, seen, slots, began))
            return
        client.limiter.note_exchange_seconds(self.now - began)
        client.limiter.end_exchange(given, seen, slots, self.now + client.ahead)
        client.is_exchanging = False
        self.look(client)

    @property
    def asked(self) -> list[float]:
        """When something was asked, by any client."""
        return sorted(moment for client in self.clients for moment in client.asked)


def most_in_a_second(moments: list[float]) -> int:
    """Return how many of these moments, which are sorted, lie in the fullest second."""
    return max(bisect_left(moments, first + 1.0) - bisect_left(moments, first) for first in moments)


@pytest.mark.parametrize("clients", [1, 2, 4, 8])
@pytest.mark.parametrize("rate", [5.0, 20.0, 50.0, 200.0])
def test_all_together_keep_the_rate_and_use_it(rate: float, clients: int) -> None:
    """However many clients share a rate, they use nine tenths of it, exceed it in no second, and nobody starves."""
    world = World(rate)
    for _ in range(clients):
        world.add()
    world.run(8.0)
    assert len(world.asked) >= 0.9 * rate * 8.0
    assert most_in_a_second(world.asked) <= 1.2 * rate
    assert min(len(client.asked) for client in world.clients) >= 0.5 * rate * 8.0 / clients


@pytest.mark.parametrize(
    ("rate", "used"), [(0.5, 1.0), (1.0, 0.9), (1.5, 0.6), (1.7, 0.95), (2.0, 0.9), (3.0, 0.9), (4.0, 0.9), (6.5, 0.95)]
)
def test_a_low_rate_is_not_rounded_up(rate: float, used: float) -> None:
    """No second has more than 1.2 times the rate, or one, even if every other slot is spent as late as it may be."""
    budget = SharedBudget()
    slots = [budget.exchange(100.0 + i / 50, "a", rate, ExchangeInput([], 1)) for i in range(20 * 50)]
    moments = [moment for given in slots for moment in given]
    late = sorted(moment + MAX_LATE_SECONDS * (number % 2) for number, moment in enumerate(moments))
    assert most_in_a_second([round(moment, 6) for moment in late]) <= max(1.2 * rate, 1)
    assert used * rate <= (len(moments) - 1) / (moments[-1] - moments[0]) <= 1.01 * rate


def test_who_has_nothing_to_ask_holds_no_slots() -> None:
    """Beside clients that ask nothing, or now and then, the others have what is left of the rate."""
    world = World(20.0)
    for pause in (inf, 1.0, 0.0005, 0.0005):
        world.add(pause=pause)
    world.run(10.0)
    idle, rare, *busy = (len(client.asked) for client in world.clients)
    assert (idle, rare >= 5, sum(busy) >= 0.9 * 190) == (0, True, True)


def test_a_slow_way_to_the_database_starves_nobody() -> None:
    """A client whose exchanges take 0.15 s has a fair share beside quick ones, and has the rate when it is alone."""
    world, alone = World(20.0), World(20.0)
    for latency in (0.05, 0.001, 0.001):
        world.add(latency)
    alone.add(0.05)
    world.run(10.0)
    alone.run(10.0)
    assert min(len(client.asked) for client in world.clients) >= 0.5 * 200 / 3
    assert len(alone.asked) >= 0.9 * 200


def test_the_rate_is_kept_as_clients_come_and_go() -> None:
    """A client that is gone costs the slots that it had, and one that comes gets none that others have."""
    world = World(50.0)
    for _ in range(10):
        world.add()
        gone = world.add()
        world.run(0.5)
        gone.is_stopped = True
    assert most_in_a_second(world.asked) <= 60
    assert len(world.asked) >= 0.8 * 250


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.4, 1.0, 3.0])
@pytest.mark.parametrize("rate", [5.0, 50.0, 200.0])
def test_clients_that_are_stopped_and_go_on_do_not_ask_all_at_once(rate: float, seconds: float) -> None:
    """What they could have asked meanwhile is not made up for, also when many of them go on at one moment."""
    world = World(rate)
    clients = [world.add() for _ in range(4)]
    for _ in range(3):
        world.run(1.03)
        for client in clients:
            client.is_stopped = True
        world.run(seconds)
        for client in clients:
            world.go_on(client)
    world.run(1.0)
    assert most_in_a_second(world.asked) <= 1.2 * rate
    assert len(world.asked) >= 0.5 * rate * 4


def test_a_client_that_was_stopped_asks_nothing_that_it_might_have_asked_before() -> None:
    """A slot that is late is void, and so is one for which nobody has looked at the budget of late."""
    limiter, budget = SharedRateLimiter(5.0, on_demand=lambda: None), SharedBudget()
    given = limiter.begin_exchange(0.0, 0.0)
    limiter.end_exchange(given, budget, budget.exchange(0.0, "a", 5.0, ExchangeInput([], 5)), 0.0)
    assert [limiter.seconds_until(limiter.reserve(0.0), now) for now in (0.0,)] == [0.0]
    limiter.end_exchange(given, budget, [0.1, 0.4, 0.7], 0.0)
    slots = [limiter.reserve(0.0) for _ in range(3)]
    assert [limiter.seconds_until(slot, slot.moment) for slot in slots] == [0.0, 0.0, None]
    assert limiter.seconds_until(slots[0], 0.25) is None


@pytest.mark.parametrize(
    ("generation", "kept_until", "quiet_until", "good"),
    [
        (0, 0.0, 0.0, [True, True]),
        (0, 0.0, 0.2, [True, True]),
        (1, 0.3, 0.0, [True, False]),
        (1, 0.5, 0.2, [False, True]),
        (2, 0.5, 0.0, [False, False]),
    ],
)
def test_slots_from_before_a_change_of_the_rate_are_good_for_a_while(
    generation: int, kept_until: float, quiet_until: float, good: list[bool]
) -> None:
    """They are after one change, up to a moment that the budget tells, and while there is no pause; not after two."""
    limiter = SharedRateLimiter(5.0, on_demand=lambda: None)
    limiter.end_exchange(limiter.begin_exchange(0.0, 0.0), SharedBudget(), [0.1, 0.4], 0.0)
    slots = [limiter.reserve(0.0) for _ in range(2)]
    budget = SharedBudget(generation=generation, kept_until=kept_until, quiet_until=quiet_until)
    limiter.end_exchange(limiter.begin_exchange(0.0, 0.0), budget, [], 0.0)
    assert [limiter.seconds_until(slot, 0.0) is not None for slot in slots] == good


def test_a_client_that_spent_no_slot_wants_one_at_a_time() -> None:
    """What one client takes and does not spend, the others can't have."""
    limiter = SharedRateLimiter(5.0, on_demand=lambda: None)
    limiter.end_exchange(limiter.begin_exchange(0.0, 0.0), SharedBudget(), [0.1], 0.0)
    limiter.reserve(1.0)
    assert limiter.begin_exchange(1.0, 0.0).wanted == 1


def test_a_client_without_a_bound_soon_looks_at_the_budget_again() -> None:
    """While it asks, it sees within a quarter of a second that another client was refused."""
    limiter, budget = SharedRateLimiter(inf, on_demand=lambda: None), SharedBudget()
    limiter.end_exchange(
        limiter.begin_exchange(0.0, 0.0), budget, budget.exchange(0.0, "a", inf, ExchangeInput([], 1)), 0.0
    )
    assert limiter.seconds_until(limiter.reserve(0.1), 0.1) == 0.0
    assert limiter.next_exchange(0.1) == 0.25


def test_nothing_is_asked_while_there_is_no_exchange() -> None:
    """When an exchange has failed, all slots are void, and what the client had to say is said in the next one."""
    limiter, budget = SharedRateLimiter(inf, on_demand=lambda: None), SharedBudget()
    limiter.end_exchange(
        limiter.begin_exchange(0.0, 5.0), budget, budget.exchange(5.0, "a", inf, ExchangeInput([], 1)), 0.0
    )
    slot = limiter.reserve(0.1)
    assert limiter.seconds_until(slot, 0.1) == 0.0
    limiter.on_answer(0.2, 0.1)
    given = limiter.begin_exchange(0.2, 5.0)
    limiter.fail_exchange(given)
    assert limiter.seconds_until(slot, 0.2) is None
    assert limiter.seconds_until(limiter.reserve(0.2), 0.2) != 0.0
    assert (limiter.begin_exchange(0.3, 6.0).answers, given.answers) == (
        [CountedAnswer(6.2, 6.1, None)],
        [CountedAnswer(5.2, 5.1, None)],
    )


def test_a_forked_process_begins_anew() -> None:
    """The slots and the answers from before are the parent's, who spends the ones and hands in the others."""
    limiter = SharedRateLimiter(50.0, on_demand=lambda: None)
    limiter.end_exchange(limiter.begin_exchange(0.0, 0.0), SharedBudget(), [0.1, 0.2], 0.0)
    slot = limiter.reserve(0.0)
    limiter.on_answer(0.05, 0.0)
    before = limiter.seconds_until(slot, 0.05)
    limiter.reset()
    given = limiter.begin_exchange(0.05, 0.0)
    assert (before, limiter.seconds_until(slot, 0.05)) == (0.05, None)
    assert (given.answers, given.held) == ([], 0)


@pytest.mark.parametrize("rate", [5.0, 50.0])
def test_a_retry_after_quiets_all_clients(rate: float) -> None:
    """When everyone is told to come back in two seconds, all have stopped within one, and go on together."""

    def refuses(now: float) -> Pause | None:
        return Pause(105.0 - now, now, 105.0 - now) if 103.0 <= now < 105.0 else None

    world = World(rate, refuses)
    for _ in range(4):
        world.add()
    world.run(8.0)
    began = next(moment for moment in world.asked if moment >= 103.0)
    known = began + SHARE_SPAN + SETTLED_AFTER_SECONDS + VALID_FOR
    quiet = [moment for moment in world.asked if known < moment < 105.0]
    after = [moment for moment in world.asked if 105.0 <= moment < 106.2]
    assert (quiet, len(after) >= rate * 0.9, most_in_a_second(world.asked) <= 1.2 * rate) == ([], True, True)


def test_the_rate_settles_where_the_gateway_bears_it() -> None:
    """A gateway that lets 40 through in a second and refuses the others is asked about so often, by all together."""
    let_through: list[float] = []

    def refuses(now: float) -> Pause | None:
        if sum(now - 1.0 < one for one in let_through[-40:]) >= 40:
            return Pause(0.5, now, None)
        let_through.append(now)
        return None

    world = World(200.0, refuses)
    for _ in range(4):
        world.add()
    world.run(60.0)
    last = [moment for moment in world.asked if moment > 140.0]
    assert 0.6 * 40 <= len(last) / 20.0 <= 1.3 * 40


def test_what_several_clients_saw_teaches_what_one_would_have_learnt() -> None:
    """In whichever order they hand their answers in, these are counted in the order in which they came."""
    draws = random.Random(2)  # noqa: S311 - no secret.
    answers = [
        CountedAnswer(i / 100, i / 100 - 0.05, Pause(0.1, 0.0, None) if draws.random() < 0.3 else None)
        for i in range(400)
    ]
    one, several = SharedBudget(), SharedBudget()
    learnt: list[tuple[float, float]] = []
    for i in range(1, 44):
        new = [answer for answer in answers if i - 1 <= answer.received * 10 < i]
        one.exchange(i / 10, "a", inf, ExchangeInput(new, 0))
        for part in range(3):
            several.exchange(i / 10, str(part), inf, ExchangeInput(new[part::3], 0))
        learnt.append((one.rate(i / 10), several.rate(i / 10)))
    assert min(learnt) < (inf, inf)
    assert [of_one for of_one, _ in learnt] == [of_several for _, of_several in learnt]


def test_the_lowest_bound_of_the_clients_that_are_alive_holds() -> None:
    """A client that was not heard of for half a minute bounds nobody."""
    budget = SharedBudget()
    rates = []
    for now, name, bound in ((0.0, "a", 50.0), (1.0, "b", 5.0), (2.0, "a", 50.0), (31.0, "a", 50.0)):
        budget.exchange(now, name, bound, ExchangeInput([], 1))
        rates.append(budget.rate(now))
    assert rates == [50.0, 5.0, 5.0, 50.0]


@pytest.mark.parametrize("leaves", [True, False])
def test_a_slow_client_holds_nobody_up_once_it_is_gone(*, leaves: bool) -> None:
    """Who waits beside a client that asks once in 500 s goes on when that has left, or was not heard of for 30 s."""
    world = World(20.0)
    slow = world.add(rate=0.002)
    world.run(1.0)
    quick = world.add()
    world.run(2.0)
    slow.is_stopped = True
    before = [len(client.asked) for client in world.clients]
    if leaves:
        world.budget.leave(world.now, slow.name)
    else:
        world.run(ALIVE_FOR)
    began = world.now
    world.run(7.0)
    assert (before, len(slow.asked)) == ([1, 0], 1)
    assert quick.asked[0] - began < 2.0
    assert len(quick.asked) >= 0.9 * 20 * 5.0
    assert most_in_a_second(world.asked) <= 1.2 * 20


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.9])
def test_slots_far_ahead_of_clients_that_leave_are_given_to_others(rate: float) -> None:
    """However often clients come, take a slot far ahead and leave, who stays asks at the rate, and never above it."""
    world = World(rate)
    stays = world.add()
    for _ in range(int(20 / rate)):
        comes = world.add()
        world.run(0.7)
        comes.is_stopped = True
        world.budget.leave(world.now, comes.name)
        world.run(0.3)
    gaps = [later - earlier for earlier, later in pairwise(world.asked)]
    assert len(stays.asked) >= 10
    assert most_in_a_second(world.asked) == 1
    assert sum(gaps) / len(gaps) >= 0.99 / rate


def test_what_may_have_been_forgotten_costs_half_a_second_at_any_rate() -> None:
    """After a crash of the server, the first slot comes when slots from before are not spent any more."""
    budget = SharedBudget()
    assert budget.exchange(100.0, "a", 0.002, ExchangeInput([], 2), renewed=True) == [100.5]
    assert budget.exchange(101.0, "a", 0.002, ExchangeInput([], 1, 0)) == [600.5]
    assert budget.exchange(102.0, "a", 0.002, ExchangeInput([], 1), renewed=True) == [600.5]
    budget = SharedBudget()
    assert budget.exchange(100.0, "a", inf, ExchangeInput([], 1), renewed=True) == []
    assert budget.exchange(100.0, "b", 50.0, ExchangeInput([], 1)) == pytest.approx([100.52])


@pytest.mark.parametrize("refused", [1.0, 0.25])
def test_a_long_retry_after_stops_everyone_only_if_nearly_all_are_refused(refused: float) -> None:
    """Four clients ask at once. If one of them is refused, whoever is first to say so, nobody else waits for it."""
    budget = SharedBudget()
    for i in range(4):
        pause = Pause(3000.0, 0.0, 3000.0) if i < 4 * refused else None
        budget.exchange(100.0 + i / 1000, str(i), inf, ExchangeInput([CountedAnswer(100.0, 99.99, pause)], 1))
    budget.exchange(100.4, "0", inf, ExchangeInput([], 1))
    assert budget.quiet_until == (3100.0 if refused == 1.0 else 0.0)


def test_a_pause_ends_when_others_were_let_through_after_all() -> None:
    """An answer that comes late, to what was sent at the time of the refusal, shows that not all are refused."""
    budget, pause = SharedBudget(), Pause(3000.0, 0.0, 3000.0)
    budget.exchange(100.0, "a", inf, ExchangeInput([CountedAnswer(100.0, 99.9, pause)], 1))
    budget.exchange(100.4, "a", inf, ExchangeInput([], 1))
    quiet = [budget.quiet_until]
    for asked in (98.0, 99.9):
        budget.exchange(103.0, "b", inf, ExchangeInput([CountedAnswer(102.0, asked, None)], 1))
        budget.exchange(104.0, "b", inf, ExchangeInput([], 1))
        quiet.append(budget.quiet_until)
    assert quiet == [3100.0, 3100.0, 102.0]


@pytest.mark.parametrize("leave", [True, False])
def test_a_pause_outlasts_no_client(*, leave: bool) -> None:
    """Who begins when all others have ended asks at once, as if it shared nothing: it may have been a mistake."""
    budget, pause = SharedBudget(), Pause(3000.0, 0.0, 3000.0)
    for now, name in ((100.0, "a"), (100.4, "a"), (101.0, "b")):
        budget.exchange(now, name, 5.0, ExchangeInput([CountedAnswer(now, now, pause)], 1))
    quiet, now = budget.quiet_until, 103.0 if leave else 101.0 + ALIVE_FOR
    if leave:
        budget.leave(102.0, "a")
        budget.leave(102.0, "b")
    assert (quiet, budget.exchange(now, "c", 5.0, ExchangeInput([], 1))) == (3100.4, [now])


def test_no_retry_after_holds_longer_than_an_hour() -> None:
    """A gateway that wants more is believed so much, by whoever counts its answers."""
    budget, pause = SharedBudget(), Pause(1e9, 0.0, 1e9)
    for now in (100.0, 100.4):
        budget.exchange(now, "a", inf, ExchangeInput([CountedAnswer(100.0, 99.9, pause)], 1))
    assert budget.quiet_until == 3700.0


def test_a_budget_is_the_same_after_it_was_a_text() -> None:
    """What is not known yet, infinite or under trial is kept as it is."""
    budget = SharedBudget()
    for i in range(40):
        pause = Pause(3.0, 1.0, 3.0) if i % 2 else None
        budget.exchange(i / 10, "a", inf, ExchangeInput([CountedAnswer(i / 10, i / 10 - 0.05, pause)], 1))
    assert as_json(from_json(SharedBudget, as_json(budget))) == as_json(budget)
    assert budget.rate(4.0) < inf


IMPOSSIBLE: Final[list[tuple[tuple[str | int, ...], Any]]] = [
    (("max_rate",), 0.0),
    (("max_rate",), 1e-300),
    (("quiet_until",), 200.0),
    (("quiet_until",), inf),
    (("pause",), [1e300, 0.0, 1.0]),
    (("pause",), [-1.0, 0.0, 1.0]),
    (("_last",), 1e300),
    (("_last",), 200.0),
    (("_last",), inf),
    (("moment",), inf),
    (("moment",), -inf),
    (("members",), {"a": [0.0, 100.0, 100.0]}),
    (("members",), {"a": [-1.0, 100.0, 100.0]}),
    (("members",), {"a": [1e-300, 100.0, 100.0]}),
    (("members",), {"a": [5.0, 1e300, 100.0]}),
    (("members",), {"a": [5.0, 100.0, 1e300]}),
    (("answers",), [[1e300, 100.0, None]]),
    (("ahead",), [1e300]),
    (("_recent", 0), 0.0),
    (("_recent", 1), [1.0, 2.0]),
    (("_recent", 1), [1e300, 0.0]),
    (("_recent", 2), 1e300),
    (("_rate", 0), 1e300),
    (("_rate", 1), 2.0),
    (("_rate", 3), inf),
    (("_rate", 4), 1e300),
    (("_rate", 5), [1.0, -1.0]),
    (("_rate", 6), [0, 0, 0, False]),
    (("_rate", 6), [1e300, 10.0, 10.0, False]),
    (("_rate", 6), [0.0, 1e-300, 10.0, False]),
    (("_rate", 7), [0.0, [1.0, 1.0], 0.0, [0.0, 10.0, 10.0, False]]),
    (("_rate", 7), [0.5, [1.0, 1.0], 0.0, [0.0, 0.0, 10.0, False]]),
    (("_rate", 8, 0), 0.0),
    (("_rate", 8, 2), 1e300),
]


@pytest.mark.parametrize(("place", "figure"), IMPOSSIBLE, ids=str)
def test_figures_that_are_impossible_are_found(place: tuple[str | int, ...], figure: object) -> None:
    """A figure that is out of range, or contradicts the others, is no matter of types."""
    budget = SharedBudget()
    budget.exchange(100.0, "a", 5.0, ExchangeInput([CountedAnswer(100.0, 99.9, None)], 1))
    names = [each.name for each in fields(SharedBudget) if each.type is not ForkSafeLock]
    values = target = json.loads(as_json(budget))
    *way, last = (names.index(step) if isinstance(step, str) else step for step in place)
    for step in way:
        target = target[step]
    target[last] = figure
    assert (budget.is_possible, from_json(SharedBudget, json.dumps(values)).is_possible) == (True, False)


@pytest.mark.parametrize("text", ["", '{"a": 1}', "7", "[[]]", '["x"]', "[NaN]", "[1.0,2.0,[1]]", "[" * 100_000])
def test_a_text_that_is_no_budget_is_refused(text: str) -> None:
    """Whatever stands in the row, nothing but ValueError comes of it."""
    with pytest.raises(ValueError, match=r".*"):
        from_json(SharedBudget, text)


def wait_for(policy: AdaptivePolling, durations: list[float]) -> None:
    """Let waits of a policy go through that begin together and take so long."""
    plans = [policy.plan() for _ in durations]
    for plan, duration in zip(plans, durations, strict=True):
        elapsed = plan.next(0.0, None)
        while elapsed < duration:
            elapsed += plan.next(elapsed, min(elapsed / duration, 1.0))
        plan.finished(elapsed)


def hazards(knowledge: Knowledge) -> list[float]:
    """Return what each experience expects by some moments."""
    for one in knowledge.experiences:
        one.update()
    return [one.hazard(age) for one in knowledge.experiences for age in (5.0, 10.0, 20.0, 40.0)]


def test_a_new_client_begins_with_what_the_others_know() -> None:
    """It plans as they do, though it has seen no request itself."""
    policy, new = (AdaptivePolling(random=lambda: 0.5) for _ in range(2))
    wait_for(policy, [20.0 + i / 10 for i in range(30)])
    kept = from_json(KnowledgeRecord, as_json(KnowledgeSharer(policy.knowledge).merge(KnowledgeRecord())))
    KnowledgeSharer(new.knowledge).merge(kept)
    assert hazards(new.knowledge) == pytest.approx(hazards(policy.knowledge), rel=1e-3)
    assert new.plan().next(0.0, None) == pytest.approx(policy.plan().next(0.0, None), rel=0.1)
    assert new.knowledge.shapes[0].bins().keys() == policy.knowledge.shapes[0].bins().keys()


def test_what_several_clients_learn_adds_up() -> None:
    """Two clients that tell each other at times expect what one would that had seen all, and none counts twice."""
    durations = [15.0 + (i * 7 % 20) / 2 for i in range(40)]
    one, *several = (AdaptivePolling(random=lambda: 0.5) for _ in range(3))
    sharers, kept = [KnowledgeSharer(each.knowledge) for each in several], KnowledgeRecord()
    for i in range(0, 40, 10):
        wait_for(one, durations[i : i + 10])
        for policy, sharer, first in zip(several, sharers, (i, i + 5), strict=True):
            wait_for(policy, durations[first : first + 5])
            kept = sharer.merge(kept)
            kept = sharer.merge(kept)
    sharers[0].merge(kept)
    assert several[0].knowledge.finished == one.knowledge.finished == kept.finished == 40
    assert hazards(several[0].knowledge) == pytest.approx(hazards(one.knowledge), rel=0.35, abs=0.01)


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_what_progress_meant_to_several_clients_is_pooled(part: float) -> None:
    """Of two sides that saw as much, mean and variance are those of all, each as far as it counts."""
    ours, theirs, shape = [1.0, 2.0, 3.0, 6.0], [3.0, 5.0, 7.0, 9.0], ProgressShape()
    shape.replace_bins({0: (4, fmean(ours), pvariance(ours)), 2: (1, 0.5, 0.0)})
    pooled = _pooled([[0, 4, fmean(theirs), pvariance(theirs)], [1, 3, 0.1, 0.2]], shape, part)
    everything = ours * round(4 * part) + theirs * round(4 - 4 * part)
    expected = [0, 4, pytest.approx(fmean(everything)), pytest.approx(pvariance(everything))]
    assert pooled == [expected, [1, 3, 0.1, 0.2], [2, 1, 0.5, 0.0]]

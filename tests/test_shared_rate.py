"""The budget that all clients of one gateway and key share, by itself: without a database, in virtual time."""

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count
from math import inf

import pytest
from attrs import define, field

from longcat.clock import RESOLUTION
from longcat.models import Pause
from longcat.saving.journal.postgres.values import as_json, from_json
from longcat.waiting.rate_limit import Slot
from longcat.waiting.shared_rate import SharedBudget, SharedRateLimiter, Wish


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

    def add(self, latency: float = 0.001, pause: float = 0.0005) -> Client:
        """Let one more client begin."""
        limiter = SharedRateLimiter(self.rate, on_demand=lambda: self.look(client))
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

    def answer(self, client: Client, asked: float, refusal: Pause | None) -> None:
        """Let the gateway answer."""
        now = self.now + client.ahead
        if refusal is None:
            client.limiter.on_answer(now, asked)
        else:
            client.limiter.on_rate_limited(now, asked, refusal)

    def look(self, client: Client) -> None:
        """Begin an exchange of a client, if it is due and none is under way."""
        if client.is_exchanging or client.is_stopped:
            return
        due = client.limiter.next_exchange(self.now + client.ahead) - client.ahead
        if due > self.now + 1e-6:
            self.at(due - self.now, lambda: self.look(client))
            return
        client.is_exchanging = True
        wish, began = client.limiter.begin_exchange(self.now + client.ahead, -client.ahead), self.now
        self.at(client.latency, lambda: self.lock(client, wish, began))

    def lock(self, client: Client, wish: Wish, began: float) -> None:
        """Let a client have the budget as soon as nobody else has it, and keep it until its answer has come."""
        if self.now < self._locked_until:
            self.at(self._locked_until - self.now, lambda: self.lock(client, wish, began))
            return
        slots = self.budget.exchange(self.now, client.name, client.limiter.max_rate, wish)
        self.budget = seen = from_json(SharedBudget, as_json(self.budget))
        self._locked_until = self.now + 2 * client.latency
        self.at(3 * client.latency, lambda: self.end(client, wish, seen, slots, began))

    def end(self, client: Client, wish: Wish, seen: SharedBudget, slots: list[float], began: float) -> None:
        """Let a client have what its exchange has brought."""
        client.limiter.took(self.now - began)
        client.limiter.end_exchange(wish, seen, slots, self.now + client.ahead)
        client.is_exchanging = False
        self.look(client)

    @property
    def asked(self) -> list[float]:
        """When something was asked, by any client."""
        return sorted(moment for client in self.clients for moment in client.asked)


def most_in_a_second(moments: list[float]) -> int:
    """Return how many of these moments lie in the fullest second."""
    return max(sum(first <= one < first + 1.0 for one in moments) for first in moments)


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

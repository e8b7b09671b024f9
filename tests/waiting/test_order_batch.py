"""Orders among questions: how a batch shares its slots and its calls, and how it stops. No driver, and virtual time."""

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

from attrs import define, field
from fakes import KEY, URL

from longcat.gateway.messages import Answer, Call
from longcat.gateway.order_fields import usable_order
from longcat.gateway.queue import QueueGateway
from longcat.models import Order
from longcat.testing import VirtualClock
from longcat.waiting.batch import Batch, Finished, Idle, Job, Perform, TakeItem
from longcat.waiting.generate import Generate
from longcat.waiting.outcome import Outcome
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.schedule.polling import FixedPolling
from longcat.waiting.submit import Submit
from longcat.waiting.wait import Wait

GATEWAY = QueueGateway(URL, KEY)


def is_order(call: Call) -> bool:
    """Whether a call is an order."""
    return call.method == "POST"


@define
class Simulation:
    """A batch of orders with a gateway of its own, in virtual time.

    Attributes:
        takes: seconds until a request is done.
        latency: seconds until a call is answered. None: it never is.
        calls: each call, with the moment at which it was sent.
    """

    takes: float = 30.0
    latency: Callable[[Call], float | None] = lambda _: 0.1
    max_rate: float = float("inf")
    max_in_flight: int = 20
    every: float = 1.0
    clock: VirtualClock = field(factory=VirtualClock)
    calls: list[tuple[float, Call]] = field(factory=list)
    outcomes: list[Outcome] = field(factory=list)
    _born: dict[str, float] = field(factory=dict)
    _answers: list[tuple[float, int, Job, Answer]] = field(factory=list)
    _numbers: Iterator[int] = field(factory=count)

    def batch(self) -> Batch[str]:
        """Return a batch that takes prompts."""
        limiter = RateLimiter(self.max_rate)
        shared: dict[str, Any] = {"rate_limiter": limiter, "monotonic": self.clock.monotonic, "random": lambda: 0.5}

        def begin_wait(order: Order, left: float, fresh: bool) -> Wait:
            return Wait(
                GATEWAY,
                order.request_id,
                FixedPolling(self.every),
                timeout=left,
                unknown="wait",
                order=order,
                fresh=fresh,
                **shared,
            )

        def begin(prompt: str) -> Generate:
            return Generate(Submit(GATEWAY, usable_order(prompt), timeout=None, **shared), begin_wait)

        return Batch(begin, None, limiter, self.clock.monotonic, self.max_in_flight)

    def run(self, batch: Batch[str], prompts: Iterable[str], until: float) -> None:
        """Do the steps of a batch until a moment, or until it is finished."""
        items = iter(prompts)
        while self.clock.now < until:
            while self._answers and self._answers[0][0] <= self.clock.now:
                _, _, job, answer = heapq.heappop(self._answers)
                batch.receive(job, answer)
            while batch.outcomes:
                self.outcomes.append(batch.pop_outcome())
            match batch.next():
                case TakeItem():
                    for item in items:
                        batch.feed(item)
                        break
                    else:
                        batch.end_items()
                case Perform(job, Call() as call):
                    self._send(job, call)
                case Idle(seconds):
                    due = self._answers[0][0] if self._answers else float("inf")
                    self.clock.now = min(self.clock.now + seconds, max(due, self.clock.now), until)
                case Finished():
                    return

    def _send(self, job: Job, call: Call) -> None:
        self.calls.append((self.clock.now, call))
        latency = self.latency(call)
        if latency is not None:
            answer = Answer(202 if is_order(call) else 200, {}, json.dumps(self._body(call)).encode())
            heapq.heappush(self._answers, (self.clock.now + latency, next(self._numbers), job, answer))

    def _body(self, call: Call) -> dict[str, Any]:
        if is_order(call):
            request_id = f"longcat-image-498_00000000-0000-0000-0000-{next(self._numbers):013x}"
            self._born[request_id] = self.clock.now
            return {"request_id": request_id, "status": "QUEUED"}
        request_id = call.url.rpartition("/")[2]
        if self.clock.now - self._born[request_id] < self.takes:
            return {"request_id": request_id, "status": "PROCESSING"}
        output = {"media_url": ["https://storage.test/one.png"]}
        return {"request_id": request_id, "status": "COMPLETED", "output": output}

    def kinds(self) -> Counter[bool]:
        """Return how many calls were orders, and how many were not."""
        return Counter(is_order(call) for _, call in self.calls)


def test_orders_do_not_starve_questions() -> None:
    """Where slots are scarce, every other one is a question's, however many orders wait."""
    simulation = Simulation(max_rate=10.0, takes=1e9)
    simulation.run(simulation.batch(), (f"cat {n}" for n in count()), 100.0)
    kinds = simulation.kinds()
    assert kinds.total() in range(990, 1003)
    assert abs(kinds[True] - kinds[False]) <= 0.05 * kinds.total()


def test_questions_do_not_starve_orders() -> None:
    """A batch takes orders on, although the questions about earlier ones could use up every slot."""
    simulation = Simulation(max_rate=5.0, takes=10.0, every=0.1)
    simulation.run(simulation.batch(), [f"cat {n}" for n in range(100)], 200.0)
    assert simulation.kinds()[True] == len(simulation.outcomes) == 100


def test_slow_orders_leave_room_for_questions() -> None:
    """Of the calls in flight, half are orders at most, so an answer to an order may take its time."""
    simulation = Simulation(latency=lambda call: 0.1 if simulation.kinds()[True] <= 3 or not is_order(call) else None)
    simulation.run(simulation.batch(), (f"cat {n}" for n in count()), 60.0)
    assert simulation.kinds()[True] == 3 + 10
    assert len(simulation.outcomes) == 3


def test_one_call_at_a_time_is_enough() -> None:
    """With one call in flight, orders and questions take turns."""
    simulation = Simulation(max_in_flight=1, takes=2.0)
    simulation.run(simulation.batch(), ["a", "b", "c"], 60.0)
    assert [outcome.error for outcome in simulation.outcomes] == [None] * 3


def test_a_batch_that_is_stopped_lets_its_orders_be_answered() -> None:
    """After `stop`, nothing is sent, and the batch ends when the orders that were under way are answered."""
    simulation = Simulation(latency=lambda call: 5.0 if is_order(call) else 0.1, takes=1e9)
    batch = simulation.batch()
    simulation.run(batch, (f"cat {n}" for n in count()), 7.0)
    sent = len(simulation.calls)
    batch.stop()
    simulation.run(batch, (), 1e6)
    assert (len(simulation.calls), batch.in_flight, simulation.clock.now) == (sent, 0, 10.0)
    assert batch.next() == Finished()


def test_the_answer_to_an_order_is_the_first_answer_about_its_request() -> None:
    """The first question comes after the plan's first pause, not at once."""
    simulation = Simulation(every=4.0, takes=6.0)
    simulation.run(simulation.batch(), ["a cat"], 60.0)
    assert [round(moment, 3) for moment, _ in simulation.calls] == [0.0, 4.1, 8.2]


def test_the_same_prompt_twice_is_two_orders() -> None:
    """Each item is one order."""
    simulation = Simulation(takes=1.0)
    simulation.run(simulation.batch(), ["a cat", "a cat"], 60.0)
    assert simulation.kinds()[True] == len({outcome.request_id for outcome in simulation.outcomes}) == 2

"""What people are told of the time left: about right by nine in ten, or nothing."""

# ruff: noqa: S311 - nothing here is a secret.

import math
from heapq import heapify, heappop, heappush
from random import Random
from statistics import fmean

import pytest
from attrs import define

from longcat.waiting.schedule.adaptive import AdaptivePlan, AdaptivePolling
from longcat.waiting.schedule.time_left import time_left


@define
class Request:
    """A request that is queued, works, and reports its progress truthfully, in hundredths.

    Attributes:
        plan: of the wait for it.
        queued: seconds after the wait began at which the work began. Below zero: before it.
        works: seconds of work.
        eased: whether progress is slow in the beginning and in the end. False: it is even.
        progress: what it said last. None: it was not asked.
    """

    plan: AdaptivePlan
    queued: float
    works: float
    eased: bool = False
    progress: float | None = None

    def answer(self, elapsed: float) -> float | None:
        """Return its progress so many seconds after the wait began. None: it is done."""
        share = (elapsed - self.queued) / self.works
        if share >= 1:
            return None
        share = max(share, 0.0)
        return round(0.7 * share + 0.3 * share**2 * (3 - 2 * share) if self.eased else share, 2)


def told(requests: list[Request], until: float = math.inf) -> list[tuple[float | None, float]]:
    """Wait for the requests, and return what was told at some moments, with how many seconds were left in fact.

    Nothing is looked at before each that still runs has told of more than 20 %, and nothing after `until`.
    """
    questions = [(0.0, number) for number in range(len(requests))]
    heapify(questions)
    running, told, moment, now = [*requests], list[tuple[float, float | None]](), 0.2, 0.0
    while questions:
        now, number = heappop(questions)
        while moment < min(now, until):
            if running and all(request.progress is not None and request.progress > 0.2 for request in running):
                told.append((moment, time_left([(request.plan, moment) for request in running])))
            moment *= 1.1
        request = requests[number]
        request.progress = request.answer(now)
        if request.progress is None:
            request.plan.finished(now)
            running.remove(request)
        else:
            heappush(questions, (now + request.plan.next(now, request.progress), number))
    return [(left, now - moment) for moment, left in told]


def about_right(left: float, truth: float) -> bool:
    """Whether it is within a factor of two."""
    return truth / 2 <= left <= truth * 2


@pytest.mark.parametrize("seconds_per_question", [None, 5.0])
@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize(("queue", "eased"), [(0.0, False), (0.0, True), (0.5, True)])
def test_past_a_fifth_it_is_within_a_factor_of_two(
    queue: float, eased: bool, count: int, seconds_per_question: float | None
) -> None:
    """So it is for nine in ten of the moments, for one request and for many, though nothing was learnt before."""
    chance, looks = Random(12), list[tuple[float, float]]()
    for _ in range(9 + 60 // count):
        policy = AdaptivePolling(seconds_per_question=seconds_per_question, random=chance.random)
        typical = math.exp(chance.uniform(math.log(10), math.log(120)))
        requests = [
            Request(policy.plan(), chance.random() * queue * typical, typical * math.exp(chance.gauss(0, 0.3)), eased)
            for _ in range(count)
        ]
        looks += [(left, truth) for left, truth in told(requests) if left is not None]
    assert len(looks) > 50
    assert fmean(about_right(*look) for look in looks) >= 0.9


def test_three_requests_at_forty_per_cent_are_told_to_need_what_they_need() -> None:
    """Three that are at 40 % after 3 s need some 4.5 s, not minutes."""
    policy = AdaptivePolling(random=lambda: 0.5)
    looks = told([Request(policy.plan(), 0.0, 7.5) for _ in range(3)], until=3.0)
    left, truth = looks[-1]
    assert left == pytest.approx(truth, rel=0.2)


def test_nothing_is_told_before_there_is_anything_to_tell() -> None:
    """Without enough progress, and without others that have finished, any figure would be a guess."""
    policy = AdaptivePolling(random=lambda: 0.5)
    plan = policy.plan()
    for elapsed, progress in [(0.0, None), (1.0, 0.0), (2.0, 0.1), (3.0, 0.19)]:
        plan.next(elapsed, progress)
        assert time_left([(plan, elapsed)]) is None
    plan.next(4.0, 0.28)
    assert time_left([(plan, 4.0)]) is not None
    assert time_left([(plan, 4.0), (policy.plan(), 0.0)]) is None


def test_the_first_answer_alone_does_not_tell_when_the_work_began() -> None:
    """A request that is at 30 % when the wait begins may be old; a second report tells how quick it is."""
    plan = AdaptivePolling(random=lambda: 0.5).plan()
    plan.next(0.1, 0.3)
    assert time_left([(plan, 0.1)]) is None
    plan.next(20.1, 0.6)
    assert time_left([(plan, 20.1)]) == pytest.approx(26.7, rel=0.1)


def test_it_is_never_less_than_until_the_next_question() -> None:
    """What is done is seen when it is asked about."""
    plan = AdaptivePolling(seconds_per_question=30.0, random=lambda: 0.5).plan()
    plan.next(0.0, 0.0)
    pause = plan.next(10.0, 0.95)
    assert pause > 15
    assert time_left([(plan, 10.0)]) == pytest.approx(pause)


def test_the_last_of_many_is_later_than_any() -> None:
    """By what the requests before took, all take longer than one, and longer the more there are, sampled or not."""
    policy, chance = AdaptivePolling(random=lambda: 0.5), Random(5)
    for _ in range(100):
        told([Request(policy.plan(), 0.0, 40 * math.exp(chance.gauss(0, 0.5)))])

    def last(count: int) -> float:
        left = time_left([(policy.plan(), 0.0) for _ in range(count)])
        assert left is not None
        return left

    assert last(1) == pytest.approx(40, rel=0.2)
    assert last(1) < last(8) < last(64) < last(65) < last(1000)
    typical = fmean(max(40 * math.exp(chance.gauss(0, 0.5)) for _ in range(64)) for _ in range(50))
    assert last(64) == pytest.approx(typical, rel=0.3)
    assert time_left([]) == 0.0

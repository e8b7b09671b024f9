"""What people are told of the time left: about right by nine in ten, or nothing."""

# ruff: noqa: S311 - nothing here is a secret.

import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from random import Random
from statistics import fmean
from typing import Final

import pytest
from attrs import define

from longcat.waiting.schedule.adaptive import AdaptivePlan, AdaptivePolling
from longcat.waiting.schedule.progress_curve import CURVES, ProgressReport, time_of_end
from longcat.waiting.schedule.time_left import time_left

Curve = Callable[[float], float]
EVEN: Final[Curve] = lambda x: x  # noqa: E731
HALF_EASED: Final[Curve] = lambda x: 0.7 * x + 0.3 * x**2 * (3 - 2 * x)  # noqa: E731
TRUTHFUL: Final[dict[str, Curve]] = {
    "even": EVEN,
    "eased": lambda x: x**2 * (3 - 2 * x),
    "slowing": lambda x: 1 - (1 - x) ** 2,
    "slow at first": lambda x: x**2,
    "in tenths": lambda x: math.floor(10 * x) / 10,
    "in fifths": lambda x: math.floor(5 * x) / 5,
}


@define
class Request:
    """A request that is queued, works, and reports its progress truthfully.

    Attributes:
        plan: of the wait for it.
        queued: seconds after the wait began at which the work began. Below zero: before it.
        works: seconds of work.
        curve: from the share of the work's time that has passed to the progress.
        progress: what it said last. None: it was not asked.
        decimals: to how many its progress is rounded.
    """

    plan: AdaptivePlan
    queued: float
    works: float
    curve: Curve = EVEN
    progress: float | None = None
    decimals: int = 2

    def answer(self, elapsed: float) -> float | None:
        """Return its progress so many seconds after the wait began. None: it is done."""
        share = (elapsed - self.queued) / self.works
        if share >= 1:
            return None
        return round(self.curve(max(share, 0.0)), self.decimals)


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


@pytest.mark.parametrize(("count", "seconds_per_question"), [(1, None), (3, None), (30, None), (3, 5.0)])
@pytest.mark.parametrize(("queue", "curve"), [(0.0, EVEN), (0.0, HALF_EASED), (0.5, HALF_EASED)])
def test_past_a_fifth_it_is_within_a_factor_of_two(
    queue: float, curve: Curve, count: int, seconds_per_question: float | None
) -> None:
    """So it is for nine in ten of the moments, for one request and for many, though nothing was learnt before."""
    chance, looks = Random(12), list[tuple[float, float]]()
    for _ in range(12 + 60 // count):
        policy = AdaptivePolling(seconds_per_question=seconds_per_question, random=chance.random)
        typical = math.exp(chance.uniform(math.log(10), math.log(120)))
        requests = [
            Request(policy.plan(), chance.random() * queue * typical, typical * math.exp(chance.gauss(0, 0.3)), curve)
            for _ in range(count)
        ]
        looks += [(left, truth) for left, truth in told(requests) if left is not None]
    assert len(looks) > 50
    assert fmean(about_right(*look) for look in looks) >= 0.9


@pytest.mark.parametrize(("count", "learnt"), [(1, 0), (3, 0), (1, 20)])
@pytest.mark.parametrize("curve", TRUTHFUL)
def test_however_truthful_progress_runs_what_is_told_is_about_right(curve: str, count: int, learnt: int) -> None:
    """At nine in ten moments, and for nine in ten requests at most of theirs; and where it is even, it is told."""
    chance, looks, batches = Random(21), list[tuple[float | None, float]](), list[bool]()
    for _ in range(30 if learnt == 0 else 10):
        policy = AdaptivePolling(random=chance.random)
        typical = math.exp(chance.uniform(math.log(10), math.log(120)))

        def some(number: int, policy: AdaptivePolling = policy, typical: float = typical) -> list[Request]:
            works = [typical * math.exp(chance.gauss(0, 0.3)) for _ in range(number)]
            return [Request(policy.plan(), 0.0, one, TRUTHFUL[curve], decimals=6) for one in works]

        for _ in range(learnt):
            told(some(1), until=0.0)
        seen = told(some(count))
        looks += seen
        right = [about_right(left, truth) for left, truth in seen if left is not None]
        batches += [fmean(right) >= 0.75] if right else []
    assert fmean(about_right(left, truth) for left, truth in looks if left is not None) >= 0.9
    assert fmean(batches) >= 0.9
    if curve == "even" or learnt:
        assert fmean(left is not None for left, _ in looks) >= (0.95 if curve == "even" else 0.5)


def test_three_requests_at_forty_per_cent_are_told_to_need_what_they_need() -> None:
    """Three that are at 40 % after 3 s need some 4.5 s, not minutes."""
    policy = AdaptivePolling(random=lambda: 0.5)
    looks = told([Request(policy.plan(), 0.0, 7.5) for _ in range(3)], until=3.5)
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
    """A request that is at 30 % when the wait begins may be old; later reports tell how quick it is, if it is even."""
    plan = AdaptivePolling(random=lambda: 0.5).plan()
    plan.next(0.1, 0.3)
    assert time_left([(plan, 0.1)]) is None
    for elapsed, progress in ((6.8, 0.401), (13.4, 0.499), (20.1, 0.6)):
        plan.next(elapsed, progress)
    assert time_left([(plan, 20.1)]) == pytest.approx(26.7, rel=0.25)


@pytest.mark.parametrize("number", range(len(CURVES)))
def test_progress_along_a_curve_ends_where_that_ends(number: int) -> None:
    """Half a dozen reports tell the curves apart, and when work began of which zero was reported last."""
    _, _, share_of_time = CURVES[number]
    moments = [(10 + 100 * share_of_time(progress), progress) for progress in (0.21, 0.333, 0.45, 0.512, 0.633, 0.71)]
    reports = [ProgressReport(moment - 1, moment, progress) for moment, progress in moments]
    assert time_of_end(reports, 11.0, moments[-1][0]) == pytest.approx(110, rel=0.01)


@pytest.mark.parametrize(("early", "late"), [(0.1, 0.1), (0.5, 0.5), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_a_step_is_taken_halfway_between_two_questions(early: float, late: float) -> None:
    """Progress in fifths was reached at some moment between the question before and the one that it answered."""
    reports = [ProgressReport(100 * step - early, 100 * step + late, step) for step in (0.2, 0.4, 0.6, 0.8)]
    assert time_of_end(reports, None, 81.0) == pytest.approx(100 + (late - early) / 2, rel=0.03)


@pytest.mark.parametrize(("gap", "needed"), [(1.0, 3), (2.0, 3), (3.0, 4), (4.0, None)])
def test_the_wider_apart_the_questions_the_more_steps_it_takes(gap: float, needed: int | None) -> None:
    """Nothing is told before the steps show within a factor of two how long the rest takes."""
    reports = [ProgressReport(100 * step - gap, 100 * step + gap, step) for step in (0.2, 0.4, 0.6, 0.8)]
    told = (number for number in (3, 4) if time_of_end(reports[:number], None, reports[number - 1].elapsed) is not None)
    assert next(told, None) == needed


def test_it_is_never_less_than_until_the_next_question() -> None:
    """What is done is seen when it is asked about."""
    plan = AdaptivePolling(seconds_per_question=30.0, random=lambda: 0.5).plan()
    plan.next(0.0, 0.0)
    pauses = [
        plan.next(elapsed, progress) for elapsed, progress in ((3.0, 0.29), (6.0, 0.57), (9.0, 0.86), (10.0, 0.95))
    ]
    assert pauses[-1] > 15
    assert time_left([(plan, 10.0)]) == pytest.approx(pauses[-1])


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

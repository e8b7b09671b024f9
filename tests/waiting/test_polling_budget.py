"""Polling within a budget: how many questions may be asked by when, and what the age of a request changes."""

# ruff: noqa: S311 - nothing here is a secret.

import math
from collections.abc import Callable
from math import inf, nan
from random import Random
from statistics import fmean
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat import AdaptivePolling, FixedPolling, LongCat, WaitTimeout
from longcat.testing import FakeGateway
from longcat.waiting.schedule.budget import saved
from longcat.waiting.schedule.plan import Plan

TIMES = st.floats(0, 1e5) | st.floats(0, 10) | st.just(0.0)
REPORTS = st.none() | st.floats(-1, 2) | st.sampled_from([0.0, 0.99, 1.0, inf, -inf, nan])


def budgeted(seconds_per_question: float | None = 5.0, seed: int = 1) -> AdaptivePolling:
    """Return a policy with a budget and its own source of randomness."""
    return AdaptivePolling(seconds_per_question=seconds_per_question, random=Random(seed).random)


# --- The bound. ---


@given(
    waits=st.lists(st.lists(st.tuples(TIMES, REPORTS, st.booleans()), max_size=20), min_size=1, max_size=4),
    seconds_per_question=st.floats(0.5, 60),
    age=st.floats(0, 4000) | st.just(0.0),
    jitter=st.floats(0, 0.9),
)
def test_questions_never_pass_the_bound(
    waits: list[list[tuple[float, float | None, bool]]], seconds_per_question: float, age: float, jitter: float
) -> None:
    """However late answers come and whatever they say, questions asked are at most 2 + elapsed / seconds_per_question.

    The first question and those without an answer count as well.
    """
    policy = AdaptivePolling(seconds_per_question=seconds_per_question, jitter=jitter, random=Random(3).random)
    for answers in waits:
        plan, now = policy.plan(age), 0.0
        for asked, (late, progress, answered) in enumerate(answers, start=1):
            assert asked <= 2 + now / seconds_per_question
            now += late
            now += plan.next(now, progress) if answered else plan.unanswered(now)
        plan.finished(now)


def test_the_bound_holds_for_a_caller_who_was_busy_past_the_deadline() -> None:
    """The question that makes up for a caller's own delay is asked only if the bound allows it."""
    gateway = FakeGateway().request("r", takes=100.0)
    with (
        httpx.Client(transport=gateway) as http,
        LongCat("a-key", "https://gateway.test", http_client=http, clock=gateway.clock, polling=budgeted()) as cat,
    ):
        changes = cat.watch("r", 3.0)
        next(changes)
        next(changes)
        gateway.clock.sleep(2.1)
        with pytest.raises(WaitTimeout):
            next(changes)
    moments = [round(question.at, 6) for question in gateway.questions]
    assert moments == [0.0, 2.0]  # And not a third one at 4.1 s.


@given(times=st.lists(TIMES | st.sampled_from([nan, inf, -inf, -1.0]), max_size=20))
def test_a_clock_that_reads_nonsense_does_not_break_the_bound(times: list[float]) -> None:
    """The next question is allowed by the bound at the moment that was read, or at 0 s if it can't be read."""
    plan = budgeted().plan()
    for asked, elapsed in enumerate(times, start=1):
        pause = plan.next(elapsed, None)
        if elapsed <= 1e5:
            assert asked + 1 <= 2 + (max(elapsed, 0.0) + pause) / 5
        assert 0 < pause <= 331


@pytest.mark.parametrize("value", [0, -1.0, inf, nan])
def test_a_budget_is_validated(value: float) -> None:
    """What makes no budget is refused by name."""
    with pytest.raises(ValueError, match=r"'seconds_per_question' must be [<>]"):
        AdaptivePolling(seconds_per_question=value)


def test_a_budget_is_a_number() -> None:
    """A setting of another type is refused."""
    five: Any = "5"
    with pytest.raises(TypeError):
        AdaptivePolling(seconds_per_question=five)


# --- The age of a request. ---


@pytest.mark.parametrize("age", [-1.0, -inf, 3600.1, 1e300, inf, nan])
def test_an_age_that_can_not_be_counts_as_none(age: float) -> None:
    """A request that would be older than an hour, or not yet born, is taken to begin with the wait."""
    plan, other = budgeted(None).plan(age), budgeted(None).plan()
    assert [plan.next(t, None) for t in (0.0, 3.0, 9.0)] == [other.next(t, None) for t in (0.0, 3.0, 9.0)]


def test_experience_is_about_the_age_of_a_request() -> None:
    """Once requests are known to take a minute, one that is 50 s old is expected in 10 s, and learnt as one of 60 s."""
    policy = budgeted(None)
    for age in (0.0, 20.0, 40.0) * 5:
        plan, now = policy.plan(age), 0.0
        while age + now < 60:
            now += plan.next(now, None)
        plan.finished(now)
    plan = policy.plan(50.0)
    plan.next(0.0, None)
    assert plan.remaining(0.0) == pytest.approx(10.0, abs=2.0)
    assert plan.remaining(4.0) == pytest.approx(plan.remaining(0.0) - 4.0, abs=0.1)


# --- What it comes to. Durations are log-normal; each policy has seen ten requests, unless a test says otherwise. ---


Progress = Callable[[float], float | None]


def unknown(_: float) -> Progress:
    """Return the progress of a request that reports none."""
    return lambda _: None


def linear(duration: float) -> Progress:
    """Return progress that tells the truth."""
    return lambda t: t / duration


def wait(plan: Plan, duration: float, progress: Progress) -> tuple[int, float]:
    """Return how many questions one request took, and the delay after it was done, in seconds."""
    now, asked = 0.0, 1
    while now < duration:
        now += plan.next(now, progress(now))
        asked += 1
    plan.finished(now)
    return asked, now - duration


def compare(
    draw: Callable[[Random, int], float],
    seconds_per_question: float = 5.0,
    told: Callable[[float], Progress] = unknown,
    requests: tuple[int, int, int] = (6, 10, 10),
) -> tuple[float, float]:
    """Return the mean number of questions and the mean delay, both as a share of what asking evenly comes to.

    Args:
        draw: the duration of the request of that number.
        seconds_per_question: the budget, and the interval of those who ask evenly.
        told: the progress of a request of that duration.
        requests: how many policies learn, each for itself; from how many requests that don't count; and how many do.
    """
    policies, seen, more = requests
    rows, even = [], []
    for seed in range(policies):
        source, policy = Random(seed + 1000), budgeted(seconds_per_question, seed)
        for i in range(seen + more):
            duration = draw(source, i)
            row = wait(policy.plan(), duration, told(duration))
            if i >= seen:
                rows.append(row)
                even.append(wait(FixedPolling(seconds_per_question), duration, unknown(duration)))
    (questions, delay), (all_questions, all_delay) = (map(fmean, zip(*each, strict=True)) for each in (rows, even))
    return questions / all_questions, delay / all_delay


def log_normal(median: float, sigma: float) -> Callable[[Random, int], float]:
    """Return what draws a duration."""
    return lambda source, _: source.lognormvariate(math.log(median), sigma)


def test_a_budget_buys_less_delay_than_even_questions() -> None:
    """Without progress, a fifth of the delay is saved, with no more questions."""
    questions, delay = compare(log_normal(45, 0.35), requests=(12, 10, 12))
    assert questions <= 1.0
    assert delay <= 0.8


def test_with_progress_a_budget_buys_a_fifth_of_the_delay() -> None:
    """With linear progress, four fifths of the delay are saved, with fewer questions."""
    questions, delay = compare(log_normal(45, 0.35), told=linear, requests=(4, 10, 10))
    assert questions <= 0.95
    assert delay <= 0.2


@pytest.mark.parametrize("median", [16, 45, 68])
def test_the_first_request_costs_no_more_than_even_questions(median: float) -> None:
    """Before anything is known, as many questions are asked as by who asks evenly, and the delay is much the same."""
    questions, delay = compare(log_normal(median, 0.35), requests=(50, 0, 1))
    assert questions <= 1.02
    assert delay <= 1.15


@pytest.mark.parametrize(
    ("draw", "seconds_per_question", "most"),
    [
        pytest.param(log_normal(16, 0.35), 5, 0.9, id="16 s"),
        pytest.param(log_normal(68, 0.35), 5, 0.9, id="68 s"),
        pytest.param(log_normal(5, 0.35), 5, 1.1, id="5 s"),
        pytest.param(log_normal(45, 0.1), 5, 0.6, id="alike"),
        pytest.param(log_normal(45, 1.0), 5, 1.1, id="unlike"),
        pytest.param(log_normal(45, 0.35), 2, 0.95, id="2 s per question"),
        pytest.param(log_normal(45, 0.35), 10, 0.9, id="10 s per question"),
        pytest.param(lambda r, _: r.lognormvariate(math.log(r.choice((16, 68))), 0.2), 5, 1.0, id="two kinds"),
        pytest.param(lambda r, i: r.lognormvariate(math.log(20 if i < 10 else 60), 0.3), 5, 1.1, id="shift up"),
        pytest.param(lambda r, i: r.lognormvariate(math.log(60 if i < 10 else 20), 0.3), 5, 1.5, id="shift down"),
    ],
)
def test_a_budget_serves_other_requests(
    draw: Callable[[Random, int], float], seconds_per_question: float, most: float
) -> None:
    """Whatever requests take, and whatever the budget, there are no more questions, and not much more delay."""
    questions, delay = compare(draw, seconds_per_question, requests=(8, 10, 10))
    assert questions <= 1.02
    assert delay <= most


def test_nothing_is_asked_early_where_experience_says_so() -> None:
    """After ten requests of a minute, the budget of the first half minute is kept for the likely end."""
    policy = budgeted()
    for i in range(10):
        wait(policy.plan(), 59.0 + i / 5, unknown(0))
    plan, asked = policy.plan(), [0.0]
    while asked[-1] < 70.0:
        asked.append(asked[-1] + plan.next(asked[-1], None))
    assert sum(moment < 30 for moment in asked) <= 2
    assert sum(55 < moment < 65 for moment in asked) >= 6


def test_a_budget_that_is_never_short_asks_when_a_question_is_worth_it() -> None:
    """With a hundred questions a second to spend, a request of a minute is still asked about some fifty times."""
    policy = budgeted(0.01)
    for i in range(10):
        wait(policy.plan(), 59.0 + i / 5, unknown(0))
    assert wait(policy.plan(), 60.0, unknown(0))[0] < 200


@pytest.mark.parametrize(
    ("before", "asked", "after"), [(0.0, 3, 0.0), (0.0, 4, -1.0), (0.0, 2, 1.0), (0.5, 1, 1.0), (0.0, 90, -5.0)]
)
def test_questions_are_saved_against_who_asks_evenly(before: float, asked: int, after: float) -> None:
    """Who asks every 5 s about a request of 8 s asks at 0, 5 and 10 s. At most one is kept, and at most five owed."""
    assert saved(before, asked, 8.0, 5.0) == after


def test_the_answer_to_an_order_is_no_question() -> None:
    """A wait that an order begins has all questions of its budget left, and passes it at no moment."""
    gateway = FakeGateway().order(takes=100.0)
    cat = gateway.client(polling=budgeted())
    cat.generate("a cat")
    moments = [question.at - gateway.orders[0].at for question in gateway.questions]
    assert all(number <= 2 + moment / 5 for number, moment in enumerate(moments, 1)), moments
    ordered, asked = budgeted().plan(), budgeted().plan()
    ordered.first()
    asked.next(0.0, None)
    asked.next(0.0, None)
    assert (ordered.least_pause(0.0), round(asked.least_pause(0.0), 2)) == (0.0, 5.0)

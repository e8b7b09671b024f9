"""Polling within a budget: how many questions may be asked by when, and what the age of a request changes."""

# ruff: noqa: S311 - nothing here is a secret.

from math import inf, nan
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat import AdaptivePolling

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

"""When to ask next: the formulas and their bounds, what is learnt, and what wrong information costs."""

# ruff: noqa: S311 - nothing here is a secret.

import gc
import math
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from heapq import heapify, heappop, heappush
from itertools import pairwise
from math import inf, nan
from random import Random
from statistics import fmean, geometric_mean
from time import process_time
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from longcat import FixedPolling, GeometricPolling
from longcat.waiting.backoff import backoff
from longcat.waiting.schedule.adaptive import AdaptivePolling
from longcat.waiting.schedule.forecast import PRIOR, Experience, LogLogistic
from longcat.waiting.schedule.knowledge import FIRST_TRUST, Knowledge
from longcat.waiting.schedule.plan import Plan, Polling

MIDDLE = 0.5
"""The random number that means no jitter."""
SECONDS = st.floats(0.0, 1e9)
SHARES = st.floats(0.0, 1.0) | st.none()
LOTS = st.floats(0.0, 1.0, exclude_max=True)


# --- Fixed. ---


@pytest.mark.parametrize(("interval", "elapsed", "progress"), [(0.001, 0.0, None), (5, 1.0, 0.0), (3600.0, 1e6, 1.0)])
def test_a_fixed_policy_pauses_always_as_long(interval: float, elapsed: float, progress: float | None) -> None:
    """Neither the time waited nor the progress changes the pause."""
    assert FixedPolling(interval).plan().next(elapsed, progress) == interval


@pytest.mark.parametrize("policy", [AdaptivePolling, GeometricPolling])
def test_bounds_in_the_wrong_order_are_refused(policy: Any) -> None:
    """A shortest pause that is longer than the longest is a mistake."""
    with pytest.raises(ValueError, match="Exchange them"):
        policy(min_interval=5, max_interval=1)


def test_a_time_that_is_none_does_no_harm() -> None:
    """A clock that reads nonsense once does not spoil what is learnt, and no pause is nonsense."""
    policy = AdaptivePolling(random=lambda: 0.5)
    for elapsed in (nan, inf, -1.0, 1e300):
        plan = policy.plan()
        pauses = [plan.next(0.0, None), plan.next(elapsed, nan), plan.next(elapsed, 2.0)]
        plan.finished(elapsed)
        assert all(0 < pause <= 331 for pause in pauses)
    assert policy.plan().next(0.0, None) < 5


# --- Geometric. ---


@pytest.mark.parametrize(
    ("elapsed", "pause"),
    [
        (0.0, 0.5),
        (1.0, 0.5),
        (2.0, 0.5),
        (4.0, 1.0),
        (10.0, 2.5),
        (39.9, 9.975),
        (40.0, 10.0),
        (3600.0, 10.0),
    ],
)
def test_a_geometric_pause_is_a_share_of_the_wait_within_bounds(elapsed: float, pause: float) -> None:
    """The pause is a quarter of the time waited, at least half a second and at most ten."""
    assert GeometricPolling(random=lambda: MIDDLE).plan().next(elapsed, None) == pytest.approx(pause)


@pytest.mark.parametrize(("random", "pause"), [(0.0, 9.0), (0.25, 9.5), (0.5, 10.0), (0.75, 10.5), (1.0, 11.0)])
def test_jitter_spreads_a_pause_evenly_to_both_sides(random: float, pause: float) -> None:
    """A jitter of 0.1 makes a pause up to a tenth shorter or longer."""
    assert GeometricPolling(random=lambda: random).plan().next(60.0, 0.5) == pytest.approx(pause)


def test_without_jitter_pauses_are_exact() -> None:
    """With a jitter of 0, pauses are the same whatever the random numbers are."""
    lots = [0.0, 0.3, 0.99]
    policy = GeometricPolling(jitter=0.0, random=lots.pop)
    assert [policy.next(8.0, None) for _ in range(3)] == [2.0, 2.0, 2.0]


POLICIES = st.builds(
    lambda ratio, bounds, jitter, lot: GeometricPolling(ratio, min(bounds), max(bounds), jitter, lambda: lot),
    st.floats(1e-6, 1e6),
    st.tuples(st.floats(1e-3, 1e6), st.floats(1e-3, 1e6)),
    st.floats(0.0, 0.99),
    LOTS,
)


@given(policy=POLICIES, elapsed=SECONDS, progress=SHARES)
def test_a_geometric_pause_keeps_its_bounds(policy: GeometricPolling, elapsed: float, progress: float | None) -> None:
    """Whatever the settings, the pause is positive and within its bounds, but for the jitter."""
    pause = policy.plan().next(elapsed, progress)
    assert policy.min_interval * (1 - policy.jitter) * 0.999999 <= pause
    assert pause <= policy.max_interval * (1 + policy.jitter) * 1.000001
    assert pause > 0.0


@given(elapsed=SECONDS, more=SECONDS)
def test_geometric_pauses_never_shrink(elapsed: float, more: float) -> None:
    """Who has waited longer pauses no less."""
    policy = GeometricPolling(random=lambda: MIDDLE)
    assert policy.next(elapsed, None) <= policy.next(elapsed + more, None)


def test_chance_is_at_work_by_default() -> None:
    """Two waits that started together drift apart, without anyone passing a source of chance."""
    policy = GeometricPolling()
    pauses = {policy.next(40.0, None) for _ in range(20)}
    assert len(pauses) > 10
    assert all(9.0 <= pause <= 11.0 for pause in pauses)


# --- Both. ---


@pytest.mark.parametrize("policy", [FixedPolling(5.0), GeometricPolling(jitter=0.0)])
def test_a_policy_without_memory_is_its_own_plan(policy: Any) -> None:
    """It learns nothing from finished requests, so that one plan serves every wait."""
    before = policy.next(8.0, None)
    policy.plan().finished(1e6)
    assert (policy.plan() is policy, policy.next(8.0, None)) == (True, before)


@pytest.mark.parametrize("policy", [FixedPolling(5.0), GeometricPolling(), AdaptivePolling()])
def test_policies_can_not_be_changed(policy: Any) -> None:
    """A policy is shared by waits, so nobody may change it under way."""
    with pytest.raises(FrozenInstanceError):
        policy.interval = 1.0


def test_policies_are_equal_when_their_settings_are() -> None:
    """Policies are values."""
    assert FixedPolling(5.0) == FixedPolling(5.0)
    assert GeometricPolling() == GeometricPolling()
    assert FixedPolling(5.0) != FixedPolling(6.0)
    assert (repr(FixedPolling(5.0)), repr(GeometricPolling())) == (
        "FixedPolling(interval=5.0)",
        "GeometricPolling(ratio=0.25, min_interval=0.5, max_interval=10.0, jitter=0.1)",
    )


@pytest.mark.parametrize("value", [0, 0.0, -1, -0.0, inf, nan, -inf])
@pytest.mark.parametrize("name", ["interval", "ratio", "min_interval", "max_interval"])
def test_no_time_is_no_setting(name: str, value: float) -> None:
    """A pause or a share that is zero, negative or without end is refused by name."""
    policy: Any = FixedPolling if name == "interval" else GeometricPolling
    with pytest.raises(ValueError, match=rf"'{name}' must be [<>]"):
        policy(**{name: value})


@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, inf, nan])
def test_jitter_is_a_share(value: float) -> None:
    """A jitter that could make a pause negative is refused by name."""
    with pytest.raises(ValueError, match=r"'jitter' must be [<>]"):
        GeometricPolling(jitter=value)
    with pytest.raises(ValueError, match=r"'jitter' must be [<>]"):
        AdaptivePolling(jitter=value)


@pytest.mark.parametrize("value", ["5", None, [5]])
def test_what_is_no_number_is_no_interval(value: Any) -> None:
    """A setting of another type is refused."""
    with pytest.raises(TypeError):
        FixedPolling(value)


# --- After faults. ---


@pytest.mark.parametrize(
    ("failures", "longest"),
    [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 10.0), (7, 10.0), (100, 10.0), (10**6, 10.0)],
)
def test_the_pause_after_faults_doubles_up_to_ten_seconds(failures: int, longest: float) -> None:
    """After the n-th fault in a row, the pause is min(0.5 * 2 ** (n - 1), 10) seconds, times a half at least."""
    assert (backoff(failures, lambda: 1.0), backoff(failures, lambda: 0.0)) == (longest, longest / 2)


@given(failures=st.integers(1, 10**9), lot=LOTS)
def test_the_pause_after_faults_has_bounds(failures: int, lot: float) -> None:
    """However many faults there were, the pause is between a quarter of a second and ten seconds."""
    assert 0.25 <= backoff(failures, lambda: lot) <= 10.0


def test_chance_is_at_work_after_faults() -> None:
    """Clients that failed together do not all come back together."""
    pauses = {backoff(6) for _ in range(20)}
    assert len(pauses) > 10
    assert all(5.0 <= pause < 10.0 for pause in pauses)


# --- Adaptive. ---


Progress = Callable[[float], float | None]


def adaptive(seed: int = 1) -> AdaptivePolling:
    """Return a policy with its own source of randomness."""
    return AdaptivePolling(random=Random(seed).random)


def questions(plan: Plan, duration: float, progress: Progress = lambda _: None) -> list[float]:
    """Return when one request was asked about, in seconds, up to the question that saw it done."""
    asked = [0.0]
    while asked[-1] < duration:
        asked.append(asked[-1] + plan.next(asked[-1], progress(asked[-1])))
    plan.finished(asked[-1])
    return asked


def cost(policy: Polling, durations: Iterable[float], told: Callable[[float], Progress] | None = None) -> float:
    """Return questions x mean delay / (T / 2) over requests that come one after the other."""
    rows = []
    for duration in durations:
        asked = questions(policy.plan(), duration, told(duration)) if told else questions(policy.plan(), duration)
        rows.append((len(asked), asked[-1] - duration, duration))
    count, delay, mean = map(fmean, zip(*rows, strict=True))
    return count * delay / (mean / 2)


def together(policy: Polling, durations: list[float]) -> float:
    """Return the same over requests that all begin at once."""
    plans = [policy.plan() for _ in durations]
    due = [(0.0, i) for i in range(len(plans))]
    heapify(due)
    count, delay = 0.0, 0.0
    while due:
        now, i = heappop(due)
        count += 1
        if now < durations[i]:
            heappush(due, (now + plans[i].next(now, None), i))
        else:
            plans[i].finished(now)
            delay += now - durations[i]
    return count * delay / len(plans) / (sum(durations) / 2)


def spread(median: float, sigma: float, count: int, seed: int = 5) -> list[float]:
    """Return log-normal durations."""
    source = Random(seed)
    return [source.lognormvariate(math.log(median), sigma) for _ in range(count)]


@pytest.mark.parametrize("seconds_per_question", [None, 6.0])
@pytest.mark.parametrize("jitter", [0.1, 0.5])
def test_who_plans_anew_keeps_the_least_pauses(jitter: float, seconds_per_question: float | None) -> None:
    """However often others finish, a question comes `min_interval`, less the jitter, after the last, and in budget."""
    policy = AdaptivePolling(
        min_interval=5.0, jitter=jitter, random=Random(4).random, seconds_per_question=seconds_per_question
    )
    durations = dict(enumerate(spread(60, 0.3, 60)))
    plans = {i: policy.plan() for i in durations}
    asked: dict[int, list[float]] = {i: [] for i in durations}
    due, earlier = dict.fromkeys(durations, 0.0), 0
    while due:
        i = min(due, key=due.__getitem__)
        now = due.pop(i)
        asked[i].append(now)
        if now < durations[i]:
            due[i] = now + plans[i].next(now, None)
            continue
        plans[i].finished(now)
        for j in due:
            sooner = now + plans[j].replan(now)
            earlier += sooner < due[j] - 1e-9
            due[j] = min(due[j], sooner)
    pauses = [later - sooner for moments in asked.values() for sooner, later in pairwise(moments)]
    assert earlier > 0
    assert min(pauses) >= 5.0 * (1 - jitter) - 1e-9
    if seconds_per_question is not None:
        assert all(
            n < 2 + at / seconds_per_question + 1e-9 for moments in asked.values() for n, at in enumerate(moments)
        )


times = st.floats(0, 1e5) | st.floats(0, 1) | st.just(0.0)
reports = st.none() | st.floats(-1, 2) | st.sampled_from([0.0, 0.99, 1.0, 1e-300, math.inf, -math.inf])


@given(
    waits=st.lists(st.tuples(st.lists(st.tuples(times, reports), max_size=12), st.none() | times), max_size=6),
    jitter=st.floats(0, 0.9),
    seed=st.integers(0, 99),
)
def test_a_pause_is_within_the_bounds(
    waits: list[tuple[list[tuple[float, float | None]], float | None]], jitter: float, seed: int
) -> None:
    """Whatever has been reported and learnt, in whatever order, a pause is within the bounds."""
    policy = AdaptivePolling(min_interval=0.5, max_interval=40.0, jitter=jitter, random=Random(seed).random)
    for answers, done in waits:
        plan = policy.plan()
        for elapsed, progress in answers:
            assert 0.5 * (1 - jitter) - 1e-9 <= plan.next(elapsed, progress) <= 40.0 * (1 + jitter) + 1e-9
        if done is not None:
            plan.finished(done)


@pytest.mark.parametrize(
    "progress",
    [
        pytest.param(lambda _: 0.99, id="0.99 for ever"),
        pytest.param(lambda _: 1.0, id="1.0 for ever"),
        pytest.param(lambda t: max(1 - t / 60, 0.0), id="backwards"),
        pytest.param(lambda t: min(t / 60, 0.99), id="stalled"),
        pytest.param(lambda t: t / 1e6, id="crawling"),
        pytest.param(lambda t: t % 7 / 7, id="sawtooth"),
        pytest.param(lambda _: None, id="none"),
    ],
)
def test_no_progress_silences_or_floods_a_wait(progress: Progress) -> None:
    """After requests of a minute, in one of an hour, pauses are at most as long as the wait, and questions few."""
    policy = adaptive()
    cost(policy, spread(60, 0.1, 20), lambda duration: lambda t: t / duration)
    asked = questions(policy.plan(), 3600, progress)
    assert longest_silence(asked, after=90) <= 1.0 + policy.jitter
    assert len(asked) < 400


@pytest.mark.parametrize("seen", [0, 1, 4])
def test_a_few_requests_silence_nobody(seen: int) -> None:
    """Up to the fifth finished request, no pause is longer than the wait so far, but for the first two seconds."""
    policy = adaptive()
    for _ in range(seen):
        questions(policy.plan(), 600.0)
    assert longest_silence(questions(policy.plan(), 30.0), after=2.0) <= 1.0 + policy.jitter


def test_many_requests_may_silence_a_wait() -> None:
    """After thirty that took ten minutes, within one per cent, hardly a question is asked in the first nine."""
    policy = adaptive()
    cost(policy, spread(600, 0.01, 30))
    asked = questions(policy.plan(), 600.0)
    assert sum(moment < 540 for moment in asked) < 6


def longest_silence(asked: list[float], after: float) -> float:
    """Return the longest pause that began after some time, as a share of the wait before it."""
    return max((then - now) / now for now, then in pairwise(asked) if now > after)


def test_asking_again_at_once_changes_nothing() -> None:
    """Two answers at the same moment leave the plan as sure of the end as one."""
    once, twice = (AdaptivePolling(jitter=0.0) for _ in range(2))
    for policy in (once, twice):
        cost(policy, [30.0] * 10)
    plan, other = once.plan(), twice.plan()
    for elapsed in (0.0, 5.0, 20.0):
        other.next(elapsed, None)
        assert plan.next(elapsed, None) == pytest.approx(other.next(elapsed, None))


def test_the_clock_may_step_back() -> None:
    """A moment before the last answer is taken for that answer's."""
    plan = adaptive().plan()
    plan.next(10.0, 0.5)
    assert plan.next(3.0, 0.5) > 0
    plan.finished(1.0)


def test_the_same_randomness_gives_the_same_schedule() -> None:
    """Nothing but the arguments and the source of randomness decides."""
    runs = [[questions(policy.plan(), d) for d in spread(20, 0.5, 20)] for policy in (adaptive(3), adaptive(3))]
    assert runs[0] == runs[1]


def test_waits_that_start_together_drift_apart() -> None:
    """Of 100 waits that began at once, hardly two ask in the same hundredth of a second by the tenth question."""
    policy = adaptive()
    tenth = set()
    for plan in [policy.plan() for _ in range(100)]:
        elapsed = 0.0
        for _ in range(9):
            elapsed += plan.next(elapsed, None)
        tenth.add(round(elapsed, 2))
    assert len(tenth) > 50


def test_like_requests_become_cheap() -> None:
    """After ten requests that took the same within two per cent, few questions and little delay are left."""
    policy = adaptive()
    first = cost(policy, spread(40, 0.02, 1))
    cost(policy, spread(40, 0.02, 9))
    later = cost(policy, spread(40, 0.02, 40, seed=6))
    assert later < 0.15
    assert later < first / 2


def test_truthful_progress_is_cheap() -> None:
    """With linear progress, the wait costs a fraction of what the distribution alone allows."""
    policy = adaptive()
    cost(policy, spread(40, 0.5, 10), lambda duration: lambda t: t / duration)
    assert cost(policy, spread(40, 0.5, 50, seed=6), lambda duration: lambda t: t / duration) < 0.2


def test_a_wave_teaches_the_next() -> None:
    """Of like requests that run thirty at once, the second wave costs a fraction of the first."""
    policy = adaptive()
    first, second, third = (together(policy, spread(60, 0.02, 30, seed=i)) for i in range(3))
    assert second < first / 2
    assert third < 0.35


def test_a_wave_that_differs_is_not_left_alone() -> None:
    """After waves of like requests, one that takes a tenth as long costs about what a plain geometric schedule does."""
    policy = adaptive()
    for i in range(4):
        together(policy, spread(100, 0.02, 20, seed=i))
    shorter = spread(10, 0.02, 20)
    assert together(policy, shorter) < 1.5 * together(GeometricPolling(min_interval=0.1), shorter)


def test_one_request_is_evidence_in_full() -> None:
    """Of a request that ran alone and that one forecast foresaw e^3 times as well, Bayes' rule is applied as it is."""
    knowledge = Knowledge()
    cohort = knowledge.begin()
    knowledge.update_trust(cohort, (3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    knowledge.finish(cohort, 10.0, 11.0)
    knowledge.begin()
    assert knowledge.trust[0] == pytest.approx(0.4 * math.exp(3) / (0.4 * math.exp(3) + 0.6), rel=0.03)


def test_a_cohort_outweighs_the_older_ones_by_no_more_than_a_half() -> None:
    """However many requests of a cohort finish, the older ones are aged by 0.5 at most, in logarithms."""
    knowledge = Knowledge()
    cohort = knowledge.begin()
    for _ in range(1000):
        knowledge.finish(cohort, 10.0, 11.0)
    assert set(knowledge.begin().ages) == {0.5}


@pytest.mark.parametrize("chance", [0.0, -1000.0, -1e6])
def test_what_no_forecast_foresaw_changes_no_trust(chance: float) -> None:
    """However unlikely it was by each of them, it does not speak for one of them."""
    knowledge = Knowledge()
    knowledge.update_trust(knowledge.begin(), [chance] * len(FIRST_TRUST))
    assert knowledge.trust == pytest.approx(FIRST_TRUST)
    assert knowledge.lasting_trust == pytest.approx(FIRST_TRUST)


def share_given_back(foreseen_by: Iterable[int]) -> float:
    """Return the share of the trust that is given back, after requests of which one forecast each was sure."""
    knowledge = Knowledge()
    for number in foreseen_by:
        cohort = knowledge.begin()
        knowledge.update_trust(cohort, [20.0 if i == number else 0.0 for i in range(len(FIRST_TRUST))])
        knowledge.finish(cohort, 10.0, 11.0)
    knowledge.begin()
    return knowledge.trust[0] / FIRST_TRUST[0]  # Nothing else is left of it.


def test_the_more_often_requests_are_unlike_those_before_the_less_is_relied_on_those() -> None:
    """The share of the trust that goes back is that of the requests which surprised, two in a hundred at first."""
    shares = [share_given_back(foreseen_by) for foreseen_by in ([1], [1] * 200, [1, 2] * 100 + [1])]
    assert shares == pytest.approx([0.02, 0.003, 0.9], rel=0.1)


@pytest.mark.parametrize("age", [0.7, 6.0, 30.0, 45.0, 200.0])
@pytest.mark.parametrize("sigma", [0.05, 0.5])
def test_what_is_looked_up_is_what_the_formula_says(sigma: float, age: float) -> None:
    """A question falls due where the integral of the root of h / 2c reaches one, by short steps."""
    policy = adaptive()
    cost(policy, spread(40, sigma, 60))
    knowledge = policy.knowledge
    found = knowledge.outlook(policy.price, 0.0).due(age, 1.0, 1000.0)
    known: list[LogLogistic | Experience] = [PRIOR, *knowledge.experiences]
    weights = [*zip(knowledge.trust, known, strict=False)]
    worth = 2 * policy.question_worth * math.exp(knowledge.log_typical)

    def running(moment: float) -> float:
        return sum(trust * math.exp(-one.hazard(moment)) for trust, one in weights)

    now, asked, step = age, 0.0, age / 1000
    while asked < 1.0:
        hazard = math.log(running(now) / running(now + step)) / step
        asked += math.sqrt(hazard / worth) * step
        now += step
    assert found == pytest.approx(now - age, rel=0.05, abs=age / 200)


def test_a_finished_request_teaches_what_its_progress_meant() -> None:
    """A request that said a half after 10 s, and took 40 s, moves what a half after 10 s means beyond 20 s."""
    policy = adaptive()
    plan = policy.plan()
    plan.next(0.0, None)
    plan.next(10.0, 0.5)
    plan.next(38.0, 0.5)
    plan.finished(40.0)
    assert policy.knowledge.shapes[0].forecast(0.5, 0.0, 10.0).typical > 30.0


def test_what_was_learnt_is_not_shown() -> None:
    """The text form of a policy has its settings alone."""
    policy = adaptive()
    cost(policy, [10.0])
    assert "nowledge" not in repr(policy)


def test_the_goals_hold_on_a_reduced_set() -> None:
    """The defaults keep the goals of the benchmark on a few of its kinds of requests, the first ten left out."""
    plain, truthful = [], []
    for median, sigma, limit in ((8.0, 0.4, 0.63), (60.0, 0.6, 0.81), (300.0, 0.3, 0.51)):
        durations = spread(median, sigma, 110)
        policy = adaptive()
        cost(policy, durations[:10])
        plain.append(cost(policy, durations[10:]) / limit)
        policy = adaptive()
        cost(policy, durations[:10], linear)
        truthful.append(cost(policy, durations[10:], linear))
    alike = []
    for median in (5.0, 50.0, 500.0):
        policy = adaptive()
        cost(policy, spread(median, 0.02, 10))
        alike.append(cost(policy, spread(median, 0.02, 60, seed=6)))
    assert geometric_mean(plain) < 1.5
    assert geometric_mean(truthful) < 0.35
    assert geometric_mean(alike) < 0.15


def linear(duration: float) -> Progress:
    """Return progress that tells the truth."""
    return lambda t: t / duration


def test_progress_counts_from_when_the_work_began() -> None:
    """Where zero was reported for a while, the end is where the line since then leads."""
    policy = adaptive()

    def told(duration: float) -> Progress:
        return lambda t: max(t - duration / 2, 0.0) / (duration / 2)

    cost(policy, spread(60, 0.5, 10), told)
    assert cost(policy, spread(60, 0.5, 50, seed=6), told) < 0.4


LIES: dict[str, Callable[[float], Progress]] = {
    "random": lambda duration: lambda t: Random(f"{duration} {t}").random(),
    "0.99 for ever": lambda _: lambda _: 0.99,
    "backwards": lambda duration: lambda t: max(1 - t / duration, 0.0),
    "stalled": lambda duration: lambda t: min(4 * t / duration, 0.99),
    "of another": lambda duration: lambda t: min(t / (40 * math.exp(math.sin(duration * 99))), 0.99),
}


@pytest.mark.parametrize("lie", LIES)
def test_progress_that_lies_costs_little(lie: str) -> None:
    """It costs at most 1.4 times what the same requests cost without progress."""
    durations = spread(40, 0.5, 80)
    assert cost(adaptive(), durations, LIES[lie]) < 1.4 * cost(adaptive(), durations)


@pytest.mark.parametrize(("before", "after"), [(10.0, 100.0), (100.0, 10.0)])
def test_a_tenfold_shift_costs_little(before: float, after: float) -> None:
    """The 40 requests after a shift cost less than a plain geometric schedule, and the first is not left in silence."""
    policy = adaptive()
    cost(policy, spread(before, 0.2, 100))
    durations = spread(after, 0.2, 40, seed=6)
    assert questions(policy.plan(), durations[0])[-1] < 5 * durations[0]
    assert cost(policy, durations) < cost(GeometricPolling(min_interval=0.1, max_interval=300.0), durations)


def test_those_still_running_count() -> None:
    """Of waits that run at once, the first to finish do not make the others look overdue."""
    policy = adaptive()
    durations = sorted(spread(40, 0.5, 60))
    together(policy, durations)
    smooth = policy.knowledge.experiences[3]
    smooth.update()
    assert smooth.typical == pytest.approx(40, rel=0.3)


def test_many_plans_are_small() -> None:
    """Many waits at once take less than 2 KB each, and a policy does not grow with the requests it has seen."""
    policy = adaptive()
    gc.collect()
    tracemalloc.start()
    try:
        plans = [policy.plan() for _ in range(500)]
        for plan in plans:
            plan.next(0.0, 0.0)
        assert tracemalloc.get_traced_memory()[0] < 500 * 2000
        del plan, plans
        cost(policy, spread(5, 0.5, 25))
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        cost(policy, spread(5, 0.5, 40), lambda duration: lambda t: t / duration)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] - before < 100_000
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.gettrace() is not None, reason="measures time")
def test_a_question_is_planned_quickly() -> None:
    """On average it takes well under a millisecond, even on a slow machine. On a quiet one it is some 40 us."""
    policy = adaptive()
    started = process_time()
    count = sum(len(questions(policy.plan(), duration)) for duration in spread(40, 0.5, 40))
    assert (process_time() - started) / count < 0.001


def test_the_rest_of_a_wait_is_foreseen() -> None:
    """Of log-normal requests, about as many are done within the time that is foreseen as should be."""
    policy = adaptive()
    cost(policy, spread(40, 0.5, 100))
    plan = policy.plan()
    plan.next(0.0, None)
    for share in (0.05, 0.5, 0.95):
        foreseen = plan.remaining(0.0, share)
        assert fmean(d <= foreseen for d in spread(40, 0.5, 2000, seed=6)) == pytest.approx(share, abs=0.1)
        assert plan.remaining(5.0, share) == pytest.approx(max(foreseen - 5.0, 0.0), abs=0.01 * foreseen)


def test_progress_shortens_the_rest() -> None:
    """After truthful progress, the rest is what is left of the line, and nothing once it is overdue."""
    policy = adaptive()
    cost(policy, spread(40, 0.5, 30), linear)
    plan = policy.plan()
    for elapsed in (0.0, 10.0, 50.0):
        plan.next(elapsed, elapsed / 100)
    assert plan.remaining(50.0) == pytest.approx(50, rel=0.1)
    assert plan.remaining(500.0) == 0.0


def test_a_plan_that_was_never_asked_has_a_rest_all_the_same() -> None:
    """Before anything is known, half of all requests are expected within twenty seconds."""
    assert adaptive().plan().remaining(0.0) == pytest.approx(20, rel=0.01)


def test_threads_may_share_a_policy() -> None:
    """Waits in many threads learn into one policy, and lose nothing."""
    policy = adaptive()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda d: questions(policy.plan(), d, lambda t: t / d), spread(20, 0.3, 80)))
    assert policy.knowledge.finished == 80
    assert sum(policy.knowledge.trust) == pytest.approx(1.0)
    assert cost(policy, spread(20, 0.3, 30, seed=6)) < 1.0


@pytest.mark.parametrize("value", [0, -1.0, inf, nan])
@pytest.mark.parametrize("name", ["question_worth", "min_interval", "max_interval"])
def test_adaptive_settings_are_validated(name: str, value: float) -> None:
    """What makes no schedule is refused by name."""
    settings: Any = {name: value}
    with pytest.raises(ValueError, match=rf"'{name}' must be [<>]"):
        AdaptivePolling(**settings)

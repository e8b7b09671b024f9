"""When to ask next: the formulas, their bounds, and what makes their settings unusable."""

from math import inf, nan
from typing import Any

import pytest
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from longcat import FixedPolling, GeometricPolling
from longcat.polling import backoff

MIDDLE = 0.5
"""The random number that means no jitter."""
SECONDS = st.floats(0.0, 1e9)
SHARES = st.floats(0.0, 1.0) | st.none()
LOTS = st.floats(0.0, 1.0, exclude_max=True)


# --- Fixed. ---


@pytest.mark.parametrize("interval", [0.001, 1, 5.0, 3600.0])
@pytest.mark.parametrize("elapsed", [0.0, 1.0, 1e6])
@pytest.mark.parametrize("progress", [None, 0.0, 1.0])
def test_a_fixed_policy_pauses_always_as_long(interval: float, elapsed: float, progress: float | None) -> None:
    """Neither the time waited nor the progress changes the pause."""
    assert FixedPolling(interval).plan().next(elapsed, progress) == interval


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


@pytest.mark.parametrize("policy", [FixedPolling(5.0), GeometricPolling()])
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

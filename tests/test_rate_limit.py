"""The budget that the waits of a client share: how questions are spaced, and what a 429 does to them."""

from itertools import pairwise
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longcat.testing import VirtualClock
from longcat.waiting.rate_limit import RESOLUTION, RateLimiter, Slot


def taken(rate_limiter: RateLimiter, now: float, count: int) -> list[float]:
    """Return the moments of so many slots that are reserved at one moment."""
    return [rate_limiter.reserve(now).moment for _ in range(count)]


def test_without_a_bound_every_slot_is_now() -> None:
    """Nobody waits for a turn as long as nothing limits the rate."""
    assert taken(RateLimiter(), 3.0, 4) == [3.0] * 4


def test_slots_are_spaced_evenly() -> None:
    """Five questions a second are 0.2 s apart."""
    assert taken(RateLimiter(max_rate=5.0), 1.0, 4) == pytest.approx([1.0, 1.2, 1.4, 1.6])


def test_slots_that_nobody_took_are_not_made_up_for() -> None:
    """After a time without questions, the next ones are spaced as ever."""
    rate_limiter = RateLimiter(max_rate=2.0)
    assert taken(rate_limiter, 0.0, 1) + taken(rate_limiter, 10.0, 2) == [0.0, 10.0, 10.5]


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 100), min_size=2, max_size=30))
def test_the_rate_is_never_exceeded(rate: float, moments: list[float]) -> None:
    """Whenever slots are asked for, two of them are at least a rate's time apart."""
    rate_limiter = RateLimiter(max_rate=rate)
    slots = [rate_limiter.reserve(now).moment for now in sorted(moments)]
    assert all(later - earlier >= 1 / rate - 1e-6 for earlier, later in pairwise(slots))


def complain(rate_limiter: RateLimiter, now: float, quiet: float = 1.0, asked: float | None = None) -> None:
    """Let the gateway answer 429."""
    rate_limiter.on_rate_limited(now, now + quiet, now if asked is None else asked)


def spacing(rate_limiter: RateLimiter, now: float) -> float:
    """Return the seconds between the next two slots."""
    first, second = taken(rate_limiter, now, 2)
    return second - first


def test_after_a_429_nobody_asks_before_the_gateway_wants_it() -> None:
    """The first slot after a 429 is at the end of the quiet time."""
    rate_limiter = RateLimiter()
    complain(rate_limiter, 5.0, quiet=20.0)
    assert rate_limiter.reserve(6.0).moment == 25.0


def test_a_429_halves_the_rate() -> None:
    """Ten questions a second become five."""
    rate_limiter = RateLimiter(max_rate=10.0)
    taken(rate_limiter, 0.0, 50)
    complain(rate_limiter, 5.0, quiet=0.0)
    assert spacing(rate_limiter, 5.0) == pytest.approx(0.2, rel=0.1)


def test_without_a_bound_a_429_halves_what_was_asked_in_the_last_second() -> None:
    """Who asked twenty times in a second, with no bound set, asks about ten times from then on."""
    rate_limiter = RateLimiter()
    for i in range(100):
        rate_limiter.reserve(i / 20)
    complain(rate_limiter, 5.0, quiet=0.0)
    assert 1 / spacing(rate_limiter, 5.0) == pytest.approx(10, rel=0.1)


def test_several_429s_for_one_reason_count_once() -> None:
    """Questions that were under way when the rate was cut don't cut it again."""
    rate_limiter = RateLimiter(max_rate=10.0)
    taken(rate_limiter, 0.0, 50)
    for asked in (4.8, 4.9, 5.0):
        complain(rate_limiter, 5.0, quiet=0.0, asked=asked)
    assert spacing(rate_limiter, 5.0) == pytest.approx(0.2, rel=0.1)


def test_a_429_that_comes_after_the_cut_cuts_again() -> None:
    """A question that was asked at the lower rate and got a 429 lowers it once more."""
    rate_limiter = RateLimiter(max_rate=10.0)
    taken(rate_limiter, 0.0, 50)
    complain(rate_limiter, 5.0, quiet=0.0)
    taken(rate_limiter, 5.0, 10)
    complain(rate_limiter, 7.0, quiet=0.0)
    assert 2.0 < 1 / spacing(rate_limiter, 7.0) < 3.0


def test_the_rate_comes_back_in_a_minute_in_even_steps() -> None:
    """The rate grows by the same amount every second, and is where it was after half a minute, as it lost a half."""
    rate_limiter = RateLimiter(max_rate=10.0)
    taken(rate_limiter, 0.0, 50)
    complain(rate_limiter, 5.0, quiet=0.0)
    rates = [1 / spacing(rate_limiter, now) for now in (5.0, 15.0, 25.0, 35.0, 60.0)]
    steps = [later - earlier for earlier, later in pairwise(rates)]
    assert steps[:3] == pytest.approx([steps[0]] * 3, rel=0.1)
    assert rates[-1] == pytest.approx(10.0)


def test_a_rate_that_is_back_doubles_every_ten_seconds() -> None:
    """Without a bound of its own the rate goes on growing from where it was before the 429."""
    rate_limiter = RateLimiter()
    for moment in range(50):
        rate_limiter.reserve(moment / 10)
    complain(rate_limiter, 5.0, quiet=0.0)
    back, *later = [rate_limiter.rate(moment) for moment in (35.0, 45.0, 55.0)]
    assert later == pytest.approx([2 * back, 4 * back])


def test_even_a_gateway_that_always_complains_is_asked_now_and_then() -> None:
    """However many 429s come, a question every ten seconds remains."""
    rate_limiter = RateLimiter()
    now = 0.0
    for _ in range(50):
        now = rate_limiter.reserve(now).moment
        complain(rate_limiter, now, quiet=0.5)
    assert spacing(rate_limiter, now + 1) <= 10.0


def test_slots_from_before_a_429_are_void() -> None:
    """Who holds a slot that was given out at the higher rate has to reserve another."""
    rate_limiter = RateLimiter(max_rate=10.0)
    slot = rate_limiter.reserve(0.0)
    before = rate_limiter.pause(slot, 0.0)
    complain(rate_limiter, 0.0)
    assert (before, rate_limiter.pause(slot, 0.0)) == (0.0, None)


def sleep_through(
    rate_limiter: RateLimiter, left: float, at: dict[int, float] | None = None
) -> tuple[list[float], float]:
    """Return the sleeps of who waits for a turn, and how long they were; a 429 comes before some of them."""
    clock = VirtualClock()
    for pause in rate_limiter.pauses(clock.monotonic, left):
        clock.sleep(pause)
        if at and len(clock.sleeps) in at:
            complain(rate_limiter, clock.now, quiet=at[len(clock.sleeps)])
    return clock.sleeps, clock.now


def test_who_waits_for_a_turn_sleeps_until_it_comes() -> None:
    """One sleep is enough, up to the slot."""
    rate_limiter = RateLimiter(max_rate=0.5)
    taken(rate_limiter, 0.0, 3)
    assert sleep_through(rate_limiter, inf) == ([6.0], 6.0)


def test_who_has_not_the_time_to_wait_for_a_turn_leaves_it_to_others() -> None:
    """The sleep ends at the deadline, and the slot after it is still free."""
    rate_limiter = RateLimiter(max_rate=0.5)
    taken(rate_limiter, 0.0, 3)
    assert (sleep_through(rate_limiter, 5.0), rate_limiter.reserve(5.0).moment) == (([5.0], 5.0), 6.0)


def test_who_waits_for_a_turn_during_a_429_waits_for_a_new_one() -> None:
    """The quiet time holds for those who wait already."""
    sleeps, now = sleep_through(RateLimiter(quiet_until=2.0), inf, at={1: 20.0})
    assert (sleeps, now) == ([2.0, 20.0], 22.0)


def test_a_slot_that_is_all_but_there_is_there() -> None:
    """Nobody sleeps for less than a millisecond."""
    rate_limiter = RateLimiter(quiet_until=RESOLUTION / 2)
    assert (sleep_through(rate_limiter, inf), rate_limiter.reserve(0.0)) == (([], 0.0), Slot(RESOLUTION / 2, 0))

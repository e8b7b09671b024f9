"""The budget that the waits of a client share: how questions are spaced, and what a 429 does to them."""

from collections.abc import Callable
from itertools import count, pairwise
from math import inf
from typing import Any

import pytest
from fakes import Driver
from hypothesis import given
from hypothesis import strategies as st
from servers import Server, drive, read, response

from longcat import ConfigurationError, LongCat, WaitTimeout
from longcat.clock import RESOLUTION
from longcat.models import Pause
from longcat.settings import LOWEST_RATE
from longcat.testing import FakeGateway, VirtualClock
from longcat.waiting.rates.rate_limit import MARGIN, AdaptiveRate, AnswerCount, Growth, RateLimiter, Slot, Trial


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
    """Let the gateway answer 429, with a `Retry-After`."""
    rate_limiter.on_rate_limited(now, now if asked is None else asked, Pause(quiet, now, quiet))


def test_after_a_429_nobody_asks_before_the_gateway_wants_it() -> None:
    """The first slot after a 429 is at the end of the pause."""
    rate_limiter = RateLimiter()
    complain(rate_limiter, 5.0, quiet=20.0)
    assert rate_limiter.reserve(6.0).moment == 25.0


def test_a_429_among_many_good_answers_holds_nobody_else_back() -> None:
    """The wait that was refused pauses, and the others go on, as long as most questions are answered."""
    rate_limiter = RateLimiter()
    for _ in range(10):
        rate_limiter.on_answer(5.0, 5.0)
    complain(rate_limiter, 5.0, quiet=20.0)
    assert rate_limiter.reserve(5.0).moment == 5.0


@pytest.mark.parametrize(("asked", "quiet"), [(4.0, 25.0), (4.9, 6.0)])
def test_a_pause_ends_when_others_were_let_through_after_all(asked: float, quiet: float) -> None:
    """What was sent when the gateway asked for the pause, and is answered later, shows whether it refuses everyone."""
    rate_limiter = RateLimiter()
    complain(rate_limiter, 5.0, quiet=20.0)
    slot = rate_limiter.reserve(5.0)
    rate_limiter.on_answer(6.0, asked)
    assert (slot.moment, rate_limiter.reserve(6.0).moment) == (25.0, quiet)


@pytest.mark.parametrize(("rate", "says"), [(0, "more than zero"), (-1, "more than zero"), (1e-320, "1e-09 or more")])
def test_a_rate_at_which_nobody_ever_asks_is_refused(rate: float, says: str) -> None:
    """The message says what is allowed."""
    with pytest.raises(ConfigurationError, match=rf"max_rate is calls per second, {says}, not .*{rate}\. Pass such"):
        LongCat("key", max_rate=rate)


@pytest.mark.parametrize("rate", [LOWEST_RATE, 1e300, inf, 10**400])
def test_a_rate_may_be_as_high_as_you_like(rate: float) -> None:
    """From one call in 30 years on, the next slot is a moment that can be reckoned."""
    with LongCat("key-1234567890", max_rate=rate) as cat:
        limiter = cat._flows.rate_limiter
        assert taken(limiter, 0.0, 2) == pytest.approx([0.0, 1 / rate])


def test_a_429_without_a_pause_holds_nobody_else_back() -> None:
    """Where the gateway names no time, only the wait that was refused pauses, by its own backoff."""
    rate_limiter = RateLimiter()
    rate_limiter.on_rate_limited(5.0, 5.0, Pause(8.0, 5.0, None))
    assert (rate_limiter.reserve(5.0).moment, rate_limiter.pause) == (5.0, None)


@pytest.mark.parametrize("asked", [0.0, 2.0])
def test_a_wait_that_pauses_longer_than_it_is_asked_to_holds_others_back_for_that_time_only(asked: float) -> None:
    """Where the gateway names a shorter time than the backoff of the wait that was refused, the others pause for it."""
    rate_limiter = RateLimiter()
    rate_limiter.on_rate_limited(5.0, 5.0, Pause(8.0, 5.0, asked))
    assert rate_limiter.reserve(5.0).moment == 5.0 + asked


@pytest.mark.parametrize("refused", [1, 3])
def test_a_few_429s_change_no_rate(refused: int) -> None:
    """They may be an accident."""
    rate_limiter = RateLimiter(max_rate=10.0)
    for _ in range(refused):
        complain(rate_limiter, 5.0, quiet=0.0)
    assert rate_limiter.rate(5.0) == 10.0


@pytest.mark.parametrize(("refused", "most"), [(1.0, 0.25), (0.5, 0.5), (0.25, 0.75)])
def test_the_rate_falls_by_the_share_of_refusals(refused: float, most: float) -> None:
    """The rate becomes a little less than what the gateway let through, and is cut by three quarters at most."""
    adaptive = AdaptiveRate()
    now = 0.0
    for i in count():
        now += 0.01
        adaptive.count(now, now, refused=i % 4 < 4 * refused)
        if adaptive.at(now) < inf:
            break
    assert adaptive.at(now) == pytest.approx(100 * most * MARGIN, rel=0.5)


def through(
    adaptive: AdaptiveRate, since: float, until: float, limit: float = inf, share: float = 0.0
) -> tuple[list[float], int]:
    """Ask at the adaptive rate, up to 100 times a second, a gateway that lets so many through in a second.

    It refuses a share of the questions besides. Return the rates, and how many questions it refused.
    """
    now, tokens, refused = since, 1.0, 0.0
    rates: list[float] = []
    refusals = 0
    while now < until:
        pause = 1 / min(adaptive.at(now), 100.0)
        now += pause
        refused += share
        tokens = min(tokens + pause * limit, 1.0)
        bad = tokens < 1.0 or refused >= 1.0
        tokens -= not bad
        refused -= refused >= 1.0
        refusals += bad
        adaptive.count(now, now, bad)
        rates.append(adaptive.at(now))
    return rates, refusals


@pytest.mark.parametrize("limit", [2.0, 5.0, 50.0])
def test_the_rate_settles_where_the_gateway_bears_it(limit: float) -> None:
    """A gateway that has a limit refuses few, and its limit is nearly used up."""
    adaptive = AdaptiveRate()
    through(adaptive, 0.0, 60.0, limit)
    rates, refused = through(adaptive, 60.0, 180.0, limit)
    assert 0.75 * limit < len(rates) / 120 < 1.15 * limit
    assert refused < 0.12 * len(rates)


@pytest.mark.parametrize("share", [0.01, 0.04, 0.1, 0.5])
def test_refusals_that_come_at_any_rate_do_not_lower_it(share: float) -> None:
    """Where as many are refused at a lower rate, the rate was not the cause: it is what it was."""
    adaptive = AdaptiveRate()
    rates, _ = through(adaptive, 0.0, 20.0, share=share)
    assert rates[-1] >= 100.0
    assert len(rates) > 0.85 * 20 * 100


def test_a_limit_is_found_among_refusals_that_come_at_any_rate() -> None:
    """A share that is put up with hides no limit."""
    adaptive = AdaptiveRate()
    through(adaptive, 0.0, 20.0, share=0.1)
    through(adaptive, 20.0, 80.0, 20.0, 0.1)
    rates, refused = through(adaptive, 80.0, 200.0, 20.0, 0.1)
    assert 0.6 * 20 < len(rates) / 120 < 1.3 * 20
    assert refused < 0.3 * len(rates)


@pytest.mark.parametrize(
    ("kept", "refused", "predicted"), [(1.0, 0.25, 0.25), (0.8, 0.4, 0.25), (0.5, 0.5, 0.0), (0.75, 0.25, 0.0)]
)
def test_a_lower_rate_should_have_fewer_refusals(kept: float, refused: float, predicted: float) -> None:
    """If the gateway lets as many through in a second as before, a cut to what it bore leaves no refusals."""
    trial = Trial(kept, AnswerCount(100.0, 100.0 * refused), 0.0, Growth())
    assert trial.predicted == pytest.approx(predicted)


def test_questions_that_were_under_way_do_not_cut_the_rate_again() -> None:
    """They were asked at the rate before."""
    adaptive = AdaptiveRate()
    for _ in range(30):
        adaptive.count(5.0, 4.9, refused=True)
    before = adaptive.at(5.0)
    for _ in range(30):
        adaptive.count(5.1, 5.0, refused=True)
    assert adaptive.at(5.1) == before < inf


def test_a_rate_climbs_in_even_steps_and_then_grows_faster() -> None:
    """It climbs to what the gateway let through, hardly grows there, and doubles within half a minute."""
    growth = Growth(since=10.0, rate=5.0, top=10.0)
    rates = [growth.at(10.0 + seconds) for seconds in (0, 10, 20, 30, 33, 60, 90)]
    assert rates == pytest.approx([5.0, 5 + 10 / 6, 5 + 20 / 6, 10.0, 10.07, 20.0, 160.0], rel=0.01)


@pytest.mark.parametrize(("refused", "answers"), [(0.5, 6), (0.25, 12)])
def test_after_a_cut_that_helped_the_rate_climbs_to_what_was_let_through(refused: float, answers: int) -> None:
    """It begins at a margin below that, is there after nine seconds, and is twice as high half a minute later.

    A cut has helped once three would have been refused before it, and none was.
    """
    adaptive, now = AdaptiveRate(), 0.0
    for i in count():
        now += 0.01
        adaptive.count(now, now, refused=i % 4 < 4 * refused)
        if adaptive.at(now) < inf:
            break
    first = adaptive.at(now)
    counted = 0
    while adaptive.at(now + 0.1) == first:
        now += 1 / first
        adaptive.count(now, now, refused=False)
        counted += 1
    rates = [adaptive.at(now + seconds) * MARGIN / first for seconds in (0, 4.5, 9, 39)]
    assert rates == pytest.approx([MARGIN, (MARGIN + 1) / 2, 1.0, 2.0], rel=0.01)
    assert counted == answers


def test_even_a_gateway_that_always_complains_is_asked_now_and_then() -> None:
    """However many 429s come, a question every ten seconds remains."""
    rates, _ = through(AdaptiveRate(), 0.0, 600.0, share=1.0)
    assert min(rates) == pytest.approx(0.1)


def test_a_gateway_that_complained_for_a_while_is_soon_asked_again() -> None:
    """Once a few questions are answered, the rate doubles every second."""
    adaptive = AdaptiveRate()
    slow, _ = through(adaptive, 0.0, 10.0, share=1.0)
    fast, _ = through(adaptive, 10.0, 60.0)
    assert (slow[-1] < 1.0, fast[-1] >= 100.0) == (True, True)


def test_slots_from_before_a_cut_are_void() -> None:
    """Who holds a slot that was given out at the higher rate has to reserve another."""
    rate_limiter = RateLimiter(max_rate=10.0)
    slot = rate_limiter.reserve(0.0)
    before = rate_limiter.seconds_until(slot, 0.0)
    for _ in range(9):
        rate_limiter.on_rate_limited(0.0, 0.0, Pause(1.0, 0.0))
    assert (before, rate_limiter.seconds_until(slot, 0.0)) == (0.0, None)


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


def test_a_long_time_without_a_turn_is_slept_in_parts() -> None:
    """An hour at a time, and no longer than until the deadline."""
    rate_limiter = RateLimiter(max_rate=1 / 86_400)
    taken(rate_limiter, 0.0, 1)
    assert sleep_through(rate_limiter, 9000.0) == ([3600.0, 3600.0, 1800.0], 9000.0)


def test_who_waits_for_a_turn_during_a_429_waits_for_a_new_one() -> None:
    """The quiet time holds for those who wait already."""
    sleeps, now = sleep_through(RateLimiter(quiet_until=2.0), inf, at={1: 20.0})
    assert (sleeps, now) == ([2.0, 20.0], 22.0)


def test_a_slot_that_is_all_but_there_is_there() -> None:
    """Nobody sleeps for less than a millisecond."""
    rate_limiter = RateLimiter(quiet_until=RESOLUTION / 2)
    assert (sleep_through(rate_limiter, inf), rate_limiter.reserve(0.0).moment) == (([], 0.0), RESOLUTION / 2)


ASKED = "longcat-image-498_019a1b2c-0000-7000-8000-0123456789abc"
JSON = "Content-Type: application/json"
TAKEN = response(f'{{"request_id": "{ASKED}", "status": "QUEUED"}}'.encode(), JSON, status="202 Accepted")
FAILED = response(f'{{"request_id": "{ASKED}", "status": "failed"}}'.encode(), JSON)


@pytest.mark.parametrize(
    ("answer", "ask", "check"),
    [
        *((TAKEN, lambda cat: cat.submit("a cat"), check) for check in range(3)),
        *((FAILED, lambda cat: cat.wait_all([ASKED]), check) for check in range(2)),
    ],
)
def test_what_has_lost_its_slot_goes_out_once_in_another(
    driver: Driver, answer: bytes, ask: Callable[[Any], Any], check: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slot is looked at when a call is about to be sent, and again before its first byte, whatever sends it."""
    checks, reserved, reserve = count(), list[float](), RateLimiter.reserve

    def counted(limiter: RateLimiter, now: float) -> Slot:
        reserved.append(now)
        return reserve(limiter, now)

    monkeypatch.setattr(RateLimiter, "may_be_spent", lambda *_: next(checks) != check)
    monkeypatch.setattr(RateLimiter, "reserve", counted)
    with Server([read, answer], [read, answer]) as gateway:
        drive(driver, gateway.url, ask)
    assert (len(gateway.requests), len(reserved)) == (1, 2)


def test_a_wait_without_permission_asks_nothing_after_its_deadline() -> None:
    """A caller that was busy beyond the deadline makes up for it with one question, if the rate has room for it."""
    gateway = FakeGateway().request("r", takes=100.0)
    with gateway.client(max_rate=0.1) as cat:
        changes = cat.watch("r", 3.0)
        next(changes)
        gateway.clock.sleep(4.5)
        with pytest.raises(WaitTimeout):
            next(changes)
    assert [question.at for question in gateway.questions] == [0.0]

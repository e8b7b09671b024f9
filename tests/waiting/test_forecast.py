"""The mathematics of the forecasts, number by number. How well they serve a schedule is in `test_polling.py`."""

import math
from collections.abc import Callable
from itertools import islice, pairwise
from math import inf

import pytest

from longcat.waiting.schedule.forecast import PRIOR, Experience, LogLogistic, ProgressReader, ProgressShape, logarithm
from longcat.waiting.schedule.outlook import Outlook, Price, ProgressOutlook


def survival(forecast: LogLogistic | Experience, seconds: float) -> float:
    """Return the chance that a request takes longer than so many seconds."""
    return math.exp(-forecast.hazard(seconds))


@pytest.mark.parametrize(("seconds", "longer"), [(1.0, 0.9), (20.0, 0.5), (420.0, 0.1)])
def test_eight_requests_in_ten_are_expected_from_one_second_to_seven_minutes(seconds: float, longer: float) -> None:
    """Before anything is known, every tenth request is expected to be shorter, and every tenth longer."""
    assert survival(PRIOR, seconds) == pytest.approx(longer, abs=0.01)


def test_nothing_is_expected_before_the_work_begins() -> None:
    """A forecast that counts from a later origin is certain that the request still runs there."""
    forecast = LogLogistic(median=10.0, spread=0.5, origin=100.0)
    assert [survival(forecast, seconds) for seconds in (50.0, 100.0, 110.0)] == pytest.approx([1.0, 1.0, 0.5])
    assert forecast.typical == 110.0


def deviation(forecast: LogLogistic, median: float, origin: float = 0.0) -> float:
    """Return by how much the logarithm of the duration deviates: half the distance of two points of the bell."""
    longer = 1 / (1 + math.exp(math.pi / math.sqrt(3)))  # Of a logistic distribution, at one deviation.
    below, above = 0.0, 10.0
    for _ in range(60):
        middle = (below + above) / 2
        rest = survival(forecast, origin + median * math.exp(middle))
        below, above = (middle, above) if rest > longer else (below, middle)
    return below


def test_progress_is_first_taken_for_linear() -> None:
    """Half of the way after 10 s means 20 s in all, give or take the doubt and what one report in none is worth."""
    forecast = ProgressShape().forecast(0.5, 0.0, 10.0)
    assert forecast.typical == pytest.approx(20.0)
    assert deviation(forecast, 20.0) == pytest.approx(math.sqrt(1.5) * (0.35 * math.log(2) + 0.01))


def test_the_work_that_began_later_is_counted_from_there() -> None:
    """Half of the way 10 s after the work began at 30 s means 50 s in all."""
    assert ProgressShape().forecast(0.5, 30.0, 40.0).typical == pytest.approx(50.0)


def test_what_progress_has_meant_is_what_it_will_mean() -> None:
    """Once requests have taken twice as long as they said at a half, a half means twice as long, with less doubt."""
    shape = ProgressShape()
    for _ in range(4):
        shape.learn(0.5, 10.0, 40.0)
    forecast = shape.forecast(0.5, 0.0, 10.0)
    assert math.log(forecast.typical / 20.0) == pytest.approx(math.log(2) * 4 / 4.2)
    assert deviation(forecast, forecast.typical) < deviation(ProgressShape().forecast(0.5, 0.0, 10.0), 20.0)
    assert shape.forecast(0.9, 0.0, 10.0).typical == pytest.approx(10 / 0.9)  # Nothing was learnt there.


def test_five_requests_show_what_a_progress_means() -> None:
    """Fewer may have been exceptions. What is near another progress says nothing about this one."""
    shape, known = ProgressShape(), list[bool]()
    for _ in range(6):
        known.append(shape.learnt(0.5))
        shape.learn(0.5, 10.0, 20.0)
    assert known == [False] * 5 + [True]
    assert not shape.learnt(0.9)


def test_lies_make_a_forecast_wide() -> None:
    """Where a half has meant this and that, a half says little."""
    honest, lying = ProgressShape(), ProgressShape()
    for i in range(20):
        honest.learn(0.5, 10.0, 20.0)
        lying.learn(0.5, 10.0, 20.0 * math.exp(1 if i % 2 else -1))
    assert deviation(honest.forecast(0.5, 0.0, 10.0), 20.0) < 0.1
    assert deviation(lying.forecast(0.5, 0.0, 10.0), 20.0) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("progress", "expected"), [(0.01, -8), (0.1, -4), (0.5, 0), (0.9, 3), (0.99, 7)])
def test_progress_is_told_apart_by_its_odds(progress: float, expected: int) -> None:
    """The bins are evenly wide in log(p / (1 - p)), so that they are finest near the ends."""
    assert ProgressShape().bin(progress) == expected


def test_the_newest_twenty_requests_count() -> None:
    """What progress meant long ago is forgotten."""
    shape = ProgressShape()
    for duration in [20.0] * 500 + [40.0] * 60:
        shape.learn(0.5, 10.0, duration)
    assert shape.forecast(0.5, 0.0, 10.0).typical == pytest.approx(40.0, rel=0.05)


def test_the_work_begins_where_the_line_meets_zero() -> None:
    """A quarter after 30 s and a half after 40 s: the work began at 20 s, and ends at 60 s. By the wait, at 80 s."""
    shapes, reader = (ProgressShape(), ProgressShape()), ProgressReader()
    for elapsed, progress in ((10.0, 0.0), (30.0, 0.25), (40.0, 0.5)):
        reader.read(shapes, elapsed, progress)
    assert [one and one.typical for one in reader.forecasts] == pytest.approx([80.0, 60.0])


def test_the_work_begins_after_the_last_zero() -> None:
    """A line that would meet zero while zero was still reported begins at that report."""
    shapes, reader = (ProgressShape(), ProgressShape()), ProgressReader()
    for elapsed, progress in ((20.0, 0.0), (30.0, 0.5), (40.0, 0.6)):
        reader.read(shapes, elapsed, progress)
    assert [one and one.typical for one in reader.forecasts] == pytest.approx([40 / 0.6, 20 + 20 / 0.6])


def test_the_work_begins_at_most_two_waits_before_the_wait() -> None:
    """Progress that hardly moves would have begun long ago; it is taken to have begun 40 s before a wait of 20 s."""
    shapes, reader = (ProgressShape(), ProgressShape()), ProgressReader()
    for elapsed, progress in ((10.0, 0.5), (20.0, 0.51)):
        reader.read(shapes, elapsed, progress)
    assert [one and one.typical for one in reader.forecasts] == pytest.approx([20 / 0.51, 60 / 0.51 - 40])


def test_experience_begins_with_the_prior() -> None:
    """A table that has seen nothing expects what the prior does."""
    experience = Experience(memory=40, blur=0.1, prior_weight=1.0)
    for seconds in (0.1, 1.0, 20.0, 420.0, 9000.0):
        assert survival(experience, seconds) == pytest.approx(survival(PRIOR, seconds), rel=0.02)


def test_experience_learns_when_requests_end() -> None:
    """After many requests that ended between 59 s and 61 s, nearly all run at 50 s, half at 60 s, and few at 70 s."""
    experience = Experience(memory=1000, blur=0.05, prior_weight=0.5)
    for _ in range(200):
        experience.note_running(0.0, math.log(0.05), math.log(59.0))
        experience.note_finished(0.0, 59.0, 61.0)
        experience.update()
    chances = [survival(experience, seconds) for seconds in (50.0, 60.0, 70.0)]
    assert chances == pytest.approx([0.98, 0.5, 0.02], abs=0.05)


def test_an_end_between_two_questions_may_be_anywhere_between() -> None:
    """Seen running at 40 s and done at 80 s, a request adds a bell that deviates as an even spread does."""
    experience = Experience(memory=1000, blur=0.01, prior_weight=0.01)
    for _ in range(200):
        experience.note_running(0.0, math.log(0.05), math.log(40.0))
        experience.note_finished(0.0, 40.0, 80.0)
        experience.update()
    one_deviation_more = math.sqrt(40.0 * 80.0) * math.exp(math.log(2) / math.sqrt(12))
    assert survival(experience, one_deviation_more) == pytest.approx(0.14, abs=0.02)


def test_experience_counts_those_that_still_run() -> None:
    """Requests that were seen to run for 100 s, and no further, make it likelier that others run so long."""
    experience = Experience(memory=1000, blur=0.1, prior_weight=1.0)
    before = survival(experience, 100.0)
    for _ in range(40):
        experience.note_running(0.0, math.log(0.05), math.log(100.0))
    experience.update()
    assert survival(experience, 100.0) > 0.9 > before


def test_experience_that_is_too_old_makes_room_for_the_prior() -> None:
    """Of requests that are older by ten, in logarithms, nothing is left."""
    experience = Experience(memory=1000, blur=0.05, prior_weight=0.5)
    for _ in range(200):
        experience.note_running(0.0, math.log(0.05), math.log(59.0))
        experience.note_finished(0.0, 59.0, 61.0)
    for _ in range(20):
        experience.note_running(10.0, math.log(0.05), math.log(0.07))
    experience.update()
    for seconds in (1.0, 20.0, 420.0):
        assert survival(experience, seconds) == pytest.approx(survival(PRIOR, seconds), rel=0.1)


# --- When questions fall due. ---

Ahead = Outlook | ProgressOutlook


def outlook() -> Outlook:
    """Return what is expected by the prior, by a table with fine bins and by one without."""
    fine, wide = Experience(20.0, 0.01, 2.0), Experience(20.0, 0.2, 2.0)
    for one in (fine, wide):
        for i in range(40):
            one.note_running(i / 10, logarithm(0.0), logarithm(20.0 + i / 8))
            one.note_finished(i / 10, 20.0 + i / 8, 20.2 + i / 8)
        one.update()
    return Outlook([0.5, 0.3, 0.2], [fine, wide], Price(0.002, 20.0, 0.5, 0.01))


def reports() -> ProgressOutlook:
    """Return what is expected of a request that reports progress, by two forecasts and by what is expected of all."""
    return ProgressOutlook(outlook(), 0.4, [(0.5, LogLogistic(30.0, 0.3)), (0.1, LogLogistic(20.0, 0.2, 5.0))])


def due_by_short_steps(ahead: Ahead, price: Price, age: float, questions: float) -> float:
    """Return after how many seconds the integral of the root of h / 2c reaches so much."""
    now, step = age, max(age, 1.0) / 2000
    while questions > 0.0:
        hazard = -math.log(ahead.alive(now + step, now)) / step
        questions -= math.sqrt(max(hazard, 0.0) / (2 * price.at(now))) * step
        now += step
    return now - age


@pytest.mark.parametrize("questions", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("age", [0.0, 3.0, 19.0, 22.5, 60.0, 40_000.0])
@pytest.mark.parametrize("kind", [outlook, reports])
def test_a_question_falls_due_where_the_formula_says(kind: Callable[[], Ahead], age: float, questions: float) -> None:
    """So it is before requests finish, while they do, and after that, also far beyond what the tables hold."""
    expected = due_by_short_steps(kind(), outlook().price, age, questions)
    assert kind().due(age, questions, inf) == pytest.approx(expected, rel=0.1, abs=0.05)
    assert kind().due(age, questions, 2 * expected) == pytest.approx(expected, rel=0.1, abs=0.05)
    assert kind().due(age, questions, expected / 2) == expected / 2


@pytest.mark.parametrize("age", [0.0, 3.0, 19.0, 22.5, 60.0, 40_000.0])
@pytest.mark.parametrize("kind", [outlook, reports])
def test_what_is_ahead_comes_in_steps(kind: Callable[[], Ahead], age: float) -> None:
    """They follow each other, with the chance to run at both ends of each, and are short where that falls fast."""
    ahead = kind()
    steps = [*islice(ahead.steps(age), 60)]
    assert steps[0][0] == age
    for (since, length, before, after), (then, _, running, _) in pairwise(steps):
        assert then == pytest.approx(since + length)
        assert running == after
        assert after / steps[0][2] == pytest.approx(ahead.alive(then, age))
        assert before - after <= 0.25 * before or length <= max(0.1, since / 50) or since > 1000.0


def test_progress_is_one_source_of_what_is_expected_among_others() -> None:
    """Each counts as far as it is trusted, less the surer it was that the request would be done by now."""
    ahead = reports()
    of_all, first, second = ahead.outlook, ahead.forecasts[0][1], ahead.forecasts[1][1]
    parts = (
        0.4 * of_all.alive(40.0, 10.0),
        *(trust * math.exp(one.hazard(10.0) - one.hazard(40.0)) for trust, one in ((0.5, first), (0.1, second))),
    )
    assert ahead.alive(40.0, 10.0) == pytest.approx(sum(parts))
    assert ahead.typical == pytest.approx(0.4 * of_all.typical + 0.5 * 30.0 + 0.1 * 25.0)
    assert ahead.latest == 30.0

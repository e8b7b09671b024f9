"""The waits that `bench_polling.py` simulates: how long requests take, and what they say of their progress."""

import math
import random
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from statistics import NormalDist, fmean
from typing import Final

from attrs import evolve, frozen

REQUESTS: Final = 160

Draw = Callable[[random.Random], float]
Progress = Callable[[float], float | None]
Teller = Callable[[float, random.Random], Progress]
"""Makes the progress that a request of some duration will report."""


@frozen
class Distribution:
    """Of durations: how to draw one, and the chance that one is longer than t seconds."""

    draw: Draw
    survival: Callable[[float], float]


def log_normal(median: float, sigma: float) -> Distribution:
    """Return a bell over log t."""
    bell = NormalDist(math.log(median), sigma)
    return Distribution(lambda r: r.lognormvariate(bell.mean, sigma), lambda t: bell.cdf(2 * bell.mean - math.log(t)))


def pareto(shortest: float, alpha: float) -> Distribution:
    """Return a heavy tail."""
    return Distribution(lambda r: shortest * r.paretovariate(alpha), lambda t: min(1.0, (t / shortest) ** -alpha))


def weibull(scale: float, shape: float) -> Distribution:
    """Return a Weibull distribution: exponential where the shape is one."""
    return Distribution(lambda r: r.weibullvariate(scale, shape), lambda t: math.exp(-((t / scale) ** shape)))


def uniform(low: float, high: float) -> Distribution:
    """Return an even spread."""
    return Distribution(lambda r: r.uniform(low, high), lambda t: min(max((high - t) / (high - low), 0.0), 1.0))


def mixture(*parts: tuple[float, Distribution]) -> Distribution:
    """Return one of several, each with its share."""
    shares = [share for share, _ in parts]
    return Distribution(
        lambda r: r.choices(parts, shares)[0][1].draw(r),
        lambda t: sum(share * part.survival(t) for share, part in parts),
    )


def queue_then_run(queue: float, run: float, sigma: float) -> Distribution:
    """Return an exponential wait, then a log-normal run."""
    runs = [run * math.exp(NormalDist(0, sigma).inv_cdf((i + 0.5) / 50)) for i in range(50)]
    return Distribution(
        lambda r: r.expovariate(1 / queue) + run * math.exp(r.gauss(0, sigma)),
        lambda t: fmean(math.exp(-max(t - first, 0.0) / queue) for first in runs),
    )


def limit(*halves: Distribution) -> float:
    """Return the least questions x delay / (T / 2), by the trapezoid rule on a grid that is even in log t."""
    grid = [10 ** (-2 + i / 400) for i in range(3200)]
    whole = mean = 0.0
    for half in halves:
        mean += grid[0]
        before = half.survival(grid[0])
        for t, u in pairwise(grid):
            after = half.survival(u)
            # S sqrt(h) dt = sqrt(S f) dt, and f dt = -dS.
            whole += math.sqrt(max(before - after, 0.0) * (u - t) * (before + after) / 2)
            mean += (u - t) * (before + after) / 2
            before = after
    return whole**2 / mean / len(halves)


def shaped(shape: Callable[[float], float], noise: float = 0.0) -> Teller:
    """Return progress that is a function of the share of the time that has passed."""
    return lambda duration, r: lambda t: min(max(shape(t / duration) + (noise and r.gauss(0, noise)), 0.0), 0.99)


def steps(number: int) -> Teller:
    """Return linear progress in so many steps."""
    return shaped(lambda x: math.floor(number * x) / number)


def after_queue(quiet: float | None) -> Teller:
    """Return progress that stays at zero, or absent, up to a random moment and is linear from there."""

    def tell(duration: float, r: random.Random) -> Progress:
        start = duration * r.random() * 0.8
        return lambda t: quiet if t < start else (t - start) / (duration - start)

    return tell


def unrelated(durations: Distribution) -> Teller:
    """Return the progress of some other request."""

    def tell(_: float, r: random.Random) -> Progress:
        other = durations.draw(r)
        return lambda t: min(t / other, 0.99)

    return tell


def sawtooth(duration: float, r: random.Random) -> Progress:
    """Return progress that starts again and again."""
    period = duration * r.uniform(0.1, 0.4)
    return lambda t: t % period / period


def asymptotic(duration: float, r: random.Random) -> Progress:
    """Return progress that is fast at first, and never there."""
    scale = duration * r.uniform(0.1, 0.5)
    return lambda t: 1 - math.exp(-t / scale)


def often_missing(duration: float, r: random.Random) -> Progress:
    """Return linear progress that is left out of four answers in ten."""
    return lambda t: r.choices((None, t / duration), (4, 6))[0]


def either(*tellers: Teller) -> Teller:
    """Return one of several, at random for each request."""
    return lambda duration, r: r.choice(tellers)(duration, r)


LINEAR: Final = shaped(lambda x: x)
EASED: Final = shaped(lambda x: x * x * (3 - 2 * x))
SLOWING: Final = shaped(lambda x: 1 - (1 - x) ** 2)
RANDOM: Final[Teller] = lambda _, r: lambda _: r.random()  # noqa: E731
STUCK: Final = shaped(lambda _: 0.99)
BACKWARDS: Final = shaped(lambda x: 1 - x)


@frozen
class Scenario:
    """Requests that come one after the other, or so many at once; the next ones come when all of these are done."""

    group: str
    name: str
    requests: Callable[[random.Random], Iterator[float]]
    progress: Teller | None = None
    at_once: int = 1
    limit: float | None = None
    without: str = ""
    """The scenario with the same durations and no progress, no grid, or no age that the id tells. Empty: it is one."""
    oldest: float = 0.0
    """Requests are up to so many seconds old when the wait begins, each by chance."""
    tells_age: bool = True
    """Whether the id tells how old the request is. `AdaptivePolling` makes use of it."""

    def draw(self, seed: int) -> list[tuple[float, Progress | None]]:
        """Return the duration and the progress of each request."""
        # The durations are those of the scenario without progress, so that the two differ in nothing else.
        durations = self.requests(random.Random(f"{self.without or self.name} {seed}"))  # noqa: S311
        source = random.Random(f"{self.name} progress {seed}")  # noqa: S311
        tell = self.progress
        return [(duration, tell and tell(duration, source)) for duration in islice(durations, REQUESTS)]

    def ages(self, seed: int) -> list[float]:
        """Return how old each request is when the wait for it begins, in seconds."""
        source = random.Random(f"{self.without or self.name} ages {seed}")  # noqa: S311
        return [self.oldest * source.random() for _ in range(REQUESTS)]


NONE, TRUE, LIES, LIKE = "without progress", "truthful progress", "progress that lies", "like requests"
GRID, OLD = "seen on a grid", "old when the wait begins"
COHORTS = "like requests, a cohort at a time"
"""There is no goal for them: nothing is known while the first cohort runs, and it is a good part of the requests."""


def plain(name: str, durations: Distribution, at_once: int = 1) -> Scenario:
    """Return a scenario without progress."""
    return Scenario(NONE, name, forever(durations), at_once=at_once, limit=limit(durations))


def shift(name: str, first: Distribution, then: Distribution) -> Scenario:
    """Return a scenario without progress whose durations change halfway."""

    def requests(r: random.Random) -> Iterator[float]:
        yield from (first.draw(r) for _ in range(REQUESTS // 2))
        yield from forever(then)(r)

    return Scenario(NONE, name, requests, limit=limit(first, then))


def batches(name: str, size: int, sigma: float, *, low: float = 5, at_once: int = 1) -> Scenario:
    """Return batches of so many like requests; what a batch takes is log-uniform, up to 300 s."""

    def requests(r: random.Random) -> Iterator[float]:
        while True:
            typical = log_uniform(r, low, 300)
            yield from (typical * math.exp(r.gauss(0, sigma)) for _ in range(size))

    return Scenario(LIKE, name, requests, at_once=at_once)


def on_grid(durations: Scenario, first: float, longest: float, jitter: float = 0.0) -> Scenario:
    """Return the scenario behind a gateway that asks its supplier itself, so that completion is seen on a grid only.

    Its pauses grow by a half each, from `first` up to `longest` seconds, give or take the jitter, a share.
    """

    def requests(r: random.Random) -> Iterator[float]:
        looks = random.Random(1)  # noqa: S311
        for duration in durations.requests(r):
            seen, pause = 0.0, first
            while seen < duration:
                seen += pause * (1 + jitter * (2 * looks.random() - 1))
                pause = min(1.5 * pause, longest)
            yield seen

    name = f"{durations.name}, every {first:g} to {longest:g} s" + (f" ± {jitter:.0%}" if jitter else "")
    return Scenario(GRID, name, requests, at_once=durations.at_once, without=durations.name)


def old(durations: Scenario, oldest: float) -> list[Scenario]:
    """Return the scenario with requests that are old when the wait begins, with ids that tell it and that don't."""
    untold = evolve(
        durations,
        group=OLD,
        name=f"{durations.name}, up to {oldest:g} s old, untold",
        limit=None,
        oldest=oldest,
        tells_age=False,
    )
    return [
        untold,
        evolve(untold, name=f"{durations.name}, up to {oldest:g} s old", tells_age=True, without=untold.name),
    ]


def forever(durations: Distribution) -> Callable[[random.Random], Iterator[float]]:
    """Return what draws one duration after the other."""

    def requests(r: random.Random) -> Iterator[float]:
        while True:
            yield durations.draw(r)

    return requests


def told(group: str, durations: Scenario, progress: dict[str, Teller]) -> list[Scenario]:
    """Return the scenario once with each kind of progress."""
    return [
        Scenario(
            group, f"{durations.name}, {name}", durations.requests, teller, durations.at_once, None, durations.name
        )
        for name, teller in progress.items()
    ]


def looked_at() -> list[Scenario]:
    """Return the scenarios that the defaults were chosen by."""
    normal = plain("log-normal", log_normal(40, 0.5))
    queue = plain("queue then run", queue_then_run(30, 20, 0.1))
    heavy = plain("heavy tail", pareto(10, 1.5))
    fast = plain("fast", log_normal(1.5, 0.4))
    modes = plain("bimodal", mixture((0.5, log_normal(15, 0.1)), (0.5, log_normal(90, 0.15))))
    slow = plain("ten minutes", log_normal(420, 0.35))
    wide = plain("exponential", weibull(30, 1))
    tight = plain("narrow", log_normal(60, 0.15))
    lies = {
        "stalled at 0.99": shaped(lambda x: min(0.99, x / 0.3)),
        "0.99 for ever": STUCK,
        "random": RANDOM,
        "backwards": BACKWARDS,
        "frozen at 0.1": shaped(lambda _: 0.1),
        "another request's": unrelated(log_normal(40, 1)),
        "half of them stuck": either(LINEAR, STUCK),
    }
    truths = {"linear": LINEAR, "eased": EASED, "noisy": shaped(lambda x: x, 0.03), "in tenths": steps(10)}
    return [
        *(normal, queue, heavy, fast, modes, slow, wide, tight),
        shift("shift up", log_normal(10, 0.3), log_normal(100, 0.3)),
        shift("shift down", log_normal(200, 0.3), log_normal(20, 0.3)),
        plain("20 at once", log_normal(40, 0.5), 20),
        *told(TRUE, normal, truths),
        *told(TRUE, heavy, {"linear": LINEAR}),
        *told(TRUE, slow, {"noisy": shaped(lambda x: x, 0.05)}),
        *told(TRUE, fast, {"linear": LINEAR}),
        *told(TRUE, queue, {"linear after the queue": after_queue(0.0)}),
        *told(TRUE, modes, {"slowing": SLOWING}),
        *told(LIES, normal, lies),
        *told(LIES, queue, {"random": RANDOM}),
        Scenario(LIKE, "constant", forever(uniform(59.99, 60.01))),
        Scenario(LIKE, "one batch", forever(log_normal(25, 0.02))),
        batches("batches of 20", 20, 0.03, low=10),
        batches("batches of 40", 40, 0.01),
        *(on_grid(one, 2, 15) for one in (normal, slow, tight)),
        on_grid(normal, 2, 15, 0.1),
        *(one for each, oldest in ((normal, 60), (slow, 600), (tight, 80)) for one in old(each, oldest)),
    ]


def held_out() -> list[Scenario]:
    """Return other distributions, scales, shapes and lies, small batches, and more at once."""
    wide = plain("log-normal, wide", log_normal(12, 0.8))
    even = plain("even", uniform(20, 100))
    minutes = plain("Weibull, ten minutes", weibull(600, 0.7))
    second = plain("one second", log_normal(1.0, 0.25))
    kinds = mixture((0.3, uniform(4, 5)), (0.4, log_normal(30, 0.1)), (0.3, weibull(200, 1)))
    three = plain("three kinds", kinds)
    long = plain("fifteen minutes", log_normal(900, 0.6))
    crowd = plain("50 at once", log_normal(12, 0.8), 50)
    truths = {
        "accelerating": shaped(lambda x: x * x),
        "slowing": SLOWING,
        "noisy": shaped(lambda x: x, 0.02),
        "very noisy": shaped(lambda x: x, 0.08),
        "in quarters": steps(4),
        "often missing": often_missing,
        "none while queued": after_queue(None),
    }
    lies = {
        "sawtooth": sawtooth,
        "1.0 at once": shaped(lambda _: 1.0),
        "frozen at a half": shaped(lambda _: 0.5),
        "a fifth of the truth": shaped(lambda x: x / 5),
        "asymptotic": asymptotic,
        "another request's": unrelated(log_normal(12, 0.8)),
        "half of them random": either(LINEAR, RANDOM),
    }
    return [
        *(wide, even, minutes, second, three, long, crowd),
        plain("narrow, four minutes", log_normal(250, 0.08)),
        plain("queue of minutes", queue_then_run(100, 40, 0.3), 5),
        plain("very heavy tail", pareto(3, 1.2)),
        plain("bimodal, far apart", mixture((0.8, log_normal(8, 0.2)), (0.2, log_normal(300, 0.2)))),
        plain("three seconds", weibull(3, 3)),
        shift("shift down, wide", log_normal(60, 0.5), log_normal(6, 0.5)),
        shift("shift up, exponential", weibull(20, 1), weibull(200, 1)),
        *told(TRUE, wide, truths),
        *told(TRUE, minutes, {"noisy": shaped(lambda x: x, 0.03)}),
        *told(TRUE, second, {"eased": EASED}),
        *told(TRUE, crowd, {"linear": LINEAR}),
        *told(LIES, wide, lies),
        *told(LIES, even, {"random": RANDOM}),
        *told(LIES, three, {"0.99 for ever": STUCK}),
        *told(LIES, long, {"backwards": BACKWARDS}),
        *told(LIES, crowd, {"random": RANDOM}),
        Scenario(LIKE, "constant, 3 s", forever(uniform(2.99, 3.01))),
        Scenario(LIKE, "constant, 12 minutes", forever(uniform(719, 721))),
        batches("batches of 8", 8, 0.02),
        batches("batches of 50", 50, 0.02, low=2),
        batches("batches of 40, 4 at once", 40, 0.02, at_once=4),
    ]


def budgets() -> list[Scenario]:
    """Return the scenarios for waits within a budget of questions. The first one is what the goals are about."""
    usual = plain("log-normal, 45 s", log_normal(45, 0.35))

    def after_ten(first: Distribution, then: Distribution) -> Callable[[random.Random], Iterator[float]]:
        def requests(r: random.Random) -> Iterator[float]:
            yield from (first.draw(r) for _ in range(10))
            yield from forever(then)(r)

        return requests

    return [
        usual,
        *told(TRUE, usual, {"linear": LINEAR}),
        *(plain(f"log-normal, {median} s", log_normal(median, 0.35)) for median in (5, 16, 68)),
        *(plain(f"log-normal, 45 s, sigma {sigma:g}", log_normal(45, sigma)) for sigma in (0.1, 0.6, 1)),
        plain("log-normal, ten minutes", log_normal(600, 0.35)),
        plain("two kinds, 16 and 68 s", mixture((0.5, log_normal(16, 0.2)), (0.5, log_normal(68, 0.2)))),
        Scenario(NONE, "shift from 20 to 60 s", after_ten(log_normal(20, 0.3), log_normal(60, 0.3))),
        Scenario(NONE, "shift from 60 to 20 s", after_ten(log_normal(60, 0.3), log_normal(20, 0.3))),
    ]


def drawn(seed: int) -> list[Scenario]:
    """Return scenarios drawn at random: which distributions, of what scale and spread, and with which progress."""
    r = random.Random(seed)  # noqa: S311
    some = [plain(f"drawn {i}", any_distribution(r), r.choice((1, 1, 1, 3, 10, 40))) for i in range(14)]
    truths = {
        "linear": LINEAR,
        "eased": EASED,
        **{f"noisy, {noise}": shaped(lambda x: x, noise) for noise in (0.02, 0.04, 0.06)},
        "sine": shaped(lambda x: (1 - math.cos(math.pi * x)) / 2),
        "slowing, cubic": shaped(lambda x: 1 - (1 - x) ** 3),
        "accelerating": shaped(lambda x: x**1.7),
        "eased, noisy": shaped(lambda x: x * x * (3 - 2 * x), 0.03),
        "in hundredths": steps(100),
    }
    lies: dict[str, Teller] = {
        "random": RANDOM,
        "0.99 for ever": STUCK,
        "backwards": BACKWARDS,
        "sawtooth": sawtooth,
        "another request's": unrelated(log_normal(60, 1)),
        "half of them random": either(LINEAR, RANDOM),
        "half of them stuck": either(LINEAR, STUCK),
        "twice too fast": shaped(lambda x: min(0.99, 2 * x)),
        "stalled at 0.9": shaped(lambda x: min(0.9, 5 * x)),
        "0.99 or 0.01": lambda _, r: lambda _: r.choice((0.99, 0.01)),
        "a tenth of the truth": shaped(lambda x: 0.1 * x),
        "of the time alone": lambda _, __: lambda t: 1 - 1 / (1 + t),
        "pulsing": lambda _, __: lambda t: 0.5 + 0.5 * math.sin(t),
    }
    return [
        *some,
        shift("shift, drawn", any_distribution(r), any_distribution(r)),
        shift("shift up, drawn", log_normal(30, 0.4), log_normal(300, 0.4)),
        shift("shift down, drawn", log_normal(300, 0.4), log_normal(30, 0.4)),
        *(one for name, teller in truths.items() for one in told(TRUE, r.choice(some), {name: teller})),
        *(one for name, teller in lies.items() for one in told(LIES, r.choice(some), {name: teller})),
        *(Scenario(LIKE, f"like, drawn {i}", forever(any_narrow(r, 0.001, 0.03))) for i in range(4)),
        batches("batches of 25", 25, 0.02),
        batches("batches of 40", 40, 0.03),
        batches("batches of 30, 5 at once", 30, 0.01, at_once=5),
        Scenario(COHORTS, "20 alike at once", forever(any_narrow(r, 0.01, 0.05)), at_once=20),
        Scenario(COHORTS, "50 alike at once", forever(any_narrow(r, 0.01, 0.05)), at_once=50),
    ]


def any_narrow(r: random.Random, least: float, most: float) -> Distribution:
    """Return durations that are alike, around some second or some ten minutes or between."""
    return log_normal(log_uniform(r, 1.5, 600), r.uniform(least, most))


def any_distribution(r: random.Random) -> Distribution:
    """Return some distribution whose scale is log-uniform from 1.5 to 700 s."""
    kind, scale = r.choice("lpwuqm"), log_uniform(r, 1.5, 700)
    makers: dict[str, Callable[[], Distribution]] = {
        "l": lambda: log_normal(scale, r.uniform(0.15, 0.9)),
        "p": lambda: pareto(scale / 3, r.uniform(1.3, 2.5)),
        "w": lambda: weibull(scale, r.uniform(0.7, 3)),
        "u": lambda: uniform(scale * r.uniform(0.1, 0.6), scale * 1.5),
        "q": lambda: queue_then_run(scale * r.random(), scale * r.random(), r.uniform(0.05, 0.4)),
        "m": lambda: mixture((0.5, log_normal(scale, 0.15)), (0.5, log_normal(scale * log_uniform(r, 2, 15), 0.2))),
    }
    return makers[kind]()


def log_uniform(r: random.Random, low: float, high: float) -> float:
    """Return a number whose logarithm is drawn evenly."""
    return low * math.exp(math.log(high / low) * r.random())

"""How well each way of polling waits: a simulation without a clock, of requests whose durations are known beforehand.

`make bench-polling` writes `docs/polling.md`, which says what is counted. Without an option it prints the scenarios by
which the defaults were chosen. With another seed, `--random` draws scenarios that nobody has seen.
"""

import argparse
import heapq
import math
import random
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate, count, islice, repeat
from pathlib import Path
from statistics import fmean, geometric_mean
from typing import Final

from attrs import define, frozen
from waits import GRID, LIES, LIKE, NONE, OLD, REQUESTS, TRUE, Progress, Scenario, budgets, drawn, held_out, looked_at

from longcat import AdaptivePolling, FixedPolling, GeometricPolling, Plan, Polling
from longcat.waiting.batch import REPLAN_INTERVAL, REPLANNED
from longcat.waiting.schedule.adaptive import AdaptivePlan

DOCS: Final = Path(__file__).parent.parent / "docs"
PLOT: Final = DOCS / "polling.svg"
PAGE: Final = DOCS / "polling.md"
LEFT_OUT: Final = 10
REPLAN: Final = -1
"""Stands in the place of a request where some of those that sleep plan their next question anew."""


@frozen
class Pauses:
    """A policy, and its plan, that knows nothing: an endless iterator of pauses, which each plan begins anew."""

    begin: Callable[[], Iterator[float]]
    pauses: Iterator[float] | None = None

    def plan(self) -> "Pauses":
        """Return a plan that begins with the first pause."""
        return Pauses(self.begin, self.begin())

    def next(self, elapsed: float, progress: float | None) -> float:  # noqa: ARG002
        """Return the next pause."""
        return next(self.pauses or self.begin())

    def finished(self, elapsed: float) -> None:
        """Do nothing."""


def growing() -> Iterator[float]:
    """Yield 1, 1.5, 2.25 seconds and so on, up to 20."""
    return accumulate(repeat(1.5), lambda pause, factor: min(pause * factor, 20.0), initial=1.0)


POLICIES: Final[dict[str, Callable[[random.Random], Polling]]] = {
    "longcat": lambda r: AdaptivePolling(random=r.random),
    "fixed 0.1 s (fal)": lambda _: FixedPolling(0.1),
    "fixed 0.5 s (replicate)": lambda _: FixedPolling(0.5),
    "fixed 1 s (openai)": lambda _: FixedPolling(1.0),
    "fixed 5 s": lambda _: FixedPolling(5.0),
    "6 ± 1.5 s (runwayml)": lambda r: Pauses(lambda: (4.5 + 3 * r.random() for _ in count())),
    "1 s x 1.5 to 20 s (google)": lambda _: Pauses(growing),
    "geometric": lambda r: GeometricPolling(random=r.random),
}


@frozen
class Result:
    """What one policy did in one scenario. Delays in seconds."""

    scenario: Scenario
    questions: float
    delay: float
    late: float
    """The 95th percentile of the delay."""
    duration: float

    @property
    def product(self) -> float:
        """Questions x mean delay / (T / 2)."""
        return self.questions * self.delay / (self.duration / 2)


@define
class Replanning:
    """Lets requests that sleep plan anew, as `Batch` does: a few at a time, and not more often than it.

    Attributes:
        asleep: those that are not done, in the order in which they do so.
        left: how many are still to do so, since one was done.
        not_before: when the next few may.
    """

    asleep: deque[int]
    left: int = 0
    not_before: float = 0.0

    def begin(self, now: float) -> float:
        """Take note that a request was seen done. Return when the first few plan anew."""
        self.left = len(self.asleep)
        return max(now, self.not_before)

    def plan_anew(self, now: float, plans: dict[int, Plan], due: dict[int, float]) -> Iterator[tuple[float, int]]:
        """Let the next few plan anew, if they may. Yield what comes of it: when which is asked, or `REPLAN`."""
        if not self.left or now < self.not_before:
            return
        left = min(self.left, len(self.asleep))
        few = min(REPLANNED, left)
        self.left, self.not_before = left - few, now + REPLAN_INTERVAL
        for i in islice(self.asleep, few):
            plan = plans[i]
            if isinstance(plan, AdaptivePlan) and (sooner := now + plan.replan(now)) < due[i]:
                due[i] = sooner
                yield sooner, i
        self.asleep.rotate(-few)
        if self.left:
            yield self.not_before, REPLAN


def simulate(scenario: Scenario, make: Callable[[random.Random], Polling], seed: int) -> Result:
    """Put every request of a scenario to one policy, in order of time."""
    policy = make(random.Random(seed))  # noqa: S311
    requests, ages = scenario.draw(seed), scenario.ages(seed)
    rows: list[tuple[int, float, float]] = []
    for first in range(0, len(requests), scenario.at_once):
        cohort = range(first, min(first + scenario.at_once, len(requests)))
        plans = {i: plan_of(policy, ages[i] if scenario.tells_age else 0.0) for i in cohort}
        asked = dict.fromkeys(cohort, 0)
        due = dict.fromkeys(cohort, 0.0)
        queue = [(0.0, i) for i in cohort]
        replanning = Replanning(deque(cohort))
        while queue:
            now, i = heapq.heappop(queue)
            if i == REPLAN:
                for event in replanning.plan_anew(now, plans, due):
                    heapq.heappush(queue, event)
                continue
            if i not in due or now != due[i]:
                continue  # It was asked about earlier.
            duration, progress = requests[i]
            duration -= ages[i]
            asked[i] += 1
            if now < duration:
                due[i] = now + plans[i].next(now, progress and progress(now))
                heapq.heappush(queue, (due[i], i))
                continue
            del due[i]
            replanning.asleep.remove(i)
            if duration <= 0.0:
                continue  # It was done before the wait began, and anyone sees that at once.
            plans[i].finished(now)
            if i >= LEFT_OUT:
                rows.append((asked[i], now - duration, duration))
            heapq.heappush(queue, (replanning.begin(now), REPLAN))
    questions, delays, durations = zip(*rows, strict=True)
    late = sorted(delays)[int(0.95 * len(delays))]
    return Result(scenario, fmean(questions), fmean(delays), late, fmean(durations))


def plan_of(policy: Polling, age: float) -> Plan:
    """Return the plan of a wait for a request that is so many seconds old."""
    return policy.plan(age) if isinstance(policy, AdaptivePolling) else policy.plan()


def goals(results: Iterable[Result]) -> Iterator[tuple[str, float, float]]:
    """Yield each goal of the schedule, what was reached and what may be reached at most."""
    results = list(results)
    products = {result.scenario.name: result.product for result in results}
    ratios: dict[str, list[float]] = {}
    for result in results:
        base = result.scenario.limit or 1.0
        if result.scenario.group == LIES:
            base = products[result.scenario.without]
        ratios.setdefault(result.scenario.group, []).append(result.product / base)
    yield "truthful progress", geometric_mean(ratios[TRUE]), 0.35
    yield "without progress, over the limit", geometric_mean(ratios[NONE]), 1.5
    yield "progress that lies, over none", geometric_mean(ratios[LIES]), 1.3
    yield "like requests", geometric_mean(ratios[LIKE]), 0.15
    yield "the worst scenario", max(products.values()), 2.0


def other_goals(results: Iterable[Result]) -> Iterator[tuple[str, float, float]]:
    """Yield the goals for what is seen on a grid, and for requests that are old when the wait begins."""
    results = list(results)
    products = {result.scenario.name: result.product for result in results}
    on_grid = [
        result.product / products[result.scenario.without] for result in results if result.scenario.group == GRID
    ]
    told = [r.product for r in results if r.scenario.group == OLD and r.scenario.tells_age]
    yield "seen on a grid, over at any time", geometric_mean(on_grid), 1.0
    yield "old requests that tell their age", geometric_mean(told), 1.0


POLICIES_PER_BUDGET: Final = 24
BUDGET_GOALS: Final = {"log-normal, 45 s": 0.8, "log-normal, 45 s, linear": 0.2}
"""The share of the fixed interval's delay that may be left, with no more questions than it asks."""


BUDGET_WORDS: Final = """\
## Within a budget

`AdaptivePolling(seconds_per_question=s)` beside `FixedPolling(s)`, on the same requests. They report progress only
where it is named. A row is the mean of {policies} policies or more: each sees some requests first, and then as many
that count, at least one. In a shift, those that count are the first ones after it. The goals, for 45 s at 5 s per
question after ten requests: no more questions, and at most 0.8 of the delay, or 0.2 with linear progress."""


@frozen
class Spent:
    """What a budget of `seconds` per question came to, beside a fixed interval of as many, after so many requests."""

    name: str
    seconds: float
    seen: int
    questions: float
    fixed_questions: float
    delay: float
    fixed_delay: float

    @property
    def delay_goal(self) -> float:
        """The share of the fixed interval's delay that may be left. Infinite: there is no goal."""
        return BUDGET_GOALS.get(self.name, math.inf) if (self.seconds, self.seen) == (5, 10) else math.inf

    @property
    def missed(self) -> bool:
        """Whether it has a goal and missed it, in delay or in questions."""
        goal = self.delay_goal
        return goal < math.inf and (self.questions > self.fixed_questions or self.delay > goal * self.fixed_delay)


def spend(scenario: Scenario, seconds: float, seen: int, seed: int) -> Spent:
    """Let many policies see so many requests each, and then as many that count, at least one."""
    sums = [0.0] * 4
    counted = seen or 1
    policies = POLICIES_PER_BUDGET * (10 if seen == 0 else 1)
    for i in range(policies):
        source = random.Random(f"{scenario.name} {seed} {i}")  # noqa: S311
        policy = AdaptivePolling(seconds_per_question=seconds, random=source.random)
        # A scenario has the same durations for every policy, so each draws by a seed of its own.
        requests = scenario.draw(seed * 1000 + i)[: seen + counted]
        for number, (duration, progress) in enumerate(requests):
            asked, delay = wait(policy.plan(), duration, progress)
            if number >= seen:
                row = (asked, delay, *wait(FixedPolling(seconds).plan(), duration, None))
                sums = [a + b / (policies * counted) for a, b in zip(sums, row, strict=True)]
    return Spent(scenario.name, seconds, seen, sums[0], sums[2], sums[1], sums[3])


def wait(plan: Plan, duration: float, progress: Progress | None) -> tuple[int, float]:
    """Return how many questions one request took, and the delay after it was done, in seconds."""
    now, asked = 0.0, 1
    while now < duration:
        now += plan.next(now, progress and progress(now))
        asked += 1
    plan.finished(now)
    return asked, now - duration


def spendings(seed: int) -> list[Spent]:
    """Return what budgets come to in all scenarios, from the first request on, and after ten."""
    usual, *others = budgets()
    linear = next(one for one in others if one.name == "log-normal, 45 s, linear")
    return [
        *(spend(one, 5, 0, seed) for one in (usual, linear)),
        *(spend(one, 5, 10, seed) for one in (usual, *others)),
        *(spend(usual, seconds, 10, seed) for seconds in (2, 10)),
    ]


def budget_table(spent: list[Spent]) -> Iterator[str]:
    """Yield the table of the budgets, line by line."""
    yield from ("", *BUDGET_WORDS.format(policies=POLICIES_PER_BUDGET).splitlines(), "")
    yield "| requests | s | seen before | questions | fixed | mean delay, s | fixed | share of the delay |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for one in spent:
        yield (
            f"| {one.name} | {one.seconds:g} | {one.seen} | {one.questions:.1f} | {one.fixed_questions:.1f}"
            f" | {one.delay:.2f} | {one.fixed_delay:.2f} | {cell(one.delay / one.fixed_delay, one.delay_goal)} |"
        )


INTRODUCTION: Final = """\
# Polling, measured

Written by `make bench-polling`. A simulation without a clock: each scenario is {requests} requests whose durations are
known beforehand, the same for every policy (seed {seed}), and the first {left_out} are left out. Each policy has its
defaults.

Cost is questions x mean delay / (T / 2): T is the mean duration, the delay is from the end of a request to the question
that sees it, and every question counts, the first one at 0 s and the last one too. Any fixed interval comes to 1 or a
little more. The limit is the least cost for who knows how durations are distributed, and nothing else:
(integral of S sqrt(h))^2 / E[T], S being the survival function and h the hazard rate.

A gateway may itself ask a supplier with growing pauses, so that an end is seen on a grid of moments only: then an end
is where it can be seen. An old request that is done before the wait begins is left out. Well is, for the grid, no more
than the same requests cost without it, and for old ones no more than a fixed interval.

The defaults of `AdaptivePolling` were chosen by these scenarios and by some that were drawn at random, so they flatter
it. The held-out ones were left out at first, and had a say later. All are made up: no duration was measured on a live
service. `tools/bench_polling.py --random SEED` draws others; [](schedule.md) tells what came of twenty of them.

![Delay against questions](polling.svg)

| goal | at most | these scenarios | held out |
| --- | --- | --- | --- |"""


def cell(reached: float, most: float) -> str:
    """Return how far a goal was reached."""
    return f"{reached:.2f}" + ("" if reached <= most else " (missed)")


def tables(results: dict[str, list[Result]]) -> Iterator[str]:
    """Yield a table for each group, with a row for each scenario and policy, line by line."""
    rows = [row for same in zip(*results.values(), strict=True) for row in zip(results, same, strict=True)]
    for group in dict.fromkeys(result.scenario.group for _, result in rows):
        yield from ("", f"## {group.capitalize()}", "")
        yield "| scenario | policy | questions | mean delay, s | 95 % | cost | limit |"
        yield "| --- | --- | --- | --- | --- | --- | --- |"
        for policy, row in rows:
            if row.scenario.group == group:
                least = f"{row.scenario.limit:.2f}" if row.scenario.limit else ""
                numbers = f"{row.questions:.1f} | {row.delay:.2f} | {row.late:.2f} | {row.product:.2f} | {least}"
                yield f"| {row.scenario.name} | {policy} | {numbers} |"


def page(results: dict[str, list[Result]], held: list[Result], spent: list[Spent], seed: int) -> str:
    """Return the documentation page: the goals, and the tables of those groups that have goals."""
    lines = [INTRODUCTION.format(requests=REQUESTS, seed=seed, left_out=LEFT_OUT)]
    for (goal, reached, most), (_, other, _) in zip(goals(results["longcat"]), goals(held), strict=True):
        lines += [f"| {goal} | {most:.2f} | {cell(reached, most)} | {cell(other, most)} |"]
    lines += [
        f"| {goal} | {most:.2f} | {cell(reached, most)} | |" for goal, reached, most in other_goals(results["longcat"])
    ]
    return "\n".join([*lines, *budget_table(spent), *tables(results), ""])


WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 800, 520, 80, 70, 740, 450
MARKS: Final = {
    "longcat": ("#c2410c", 9, -7, "start"),
    "geometric": ("#475569", 10, -6, "start"),
    "fixed 0.1 s (fal)": ("#475569", 9, -5, "start"),
    "1 s x 1.5 to 20 s (google)": ("#475569", 10, 5, "start"),
    "6 ± 1.5 s (runwayml)": ("#475569", 9, 1, "start"),
    "fixed 5 s": ("#475569", 9, 7, "start"),
}


def plot(results: dict[str, list[Result]]) -> str:
    """Return an SVG picture of the first scenario: delay against questions, one mark per policy."""
    first = results["longcat"][0]
    low_x, high_x, low_y, high_y = 2.0, 1000.0, 0.03, 10.0

    def at(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / low_x) / math.log(high_x / low_x)
        up = math.log(y / low_y) / math.log(high_y / low_y)
        return LEFT + across * (RIGHT - LEFT), BOTTOM - up * (BOTTOM - TOP)

    def label(x: float, y: float, words: str, rest: str = "") -> str:
        return f'<text x="{x:.0f}" y="{y:.0f}" {rest}>{words}</text>'

    def curve(product: float, style: str) -> str:
        ends = [at(x, product * first.duration / 2 / x) for x in (low_x, high_x)]
        return '<line x1="{:.0f}" y1="{:.0f}" x2="{:.0f}" y2="{:.0f}" '.format(*ends[0], *ends[1]) + f"{style}/>"

    box = f'viewBox="0 0 {WIDTH} {HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="13">',
        f'<clipPath id="frame"><path d="M{LEFT} {TOP}H{RIGHT}V{BOTTOM}H{LEFT}z"/></clipPath>',
        f'<path d="M0 0H{WIDTH}V{HEIGHT}H0z" fill="white"/>',
        label(LEFT, 28, "Delay against questions asked", 'font-size="17" font-weight="bold"'),
        label(LEFT, 50, f"Requests of {first.duration:.0f} s on average, log-normal. Below and to the left is better."),
        label((LEFT + RIGHT) / 2, HEIGHT - 20, "questions per request", 'text-anchor="middle"'),
        label(0, 0, "mean delay, seconds", 'text-anchor="middle" transform="translate(24 260) rotate(-90)"'),
    ]
    for questions in (2, 5, 10, 20, 50, 100, 200, 500, 1000):
        x, _ = at(questions, low_y)
        parts += [f'<path d="M{x:.0f} {TOP}V{BOTTOM}" stroke="#e2e8f0"/>']
        parts += [label(x, BOTTOM + 20, f"{questions}", 'text-anchor="middle"')]
    for seconds in (0.03, 0.1, 0.3, 1, 3, 10):
        _, y = at(low_x, seconds)
        parts += [f'<path d="M{LEFT} {y:.0f}H{RIGHT}" stroke="#e2e8f0"/>']
        parts += [label(LEFT - 8, y + 4, f"{seconds}", 'text-anchor="end"')]
    parts += ['<g clip-path="url(#frame)" stroke-width="1.5">', curve(1.0, 'stroke="#475569"')]
    parts += [curve(first.scenario.limit or 1.0, 'stroke="#c2410c" stroke-dasharray="6 4"'), "</g>"]
    x, y = at(130, first.duration / 2 / 130)
    parts += [label(x + 4, y - 12, "any fixed interval: T / 2", 'fill="#475569"')]
    x, y = at(250, (first.scenario.limit or 1.0) * first.duration / 2 / 250)
    parts += [label(x - 6, y + 16, "the limit without progress", 'fill="#c2410c" text-anchor="end"')]
    marks = [(name, rows[0], MARKS.get(name, ("#475569", 9, -5, "start"))) for name, rows in results.items()]
    linear = next(r for r in results["longcat"] if r.scenario.group == TRUE)
    marks += [("longcat, with progress", linear, ("#c2410c", 10, 4, "start"))]
    for name, result, (colour, right, down, anchor) in marks:
        x, y = at(result.questions, result.delay)
        bold = ' font-weight="bold"' if "longcat" in name else ""
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>']
        parts += [label(x + right, y + down, name, f'fill="{colour}" text-anchor="{anchor}"{bold}')]
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    """Run the benchmark. Return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--held-out", action="store_true", help="other scenarios than the defaults were chosen by")
    which.add_argument("--random", type=int, metavar="SEED", help="scenarios drawn at random")
    parser.add_argument("--seed", type=int, default=1, help="of the durations and the jitter")
    parser.add_argument("--only-longcat", action="store_true", help="leave the other policies out")
    parser.add_argument("--write", action="store_true", help="write docs/polling.md and its plot")
    arguments = parser.parse_args()
    if arguments.random is not None:
        scenarios = drawn(arguments.random)
    else:
        scenarios = held_out() if arguments.held_out else looked_at()
    policies = ["longcat"] if arguments.only_longcat else list(POLICIES)

    def simulated(policy: str, scenarios: list[Scenario]) -> list[Result]:
        return [simulate(scenario, POLICIES[policy], arguments.seed) for scenario in scenarios]

    results = {policy: simulated(policy, scenarios) for policy in policies}
    print("\n".join(tables(results)))
    print("\nGoals (longcat, defaults, geometric means)")
    reached_goals = [
        *goals(results["longcat"]),
        *(other_goals(results["longcat"]) if scenarios[-1].group == OLD else ()),
    ]
    for goal, reached, most in reached_goals:
        print(f"{goal:36}{reached:6.2f}, at most {most:.2f}: {'holds' if reached <= most else 'MISSED'}")
    spent = spendings(arguments.seed)
    print("\n".join(budget_table(spent)))
    if arguments.write:
        PLOT.write_text(plot(results), encoding="utf-8")
        PAGE.write_text(page(results, simulated("longcat", held_out()), spent, arguments.seed), encoding="utf-8")
        print(f"\nWritten: {DOCS.name}/{PAGE.name} and {DOCS.name}/{PLOT.name}.")
    missed = any(reached > most for _, reached, most in reached_goals)
    return int(missed or any(one.missed for one in spent))


if __name__ == "__main__":
    sys.exit(main())

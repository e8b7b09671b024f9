"""Many waits at once: `as_completed` and `wait_all`, in virtual time, on every driver."""

import asyncio
import gc
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from itertools import count, cycle, pairwise
from math import inf
from statistics import fmean
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from fakes import KEY, URL, Cat, Driver, leaving, processing

from longcat import (
    AdaptivePolling,
    AsyncLongCat,
    ConfigurationError,
    FixedPolling,
    GenerationFailed,
    GeometricPolling,
    Image,
    LongCatError,
    NotFoundError,
    Outcome,
    Polling,
    State,
    Status,
    WaitTimeout,
)
from longcat.gateway.messages import Answer, Call
from longcat.gateway.result import ResultGateway
from longcat.sending.threads.pool import outcomes
from longcat.testing import FakeGateway, VirtualClock, refusal
from longcat.waiting.batch import (
    MAX_OPEN,
    REPLAN_INTERVAL,
    REPLANNED,
    SKIP_LIMIT,
    SKIP_PAUSE,
    Batch,
    Finished,
    Idle,
    Perform,
    TakeItem,
)
from longcat.waiting.commands import Acquire, Command, Flow, RunInThread, run_in_thread
from longcat.waiting.rates.rate_limit import RateLimiter
from longcat.waiting.wait import Wait

pytestmark = pytest.mark.usefixtures("no_jitter")

ONE_SECOND = FixedPolling(1.0)
SYNC = Driver("sync")
"""For what is decided by the batch or the rate limiter, which are the same for all drivers."""
CALL = Call("GET", URL, 1.0)


def gateway_of(durations: dict[str, float], **options: Any) -> FakeGateway:
    """Return a gateway that knows requests which take so many seconds."""
    gateway = FakeGateway(**options)
    for request_id, takes in durations.items():
        gateway.request(request_id, takes)
    return gateway


def collect(driver: Driver, gateway: FakeGateway, request_ids: Any, timeout: float | None = inf, **more: Any) -> Any:
    """Return every outcome, in the order in which they came. Options are those of `as_completed` and of a client."""
    names = ("batch_timeout", "unknown", "on_change")
    arguments = {name: more.pop(name) for name in names if name in more}

    async def scenario(cat: Cat) -> list[Outcome]:
        return [outcome async for outcome in cat.as_completed(request_ids, timeout, **arguments)]

    return driver.run(scenario, gateway, **more)


def collect_all(
    driver: Driver, gateway: FakeGateway, request_ids: Any, timeout: float | None = inf, **more: Any
) -> list[Image | LongCatError]:
    """Return what `wait_all` returns."""
    max_rate = more.pop("max_rate", None)

    async def scenario(cat: Cat) -> list[Image | LongCatError]:
        return await cat.wait_all(request_ids, timeout, **more)

    return driver.run(scenario, gateway, max_rate=max_rate)


def names(results: list[Any]) -> list[Any]:
    """Return the request of each image, and the type of each error."""
    return [result.request_id if isinstance(result, Image) else type(result) for result in results]


# --- What comes of many. ---


def test_outcomes_come_in_the_order_of_completion(driver: Driver) -> None:
    """Who is done first comes first, whatever the order of the ids."""
    gateway = gateway_of({"slow": 30, "quick": 2, "middling": 10})
    outcomes = collect(driver, gateway, ["slow", "quick", "middling"], polling=ONE_SECOND)
    assert [outcome.request_id for outcome in outcomes] == ["quick", "middling", "slow"]
    assert [outcome.elapsed for outcome in outcomes] == pytest.approx([2, 10, 30])


def test_an_outcome_has_the_image_and_the_last_answer(driver: Driver) -> None:
    """An outcome says which request it is about, and `result` returns its image."""
    (outcome,) = collect(driver, gateway_of({"r": 3}), ["r"])
    assert (outcome.request_id, outcome.error, outcome.status.state) == ("r", None, State.COMPLETED)
    assert outcome.result() == outcome.image == outcome.status.image


def test_a_failure_is_an_outcome(driver: Driver) -> None:
    """A request that failed, and one that nobody knows, end with the errors that `wait` would have raised."""
    gateway = gateway_of({"good": 5}).request("bad", 2, fails="no cats")
    outcomes = {outcome.request_id: outcome for outcome in collect(driver, gateway, ["nobody", "bad", "good"])}
    assert [type(outcomes[one].error) for one in ("nobody", "bad", "good")] == [
        NotFoundError,
        GenerationFailed,
        type(None),
    ]
    with pytest.raises(GenerationFailed, match="no cats"):
        outcomes["bad"].result()


@pytest.mark.parametrize("odd", [None, ["a"]])
def test_an_id_that_is_no_string_ends_the_batch(driver: Driver, odd: Any) -> None:
    """A list of something else than strings is a mistake in the program, not in one id."""
    with pytest.raises(ConfigurationError, match="A request id is a string"):
        collect(driver, gateway_of({"a": 1}), ["a", odd])


def test_an_id_that_cannot_be_one_is_an_outcome(driver: Driver) -> None:
    """A blank line among ten thousand ids does not end the batch."""
    outcomes = collect(driver, gateway_of({"good": 1}), ["", "good", "line\nbreak"])
    assert {outcome.request_id: type(outcome.error) for outcome in outcomes} == {
        "": ConfigurationError,
        "good": type(None),
        "line\nbreak": ConfigurationError,
    }


def test_wait_all_keeps_the_order_of_the_ids(driver: Driver) -> None:
    """Results stand where their ids stood, errors among them."""
    gateway = gateway_of({"slow": 30, "quick": 2}).request("bad", 5, fails="no cats")
    assert names(collect_all(driver, gateway, ["slow", "bad", "quick"])) == ["slow", GenerationFailed, "quick"]


def test_an_id_that_comes_twice_is_asked_once(driver: Driver) -> None:
    """Duplicates are one request, one outcome, and two places in the result."""
    gateway = gateway_of({"a": 6, "b": 6})
    assert names(collect_all(driver, gateway, ["a", "b", "a"])) == ["a", "b", "a"]
    assert Counter(question.request_id for question in gateway.questions) == {"a": 3, "b": 3}


def test_no_ids_are_no_outcomes(driver: Driver) -> None:
    """An empty batch is over at once."""
    gateway = FakeGateway()
    assert (collect(driver, gateway, []), collect_all(driver, gateway, iter(())), gateway.questions) == ([], [], [])


@pytest.mark.parametrize("request_ids", ["r", None])
def test_ids_that_are_no_list_are_refused(driver: Driver, request_ids: Any) -> None:
    """A single id is no list of ids: its letters would be asked about one by one."""
    with pytest.raises(ConfigurationError, match="as a list or as what yields them"):
        collect(driver, FakeGateway(), request_ids)
    with pytest.raises(ConfigurationError, match="as a list or as what yields them"):
        collect_all(driver, FakeGateway(), request_ids)


@pytest.mark.parametrize("more", [{"timeout": -1}, {"batch_timeout": "1"}, {"unknown": "shrug"}])
def test_wrong_arguments_are_refused_at_once(driver: Driver, more: dict[str, Any]) -> None:
    """What is wrong for every request is not an outcome of each."""
    with pytest.raises(ConfigurationError):
        collect(driver, gateway_of({"r": 1}), ["r"], **more)


@pytest.mark.parametrize(
    "options", [{"max_rate": 0}, {"max_rate": "5"}, {"max_in_flight": 0}, {"max_in_flight": 2.5}, {"max_rate": True}]
)
def test_a_budget_that_is_none_is_refused(options: Any) -> None:
    """A client wants a rate above zero and a whole number of questions in flight."""
    with pytest.raises(ConfigurationError, match="Pass such a number"):
        collect(SYNC, FakeGateway(), [], **options)


def test_changes_are_told_of(driver: Driver) -> None:
    """`on_change` is called with what `watch` would have yielded, for every request."""
    changes: list[Status] = []
    gateway = gateway_of({"a": 8, "b": 4})
    collect(driver, gateway, ["a", "b"], on_change=changes.append)
    told = {one: [status.progress for status in changes if status.request_id == one] for one in "ab"}
    assert told == {"a": [0.0, 0.5, 1.0], "b": [0.0, 1.0]}


def test_faults_are_waited_out(driver: Driver) -> None:
    """A fault of one request is no end of it, and no trouble of the others."""
    gateway = gateway_of({"calm": 8}).request("stormy", 8, faults=[503, httpx.ReadError("reset"), 522])
    assert names(collect_all(driver, gateway, ["calm", "stormy"])) == ["calm", "stormy"]


def test_an_unknown_word_can_end_one_request(driver: Driver) -> None:
    """With `unknown="raise"`, the request that says it ends, and the others go on."""
    gateway = gateway_of({"good": 8}).request("odd", inf, words={"dreaming": inf})
    outcomes = collect(driver, gateway, ["odd", "good"], unknown="raise")
    assert [outcome.error is None for outcome in outcomes] == [False, True]


# --- Ids that come as they are wanted. ---


def forever(taken: list[str]) -> Iterator[str]:
    """Yield ids without an end, and note which."""
    for i in count():
        taken.append(f"r{i}")
        yield f"r{i}"


def endless(takes: float = 2.0) -> FakeGateway:
    """Return a gateway that knows every id."""
    gateway = FakeGateway()
    for i in range(1000):
        gateway.request(f"r{i}", takes)
    return gateway


def test_ids_are_taken_as_they_can_be_asked_about(driver: Driver) -> None:
    """Ids without an end are no trouble: at ten questions a second, no more than ten a second are taken."""
    taken: list[str] = []
    gateway = endless()

    async def scenario(cat: Cat) -> int:
        async with leaving(cat.as_completed(forever(taken))) as outcomes:
            for _ in range(3):
                await anext(outcomes)
        return len(taken)

    number = driver.run(scenario, gateway, max_rate=10.0, polling=ONE_SECOND)
    assert number <= 10 * gateway.clock.monotonic() + 2


def test_old_requests_do_not_keep_new_ones_from_being_asked(driver: Driver) -> None:
    """Where questions are scarce, every other one is about a request that was not asked about yet."""
    gateway = gateway_of({f"r{i}": inf for i in range(100)})
    collect(driver, gateway, [f"r{i}" for i in range(100)], 30.0, max_rate=5.0, polling=ONE_SECOND)
    asked = Counter(question.request_id for question in gateway.questions if question.at < 30)
    assert 70 <= len(asked) <= 80


def test_the_same_ids_without_an_end_are_no_trouble(driver: Driver) -> None:
    """An iterable that repeats itself for ever keeps nobody from being asked, and ends with the batch."""
    gateway = gateway_of({"a": 0.05, "b": 0.15})
    outcomes = collect(driver, gateway, cycle(["a", "b"]), batch_timeout=0.35, polling=FixedPolling(0.1))
    assert [outcome.request_id for outcome in outcomes] == ["a", "b"]


@pytest.mark.parametrize(
    "mistake", [asyncio.CancelledError, GeneratorExit, StopIteration, StopAsyncIteration, SystemExit, KeyboardInterrupt]
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_mistake_ends_the_outcomes_in_silence(backend: str, mistake: type[BaseException]) -> None:
    """What the callback raises ends the loop; what would end it in silence is the cause of a RuntimeError."""
    gateway = gateway_of({"a": 5, "b": 5})

    def callback(_: Status) -> None:
        raise mistake("oh no")

    async def main() -> BaseException | None:
        async with gateway.async_client() as cat:
            try:
                async for _ in cat.as_completed(["a", "b"], on_change=callback):
                    pass
            except BaseException as error:  # noqa: BLE001 - it is looked at.
                return error
            return None

    error = anyio.run(main, backend=backend)
    assert error
    if mistake in {StopIteration, StopAsyncIteration}:
        assert (type(error), type(error.__cause__)) == (RuntimeError, mistake)
    else:
        assert type(error) is mistake


def test_tasks_that_are_cancelled_from_outside_do_not_end_the_outcomes_in_silence() -> None:
    """When every task of the event loop is cancelled, a batch does not look done."""
    asleep = asyncio.Event()
    clock = VirtualClock(on_sleep=asleep.set)
    gateway = gateway_of({"a": inf, "b": inf}, clock=clock)

    async def main() -> None:
        async with gateway.async_client(polling=ONE_SECOND) as cat:
            outcomes = cat.as_completed(["a", "b"])
            first = asyncio.ensure_future(anext(outcomes))
            await asleep.wait()
            for task in asyncio.all_tasks() - {asyncio.current_task(), first}:
                task.cancel()
            with pytest.raises(RuntimeError, match="from outside"):
                await first

    asyncio.run(main())


def test_the_ids_own_mistake_comes_out(driver: Driver) -> None:
    """What the iterable raises is raised to the caller, and everything stops."""

    def ids() -> Iterator[str]:
        yield "a"
        raise LookupError("no more ids")

    with pytest.raises(LookupError, match="no more ids"):
        collect(driver, gateway_of({"a": 50}), ids())


def test_the_callbacks_own_mistake_comes_out(driver: Driver) -> None:
    """What `on_change` raises is raised to the caller."""

    def callback(_: Status) -> None:
        raise LookupError("no such place")

    with pytest.raises(LookupError, match="no such place"):
        collect(driver, gateway_of({"a": 50}), ["a"], on_change=callback)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_ids_may_have_to_be_waited_for(backend: str) -> None:
    """Asynchronous ids are waited for while requests that are known already are asked about."""
    gateway = gateway_of({"a": 5, "b": 5})

    async def ids() -> AsyncIterator[str]:
        yield "a"
        await gateway.clock.asleep(60)
        yield "b"

    async def main() -> tuple[list[tuple[str, float]], list[Any]]:
        async with gateway.async_client(polling=ONE_SECOND) as cat:
            seen = [(outcome.request_id, gateway.clock.monotonic()) async for outcome in cat.as_completed(ids())]
            return seen, names(await cat.wait_all(ids()))

    seen, results = anyio.run(main, backend=backend)
    assert (seen, results) == ([("a", 5.0), ("b", 60.0)], ["a", "b"])


def test_not_more_requests_are_open_than_memory_allows(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ids without an end, only so many are taken as long as none is done."""
    monkeypatch.setattr("longcat.waiting.batch.MAX_OPEN", 50)
    taken: list[str] = []
    outcomes = collect(driver, endless(100), (one for one in forever(taken)), batch_timeout=20)
    assert (len(taken), len(outcomes), MAX_OPEN) == (50, 50, 10_000)


# --- Deadlines. ---


def test_each_request_has_its_own_deadline(driver: Driver) -> None:
    """A request that takes too long ends in a WaitTimeout at its deadline; the others go on."""
    gateway = gateway_of({"long": 100, "short": 5})
    long, short = sorted(collect(driver, gateway, ["long", "short"], 20.0), key=lambda outcome: outcome.request_id)
    assert (type(long.error), long.elapsed, short.error) == (WaitTimeout, pytest.approx(20), None)


def test_the_batch_has_a_deadline_of_its_own(driver: Driver) -> None:
    """What is open at the end of the batch ends in a WaitTimeout; what was not taken from the ids is left there."""
    taken: list[str] = []
    gateway = endless(100)
    outcomes = collect(driver, gateway, forever(taken), batch_timeout=10.0, max_rate=5.0)
    assert gateway.clock.monotonic() == pytest.approx(10)
    assert {type(outcome.error) for outcome in outcomes} == {WaitTimeout}
    assert 25 <= len(outcomes) == len(taken) <= 50


def test_a_slow_loop_does_not_make_others_late() -> None:
    """Who takes longer over one outcome than others have time still gets these: each is asked about once more."""
    gateway = gateway_of({"quick": 1, "a": 10, "b": 20, "slow": 900})
    with gateway.client(polling=ONE_SECOND) as cat:
        outcomes = {}
        for outcome in cat.as_completed(["quick", "a", "b", "slow"], 300.0):
            outcomes[outcome.request_id] = outcome.error
            if outcome.request_id == "quick":
                gateway.clock.sleep(400)
    assert {one: type(error) for one, error in outcomes.items()} == {
        "quick": type(None),
        "a": type(None),
        "b": type(None),
        "slow": WaitTimeout,
    }


def test_wait_all_leaves_in_an_iterator_what_it_did_not_take(driver: Driver) -> None:
    """After the batch's time, an iterator is asked for nothing more: it may be slow, or without an end."""
    taken: list[str] = []
    results = collect_all(driver, endless(100), forever(taken), batch_timeout=3.0, max_rate=10.0)
    assert len(results) == len(taken)


def test_a_wait_that_was_not_asked_about_says_so(driver: Driver) -> None:
    """While a 429 wants quiet, a time-out does not claim that no answer came."""
    gateway = gateway_of({"y": 1}).request("x", 1, faults=[refusal(429, retry_after=100)])

    async def scenario(cat: Cat) -> WaitTimeout:
        with pytest.raises(WaitTimeout):
            await cat.wait("x", 10.0)
        with pytest.raises(WaitTimeout, match="it was not asked about") as caught:
            await cat.wait("y", 20.0)
        return caught.value

    assert driver.run(scenario, gateway).asked is False


def test_wait_all_has_a_result_for_what_was_not_reached(driver: Driver) -> None:
    """Ids that nobody asked about within the batch's time are time-outs, too."""
    ids = [f"r{i}" for i in range(100)]
    results = collect_all(driver, gateway_of(dict.fromkeys(ids, inf)), ids, batch_timeout=0.0)
    assert [(type(one), one.request_id, one.elapsed) for one in results if isinstance(one, WaitTimeout)] == [
        (WaitTimeout, one, 0.0) for one in ids
    ]


def test_the_deadline_holds_for_who_waits_for_a_turn(driver: Driver) -> None:
    """Where the budget is small, time-outs come when they are due, and not with the turn."""
    ids = [f"r{i}" for i in range(20)]
    outcomes = collect(driver, gateway_of(dict.fromkeys(ids, inf)), ids, 30.0, max_rate=1.0)
    assert [outcome.elapsed for outcome in outcomes] == pytest.approx([30.0] * 20, abs=0.01)


def test_a_pause_without_an_end_is_slept_in_parts(driver: Driver) -> None:
    """A gateway that wants quiet for three thousand years gets an hour, in one sleep, and breaks nothing."""
    gateway = gateway_of({"b": 1}).request("a", 1, faults=[refusal(429, retry_after=1e11)])
    outcomes = collect(driver, gateway, ["a", "b"], 10_000.0, batch_timeout=10_000.0)
    assert {type(outcome.error) for outcome in outcomes} == {type(None)}
    assert max(clock_of(gateway).sleeps) <= 3600


def test_a_pause_beyond_their_deadline_ends_all_waits_of_a_batch_at_once(driver: Driver) -> None:
    """Those that wait for permission, those that sleep, and those that were not begun all end in the same second."""
    ids = [f"r{i}" for i in range(200)]
    gateway = gateway_of({})

    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)["request_id"]
        if clock_of(gateway).now > 5.0:
            return refusal(429, retry_after=86_400)
        return httpx.Response(200, json=processing(0.5, request_id=asked))

    for one in ids:
        gateway.request(one, answer=answer)
    outcomes = collect(driver, gateway, ids, 50.0, max_rate=20.0, polling=ONE_SECOND)
    assert len(outcomes) == 200
    assert all(isinstance(one.error, WaitTimeout) and one.error.pause is not None for one in outcomes)
    assert clock_of(gateway).now < 10.0


def clock_of(gateway: FakeGateway) -> VirtualClock:
    """Return the gateway's clock."""
    assert isinstance(gateway.clock, VirtualClock)
    return gateway.clock


# --- The budget. ---


def rate(gateway: FakeGateway) -> float:
    """Return the most questions that came within any second."""
    moments = [question.at for question in gateway.questions]
    return max(sum(moment <= other < moment + 1 - 1e-6 for other in moments) for moment in moments)


def test_the_rate_holds_for_a_batch(driver: Driver) -> None:
    """With `max_rate`, no second has more questions than that."""
    ids = [f"r{i}" for i in range(60)]
    gateway = gateway_of(dict.fromkeys(ids, 20))
    collect(driver, gateway, ids, max_rate=8.0, polling=ONE_SECOND)
    assert rate(gateway) <= 8


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_rate_holds_for_all_waits_of_a_client(backend: str) -> None:
    """Single waits and batches that go on at once share the budget, and all get their turns."""
    gateway = gateway_of({f"r{i}": 10 for i in range(60)})
    done: list[str] = []

    async def main() -> None:
        async with gateway.async_client(polling=ONE_SECOND, max_rate=8.0) as cat, anyio.create_task_group() as tasks:

            async def wait(request_id: str) -> None:
                done.append((await cat.wait(request_id, None)).request_id)

            async def wait_for_many(request_ids: list[str]) -> None:
                done.extend(map(str, names(await cat.wait_all(request_ids, None))))

            for i in range(20):
                tasks.start_soon(wait, f"r{i}")
            for start in (20, 40):
                tasks.start_soon(wait_for_many, [f"r{i}" for i in range(start, start + 20)])

    anyio.run(main, backend=backend)
    assert (sorted(done), rate(gateway) <= 8) == (sorted(f"r{i}" for i in range(60)), True)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_questions_in_flight_are_bounded_for_all_waits_of_a_client(backend: str) -> None:
    """However many waits go on at once, so many questions are under way and no more."""
    flying: list[int] = [0, 0]
    gateway = gateway_of({f"r{i}": 10 for i in range(20)})

    class Counting(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            flying[0] += 1
            flying[1] = max(flying)
            await anyio.lowlevel.checkpoint()
            try:
                return await gateway.handle_async_request(request)
            finally:
                flying[0] -= 1

    async def main() -> None:
        async with (
            httpx.AsyncClient(transport=Counting()) as http,
            longcat_client(http, gateway) as cat,
            anyio.create_task_group() as tasks,
        ):
            for i in range(10):
                tasks.start_soon(cat.wait, f"r{i}")
            tasks.start_soon(cat.wait_all, [f"r{i}" for i in range(10, 20)])

    anyio.run(main, backend=backend)
    assert flying == [0, 3]


def longcat_client(http: httpx.AsyncClient, gateway: FakeGateway) -> AsyncLongCat:
    """Return a client that may have three questions in flight."""
    return AsyncLongCat(KEY, URL, http_client=http, clock=gateway.clock, polling=ONE_SECOND, max_in_flight=3)


def test_a_429_slows_the_whole_batch() -> None:
    """A gateway that answers ten questions a second refuses few of the many that a batch wants to ask."""
    ids = [f"r{i}" for i in range(150)]
    gateway = gateway_of(dict.fromkeys(ids, 60), max_rate=10)
    outcomes = collect(SYNC, gateway, ids, polling=ONE_SECOND)
    refused = sum(question.code == 429 for question in gateway.questions)
    assert [outcome.error for outcome in outcomes] == [None] * 150
    assert refused < 0.1 * len(gateway.questions)


def test_a_single_429_costs_its_pause_and_no_more() -> None:
    """After a single 429, right at the beginning, questions come as often as they are due once its pause is over."""
    ids = [f"r{i}" for i in range(20)]
    gateway = gateway_of(dict.fromkeys(ids[1:], 50)).request("r0", 50, faults=[refusal(429, retry_after=2)])
    collect(SYNC, gateway, ids, polling=ONE_SECOND)
    moments = [question.at for question in gateway.questions]
    counts = [sum(start <= moment < start + 5 for moment in moments) for start in (3, 10, 20, 30, 45)]
    assert counts == pytest.approx([100] * 5, abs=5)


def delays(durations: dict[str, float], max_rate: float) -> tuple[dict[str, float], FakeGateway]:
    """Return how long each request had been done when that was noticed, under a tight rate."""
    gateway = gateway_of(durations)
    outcomes = collect(SYNC, gateway, list(durations), max_rate=max_rate, polling=GeometricPolling(random=lambda: 0.5))
    return {outcome.request_id: outcome.elapsed - durations[outcome.request_id] for outcome in outcomes}, gateway


def test_long_requests_do_not_hold_up_short_ones() -> None:
    """Under a tight rate, short requests that come to the end of a line of long ones are noticed soon."""
    durations = {f"long{i}": 150.0 for i in range(60)} | {f"short{i}": 6.0 + i / 4 for i in range(20)}
    late, _ = delays(durations, 4.0)
    short = fmean(late[f"short{i}"] for i in range(20))
    assert short < 15  # To ask about each in turn takes 20 s, and each short one would need two more turns.


def test_who_sleeps_learns_from_who_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty that take a minute are seen within a quarter of a second after they are done. Few plan anew at a time."""
    replanned, replan = Counter[str](), Wait.replan

    def counted(wait: Wait) -> float | None:
        replanned["all"] += 1
        return replan(wait)

    monkeypatch.setattr(Wait, "replan", counted)
    durations = {f"r{i}": 60 + i / 100 for i in range(40)}
    outcomes = collect(
        SYNC,
        gateway_of(durations),
        durations,
        polling=AdaptivePolling(random=cycle((0.1, 0.9, 0.4, 0.7, 0.3)).__next__),
    )
    delays = [outcome.elapsed - durations[outcome.request_id] for outcome in outcomes]
    assert fmean(delays) < 0.25
    assert 0 < replanned["all"] <= REPLANNED * len(outcomes)


@pytest.mark.parametrize("done_at", [(20.0,), (20.0, 20.0, 20.001)])
def test_all_who_sleep_plan_anew_after_the_last_outcome(
    done_at: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixteen do at a time, a fiftieth of a second apart, until all have done so once: then nobody is woken for it."""
    replanned, replan = list[tuple[float, str]](), Wait.replan

    def noted(wait: Wait) -> float | None:
        replanned.append((wait.monotonic(), wait.request_id))
        return replan(wait)

    monkeypatch.setattr(Wait, "replan", noted)
    long = {f"long{i}": 300.0 for i in range(60)}
    requests = long | {f"short{i}": seconds for i, seconds in enumerate(done_at)}
    collect(SYNC, gateway_of(requests), requests, timeout=100.0, polling=AdaptivePolling(random=lambda: 0.5))
    moments = Counter(moment for moment, _ in replanned)
    assert {request_id for _, request_id in replanned} >= {*long}
    assert max(moments.values()) <= REPLANNED
    assert all(later - sooner >= REPLAN_INTERVAL * 0.99 for sooner, later in pairwise(sorted(moments)))
    assert len(replanned) <= len(long) + len(done_at) * REPLANNED


def test_nobody_starves() -> None:
    """Under a tight rate, short requests do not keep the long ones from being asked."""
    durations = {f"long{i}": 300.0 for i in range(5)} | {f"short{i}": 20.0 + i for i in range(200)}
    late, gateway = delays(durations, 4.0)
    moments = [question.at for question in gateway.questions if question.request_id == "long0"]
    assert max(later - earlier for earlier, later in pairwise(moments)) < 120
    assert max(late.values()) < 120


# --- Leaving early. ---


def test_leaving_early_stops_everything(driver: Driver) -> None:
    """After the loop was left, nothing is asked, and no thread and no task is there."""
    gateway, before = endless(5.0), {*threading.enumerate()}  # Trio keeps idle threads of earlier tests for a while.

    async def scenario(cat: Cat) -> int:
        async with leaving(cat.as_completed(forever([]))) as outcomes:
            await anext(outcomes)
        return len(gateway.questions)

    asked = driver.run(scenario, gateway, max_rate=50.0)
    assert (len(gateway.questions), {*threading.enumerate()} - before) == (asked, set())


async def before_and_after(gateway: FakeGateway) -> tuple[int, int]:
    """Return how many questions there were when all tasks rest, and a hundred seconds later."""
    await anyio.wait_all_tasks_blocked()
    asked = len(gateway.questions)
    await gateway.clock.asleep(100)
    return asked, len(gateway.questions)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_loop_that_is_left_without_a_word_stops_everything(backend: str) -> None:
    """A plain `break`, without `aclosing`, is enough, on trio as well: nothing is asked afterwards."""
    gateway = endless(5.0)

    async def main() -> tuple[int, int]:
        async with gateway.async_client(max_rate=50.0) as cat:
            async for _ in cat.as_completed(forever([])):
                break
            gc.collect()
            return await before_and_after(gateway)

    before, after = anyio.run(main, backend=backend)
    assert before == after


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_loop_stops_everything(backend: str) -> None:
    """A deadline of the caller's own around the loop, wherever it strikes, stops the questions."""
    gateway = endless(5.0)

    async def main() -> tuple[int, int]:
        async with gateway.async_client(max_rate=50.0) as cat:
            for strikes_inside in (True, False):
                with anyio.CancelScope() as scope:
                    async for _ in cat.as_completed(forever([])):
                        scope.cancel()
                        if strikes_inside:
                            await anyio.lowlevel.checkpoint()
                assert scope.cancelled_caught
            return await before_and_after(gateway)

    before, after = anyio.run(main, backend=backend)
    assert before == after


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_outcomes_can_be_closed_at_any_time(backend: str) -> None:
    """Before the first outcome, after the last one, and twice; there are no outcomes afterwards."""
    gateway = gateway_of({"a": 3})

    async def main() -> None:
        async with gateway.async_client() as cat:
            for taken in (0, 1):
                outcomes = cat.as_completed(["a"])
                for _ in range(taken):
                    await anext(outcomes)
                await outcomes.aclose()
                await outcomes.aclose()
                with pytest.raises(StopAsyncIteration):
                    await anext(outcomes)

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_questions_go_on_while_an_outcome_is_looked_at(backend: str) -> None:
    """A caller who takes its time over one outcome finds the next ones ready."""
    gateway = gateway_of({"a": 2, "b": 4, "c": 6})

    async def main() -> list[float]:
        seen = []
        async with (
            gateway.async_client(polling=ONE_SECOND) as cat,
            aclosing(cat.as_completed(list("abc"))) as outcomes,
        ):
            async for _ in outcomes:
                seen.append(gateway.clock.monotonic())
                await gateway.clock.asleep(30)
        return seen

    assert (anyio.run(main, backend=backend), gateway.questions[-1].at) == ([2.0, 32.0, 62.0], 6.0)


def test_a_batch_works_in_one_event_loop_after_the_other() -> None:
    """A client that outlives an event loop has batches in the next one."""
    gateway = gateway_of({"a": 3, "b": 3})
    cat = gateway.async_client()
    assert [
        names(anyio.run(cat.wait_all, ["a", "b"], backend=backend)) for backend in ("asyncio", "trio", "asyncio")
    ] == [["a", "b"]] * 3
    anyio.run(cat.close)


def test_threads_may_share_a_client() -> None:
    """Batches in several threads at once share the client and its budget."""
    gateway = gateway_of({f"r{i}": 10 for i in range(60)}, clock=VirtualClock())
    results: list[Any] = []
    with gateway.client(polling=ONE_SECOND, max_rate=100.0) as cat:
        threads = [
            threading.Thread(target=lambda i=i: results.extend(names(cat.wait_all([f"r{j}" for j in range(i, 60, 3)]))))
            for i in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == sorted(f"r{i}" for i in range(60))


# --- The steps of a batch, without a driver. ---


def bare_batch(
    clock: VirtualClock, flow: Callable[[str], Flow[Outcome]], *, polling: Polling = ONE_SECOND, **options: Any
) -> Batch[str]:
    """Return a batch whose jobs follow this flow."""

    class FlowOnly(Wait):
        def outcome(self, on_change: Any = None) -> Flow[Outcome]:  # noqa: ARG002 - nobody listens.
            return flow(self.request_id)

    def begin(request_id: str) -> Wait:
        return FlowOnly(
            gateway=ResultGateway(URL, KEY),
            request_id=request_id,
            plan=polling.plan(),
            rate_limiter=limiter,
            timeout=None,
            unknown="wait",
            monotonic=clock.monotonic,
            random=lambda: 0.5,
        )

    limiter = RateLimiter()
    return Batch(begin, None, limiter, clock.monotonic, options.pop("max_in_flight", 20), **options)


def known(request_id: str) -> Flow[Outcome]:
    """End at once, as when a journal has the answer."""
    return Outcome(request_id)
    yield


def test_ids_that_need_no_question_are_taken_a_hundred_at_a_time() -> None:
    """After a hundred of them the batch rests, until an outcome was taken or a hundredth of a second is over."""
    clock = VirtualClock()
    batch = bare_batch(clock, known)
    for go_on in (batch.pop_outcome, lambda: clock.sleep(SKIP_PAUSE), batch.pop_outcome):
        for i in range(SKIP_LIMIT):
            assert batch.next() == TakeItem()
            batch.feed(f"r{i}")
        assert getattr(batch.next(), "seconds", None) == pytest.approx(SKIP_PAUSE)
        go_on()
    assert batch.next() == TakeItem()
    batch.end_items()
    assert batch.next() == Finished()


def test_a_batch_wants_one_id_at_a_time() -> None:
    """The next id is wanted when the last one was fed, and the job that it began has asked."""

    def asking(request_id: str) -> Flow[Outcome]:
        yield Acquire(0.0, 0.0, inf)
        yield CALL
        return Outcome(request_id)

    batch = bare_batch(VirtualClock(), asking, max_in_flight=1)
    assert batch.next() == TakeItem()
    assert isinstance(batch.next(), Idle)
    batch.feed("a")
    first = batch.next()
    assert isinstance(first, Perform)
    assert (first.command, batch.next()) == (CALL, TakeItem())
    batch.feed("b")
    assert isinstance(batch.next(), Idle)  # One is in flight.
    batch.receive(first.job, Answer(200, {}, b""))
    assert (batch.pop_outcome(), isinstance(batch.next(), Perform)) == (Outcome("a"), True)


def test_a_call_that_is_not_performed_yet_has_not_been_sent() -> None:
    """An order that a batch holds ready is not in doubt when the batch is stopped: nothing of it has gone out."""
    call = Call("POST", URL, timeout=5.0)

    def ordering(request_id: str) -> Flow[Outcome]:
        yield call
        return Outcome(request_id)

    batch = bare_batch(VirtualClock(), ordering)
    batch.feed("a")
    batch.end_items()
    step = batch.next()
    assert isinstance(step, Perform)
    assert (step.command, call.progress.may_have_sent) == (call, False)


def test_the_time_left_is_told_once_all_ids_are_there() -> None:
    """While more may come, nobody can tell how long all of them will take."""

    def asking(request_id: str) -> Flow[Outcome]:
        yield Acquire(0.0, 0.0, inf)
        return Outcome(request_id)

    policy = AdaptivePolling()
    for _ in range(20):
        plan = policy.plan()
        plan.next(9.5, None)
        plan.finished(10.0)
    batch = bare_batch(VirtualClock(), asking, polling=policy)
    batch.feed("a")
    before = batch.remaining()
    batch.end_items()
    assert before is None
    assert batch.remaining() == pytest.approx(10.0, abs=2.0)


def test_a_request_that_ends_when_it_may_ask_is_not_woken_at_its_deadline() -> None:
    """A wait may find, once it has permission to ask, that no time is left; its deadline comes later by a hair."""

    def late(request_id: str) -> Flow[Outcome]:
        yield Acquire(0.0, 0.0, 5.0)
        return Outcome(request_id)

    clock = VirtualClock()
    batch = bare_batch(clock, late)
    batch.feed("a")
    batch.end_items()
    assert batch.next() == Finished()
    clock.sleep(5.0)
    assert (batch.next(), [*batch.outcomes]) == (Finished(), [Outcome("a")])


def test_a_job_may_have_a_function_called() -> None:
    """What a flow wants to be called in a thread is performed like a call, and its result comes back."""

    def calling(request_id: str) -> Flow[Outcome]:
        return Outcome((yield from run_in_thread(lambda: f"{request_id} was here")))

    clock = VirtualClock()

    def perform(command: Command, _: object) -> None:
        assert isinstance(command, RunInThread)
        command.function()

    batch = bare_batch(clock, calling)
    found = outcomes(batch, iter(["a", "b"]), clock, perform)
    assert [*found] == [Outcome("a was here"), Outcome("b was here")]

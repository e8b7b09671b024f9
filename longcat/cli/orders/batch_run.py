"""Order, wait and save, for many orders side by side: what `longcat generate` and `longcat batch` have in common."""

import argparse
import time
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from math import inf
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field, frozen

from longcat.cli.displays.display import Display
from longcat.cli.orders.client import OrderingClient
from longcat.cli.orders.order_line import LineState, OrderLine
from longcat.cli.results import print_error
from longcat.cli.wait import conclude_all
from longcat.errors import ConfigurationError, DownloadError, JournalError, LongCatError
from longcat.models import Order, OrderRequest
from longcat.saving.download import MAX_PUTS
from longcat.saving.files import advice_on_writing
from longcat.saving.journal.journal import Journal
from longcat.saving.stores.shards import ShardStore, ShardWriter
from longcat.saving.stores.store import PictureStore
from longcat.saving.stores.store_errors import StoreError
from longcat.sending.tasks.pool import Outcomes, each
from longcat.waiting.backoff import backoff
from longcat.waiting.outcome import ACCOUNT, Outcome
from longcat.waiting.wake import Wake

GRACE_FOR_ORDERS: Final = 10.0
"""Seconds to wait for the answers to orders that are under way, when the command is stopped."""
QUIET_SECONDS: Final = 0.5
"""Seconds of these after which it is said what is waited for."""
LONGEST_PUT: Final = 600.0
"""Seconds that a shard may take to be put in its place."""


@frozen
class BatchRunSettings:
    """The settings of a batch run: how orders are sent, and where their pictures go.

    Attributes:
        output: where. None: nothing is saved.
        base_url: the gateway. None: as the environment says, or the contract.
        journal: what is ordered is noted there; one that is open already stays so. None: nowhere.
        timeout: seconds for each order, with its pictures.
        batch_timeout: seconds for all orders. None: no bound.
        max_rate: how many orders and questions may go out in a second. None: no bound.
        resubmit_unknown: whether orders in doubt are sent again.
        overwrite: whether files that are there already may be replaced.
        allow_private: whether pictures may be fetched from any address.
    """

    output: PictureStore | None
    base_url: str | None = None
    journal: str | Path | Journal | None = None
    timeout: float = inf
    batch_timeout: float | None = None
    max_rate: float | None = None
    resubmit_unknown: bool = False
    overwrite: bool = False
    allow_private: bool = False

    @classmethod
    def of(cls, arguments: argparse.Namespace, output: PictureStore, journal: Path | Journal) -> "BatchRunSettings":
        """Return those that the arguments of `longcat batch` ask for."""
        return cls(
            output=output,
            base_url=arguments.base_url,
            journal=journal,
            timeout=arguments.timeout,
            batch_timeout=arguments.batch_timeout,
            max_rate=arguments.max_rate,
            resubmit_unknown=arguments.resubmit_unknown,
            allow_private=arguments.allow_private,
        )


@define(eq=False)
class BatchRun:
    """One run of a command.

    Attributes:
        lines: the orders. They are taken as they can be sent, and what comes of each is written into it.
        on_end: called with each line when nothing more will come of it in this run. It is let go of then.
        wake: what hears of the requests. None: nothing.
    """

    lines: Iterable[OrderLine] | AsyncIterable[OrderLine]
    settings: BatchRunSettings
    shown: Display
    on_end: Callable[[OrderLine], object]
    wake: Wake | None = None
    _lines: dict[int, OrderLine] = field(factory=dict, init=False)
    """The lines that were taken and are not over, by the identity of their orders, as lines may be alike."""
    _end: float = field(init=False)
    _stopped: bool = field(default=False, init=False)
    _gathered: list[tuple[OrderLine, Outcome, list[str]]] = field(factory=list, init=False)
    """Lines whose pictures are saved, but for the shard that they are in."""
    _closing: anyio.Lock = field(factory=anyio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._end = time.monotonic() + (inf if self.settings.batch_timeout is None else self.settings.batch_timeout)

    async def run(self) -> None:
        """Order, wait and save. When it is stopped, it waits for the answers to orders that are under way."""
        settings = self.settings
        async with OrderingClient(
            base_url=settings.base_url,
            max_rate=settings.max_rate,
            journal=settings.journal,
            allow_private=settings.allow_private,
        ) as cat:
            outcomes = cat.order_all(
                self._orders(cat),
                settings.timeout,
                key_of=lambda order: self._lines[id(order)].key,
                batch_timeout=settings.batch_timeout,
                resubmit_unknown=settings.resubmit_unknown,
                on_order=self._on_order,
                on_change=self.shown.update,
                wake=self.wake,
            )
            async with aclosing(outcomes):
                try:
                    await conclude_all(outcomes, partial(self._conclude, cat), self.shown)
                    await self._close_last()
                except BaseException:
                    with anyio.CancelScope(shield=True):
                        await self._stop(outcomes)
                        with anyio.move_on_after(GRACE_FOR_ORDERS):
                            await self._close_last()
                    raise
                finally:
                    if isinstance(settings.output, ShardStore):
                        settings.output.writer.discard()

    async def _orders(self, cat: OrderingClient) -> AsyncGenerator[OrderRequest]:
        async with aclosing(each(self.lines)) as lines:
            async for line in lines:
                if self._stopped:
                    return
                self._lines[id(line.order)] = line
                try:
                    cat.check(line.order)
                except ConfigurationError as error:  # Another worker has registered it, with another key or gateway.
                    line.fail(error)
                    self._end_line(line, Outcome("", error=error, order=line.order))
                else:
                    yield line.order

    def _on_order(self, order: OrderRequest, taken: Order) -> None:
        line = self._lines[id(order)]
        line.request_id = taken.request_id
        self.shown.ordered(line.key, taken.request_id)

    async def _conclude(self, cat: OrderingClient, outcome: Outcome) -> None:
        """Save the pictures, and tell how it went."""
        line = self._line(outcome)
        output = self.settings.output
        try:
            names = await self._save(cat, outcome, line)
            if isinstance(output, ShardStore):
                self._gathered.append((line, outcome, names))
                await self._close_shards(output.writer)
                return
            line.finish(names)
        except LongCatError as error:
            line.fail(error)
            # No further order would be taken. Those that were are waited for.
            self._stopped = self._stopped or (line.request_id is None and isinstance(error, ACCOUNT))
        self._end_line(line, outcome)

    async def _save(self, cat: OrderingClient, outcome: Outcome, line: OrderLine) -> list[str]:
        """Save the pictures of an outcome, and return what they are called. Raises LongCatError."""
        image, output = outcome.result(), self.settings.output
        if output is None:
            return []
        if isinstance(output, ShardStore):
            output = output.about(line.as_info())
        left = min(self.settings.timeout - outcome.elapsed, self._end - time.monotonic())
        places = await cat.save(
            image, output, name=line.name, overwrite=self.settings.overwrite, timeout=max(left, 0.0)
        )
        return [output.name(place) for place in places]

    async def _close_shards(self, writer: ShardWriter, *, all_of_them: bool = False) -> None:
        """Put the shards that are full in their places, or all, and end the lines whose pictures are there."""
        async with self._closing:
            while writer.is_full or all_of_them:
                left = max(self._end - time.monotonic(), GRACE_FOR_ORDERS)
                error = await put_shards(partial(writer.close_shards, all_of_them=all_of_them), str(writer.store), left)
                lost = writer.give_up() if error is not None else None
                self._end_gathered(writer, error, lost)
                if lost is None:
                    return

    def _end_gathered(self, writer: ShardWriter, error: LongCatError | None, lost: str | None) -> None:
        gathered, self._gathered = self._gathered, []
        for line, outcome, names in gathered:
            if all(map(writer.is_there, names)):
                line.finish(names)
            elif error is not None and lost is not None and any(name.startswith(lost) for name in names):
                line.fail(error)
            else:  # Another shard has it.
                self._gathered.append((line, outcome, names))
                continue
            self._end_line(line, outcome)

    async def settle(self) -> None:
        """Close the shard at hand if nothing more will come into it, unless a new line is taken."""
        if self._gathered and len(self._gathered) == len(self._lines):
            await self._close_last()

    async def _close_last(self) -> None:
        """Close the shards that are left, if there are any."""
        if isinstance(self.settings.output, ShardStore):
            await self._close_shards(self.settings.output.writer, all_of_them=True)

    def _end_line(self, line: OrderLine, outcome: Outcome) -> None:
        """Show and tell what came of a line, and let go of it."""
        self.shown.finish(outcome, line.key, is_done=line.state is LineState.DONE)
        line.is_over = True
        del self._lines[id(line.order)]
        self.on_end(line)

    def _line(self, outcome: Outcome) -> OrderLine:
        line = self._lines[id(outcome.order)]
        line.last_status = outcome.status
        line.request_id = line.request_id or outcome.request_id or None
        return line

    async def _stop(self, outcomes: Outcomes) -> None:
        """Let the orders that are under way be answered, for some seconds, so that none is left in doubt."""
        outcomes.stop_ordering()
        for seconds in (QUIET_SECONDS, GRACE_FOR_ORDERS - QUIET_SECONDS):
            with anyio.move_on_after(seconds):
                async for outcome in outcomes:
                    line = self._line(outcome)
                    if isinstance(outcome.error, LongCatError):
                        line.fail(outcome.error)
                        self._end_line(line, outcome)
                return
            if seconds == QUIET_SECONDS:
                print_error(
                    "longcat: Waiting for answers to orders that are under way. Ctrl-C again leaves them in doubt."
                )


async def put_shards(put: Callable[[float], None], store: str, seconds: float) -> LongCatError | None:
    """Put shards in their places, again while that may help. Return why it can't be done. None: it was.

    Args:
        put: does it once, in so many seconds.
        store: where they go, for the errors.
        seconds: how long to try.
    """
    end = time.monotonic() + min(seconds, LONGEST_PUT)
    attempt = 0
    while True:
        attempt += 1
        left = end - time.monotonic()
        try:
            await anyio.to_thread.run_sync(put, left, abandon_on_cancel=True)
        except (JournalError, OSError) as error:
            failure = _put_failure(error, store)
        else:
            return None
        pause = backoff(attempt)
        if not failure.transient or attempt == MAX_PUTS or pause >= left:
            return failure
        await anyio.sleep(pause)


def _put_failure(error: JournalError | OSError, store: str) -> LongCatError:
    """Return the error of a line whose shard was not put in its place."""
    if isinstance(error, JournalError):
        return error
    if isinstance(error, StoreError):
        failure = DownloadError(store, error.message, error.next_step, retryable=error.transient)
    else:
        advice = advice_on_writing(error, "Choose another --output.")
        failure = DownloadError(store, f"the shard can't be written ({error})", advice)
    failure.__cause__ = error
    return failure

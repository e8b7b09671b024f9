"""The lines of a batch that this machine takes: claimed as they can be ordered, and ended when they are over."""

import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
from attrs import define, field

from longcat.cli.displays.all_workers import AllWorkersDisplay
from longcat.cli.exit_codes import Exit
from longcat.cli.orders.files.lines import name_of
from longcat.cli.orders.order_line import LineState, OrderLine
from longcat.cli.results import print_error
from longcat.errors import JournalError
from longcat.saving.journal.postgres.batches.line_table import ClaimedLine, LineOutcome, LineTable
from longcat.saving.journal.postgres.batches.records import BatchRecord

FIRST_LOT: Final = 40
"""How many lines are claimed at first: twice what may be in flight."""
MIN_LOT, MAX_LOT = 4, 1000
LOT_DURATION: Final = (1.0, 4.0)
"""How long the lines of a lot should keep a worker busy: with shorter lots it asks the database too often, with longer
ones it holds lines that others could work on."""
REPORT_EVERY: Final = 0.5
"""Seconds between two reports of what came of lines."""
SHARE_OF_TIME: Final = 0.02
"""How much of the time may go into asking how far all workers are."""
LOOK_EVERY: Final = 2.0
"""Seconds between two looks for lines, when all are claimed by others, who may die."""
RETRY_PAUSE: Final = 1.0
"""Seconds between two tries to reach a database that was lost."""

T = TypeVar("T")


@define(eq=False)
class ClaimedLines:
    """The lines that this worker claims, and what came of them.

    Attributes:
        table: where the lines are.
        batch: the number of the batch.
        shown: shows how far all workers are.
        look_up: looks, in a thread, what is known of a line that was claimed. One with an error then is not ordered.
        on_end: called with each line when nothing more will come of it in this run.
        on_idle: called, now and then, while there is nothing to claim.
        codes: the exit codes that the lines ask for that were left open.
    """

    table: LineTable
    batch: int
    shown: AllWorkersDisplay
    look_up: Callable[[OrderLine], object]
    on_end: Callable[[OrderLine], object]
    on_idle: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint
    codes: set[Exit] = field(factory=set, init=False)
    progress: BatchRecord | None = field(default=None, init=False)
    _lot: int = field(default=FIRST_LOT, init=False)
    _numbers: dict[str, int] = field(factory=dict, init=False)
    """The number of each line that is claimed and not over, by its key."""
    _over: deque[LineOutcome] = field(factory=deque, init=False)
    """What came of lines, and is not reported yet."""
    _is_lost: bool = field(default=False, init=False)  # Whether the database could not be reached when last tried.
    _counts: Counter[LineState] = field(factory=Counter, init=False)

    async def lines(self) -> AsyncGenerator[OrderLine]:
        """Yield lines to be ordered, until every line of the batch is over.

        Those that others have claimed are waited for, as their workers may die. A worker that could not end some of
        its own lines waits for no others, as they might be waiting for these. Lines that nobody can claim are reported,
        and not waited for.
        """
        while True:
            began = time.monotonic()
            claimed = await self._patiently(partial(self.table.claim, self.batch, self._lot_size()))
            # Another worker may have taken one of our lines over, and be gone: then we claim it while we work on it.
            lines = [self._line(one) for one in claimed if one.key not in self._numbers]
            await self._patiently(partial(self._look_up, lines))
            for line in lines:
                if line.error is None:
                    yield line
                else:
                    self.end(line)
            if claimed:
                self._adapt_lot(time.monotonic() - began)
                continue
            progress = await self._look()
            others = progress.open - len(self._numbers)
            if others <= 0 or (self._counts[LineState.OPEN] and not self._numbers):
                return
            if await self._patiently(partial(self.table.is_stuck, self.batch)):
                print_error(
                    f"longcat: {others:,} lines are open, and none of them can be claimed: another program altered the"
                    " journal. Restore it from a backup, as orders in it may have been paid."
                )
                return
            await self.on_idle()
            await anyio.sleep(LOOK_EVERY)

    def end(self, line: OrderLine) -> None:
        """Take note that nothing more will come of a line in this run."""
        self.on_end(line)
        self._counts[line.state] += 1
        if line.state is LineState.OPEN:
            self.codes.add(line.code)
        error = str(line.error) if line.error is not None else None
        number = self._numbers.pop(line.key)
        self._over.append(LineOutcome(number, line.state.value, line.cost, line.request_id, line.files, error))

    async def keep_reporting(self) -> None:
        """Tell the journal what came of lines, and show how far all workers are, until it is cancelled."""
        next_look = 0.0
        while True:
            if self._over:
                await self._patiently(self.report)
            if time.monotonic() >= next_look:
                began = time.monotonic()
                await self._look()
                ended = time.monotonic()
                next_look = ended + max(REPORT_EVERY, (ended - began) / SHARE_OF_TIME)
            await anyio.sleep(REPORT_EVERY)

    def report(self) -> None:
        """Tell the journal what came of lines. Raises JournalError; what could not be reported is the next time."""
        while self._over:
            group = [*self._over][:MAX_LOT]
            self.table.end(self.batch, group)
            for _ in group:
                self._over.popleft()

    async def _look(self) -> BatchRecord:
        self.progress = await self._patiently(partial(self.table.progress, self.batch))
        self.shown.show(self.progress)
        return self.progress

    async def _patiently(self, function: Callable[[], T]) -> T:
        """Call a function in a thread, again while the database is lost, and say so once."""
        while True:
            try:
                result = await anyio.to_thread.run_sync(function)
            except JournalError as error:
                if not error.locked:
                    raise
                if not self._is_lost:
                    print_error(f"longcat: The batch waits until its journal can be used again. {error}")
                self._is_lost = True
                await anyio.sleep(RETRY_PAUSE)
                continue
            if self._is_lost:
                print_error("longcat: The journal is back; the batch goes on.")
            self._is_lost = False
            return result

    def _line(self, claimed: ClaimedLine) -> OrderLine:
        self._numbers[claimed.key] = claimed.number
        name = name_of(claimed.order, claimed.key)
        return OrderLine(claimed.order, claimed.key, name, cost_before=claimed.cost_before)

    def _look_up(self, lines: list[OrderLine]) -> None:
        for line in lines:
            self.look_up(line)

    def _lot_size(self) -> int:
        """Return how many lines to claim: near the end no more than half of a fair share, so that nobody is idle."""
        if self.progress is None:
            return self._lot
        fair = self.progress.open // (2 * max(len(self.progress.workers), 1))
        return max(min(self._lot, fair), MIN_LOT)

    def _adapt_lot(self, seconds: float) -> None:
        """Change the size of the next lot, after one that kept this worker busy for so many seconds."""
        least, most = LOT_DURATION
        if seconds < least:
            self._lot = min(2 * self._lot, MAX_LOT)
        elif seconds > most:
            self._lot = max(self._lot // 2, MIN_LOT)

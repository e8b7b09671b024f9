"""The lines of the batches that many machines work on together: registered once, claimed in lots, ended in groups.

Who orders what is still decided by the table of orders: a line is a piece of work, and no leave to pay. What a worker
claims is its own until it says what came of it, leaves, or is gone; then another worker takes it up, and the journal
tells it what was ordered already.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from longcat.models import OrderRequest
from longcat.saving.journal.postgres.workers import WorkerRecord


@frozen
class BatchSurvey:
    """How the lines of a batch stand before this worker begins: what would be sent, and what it may cost.

    Attributes:
        lines: how many there are.
        new: how many would be ordered: those that the journal knows no order for.
        pictures: how many pictures those ask for.
        cost: what those cost at most, in US dollars.
        in_doubt: how many may have been taken, and nobody knows. With `resubmit_unknown`, they are among the new.
        spent: what all orders of the journal to this gateway cost so far, at most, in US dollars.
        elsewhere: what the other batches that workers are at may still order, in US dollars.
        is_registered: whether the batch was registered before.
    """

    lines: int
    new: int
    pictures: int
    cost: Decimal
    in_doubt: int
    spent: Decimal
    elsewhere: Decimal
    is_registered: bool

    @property
    def known(self) -> int:
        """How many lines need not be ordered."""
        return self.lines - self.new

    @property
    def total(self) -> Decimal:
        """What all of it could cost, in US dollars: what `--max-cost` bounds."""
        return self.spent + self.elsewhere + self.cost


@frozen
class ClaimedLine:
    """A line that is ours to work on.

    Attributes:
        number: which line of the file it is; with the batch, it names the line.
        key: names the order in the journal.
        order: what is ordered.
    """

    number: int
    key: str
    order: OrderRequest


@frozen
class LineOutcome:
    """What came of a line that was claimed.

    Attributes:
        number: which line it is.
        state: `done`, `failed` or `unknown`; or `open`, when nothing more will come of it in this run: it stays this
            worker's, so that it is not claimed at once again, until the worker leaves.
        request_id: the request that came of it. None: none is known.
        files: what its pictures are called, as in the manifest.
        cost: what it costs at most, in US dollars.
        error: what went wrong. None: nothing did.
    """

    number: int
    state: str
    request_id: str | None = None
    files: Sequence[str] = ()
    cost: Decimal = Decimal(0)
    error: str | None = None


@frozen
class BatchProgress:
    """How far all workers together are with a batch.

    Attributes:
        lines: how many there are.
        done: how many of them are done; `failed` and `unknown` likewise.
        spent: what the lines that are over cost at most, in US dollars.
        workers: those who are alive, this one among them, the longest at it first.
    """

    lines: int
    done: int
    failed: int
    unknown: int
    spent: Decimal
    workers: Sequence[WorkerRecord] = ()

    @property
    def open(self) -> int:
        """How many lines are not over yet."""
        return self.lines - self.done - self.failed - self.unknown


@frozen(eq=False)
class LineTable:
    """The batches of one gateway in a journal on PostgreSQL: `Journal.lines(gateway)`.

    Threads may share it. Every method may block, and raises JournalError; one that says `locked` when the connection
    was lost, or another program holds the rows. What raised has changed nothing: call it again.
    """

    _database: Any
    _gateway: str
    _owner: str
    _position: dict[int, int] = field(factory=dict, init=False, repr=False)
    """For each batch, up to which number this worker has looked for free lines."""

    def register(  # noqa: PLR0913 - all but two are keywords.
        self,
        digest: str,
        orders: Callable[[], Iterable[tuple[int, OrderRequest]]],
        *,
        source: str,
        check: Callable[[BatchSurvey], object] = lambda _: None,
        resubmit_unknown: bool = False,
        dry_run: bool = False,
    ) -> int:
        """Register a batch unless it is, take part in it, and return its number, by which the other methods know it.

        All of it is one transaction: when something raises, nothing is registered. Of several workers that come at
        once, one registers, and the others wait for it. A million lines take some 30 seconds, and no memory.

        Args:
            digest: names the batch: the SHA-256, in hex, of all that makes two runs the same batch.
            orders: called once, and only if the batch is new: yields the checked orders, each with the number of its
                line in the file, in rising order. It may raise.
            source: what the file is called in errors.
            check: called once with how the lines stand. It may raise, for example when it would cost too much.
            resubmit_unknown: whether lines in doubt are opened again, and their orders may be sent once more.
            dry_run: whether to change nothing in the end. The number that is returned then means nothing.

        Raises:
            ConfigurationError: one id stands for two different orders, or there is no order.
        """
        raise NotImplementedError

    def claim(self, batch: int, count: int) -> list[ClaimedLine]:
        """Claim so many open lines at most, those of workers that are gone first, and return them in their order.

        An empty list says that there is nothing to claim now: what is open is with others, or was tried by this worker
        already. It may change when a worker leaves or is gone; `progress` tells.
        """
        raise NotImplementedError

    def end(self, batch: int, outcomes: Sequence[LineOutcome]) -> None:
        """Keep what came of lines, in one transaction; what another worker has taken over meanwhile is left alone."""
        raise NotImplementedError

    def leave(self, batch: int) -> bool:
        """Give back what is not over, and return whether this worker is the last one: nobody else is at the batch.

        Of several workers that leave at once, one at least is told that it is the last.
        """
        raise NotImplementedError

    def progress(self, batch: int) -> BatchProgress:
        """Return how far all workers together are. It costs about a millisecond, however many lines there are."""
        raise NotImplementedError

    def export(self, batch: int) -> Iterator[dict[str, Any]]:
        """Yield what is known of each line, in the order of the file, with the fields of `OrderLine.as_object`.

        It reads from a cursor of the server's, within a transaction, so memory stays flat. No other thread can use the
        journal meanwhile.
        """
        raise NotImplementedError

"""The rows of the orders in a journal change as those in the model of `tools/protocol.py`, whoever writes when."""

import time
from collections.abc import Iterable
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from journals import gone_long_ago
from postgres import Schema
from protocol import DEAD, OrderRow, begin, is_free, note_taken, note_unknown, standing, withdraw

from longcat import JournalError, OrderRequest
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.order_table import OrderTable
from longcat.waiting.order_store import OrderState

NUMBERS: Final = count()
KEYS: Final = ("a", "b")
PRICE: Final = Decimal("0.13")
OWNERS: Final = 3

keys = st.sampled_from(KEYS)
owners = st.integers(0, OWNERS - 1)


class OrderRows(RuleBasedStateMachine):
    """Several owners begin orders, end them in any order, are cut off and die, each with its own journal object."""

    clears_away: ClassVar[bool] = True
    """Whether what the dead were sending has no owner any more, as soon as another one opens the journal."""

    def __init__(self) -> None:
        super().__init__()
        self.gateway = f"https://{next(NUMBERS)}.example"
        self.rows: dict[str, OrderRow] = {}
        self.sending: set[tuple[int, str]] = set()
        """Who is sending what: an owner notes what came of its own orders only, once each."""
        self.cut: set[int] = set()
        """Which owners are dead for the others, and live on."""
        self.place: str | Path = self.find_place()
        self.journals = [self.open() for _ in range(OWNERS)]

    def find_place(self) -> str | Path:
        """Return where the journal of this run is."""
        self._folder = TemporaryDirectory()
        return Path(self._folder.name) / "a.journal"

    def remove_place(self) -> None:
        """Remove it, if it is this run's only."""
        self._folder.cleanup()

    def open(self) -> Journal:
        """Return another owner."""
        journal = Journal(self.place, time=time.time)
        journal.open(10.0)
        return journal

    def take_lock(self, owner: int) -> None:
        """Take from an owner what says that it lives."""
        path, token = Path(self.place), self.journals[owner]._database.token
        path.with_name(f"{path.name}-{token}.owner").unlink()

    def come_back(self, owner: int) -> None:
        """Let an owner that was cut off be connected again, if its journal knows of that."""

    def readers(self) -> Iterable[int]:
        """Return who can read without being connected again."""
        return range(OWNERS)

    def teardown(self) -> None:
        """Close everything."""
        for journal in self.journals:
            journal.close()
        self.remove_place()

    def orders(self, owner: int) -> OrderTable:
        """Return the table as this owner has it."""
        return self.journals[owner].orders(self.gateway)

    def is_alive(self, row: OrderRow | None, reader: int) -> bool:
        """Whether the owner of a row is alive for a reader. One that was cut off knows that it is."""
        owner = row and row.owner
        return owner is not None and owner != DEAD and (owner not in self.cut or owner == reader)

    @rule(owner=owners, key=keys, resubmit=st.booleans())
    def begin(self, owner: int, key: str, *, resubmit: bool) -> None:
        """Begin an order: it is ours if it is new, or if it is in doubt and we were told to."""
        self.come_back(owner)
        row = self.rows.get(key)
        expected = standing(row, is_owner_alive=self.is_alive(row, owner))
        if expected is OrderState.UNKNOWN and resubmit:
            expected = OrderState.INTENDED
        record = self.orders(owner).begin(key, OrderRequest(key, {}), PRICE, resubmit_unknown=resubmit)
        assert record.state is expected
        if expected is OrderState.INTENDED:
            self.rows[key] = begin(row, owner)
            self.sending.add((owner, key))

    @precondition(lambda self: self.sending)
    @rule(data=st.data(), end=st.sampled_from(["taken", "unknown", "withdraw"]))
    def end(self, data: st.DataObject, end: str) -> None:
        """Note what came of an order, unless another owner has sent it again meanwhile."""
        owner, key = data.draw(st.sampled_from(sorted(self.sending)))
        self.come_back(owner)
        self.sending.remove((owner, key))
        row, orders = self.rows.get(key), self.orders(owner)
        write, change = {
            "taken": (partial(orders.taken, key, f"{key}-{owner}"), note_taken),
            "unknown": (partial(orders.unknown, key, "no answer came"), note_unknown),
            "withdraw": (partial(orders.withdraw, key), withdraw),
        }[end]
        if row is None or not is_free(row, owner):
            with pytest.raises(JournalError, match="is not under way"):
                write()
            return
        write()
        after = change(row)
        if after is None:
            del self.rows[key]
        else:
            self.rows[key] = after

    @rule(owner=owners)
    def cut_off(self, owner: int) -> None:
        """Let an owner be dead for all others, while it goes on."""
        if owner not in self.cut:
            self.cut.add(owner)
            self.take_lock(owner)

    @rule(owner=owners)
    def die(self, owner: int) -> None:
        """End an owner: what it was sending is in doubt, and another one takes its place."""
        self.journals[owner].close()
        gone, left = ({owner, *self.cut}, None) if self.clears_away else ({owner}, DEAD)
        self.rows = {key: row._replace(owner=left) if row.owner in gone else row for key, row in self.rows.items()}
        self.sending = {each for each in self.sending if each[0] != owner}
        self.cut.discard(owner)
        self.journals[owner] = self.open()

    @invariant()
    def all_owners_read_the_same(self) -> None:
        """Compare how each order stands, and what all cost, with what the model says, for every owner."""
        for owner in self.readers():
            orders = self.orders(owner)
            for key in KEYS:
                row, record = self.rows.get(key), orders.known(key)
                assert (record is None) == (row is None)
                if record is not None and row is not None:
                    assert record.state is standing(row, is_owner_alive=self.is_alive(row, owner))
                    assert record.cost + record.cost_before == row.spent * PRICE
            assert orders.spent() == PRICE * sum(row.spent for row in self.rows.values())


TestOrderRowsInSQLite = OrderRows.TestCase
TestOrderRowsInSQLite.settings = settings(max_examples=15, stateful_step_count=20)


def test_order_rows_in_postgres(schema: Schema) -> None:
    """The rows in PostgreSQL change as those of the model, also while owners lose their sessions and come back."""

    class InPostgres(OrderRows):
        clears_away = False

        def find_place(self) -> str:
            return schema.url

        def remove_place(self) -> None:
            pass

        def take_lock(self, owner: int) -> None:
            token = self.journals[owner]._database.token
            locks = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s AND granted"
            found = schema.server.execute(locks, int(token[:8], 16), int(token[8:], 16))
            assert found
            for (pid,) in found:
                assert schema.server.execute("SELECT pg_terminate_backend(%s, 10000)", pid) == [(True,)]
            gone_long_ago(schema.url)

        def come_back(self, owner: int) -> None:
            while owner in self.cut:
                try:
                    self.orders(owner).spent()
                    self.cut.discard(owner)
                except JournalError as error:
                    assert error.locked  # noqa: PT017 - it is tried again.

        def readers(self) -> Iterable[int]:
            return {*range(OWNERS)} - self.cut

    run_state_machine_as_test(InPostgres, settings=settings(max_examples=4, stateful_step_count=15))


def test_what_may_have_been_taken_stays_in_doubt_when_two_others_withdraw_it(tmp_path: Path) -> None:
    """An order that three owners sent, of whom two were refused, is neither new nor forgotten."""
    place, order = tmp_path / "a.journal", OrderRequest("a cat", {})
    with ExitStack() as stack:
        journals = [stack.enter_context(Journal(place, time=time.time)) for _ in range(3)]
        cut_off, unanswered, refused = (journal.orders("https://gateway.example") for journal in journals)
        cut_off.begin("a", order, PRICE)
        place.with_name(f"{place.name}-{journals[0]._database.token}.owner").unlink()
        unanswered.begin("a", order, PRICE, resubmit_unknown=True)
        unanswered.unknown("a", "no answer came")
        refused.begin("a", order, PRICE, resubmit_unknown=True)
        refused.withdraw("a")
        cut_off.withdraw("a")
        assert refused.begin("a", order, PRICE).state is OrderState.UNKNOWN
        assert refused.spent() >= PRICE

"""The rows of the orders in a journal change as those in the model of `tools/protocol.py`, whoever writes when."""

import time
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from protocol import DEAD, OrderRow, begin, is_free, note_taken, note_unknown, standing, withdraw

from longcat import JournalError, OrderRequest
from longcat.saving.journal.journal import Journal
from longcat.saving.journal.orders import OrderTable
from longcat.waiting.submit import OrderState

GATEWAY: Final = "https://gateway.example"
KEYS: Final = ("a", "b")
PRICE: Final = Decimal("0.13")
OWNERS: Final = 3

keys = st.sampled_from(KEYS)
owners = st.integers(0, OWNERS - 1)


class OrderRows(RuleBasedStateMachine):
    """Several owners begin orders, end them in any order, and die, each with a journal object of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, OrderRow] = {}
        self.sending: set[tuple[int, str]] = set()
        """Who is sending what: an owner notes what came of its own orders only, once each."""
        self.cut: set[int] = set()
        """Which owners are dead for the others, and live on."""
        self._place: Any = self.place()
        self._journals = [self.open() for _ in range(OWNERS)]

    def place(self) -> str | Path:
        """Return where the journal of this run is."""
        self._folder = TemporaryDirectory()
        return Path(self._folder.name) / "a.journal"

    def open(self) -> Journal:
        """Return another owner."""
        return Journal(self._place, time=time.time)

    def take_lock(self, owner: int) -> None:
        """Take from an owner what says that it lives."""
        database = self._journals[owner]._database
        assert isinstance(self._place, Path)
        self._place.with_name(f"{self._place.name}-{database.token}.owner").unlink()

    def teardown(self) -> None:
        """Close everything."""
        for journal in self._journals:
            journal.close()
        self._folder.cleanup()

    def orders(self, owner: int) -> OrderTable:
        """Return the table as this owner has it."""
        return self._journals[owner].orders(GATEWAY)

    def is_alive(self, row: OrderRow | None, reader: int) -> bool:
        """Whether the owner of a row is alive for a reader. One that was cut off knows that it is."""
        owner = row and row.owner
        return owner is not None and owner != DEAD and (owner not in self.cut or owner == reader)

    @rule(owner=owners, key=keys, resubmit=st.booleans())
    def begin(self, owner: int, key: str, *, resubmit: bool) -> None:
        """Begin an order: it is ours if it is new, or if it is in doubt and we were told to."""
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
        self._journals[owner].close()
        gone = {owner, *self.cut}  # Who opens a journal clears away what the dead have left.
        self.rows = {key: row._replace(owner=DEAD) if row.owner in gone else row for key, row in self.rows.items()}
        self.rows = {key: row._replace(owner=None) if row.owner == DEAD else row for key, row in self.rows.items()}
        self.sending = {each for each in self.sending if each[0] != owner}
        self.cut.discard(owner)
        self._journals[owner] = self.open()

    @invariant()
    def all_owners_read_the_same(self) -> None:
        """Compare how each order stands, and what all cost, with what the model says, for every owner."""
        for owner in range(OWNERS):
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

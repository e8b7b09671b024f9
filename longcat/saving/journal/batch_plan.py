"""The plan of a batch: what it would send, and what that may cost. It is the same for both kinds of journals."""

from decimal import Decimal

from attrs import field, frozen

from longcat.saving.journal.states import OrdersUnderWay


@frozen
class BatchPlan:
    """The lines of a batch before this program begins: what it would send. Money is in US dollars.

    Attributes:
        lines: how many there are.
        new: how many of them would be sent: those that the journal knows no order for, and those in doubt if these are
            to be sent again.
        pictures: how many pictures the new ones ask for.
        cost: what the new ones cost at most.
        in_doubt: how many may have been taken, and nobody knows.
        spent: what all orders of the journal to this gateway cost so far, at most.
        elsewhere: what other batches of the gateway may still order, at which workers are with the same journal.
        cap: the lowest `--max-cost` of those workers, and of the others at this batch. None: none of them has one.
        under_way: which orders of the gateway are not in doubt yet.
    """

    lines: int
    new: int
    pictures: int
    cost: Decimal
    in_doubt: int
    spent: Decimal
    elsewhere: Decimal = Decimal(0)
    cap: Decimal | None = None
    under_way: OrdersUnderWay = field(factory=OrdersUnderWay)

    @property
    def known(self) -> int:
        """The number of lines that need not be sent."""
        return self.lines - self.new

    @property
    def total(self) -> Decimal:
        """The cost that all orders may have had in the end."""
        return self.spent + self.elsewhere + self.cost

"""The client of the commands that order: what it orders has a key already, and a journal may be open already."""

from collections.abc import AsyncIterable, Callable
from os import PathLike
from typing import Any, Unpack

from longcat.client.async_client import AsyncLongCat
from longcat.client.options import BatchOptions, OnOrder
from longcat.models import OrderRequest
from longcat.saving.journal.journal import Journal
from longcat.sending.tasks.pool import Outcomes, each


class OrderingClient(AsyncLongCat):
    """A client whose orders are named by their lines.

    Args:
        journal: as of `AsyncLongCat`; or one that is open already, and outlives the client.
        settings: the others of `AsyncLongCat`.
    """

    def __init__(self, *, journal: str | PathLike[str] | Journal | None, **settings: Any) -> None:
        super().__init__(journal=None if isinstance(journal, Journal) else journal, **settings)
        self._is_lent = isinstance(journal, Journal)
        if isinstance(journal, Journal):
            self._journal = journal

    async def close(self) -> None:
        """Close the connections, and the journal unless it was open already."""
        if self._is_lent:
            self._journal = None
        await super().close()

    def check(self, order: OrderRequest) -> None:
        """Raise ConfigurationError for an order that can't be sent with this key, to this gateway."""
        self._flows.order(order)

    def order_all(
        self,
        orders: AsyncIterable[OrderRequest],
        timeout: float,
        *,
        key_of: Callable[[OrderRequest], str],
        resubmit_unknown: bool,
        on_order: OnOrder,
        **options: Unpack[BatchOptions],
    ) -> Outcomes:
        """Order as `generate_all` does. `key_of` returns the name of an order in the journal."""
        batch = self._flows.order_batch(timeout, resubmit_unknown, on_order, key_of=key_of, **options)
        return Outcomes(batch, each(orders), self._clock, self._perform, self._flows.settle)

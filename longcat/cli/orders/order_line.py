"""One order of a command, from its line in the file to its line in the manifest."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from attrs import define, field

from longcat.cli.exit_codes import Exit
from longcat.cli.results import exit_code
from longcat.errors import ConfigurationError, GenerationFailed, JournalError, LongCatError, SubmitUnknown
from longcat.gateway.order_fields import cost
from longcat.models import OrderRequest, Status
from longcat.text import shorten
from longcat.text.known_keys import KNOWN_KEYS
from longcat.waiting.outcome import ACCOUNT, is_refusal

FREE: Final = "error"
"""The status word of failures that are not charged, as the documentation says."""


class LineState(StrEnum):
    """The words of the manifest for what came of an order."""

    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """In doubt: nobody knows whether the gateway took it."""
    OPEN = "open"
    """To be taken up again: it was not ordered yet, is not done yet, or its pictures are not saved yet."""


@define(eq=False)
class OrderLine:
    """One order, and what is known of it so far.

    Attributes:
        order: what is ordered.
        key: names the order in the journal.
        name: what its pictures are called. None: as the request.
        request_id: the request that came of it. None: none is known.
        last_status: the last answer about it. None: there was none.
        state: what came of it.
        files: what its pictures are called within the output.
        error: what went wrong last. None: nothing did.
        is_free: whether the service says that the request is not charged.
        cost_before: what it may have cost besides, in US dollars, when it was sent before and its fate was unknown.
        is_known: whether the journal knew it before.
        is_over: whether this run has told what came of it.
    """

    order: OrderRequest
    key: str
    name: str | None = None
    request_id: str | None = None
    last_status: Status | None = None
    state: LineState = LineState.OPEN
    files: list[str] = field(factory=list)
    error: LongCatError | None = None
    is_free: bool = False
    cost_before: Decimal = Decimal(0)
    is_known: bool = False
    is_over: bool = False

    def finish(self, files: Sequence[str]) -> None:
        """Keep its pictures: it is done."""
        self.files, self.error, self.state, self.is_free = [*files], None, LineState.DONE, False

    def fail(self, error: LongCatError) -> None:
        """Keep an error, and the state that it means. An order in doubt that is refused when sent again stays so."""
        self.error = error
        was_in_doubt = self.request_id is None and self.cost_before > 0
        self.state = LineState.UNKNOWN if was_in_doubt else _state(error)
        self.is_free = isinstance(error, GenerationFailed) and error.status.raw_state.casefold() == FREE

    def send_again(self) -> None:
        """Take note that it is about to be sent again, although it may have been taken, and paid for."""
        self.cost_before = self.cost

    def __str__(self) -> str:
        name = shorten(KNOWN_KEYS.hide(self.order.id or self.order.prompt), 60)
        return f"order {name!r}" + (f", request {shorten(self.request_id)}" if self.request_id is not None else "")

    @property
    def cost(self) -> Decimal:
        """Its highest possible cost, in US dollars."""
        may_be_paid = self.request_id is not None or isinstance(self.error, SubmitUnknown)
        return self.cost_before + (cost(self.order) if may_be_paid and not self.is_free else Decimal(0))

    @property
    def code(self) -> Exit:
        """The exit code that it asks for."""
        if self.state is LineState.DONE:
            return Exit.DONE
        if self.state is LineState.FAILED:
            return Exit.NO
        if self.state is LineState.UNKNOWN and not isinstance(self.error, ACCOUNT):
            return Exit.UNCLEAR
        return exit_code(self.error) if self.error is not None else Exit.UNCLEAR

    def as_info(self) -> dict[str, Any]:
        """Return what it orders as an object, for a dataset of pictures."""
        return {
            "id": self.order.id,
            "prompt": self.order.prompt,
            "request_id": self.request_id,
            "options": dict(self.order.options),
            "cost": float(self.cost),
        }

    def as_object(self) -> dict[str, Any]:
        """Return it as an object of the manifest. Every field is always there; `files` are named within the output."""
        return {
            "id": self.order.id,
            "prompt": self.order.prompt,
            "request_id": self.request_id,
            "state": self.state.value,
            "files": self.files,
            "cost": float(self.cost),
            "error": str(self.error) if self.error is not None else None,
        }


def _state(error: LongCatError) -> LineState:
    match error:
        case SubmitUnknown():
            return LineState.UNKNOWN
        case JournalError():
            return LineState.OPEN
        case GenerationFailed() | ConfigurationError():
            return LineState.FAILED
    return LineState.FAILED if is_refusal(error) else LineState.OPEN

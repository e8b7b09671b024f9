"""Order a request and wait until it is done. No I/O: a flow, made of `submit` and `wait`."""

from collections.abc import Callable

from attrs import define, evolve, field

from longcat.errors import LongCatError, SubmitUnknown
from longcat.models import Image, Order, OrderRequest, Status
from longcat.waiting.commands import Flow
from longcat.waiting.outcome import Outcome
from longcat.waiting.submit import Submit, taken_note
from longcat.waiting.wait import Wait


@define
class Generate:
    """One order, and the wait for the request that comes of it.

    Attributes:
        submit: the sending of the order.
        begin_wait: makes the wait for the request of an order, given so many seconds for it, which may be infinite. The
            last argument tells whether the order was sent just now.
        on_order: called with the order and what came of it, as soon as it is known to be taken. None: nobody is told.
        wait: the wait. None: the order was not taken yet.
    """

    submit: Submit
    begin_wait: Callable[[Order, float, bool], Wait]
    on_order: Callable[[OrderRequest, Order], object] | None = None
    wait: Wait | None = field(default=None, init=False)

    @property
    def order(self) -> OrderRequest:
        """The order."""
        return self.submit.order

    def image(self, on_change: Callable[[Status], object] | None = None) -> Flow[Image]:
        """Order, wait, call `on_change` with every change, and return the image or raise why there is none.

        An exception that comes after the order was taken has a note with the id of the request.
        """
        wait = yield from self._begin()
        try:
            return (yield from wait.image(on_change))
        except BaseException as error:
            error.add_note(taken_note(wait.request_id))
            raise

    def outcome(self, on_change: Callable[[Status], object] | None = None) -> Flow[Outcome]:
        """Order, wait, call `on_change` with every change, and return the image or the error."""
        try:
            wait = yield from self._begin()
        except LongCatError as error:
            request_id = error.request_id if isinstance(error, SubmitUnknown) else None
            return Outcome(request_id or "", None, error, None, self.submit.elapsed, self.order)
        outcome = yield from wait.outcome(on_change)
        return evolve(outcome, order=self.order, elapsed=self.submit.elapsed)

    def _begin(self) -> Flow[Wait]:
        order = yield from self.submit.result()
        if self.on_order is not None:
            self.on_order(self.order, order)
        self.wait = self.begin_wait(order, max(self.submit.left, 0.0), self.submit.was_sent)
        return self.wait

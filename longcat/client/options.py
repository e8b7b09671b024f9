"""The options of waits, orders and batches that both clients take, and their defaults."""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, TypedDict

from longcat.models import Order, OrderRequest, Status
from longcat.waiting.wake import Wake

Unknown: TypeAlias = Literal["wait", "raise"]
OnChange: TypeAlias = Callable[[Status], object]
OnOrder: TypeAlias = Callable[[OrderRequest, Order], object]

# Questions in flight at a time: 400 a second if each is answered in 50 ms. Where answers come at once, 5 would do for a
# caller's client, whose pool goes through all its connections for each call; our own do more with 20 than with 5.
MAX_IN_FLIGHT: Final = 20
DEFAULT_TIMEOUT: Final = 300.0  # Seconds that a wait or a download may take when nothing else is said.
MAX_PICTURE_BYTES: Final = 100 * 1024 * 1024  # Of a picture that is downloaded.


class BatchOptions(TypedDict, total=False):
    """The options of a whole batch.

    Attributes:
        batch_timeout: seconds for all of it. What is open by then ends in `WaitTimeout`; what was not taken from the
            iterable by then is left there. None, or not given: no bound.
        unknown: as in `LongCat.wait`.
        on_change: called with the first answer about each request, and with every one that differs from the one before.
            What it raises ends the batch, as does what the iterable raises. None, or not given: changes are not told.
        wake: as in `LongCat.wait`.
    """

    batch_timeout: float | None
    unknown: Unknown
    on_change: OnChange | None
    wake: Wake | None

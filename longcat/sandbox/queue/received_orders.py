"""Orders as the queue gateway reads and counts them: what a body must hold, what it costs, and what became of each."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from starlette.requests import Request

from longcat.sandbox.bodies import has_json_type, parse_object
from longcat.sandbox.calls import MODEL
from longcat.sandbox.faults import Fault, FaultTarget, strikes
from longcat.sandbox.picture import Look
from longcat.sandbox.state import MAX_REQUESTS, RequestOutcome

# The page: 0.13 USD per generation, and elsewhere per image. Here: per image, which is the worst for a budget.
PRICE: Final = Decimal("0.13")
# No page has the sizes in pixels: these have the shapes that the words say.
SIZES: Final = {
    "landscape_4_3": (1024, 768),
    "portrait_3_4": (768, 1024),
    "square_1_1": (1024, 1024),
    "ultra_wide_16_9": (1024, 576),
    "ultra_portrait_9_16": (576, 1024),
}
FORMATS: Final = ("png", "jpeg", "webp")
# No page has a range, so no number is refused: one picture is made at least, and at most so many.
MAX_ORDERED_PICTURES: Final = 100
MAX_KEPT_BYTES: Final = 256 * 1024 * 1024
"""Bytes of headers and bodies. A usual order has less than one KiB."""
# A prompt such as "a cat [failed]" says how its request ends.
_TOLD_OUTCOME: Final = re.compile(rf"\[({'|'.join(RequestOutcome)})\]$")
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "prompt": (str,),
    "image_size": (str,),
    "num_inference_steps": (int,),
    "guidance_scale": (int, float),
    "num_images": (int,),
    "enable_safety_checker": (bool,),
    "output_format": (str,),
    "acceleration": (str,),
}
_ENUMS: Final[dict[str, tuple[str, ...]]] = {
    "image_size": tuple(SIZES),
    "output_format": FORMATS,
    "acceleration": ("regular", "high_performance"),
}


@dataclass(frozen=True)
class WantedPictures:
    """The pictures that an order asks for.

    Attributes:
        outcome: how the prompt says that the request ends. None: as the settings say.
    """

    count: int
    look: Look
    outcome: str | None

    @property
    def cost(self) -> Decimal:
        """The price, in US dollars."""
        return PRICE * self.count


class OrderRefusedError(Exception):
    """The gateway does not take an order; its message is the error's sentence.

    Attributes:
        code: of the answer.
        error: the error in a few words.
    """

    def __init__(self, code: int, error: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.error = error


def invalid(message: str) -> OrderRefusedError:
    """Return the refusal of an order that is not as it should be."""
    # No page has the body of a failed validation.
    return OrderRefusedError(400, "Invalid request", message)


def read_order(request: Request, body: bytes) -> WantedPictures:
    """Return what a valid order asks for; raise OrderRefusedError, naming the field, for another one.

    Fields that the page does not list are let pass, as the page does not say that they are refused.
    """
    if not has_json_type(request):
        raise invalid("The Content-Type must be application/json.")
    try:
        fields = parse_object(body)
    except ValueError as mistake:
        raise invalid(str(mistake)) from None
    for name in ("prompt", "image_size"):
        if name not in fields:
            raise invalid(f"The field {name} is required.")
    for name, types in _TYPES.items():
        if name in fields and not _has_type(fields[name], types):
            raise invalid(f"The field {name} has the wrong type.")
    for name, words in _ENUMS.items():
        if name in fields and fields[name] not in words:
            raise invalid(f"The field {name} must be one of: {', '.join(words)}.")
    if not fields["prompt"]:
        raise invalid("The field prompt must not be empty.")
    count = max(1, min(int(fields.get("num_images", 1)), MAX_ORDERED_PICTURES))
    # The page's example orders png; it does not say that this is the default.
    look = Look(*SIZES[fields["image_size"]], fields.get("output_format", "png").upper())
    told = _TOLD_OUTCOME.search(fields["prompt"])
    return WantedPictures(count, look, told[1] if told else None)


def _has_type(value: Any, types: tuple[type, ...]) -> bool:
    """Whether a value has one of these types. 28.0 is an integer in JSON; true is none."""
    return type(value) in types or (int in types and type(value) is float and value.is_integer())


@dataclass(slots=True)
class ReceivedOrder:
    """One POST to the order call.

    Attributes:
        headers: names in lower case, without the key.
        request_id: None: the gateway did not take the order.
        fault: the fault that struck it, as it is written. None: none did.
    """

    headers: dict[str, str]
    body: bytes = b""
    request_id: str | None = None
    fault: str | None = None

    def describe(self) -> dict[str, Any]:
        """Return it as the control call shows it; a body that is no JSON is shown as text."""
        try:
            body = json.loads(self.body)
        except (ValueError, RecursionError):
            body = self.body.decode(errors="replace")
        return {"request_id": self.request_id, "fault": self.fault, "headers": self.headers, "body": body}


class ReceivedOrders:
    """Every POST to the order call, the money that the orders cost, and the faults that strike them.

    Attributes:
        received: the POSTs, the newest last; only the first are kept: MAX_REQUESTS of them, and MAX_KEPT_BYTES bytes.
        posts: how many POSTs there were.
        taken: how many of them were taken as orders, so that a request began.
        spent: what the orders taken cost, less those that end in an error of the system.
    """

    def __init__(self, faults: Iterable[Fault], fault_every: int) -> None:
        self.received: list[ReceivedOrder] = []
        self._kept = 0  # Bytes.
        self.posts = 0
        self.taken = 0
        self.spent = Decimal(0)
        self._fault_every = fault_every
        self.set_faults(faults)

    def receive(self, request: Request) -> ReceivedOrder:
        """Count one more POST and return its record."""
        self.posts += 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        headers.pop("ocp-apim-subscription-key", None)
        order = ReceivedOrder(headers)
        if len(self.received) < MAX_REQUESTS and self._has_room(sum(map(len, (*headers, *headers.values())))):
            self.received.append(order)
        return order

    def keep_body(self, order: ReceivedOrder, body: bytes) -> None:
        """Keep the body of an order in its record, if there is room."""
        if self._has_room(len(body)):
            order.body = body

    def _has_room(self, size: int) -> bool:
        """Count so many bytes more if they can be kept."""
        if self._kept + size > MAX_KEPT_BYTES:
            return False
        self._kept += size
        return True

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """Let these faults strike from now on, and no others."""
        self._faults = [fault for fault in faults if fault.target is FaultTarget.ORDER]
        self._right = 0  # Orders that were right, so that a fault could strike.

    def peek_fault(self) -> Fault | None:
        """Return the fault that strikes the next order that is right; None if none does."""
        nth, rest = divmod(self._right, self._fault_every)
        return strikes(self._faults, nth) if rest == self._fault_every - 1 else None

    def next_fault(self) -> Fault | None:
        """Count one more order that is right, and return the fault that strikes it."""
        fault = self.peek_fault()
        self._right += 1
        return fault

    def take(self, order: ReceivedOrder, request_id: str, cost: Decimal) -> None:
        """Count an order that has become a request."""
        order.request_id = request_id
        self.taken += 1
        self.spent += cost

    def next_id(self, wall: float) -> str:
        """Return the id of the request that the next order becomes, at a moment in seconds since 1970.

        The first 48 bits after the model's id are the milliseconds of that moment, and the last group has 13 hex
        digits, as in the ids that sister models have published.
        """
        born = f"{int(wall * 1000):012x}"
        rest = hashlib.blake2b(f"{self.taken}".encode(), digest_size=10).hexdigest()
        return f"{MODEL}_{born[:8]}-{born[8:]}-7{rest[:3]}-{rest[3:7]}-{rest[7:20]}"

    def count(self) -> dict[str, Any]:
        """Return the figures."""
        return {"posts": self.posts, "taken": self.taken, "spent": f"{self.spent:.2f}"}

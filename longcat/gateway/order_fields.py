"""The fields of an order, by the contract, and their check before anything is paid."""

import json
import logging
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypedDict

from longcat_api.models.submit_request_acceleration import SubmitRequestAcceleration
from longcat_api.models.submit_request_image_size import SubmitRequestImageSize
from longcat_api.models.submit_request_output_format import SubmitRequestOutputFormat
from longcat_api.models.submit_request_x_webhook_mode import SubmitRequestXWebhookMode

from longcat.errors import ConfigurationError
from longcat.gateway.contract import SUBMIT, contract
from longcat.models import OrderRequest
from longcat.settings import is_http_url, refuse_key
from longcat.text import shorten, show

if TYPE_CHECKING:
    from decimal import Decimal

logger: Final = logging.getLogger("longcat")

ImageSize: TypeAlias = SubmitRequestImageSize
WebhookMode: TypeAlias = SubmitRequestXWebhookMode
DEFAULT_SIZE: Final[ImageSize] = "landscape_4_3"
"""The documentation wants a size and names no default. This is the one of its example."""
OWN_FIELDS: Final = ("id", "webhook_url", "webhook_mode")
"""What an order may have beside the documented fields."""


class OrderFields(TypedDict, total=False):
    """All that an order may have beside its prompt. Of the documented fields, what is not given is not sent.

    Attributes:
        image_size: the shape of the pictures. Not given: `landscape_4_3`, as in the documentation's example.
        num_inference_steps: how many steps the model takes. No range is documented; sister models have 1 to 100.
        guidance_scale: how closely it keeps to the prompt. No range is documented; a sister model has 1 to 20.
        num_images: how many pictures. No range is documented; sister models have 1 to 4.
        enable_safety_checker: whether the pictures are checked.
        output_format: the kind of file.
        acceleration: how much the work is hastened.
        webhook_url: where the gateway posts the status; https. Not given: nowhere.
        webhook_mode: `terminal`, once when the request is done, or `sync`, with each news. Not given: as the gateway
            chooses.
        id: the caller's own name for the order, see `OrderRequest`. Not given: it has none.
    """

    image_size: ImageSize
    num_inference_steps: int
    guidance_scale: float
    num_images: int
    enable_safety_checker: bool
    output_format: SubmitRequestOutputFormat
    acceleration: SubmitRequestAcceleration
    webhook_url: str
    webhook_mode: WebhookMode
    id: str


Orderable: TypeAlias = str | Mapping[str, Any] | OrderRequest
"""An order as callers give it: a prompt; the fields, with `prompt` among them; or what is ready to be sent."""


def usable_order(order: Any, *, plain_http: bool = False, api_key: str = "") -> OrderRequest:
    """Return what is to be ordered, or raise ConfigurationError when the gateway could not take it.

    A value outside of the range that a sister model has is logged as a warning, as no range is documented; a count
    below it is refused.

    Args:
        order: a prompt; a mapping with `prompt` and any of `OrderFields`; or an OrderRequest, which is returned itself
            if nothing is missing, and was warned about when it was made.
        plain_http: whether a webhook may be http://, as for a gateway on this machine.
        api_key: the key, which may not be in the order. Empty: there is none.
    """
    refuse_key(api_key, "The order", order)
    ready = order if isinstance(order, OrderRequest) else None
    if ready is not None:
        own = {"id": ready.id, "webhook_url": ready.webhook_url, "webhook_mode": ready.webhook_mode}
        order = {**ready.options, "prompt": ready.prompt, **own}
    if isinstance(order, str):
        order = {"prompt": order}
    if not isinstance(order, Mapping) or not all(isinstance(name, str) for name in order):
        raise ConfigurationError(f"An order is a prompt, or a mapping of its fields, not {type(order).__name__}.")
    given = {name: value for name, value in order.items() if value is not None}
    own = {name: given.pop(name, None) for name in OWN_FIELDS}
    body = {"image_size": DEFAULT_SIZE, **given}
    _check_fields(body)
    _check_own(own, plain_http=plain_http)
    prompt = body.pop("prompt")
    usable = OrderRequest(prompt, body, **own)
    if ready == usable:
        return ready
    _warn(usable)
    return usable


def cost(order: OrderRequest) -> "Decimal":
    """Return what an order costs at most, in US dollars: the contract's price for each picture."""
    from decimal import Decimal  # noqa: PLC0415 - it is slow to import, and only orders have a price.

    return Decimal(str(contract(SUBMIT).extensions["x-price-usd"])) * order.pictures


def _check_fields(body: Mapping[str, Any]) -> None:
    """Raise ConfigurationError for what the contract does not allow."""
    fields = contract(SUBMIT).body["properties"]
    for name in body:
        if name not in fields:
            known = ", ".join([*fields, *OWN_FIELDS])
            raise ConfigurationError(f"An order has no field {show(name)}: there are {known}. Nothing was sent.")
    if isinstance(body.get("prompt"), str) and not body["prompt"].strip():
        raise ConfigurationError("The prompt is empty. Say what the picture should show; nothing was sent.")
    for wrong in contract(SUBMIT).body_checker(body, str):
        raise ConfigurationError(f"The order can't be sent: {wrong}. Mend it; nothing was sent.")
    for name, value in body.items():
        least, _ = _usual_range(fields[name])
        if fields[name]["type"] == "integer" and value < least:  # Nothing is made of no picture, or in no step.
            raise ConfigurationError(
                f"The order can't be sent: /{name} should be at least {least}, but is {shorten(value)}. Mend it;"
                " nothing was sent."
            )
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        reason = "a text in it is not Unicode" if isinstance(error, UnicodeError) else "a number in it is not finite"
        raise ConfigurationError(f"The order can't be sent as JSON: {reason}. Mend it; nothing was sent.") from None


def _warn(order: OrderRequest) -> None:
    """Log a warning for each value that no sister model of the queue takes."""
    fields = contract(SUBMIT).body["properties"]
    for name, value in order.options.items():
        least, most = _usual_range(fields[name])
        if not isinstance(value, str) and not least <= value <= most:
            logger.warning(
                "%s is %s: the documentation gives no range, and a sister model has %s to %s. It is sent as it is.",
                *(name, shorten(value), least, most),
            )


def _usual_range(field: Mapping[str, Any]) -> tuple[float, float]:
    """Return the least and the most that sister models take for a field, as its schema in the contract says."""
    least, most = field.get("x-usual-range", (-math.inf, math.inf))
    return least, most


def _check_own(own: Mapping[str, Any], *, plain_http: bool) -> None:
    if own["id"] is not None and (not isinstance(own["id"], str) or not own["id"].isprintable() or not own["id"]):
        raise ConfigurationError(f"The id of an order is a printable text, not {show(own['id'])}. Nothing was sent.")
    url, mode = own["webhook_url"], own["webhook_mode"]
    schemes = {"https", "http"} if plain_http else {"https"}
    if url is not None and not (_fits_header(url) and is_http_url(url, schemes)):
        raise ConfigurationError(f"The webhook_url {show(url)} can't be used: it must be https:// and a host.")
    modes = contract(SUBMIT).parameters["X-Webhook-Mode"]["enum"]
    if mode is not None and mode not in modes:
        raise ConfigurationError(f"The webhook_mode is {' or '.join(modes)}, not {show(mode)}. Pass one of them.")
    if mode is not None and url is None:
        raise ConfigurationError("A webhook_mode needs a webhook_url to post to. Pass one, or leave the mode out.")


def _fits_header(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[\x21-\x7e]+", text) is not None

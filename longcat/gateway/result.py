"""The result gateway: one call, a POST that answers with the status and, once there is one, with the image."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from attrs import frozen
from longcat_api import models

from longcat.gateway.contract import OperationId, Variant
from longcat.gateway.messages import Call
from longcat.gateway.status import StatusGateway, or_none
from longcat.models import Image, Violation
from longcat.text import show
from longcat.text.hiding import Hide

MAX_DURATION: Final = 86_400e9
"""Seconds: 1,000,000,000 days, which a timedelta can't hold."""


@frozen
class ResultGateway(StatusGateway):
    """The older gateway, which takes no orders."""

    operation_id: ClassVar[OperationId] = "get_request_result"
    address_pointer: ClassVar[str] = "/result_url"

    def ask(self, request_id: str, timeout: float) -> Call:
        """Return the call that asks how a request stands."""
        from longcat_api.api.requests.get_request_result import _get_kwargs  # noqa: PLC0415 - it brings all models.

        return self._call(_get_kwargs(body=models.StatusRequest(request_id)), self.contract, timeout)

    def _violations(
        self, request_id: str, body: Mapping[str, Any], variant: Variant | None, hide: Hide
    ) -> Sequence[Violation]:
        wrong = super()._violations(request_id, body, variant, hide)
        if not wrong and variant is not None and variant.model is models.CompletedStatus:
            seconds = body.get("duration_seconds", 0)
            if not seconds < MAX_DURATION:
                return [
                    Violation("/duration_seconds", "a number of seconds that a calendar can hold", show(seconds, hide))
                ]
        return wrong

    def _addresses(self, body: Mapping[str, Any]) -> Sequence[str]:
        url = body.get("result_url")
        return (url,) if isinstance(url, str) else ()

    def _image(self, request_id: str, raw: Any) -> Image | None:
        if not isinstance(raw, models.CompletedStatus):
            return None
        seconds = or_none(raw.duration_seconds)
        duration = timedelta(seconds=seconds) if seconds is not None else None
        url, created_at, version = raw.result_url, or_none(raw.created_at), or_none(raw.model_version)
        return Image(request_id, url, (url,), created_at, duration, version)

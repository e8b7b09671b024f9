# Generated from openapi.yaml by `make generate`. Never edited by hand.
"""Contains all the data models used in inputs/outputs"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .completed_request import CompletedRequest
    from .completed_status import CompletedStatus
    from .error import Error
    from .failed_request import FailedRequest
    from .failed_request_status import FailedRequestStatus
    from .open_request import OpenRequest
    from .open_request_status import OpenRequestStatus
    from .processing_status import ProcessingStatus
    from .queue_error import QueueError
    from .request_output import RequestOutput
    from .status_request import StatusRequest
    from .submit_request import SubmitRequest
    from .submit_request_acceleration import SubmitRequestAcceleration
    from .submit_request_cache_control import SubmitRequestCacheControl
    from .submit_request_image_size import SubmitRequestImageSize
    from .submit_request_output_format import SubmitRequestOutputFormat
    from .submit_request_x_webhook_mode import SubmitRequestXWebhookMode
    from .submitted_request import SubmittedRequest


_MODULES = {
    "CompletedRequest": ".completed_request",
    "CompletedStatus": ".completed_status",
    "Error": ".error",
    "FailedRequest": ".failed_request",
    "FailedRequestStatus": ".failed_request_status",
    "OpenRequest": ".open_request",
    "OpenRequestStatus": ".open_request_status",
    "ProcessingStatus": ".processing_status",
    "QueueError": ".queue_error",
    "RequestOutput": ".request_output",
    "StatusRequest": ".status_request",
    "SubmitRequest": ".submit_request",
    "SubmitRequestAcceleration": ".submit_request_acceleration",
    "SubmitRequestCacheControl": ".submit_request_cache_control",
    "SubmitRequestImageSize": ".submit_request_image_size",
    "SubmitRequestOutputFormat": ".submit_request_output_format",
    "SubmitRequestXWebhookMode": ".submit_request_x_webhook_mode",
    "SubmittedRequest": ".submitted_request",
}


def __getattr__(name: str) -> Any:
    """Import a model when it is first asked for."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    model = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
    return model


__all__ = (
    "CompletedRequest",
    "CompletedStatus",
    "Error",
    "FailedRequest",
    "FailedRequestStatus",
    "OpenRequest",
    "OpenRequestStatus",
    "ProcessingStatus",
    "QueueError",
    "RequestOutput",
    "StatusRequest",
    "SubmitRequest",
    "SubmitRequestAcceleration",
    "SubmitRequestCacheControl",
    "SubmitRequestImageSize",
    "SubmitRequestOutputFormat",
    "SubmitRequestXWebhookMode",
    "SubmittedRequest",
)

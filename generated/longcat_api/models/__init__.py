# Generated from openapi.yaml by `make generate`. Never edited by hand.
"""Contains all the data models used in inputs/outputs"""

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

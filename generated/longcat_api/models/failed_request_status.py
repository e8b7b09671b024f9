# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

FailedRequestStatus = Literal["ERROR", "FAILED"]

FAILED_REQUEST_STATUS_VALUES: set[FailedRequestStatus] = {
    "ERROR",
    "FAILED",
}


def check_failed_request_status(value: str) -> FailedRequestStatus:
    if value in FAILED_REQUEST_STATUS_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {FAILED_REQUEST_STATUS_VALUES!r}")

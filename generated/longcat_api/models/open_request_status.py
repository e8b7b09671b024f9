# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

OpenRequestStatus = Literal["PROCESSING", "QUEUED"]

OPEN_REQUEST_STATUS_VALUES: set[OpenRequestStatus] = {
    "PROCESSING",
    "QUEUED",
}


def check_open_request_status(value: str) -> OpenRequestStatus:
    if value in OPEN_REQUEST_STATUS_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {OPEN_REQUEST_STATUS_VALUES!r}")

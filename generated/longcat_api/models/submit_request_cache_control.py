# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

SubmitRequestCacheControl = Literal["no-cache"]

SUBMIT_REQUEST_CACHE_CONTROL_VALUES: set[SubmitRequestCacheControl] = {
    "no-cache",
}


def check_submit_request_cache_control(value: str) -> SubmitRequestCacheControl:
    if value in SUBMIT_REQUEST_CACHE_CONTROL_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SUBMIT_REQUEST_CACHE_CONTROL_VALUES!r}")

# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

SubmitRequestAcceleration = Literal["high_performance", "regular"]

SUBMIT_REQUEST_ACCELERATION_VALUES: set[SubmitRequestAcceleration] = {
    "high_performance",
    "regular",
}


def check_submit_request_acceleration(value: str) -> SubmitRequestAcceleration:
    if value in SUBMIT_REQUEST_ACCELERATION_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SUBMIT_REQUEST_ACCELERATION_VALUES!r}")

# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

SubmitRequestOutputFormat = Literal["jpeg", "png", "webp"]

SUBMIT_REQUEST_OUTPUT_FORMAT_VALUES: set[SubmitRequestOutputFormat] = {
    "jpeg",
    "png",
    "webp",
}


def check_submit_request_output_format(value: str) -> SubmitRequestOutputFormat:
    if value in SUBMIT_REQUEST_OUTPUT_FORMAT_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SUBMIT_REQUEST_OUTPUT_FORMAT_VALUES!r}")

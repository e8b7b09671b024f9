# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

SubmitRequestImageSize = Literal[
    "landscape_4_3", "portrait_3_4", "square_1_1", "ultra_portrait_9_16", "ultra_wide_16_9"
]

SUBMIT_REQUEST_IMAGE_SIZE_VALUES: set[SubmitRequestImageSize] = {
    "landscape_4_3",
    "portrait_3_4",
    "square_1_1",
    "ultra_portrait_9_16",
    "ultra_wide_16_9",
}


def check_submit_request_image_size(value: str) -> SubmitRequestImageSize:
    if value in SUBMIT_REQUEST_IMAGE_SIZE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SUBMIT_REQUEST_IMAGE_SIZE_VALUES!r}")

# Generated from openapi.yaml by `make generate`. Never edited by hand.
from typing import Literal

SubmitRequestXWebhookMode = Literal["sync", "terminal"]

SUBMIT_REQUEST_X_WEBHOOK_MODE_VALUES: set[SubmitRequestXWebhookMode] = {
    "sync",
    "terminal",
}


def check_submit_request_x_webhook_mode(value: str) -> SubmitRequestXWebhookMode:
    if value in SUBMIT_REQUEST_X_WEBHOOK_MODE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {SUBMIT_REQUEST_X_WEBHOOK_MODE_VALUES!r}")

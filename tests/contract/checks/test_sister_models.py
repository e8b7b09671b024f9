"""What sister models of the queue answer is reported as drift, where the contract of this one does not allow it."""

from typing import Final

import gauntlet
import pytest
from exchanges import OURS, kinds
from gateways import in_process

from longcat.contract import Exchange
from longcat.sandbox import BODY_VARIANTS, EXAMPLE_KEY

ORDER: Final = "/longcat-image-498/v1/longcat-image-request"
OF_STATUS: Final = {
    "supplier-words": {("value-undocumented", "/status")},
    "message-while-open": {
        ("field-new", "/message"),
        ("field-absent", "/model_id"),
        ("field-absent", "/error"),
        ("field-absent", "/output"),
    },
    "result-images": {("field-new", "/result"), ("field-missing", "/output")},
    "media-url-string": {("type-changed", "/output/media_url")},
    "media-url-empty": {("constraint-broken", "/output/media_url")},
    "octet-stream": set(),  # It is the page's own example.
    "dates-without-zone": {("format-changed", "/updated_at"), ("format-changed", "/completed_at")},
    "error-object": {("type-changed", "/error")},
    "error-message": {("field-renamed", "/error_message")},
    "integer-status": {("field-new", "/status")},
    "message-without-error": {("field-missing", "/error")},
    "request-not-found": set(),  # The wording of an error is nobody's business.
    "invalid-request-id": set(),
    "invalid-request-id-400": {("status-changed", "status")},
}
"""The findings of a probe of the status call, by the name of the sandbox's variant."""
OF_ORDER: Final = {
    "supplier-words": [("value-undocumented", "/status")],
    "no-polling-url": [("field-missing", "/polling_url"), ("field-new", "/message")],
    "images-at-once": [("status-undocumented", "status")],
}
"""The findings of an order that was recorded. A probe never sends one."""


@pytest.mark.parametrize("name", OF_STATUS)
def test_status(name: str) -> None:
    """Each difference is found by a probe, and nothing else."""
    with in_process([], [name]) as gateway:
        findings, unclear = gauntlet.observe(OURS, gateway, "status")
    assert ({(one.code, one.pointer) for one in findings}, unclear) == (OF_STATUS[name], [])


@pytest.mark.parametrize("name", OF_ORDER)
def test_order(name: str) -> None:
    """Each difference is found in an order that somebody sent and recorded, and nothing else."""
    body = {"prompt": "a lioness", "image_size": "square_1_1"}
    with in_process([], [name]) as gateway:
        answer = gateway.client.post(gateway.url + ORDER, headers={"Ocp-Apim-Subscription-Key": EXAMPLE_KEY}, json=body)
    exchange = Exchange(
        method="POST",
        url=str(answer.request.url),
        request_headers=dict(answer.request.headers),
        request_body=answer.request.content,
        status_code=answer.status_code,
        response_headers=dict(answer.headers),
        response_body=answer.content,
        source="a test",
        origin="sandbox",
    )
    assert kinds(exchange) == OF_ORDER[name]


def test_every_variant_is_here() -> None:
    """No variant of the sandbox is left out."""
    assert OF_STATUS.keys() | OF_ORDER.keys() == BODY_VARIANTS.keys()

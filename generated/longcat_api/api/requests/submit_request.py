# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import errors
from ...models.queue_error import QueueError
from ...models.submit_request import SubmitRequest
from ...models.submit_request_cache_control import SubmitRequestCacheControl
from ...models.submit_request_x_webhook_mode import SubmitRequestXWebhookMode
from ...models.submitted_request import SubmittedRequest
from ...types import UNSET, Response, Unset

if TYPE_CHECKING:
    import httpx

    from ...client import AuthenticatedClient, Client


def _get_kwargs(
    *,
    body: SubmitRequest,
    cache_control: SubmitRequestCacheControl | Unset = "no-cache",
    x_webhook_url: str | Unset = UNSET,
    x_webhook_mode: SubmitRequestXWebhookMode | Unset = UNSET,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(cache_control, Unset):
        headers["Cache-Control"] = str(cache_control)

    if not isinstance(x_webhook_url, Unset):
        headers["X-Webhook-URL"] = x_webhook_url

    if not isinstance(x_webhook_mode, Unset):
        headers["X-Webhook-Mode"] = str(x_webhook_mode)

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/longcat-image-498/v1/longcat-image-request",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> QueueError | SubmittedRequest | None:
    if response.status_code == 202:
        response_202 = SubmittedRequest.from_dict(response.json())

        return response_202

    if response.status_code == 400:
        response_400 = QueueError.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = QueueError.from_dict(response.json())

        return response_401

    if response.status_code == 402:
        response_402 = QueueError.from_dict(response.json())

        return response_402

    if response.status_code == 403:
        response_403 = QueueError.from_dict(response.json())

        return response_403

    if response.status_code == 429:
        response_429 = QueueError.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = QueueError.from_dict(response.json())

        return response_500

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[QueueError | SubmittedRequest]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: SubmitRequest,
    cache_control: SubmitRequestCacheControl | Unset = "no-cache",
    x_webhook_url: str | Unset = UNSET,
    x_webhook_mode: SubmitRequestXWebhookMode | Unset = UNSET,
) -> Response[QueueError | SubmittedRequest]:
    """Order images

     Takes an order, which costs money, and answers with the id of the request that it started. The call
    must not be repeated unless it is certain that it was not taken.

    Args:
        cache_control (SubmitRequestCacheControl | Unset):  Default: 'no-cache'.
        x_webhook_url (str | Unset):
        x_webhook_mode (SubmitRequestXWebhookMode | Unset):
        body (SubmitRequest): An order for images.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[QueueError | SubmittedRequest]
    """

    kwargs = _get_kwargs(
        body=body,
        cache_control=cache_control,
        x_webhook_url=x_webhook_url,
        x_webhook_mode=x_webhook_mode,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: SubmitRequest,
    cache_control: SubmitRequestCacheControl | Unset = "no-cache",
    x_webhook_url: str | Unset = UNSET,
    x_webhook_mode: SubmitRequestXWebhookMode | Unset = UNSET,
) -> QueueError | SubmittedRequest | None:
    """Order images

     Takes an order, which costs money, and answers with the id of the request that it started. The call
    must not be repeated unless it is certain that it was not taken.

    Args:
        cache_control (SubmitRequestCacheControl | Unset):  Default: 'no-cache'.
        x_webhook_url (str | Unset):
        x_webhook_mode (SubmitRequestXWebhookMode | Unset):
        body (SubmitRequest): An order for images.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        QueueError | SubmittedRequest
    """

    return sync_detailed(
        client=client,
        body=body,
        cache_control=cache_control,
        x_webhook_url=x_webhook_url,
        x_webhook_mode=x_webhook_mode,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: SubmitRequest,
    cache_control: SubmitRequestCacheControl | Unset = "no-cache",
    x_webhook_url: str | Unset = UNSET,
    x_webhook_mode: SubmitRequestXWebhookMode | Unset = UNSET,
) -> Response[QueueError | SubmittedRequest]:
    """Order images

     Takes an order, which costs money, and answers with the id of the request that it started. The call
    must not be repeated unless it is certain that it was not taken.

    Args:
        cache_control (SubmitRequestCacheControl | Unset):  Default: 'no-cache'.
        x_webhook_url (str | Unset):
        x_webhook_mode (SubmitRequestXWebhookMode | Unset):
        body (SubmitRequest): An order for images.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[QueueError | SubmittedRequest]
    """

    kwargs = _get_kwargs(
        body=body,
        cache_control=cache_control,
        x_webhook_url=x_webhook_url,
        x_webhook_mode=x_webhook_mode,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: SubmitRequest,
    cache_control: SubmitRequestCacheControl | Unset = "no-cache",
    x_webhook_url: str | Unset = UNSET,
    x_webhook_mode: SubmitRequestXWebhookMode | Unset = UNSET,
) -> QueueError | SubmittedRequest | None:
    """Order images

     Takes an order, which costs money, and answers with the id of the request that it started. The call
    must not be repeated unless it is certain that it was not taken.

    Args:
        cache_control (SubmitRequestCacheControl | Unset):  Default: 'no-cache'.
        x_webhook_url (str | Unset):
        x_webhook_mode (SubmitRequestXWebhookMode | Unset):
        body (SubmitRequest): An order for images.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        QueueError | SubmittedRequest
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
            cache_control=cache_control,
            x_webhook_url=x_webhook_url,
            x_webhook_mode=x_webhook_mode,
        )
    ).parsed

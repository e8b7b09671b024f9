# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ... import errors
from ...models.completed_request import CompletedRequest
from ...models.failed_request import FailedRequest
from ...models.open_request import OpenRequest
from ...models.queue_error import QueueError
from ...types import Response

if TYPE_CHECKING:
    import httpx

    from ...client import AuthenticatedClient, Client


def _get_kwargs(
    request_id: str,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v2/requests/status/{request_id}".format(
            request_id=quote(str(request_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> CompletedRequest | FailedRequest | OpenRequest | QueueError | None:
    if response.status_code == 200:

        def _parse_response_200(data: object) -> CompletedRequest | FailedRequest | OpenRequest:
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_request_status_type_0 = OpenRequest.from_dict(data)

                return componentsschemas_request_status_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_request_status_type_1 = CompletedRequest.from_dict(data)

                return componentsschemas_request_status_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_request_status_type_2 = FailedRequest.from_dict(data)

            return componentsschemas_request_status_type_2

        response_200 = _parse_response_200(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = QueueError.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = QueueError.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = QueueError.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = QueueError.from_dict(response.json())

        return response_404

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
) -> Response[CompletedRequest | FailedRequest | OpenRequest | QueueError]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    request_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> Response[CompletedRequest | FailedRequest | OpenRequest | QueueError]:
    """Ask for the status of a request of any model

     Answers how far a request has come, and where its images are once it is completed.

    Args:
        request_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CompletedRequest | FailedRequest | OpenRequest | QueueError]
    """

    kwargs = _get_kwargs(
        request_id=request_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    request_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> CompletedRequest | FailedRequest | OpenRequest | QueueError | None:
    """Ask for the status of a request of any model

     Answers how far a request has come, and where its images are once it is completed.

    Args:
        request_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CompletedRequest | FailedRequest | OpenRequest | QueueError
    """

    return sync_detailed(
        request_id=request_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    request_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> Response[CompletedRequest | FailedRequest | OpenRequest | QueueError]:
    """Ask for the status of a request of any model

     Answers how far a request has come, and where its images are once it is completed.

    Args:
        request_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CompletedRequest | FailedRequest | OpenRequest | QueueError]
    """

    kwargs = _get_kwargs(
        request_id=request_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    request_id: str,
    *,
    client: AuthenticatedClient | Client,
) -> CompletedRequest | FailedRequest | OpenRequest | QueueError | None:
    """Ask for the status of a request of any model

     Answers how far a request has come, and where its images are once it is completed.

    Args:
        request_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CompletedRequest | FailedRequest | OpenRequest | QueueError
    """

    return (
        await asyncio_detailed(
            request_id=request_id,
            client=client,
        )
    ).parsed

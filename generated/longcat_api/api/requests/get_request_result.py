# Generated from openapi.yaml by `make generate`. Never edited by hand.
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import errors
from ...models.completed_status import CompletedStatus
from ...models.error import Error
from ...models.processing_status import ProcessingStatus
from ...models.status_request import StatusRequest
from ...types import Response

if TYPE_CHECKING:
    import httpx

    from ...client import AuthenticatedClient, Client


def _get_kwargs(
    *,
    body: StatusRequest,
) -> dict[str, Any]:
    headers: dict[str, Any] = {}

    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/longcat-image-request-result",
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> CompletedStatus | ProcessingStatus | Error | None:
    if response.status_code == 200:

        def _parse_response_200(data: object) -> CompletedStatus | ProcessingStatus:
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                response_200_type_0 = ProcessingStatus.from_dict(data)

                return response_200_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            response_200_type_1 = CompletedStatus.from_dict(data)

            return response_200_type_1

        response_200 = _parse_response_200(response.json())

        return response_200

    if response.status_code == 400:
        response_400 = Error.from_dict(response.json())

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_dict(response.json())

        return response_401

    if response.status_code == 403:
        response_403 = Error.from_dict(response.json())

        return response_403

    if response.status_code == 404:
        response_404 = Error.from_dict(response.json())

        return response_404

    if response.status_code == 429:
        response_429 = Error.from_dict(response.json())

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_dict(response.json())

        return response_500

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[CompletedStatus | ProcessingStatus | Error]:
    return Response(
        status_code=response.status_code,
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: StatusRequest,
) -> Response[CompletedStatus | ProcessingStatus | Error]:
    """Ask for the status of a request

     Answers with the progress of the request, and with the address of its image once it is completed.
    The call may be repeated.

    Args:
        body (StatusRequest): The question, about one request.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CompletedStatus | ProcessingStatus | Error]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    *,
    client: AuthenticatedClient | Client,
    body: StatusRequest,
) -> CompletedStatus | ProcessingStatus | Error | None:
    """Ask for the status of a request

     Answers with the progress of the request, and with the address of its image once it is completed.
    The call may be repeated.

    Args:
        body (StatusRequest): The question, about one request.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CompletedStatus | ProcessingStatus | Error
    """

    return sync_detailed(
        client=client,
        body=body,
    ).parsed


async def asyncio_detailed(
    *,
    client: AuthenticatedClient | Client,
    body: StatusRequest,
) -> Response[CompletedStatus | ProcessingStatus | Error]:
    """Ask for the status of a request

     Answers with the progress of the request, and with the address of its image once it is completed.
    The call may be repeated.

    Args:
        body (StatusRequest): The question, about one request.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[CompletedStatus | ProcessingStatus | Error]
    """

    kwargs = _get_kwargs(
        body=body,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    *,
    client: AuthenticatedClient | Client,
    body: StatusRequest,
) -> CompletedStatus | ProcessingStatus | Error | None:
    """Ask for the status of a request

     Answers with the progress of the request, and with the address of its image once it is completed.
    The call may be repeated.

    Args:
        body (StatusRequest): The question, about one request.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        CompletedStatus | ProcessingStatus | Error
    """

    return (
        await asyncio_detailed(
            client=client,
            body=body,
        )
    ).parsed

"""The generated client, ready to use: for programs that want the contract's types rather than the waiting."""

from typing import Final

import httpx
from longcat_api import AuthenticatedClient

from longcat.gateway.contract import contract
from longcat.settings import find_api_key, find_base_url

TIMEOUT: Final = 30.0
"""Seconds for each step of a call. The generated client has no timeout of its own."""


def api_client(api_key: str | None = None, base_url: str | None = None) -> AuthenticatedClient:
    """Return the generated client for the result gateway, with the server, the header and the key set.

    Pass it to the functions in `longcat_api.api`. They send one call and return the model of the answer, and None for
    a status code that is not in `openapi.yaml`. They retry nothing, and raise httpx's own exceptions.

    Args:
        api_key: the subscription key. None: from `PIXAZO_API_KEY`, else from the one-line file `~/.pixazo/api-key`.
        base_url: the gateway's scheme and host. None: from `LONGCAT_BASE_URL`, else the contract's server.

    Raises:
        ConfigurationError: there is no key, or one of the arguments can't be used.
    """
    return AuthenticatedClient(
        base_url=find_base_url(base_url, contract("get_request_result").server),
        token=find_api_key(api_key),
        prefix="",
        auth_header_name=contract("get_request_result").key_header,
        timeout=httpx.Timeout(TIMEOUT),
    )

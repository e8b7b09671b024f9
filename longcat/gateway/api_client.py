"""The generated client, ready to use: for programs that want the contract's types rather than the waiting."""

from typing import Final

import httpx
from longcat_api import AuthenticatedClient

from longcat.gateway.gateways import GatewayKind, Gateways
from longcat.text.known_keys import KNOWN_KEYS

STEP_TIMEOUT: Final = 30.0
"""Seconds for each step of a call. The generated client has no timeout of its own."""

NO_PROXY: Final = {f"all://{host}": None for host in ("127.0.0.1", "[::1]", "*localhost")}
"""This machine is asked without a proxy of the environment, which would not get there, and would see the key."""


def api_client(
    api_key: str | None = None, base_url: str | None = None, *, gateway: GatewayKind = "result"
) -> AuthenticatedClient:
    """Return the generated client for one of the gateways, with the server, the header and the key set.

    Pass it to the functions in `longcat_api.api`. They send one call and return the model of the answer, and None for
    a status code that is not in `openapi.yaml`. They retry nothing, and raise httpx's own exceptions.

    Args:
        api_key: the subscription key. None: from `PIXAZO_API_KEY`, else from the one-line file `~/.pixazo/api-key`.
        base_url: the gateway's scheme and host. None: from `LONGCAT_BASE_URL`, else the contract's server.
        gateway: which gateway is meant: `queue` for `submit_request` and `get_request_status`, `result` for
            `get_request_result`. It says no more than which server the contract has, so it does not matter where
            `base_url` or the variable gives one for both.

    Raises:
        ConfigurationError: there is no key, or one of the arguments can't be used.
    """
    found = Gateways.find(api_key, base_url).of("", gateway)
    KNOWN_KEYS.add(found.api_key)
    return AuthenticatedClient(
        base_url=found.base_url,
        token=found.api_key,
        prefix="",
        auth_header_name=found.contract.key_header,
        timeout=httpx.Timeout(STEP_TIMEOUT),
        httpx_args={"mounts": NO_PROXY},
    )

"""The gateway that `longcat contract` sends its requests to, and how it sends them. Needs the extra `contract`."""

import argparse
import math
import os
import sys
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from longcat.cli.contract.spec_file import SpecFile
from longcat.cli.results import print_error
from longcat.contract import Origin, Spec
from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Inconclusive
from longcat.contract.probe.probe import Pacing, probe
from longcat.contract.probe.probe_requests import ProbeRequest, probe_requests
from longcat.errors import ConfigurationError
from longcat.sending.addresses import warn_of_plain_http
from longcat.settings import (
    KEY_FILE,
    KEY_VARIABLE,
    URL_VARIABLE,
    find_api_key,
    find_base_url,
    is_http_url,
    refuse_key,
    usable_request_id,
)

MAX_SECONDS: Final = 3600.0
"""Seconds that a pause, a call or the patience may take at most."""


@frozen
class Target:
    """The gateway that a probe asks, what it asks about, and how.

    Attributes:
        base_url: what was given. None: each operation is asked at its own server.
        operations: the ids of the operations to ask about. Empty: all of them.
    """

    spec_file: SpecFile
    base_url: str | None
    api_key: str | None
    request_ids: tuple[str, ...]
    operations: tuple[str, ...]
    pacing: Pacing

    def requests(self) -> list[ProbeRequest]:
        """Return what will be sent, and what can't be."""
        return probe_requests(self.spec_file.spec, self.request_ids, self.base_url, self.operations)

    @property
    def servers(self) -> list[str]:
        """The base URLs that are asked."""
        return list(dict.fromkeys(request.base_url for request in self.requests() if request.base_url))

    def probe(self, origin: Origin | None = None) -> Iterator[Judgement | Inconclusive]:
        """Send every request, and yield what comes of each. On a terminal, each answer is shown on stderr."""
        outcomes = probe(
            self.spec_file.spec,
            self.base_url,
            self.api_key,
            self.request_ids,
            operations=self.operations,
            pacing=self.pacing,
            origin=origin,
        )
        for outcome in outcomes:
            if sys.stderr.isatty() and isinstance(outcome, Judgement):
                print_error(f"longcat: {outcome.exchange.source}: {outcome.exchange.status_code}")
            yield outcome


def find_target(arguments: argparse.Namespace, spec_file: SpecFile) -> Target:
    """Return where the probe goes, and how. Raises ConfigurationError."""
    base_url = _base_url(arguments.base_url, spec_file.spec)
    spec = spec_file.spec if base_url is None else spec_file.spec.served_at(base_url)
    key = _key(arguments.api_key)
    for text in arguments.request_id:
        refuse_key(key or "", "The request id", text)
    target = Target(
        spec_file=evolve(spec_file, spec=spec),  # Its paths that nobody documented, too.
        base_url=base_url,
        api_key=key,
        request_ids=tuple(usable_request_id(text) for text in arguments.request_id),
        operations=tuple(arguments.operation),
        pacing=Pacing(
            pause=_seconds("--pause", arguments.pause) if arguments.pause is not None else None,
            timeout=_seconds("--timeout", arguments.timeout, least=0.001),
            patience=_seconds("--patience", arguments.patience),
        ),
    )
    target.requests()  # What is wrong with the ids or the operations is said before anything else is done.
    for server in target.servers if target.api_key is not None else ():
        warn_of_plain_http(server)
    return target


def _base_url(argument: str | None, spec: Spec) -> str | None:
    """Return the base URL that was given. None: there is none, and the contract names its servers.

    Raises ConfigurationError when it can't be used, and when the contract does not name any either.
    """
    servers = [server for operation in spec.operations for server in operation.servers[:1] if is_http_url(server)]
    if argument is not None or os.environ.get(URL_VARIABLE):
        return find_base_url(argument, next(iter(servers), "https://gateway.example"))
    if not servers:
        raise ConfigurationError("The contract names no server that could be asked. Name the gateway with --base-url.")
    return None


def _key(argument: str | None) -> str | None:
    """Return the key, or None when there is none. Raises ConfigurationError when it can't be used."""
    if argument is None and not os.environ.get(KEY_VARIABLE):
        try:
            if not KEY_FILE.expanduser().exists():
                return None
        except (OSError, RuntimeError):
            return None
    return find_api_key(argument)


def _seconds(name: str, value: float, least: float = 0.0) -> float:
    if math.isnan(value) or not least <= value <= MAX_SECONDS:
        raise ConfigurationError(f"{name} is a number of seconds from {least:g} to {MAX_SECONDS:g}, not {value:g}.")
    return value

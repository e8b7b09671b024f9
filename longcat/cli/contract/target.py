"""Where `longcat contract` sends its requests, and how. Needs the extra `contract`."""

import argparse
import math
import os
import sys
from collections.abc import Iterator
from typing import Final

from attrs import evolve, frozen

from longcat.cli.contract.spec_file import SpecFile
from longcat.contract import Origin
from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Inconclusive
from longcat.contract.probe.probe import Pacing, probe
from longcat.contract.probe.requests import ProbeRequest, probe_requests
from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract as our_contract
from longcat.settings import KEY_FILE, KEY_VARIABLE, find_api_key, find_base_url, usable_request_id

LONGEST: Final = 3600.0
"""Seconds that a pause, a call or the patience may take at most."""


@frozen
class Target:
    """Where a probe goes, and how."""

    spec_file: SpecFile
    base_url: str
    api_key: str | None
    request_ids: tuple[str, ...]
    pacing: Pacing

    def requests(self) -> list[ProbeRequest]:
        """Return what will be sent, and what can't be."""
        return probe_requests(self.spec_file.spec, self.request_ids, self.base_url)

    def probe(self, origin: Origin | None = None) -> Iterator[Judgement | Inconclusive]:
        """Send every request, and yield what comes of each. On a terminal, each answer is shown on stderr."""
        outcomes = probe(
            self.spec_file.spec, self.base_url, self.api_key, self.request_ids, pacing=self.pacing, origin=origin
        )
        for outcome in outcomes:
            if sys.stderr.isatty() and isinstance(outcome, Judgement):
                print(f"longcat: {outcome.exchange.source}: {outcome.exchange.status_code}", file=sys.stderr)
            yield outcome


def find_target(arguments: argparse.Namespace, spec_file: SpecFile) -> Target:
    """Return where the probe goes, and how. Raises ConfigurationError."""
    server = spec_file.spec.server if arguments.spec is not None else None
    base_url = find_base_url(arguments.base_url, server or our_contract("get_request_result").server)
    return Target(
        spec_file=evolve(spec_file, spec=spec_file.spec.served_at(base_url)),  # Its paths that nobody documented, too.
        base_url=base_url,
        api_key=_key(arguments.api_key),
        request_ids=tuple(usable_request_id(text) for text in arguments.request_id),
        pacing=Pacing(
            pause=_seconds("--pause", arguments.pause) if arguments.pause is not None else None,
            timeout=_seconds("--timeout", arguments.timeout, least=0.001),
            patience=_seconds("--patience", arguments.patience),
        ),
    )


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
    if math.isnan(value) or not least <= value <= LONGEST:
        raise ConfigurationError(f"{name} is a number of seconds from {least:g} to {LONGEST:g}, not {value:g}.")
    return value

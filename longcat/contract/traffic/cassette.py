"""Writes recorded traffic to VCR cassettes."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from attrs import evolve

from longcat.contract.model import Exchange, Origin
from longcat.contract.traffic import vcr
from longcat.contract.traffic.exchange import UnreadableError, decode
from longcat.contract.traffic.recordings import PROVENANCE
from longcat.contract.traffic.redact import redact, redact_command
from longcat.saving.files import whole_file

VOLATILE: Final = frozenset({"cf-ray", "date", "nel", "report-to", "server-timing"})
"""Response headers that differ every time and say nothing about the API."""


def write(  # noqa: PLR0913 - what is written, and all that must be known of it.
    path: Path,
    exchanges: Iterable[Exchange],
    *,
    origin: Origin,
    command: str,
    spec_digest: str,
    recorded: datetime,
) -> None:
    """Write a cassette that vcrpy can replay. It appears whole or not at all, and replaces one that was there.

    Secrets are taken out, also what only looks like one. So are response headers that differ every time.

    Args:
        path: the file, named `.yaml`. Folders on the way to it are made.
        exchanges: in the order in which they are to be kept. They may be streamed.
        origin: what kind of evidence they are.
        command: what records them, for those who want to do so again.
        spec_digest: of the contract that the requests were derived from.
        recorded: when, with a time zone.

    Raises OSError when it can't be written.
    """
    facts = {
        "origin": origin,
        "recorded": recorded.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": redact_command(command),
        "spec": spec_digest,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(_dump({"version": 1, PROVENANCE: facts}))
        file.write(b"interactions:")
        empty = True
        for exchange in exchanges:
            file.write(b"\n" * empty + _dump([vcr.interaction_of(_for_storing(exchange))]))
            empty = False
        file.write(b" []\n" * empty)


def _for_storing(exchange: Exchange) -> Exchange:
    """Return the exchange decoded, without secrets and without headers that differ every time."""
    headers = {name: value for name, value in exchange.response_headers.items() if name not in VOLATILE}
    with suppress(UnreadableError):  # What can't be decoded stays as it is.
        # A client decodes bodies and leaves the header; to a client that replays them, it would be a lie.
        headers, body = decode(headers, exchange.response_body)
        exchange = evolve(exchange, response_body=body)
    return redact(evolve(exchange, response_headers=headers), thorough=True)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes YAML for people: without aliases."""

    def ignore_aliases(self, data: object) -> bool:
        """Return whether a value is written out each time."""
        del data
        return True


def _dump(data: Any) -> bytes:
    text: bytes = yaml.dump(
        data,
        Dumper=_Dumper,
        encoding="utf-8",
        sort_keys=False,
        allow_unicode=True,
        width=2**30,
        default_flow_style=False,
    )
    return text

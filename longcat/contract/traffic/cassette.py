"""Writes recorded traffic to VCR cassettes."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from datetime import UTC
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]
from attrs import evolve

from longcat.contract.model import Exchange
from longcat.contract.traffic.decoding import UnreadableError, undo_encoding
from longcat.contract.traffic.recordings import PROVENANCE, Provenance
from longcat.contract.traffic.redact import redact, redact_command, secrets_of
from longcat.saving.files import whole_file

DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
VOLATILE: Final = frozenset({"cf-ray", "date", "nel", "report-to", "server-timing"})
"""Response headers that differ every time and say nothing about the API."""


def write(path: Path, exchanges: Iterable[Exchange], provenance: Provenance, secrets: Collection[str] = ()) -> None:
    """Write a cassette that vcrpy can replay. It appears whole or not at all, and replaces one that was there.

    Secrets are taken out, also what only looks like one. So are response headers that differ every time.

    Args:
        path: the file, named `.yaml`. Folders on the way to it are made.
        exchanges: in the order in which they are to be kept. They may be streamed.
        provenance: where they come from.
        secrets: what else to take out, such as the key. The secrets that an exchange was sent with are known: those of
            a collection are taken out of all its exchanges, those of a stream out of the same and later ones.

    Raises OSError when it can't be written.
    """
    known = {*secrets}.union(*map(secrets_of, exchanges if isinstance(exchanges, Collection) else ()))
    facts = {
        "origin": provenance.origin,
        "recorded": provenance.recorded.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "command": redact_command(provenance.command, known),
        "spec": provenance.spec,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as file:
        file.write(_dump({"version": 1, PROVENANCE: facts}))
        file.write(b"interactions:")
        empty = True
        for exchange in exchanges:
            known |= secrets_of(exchange)
            file.write(b"\n" * empty + _dump([_interaction(_for_storing(exchange, known))]))
            empty = False
        file.write(b" []\n" * empty)


def _for_storing(exchange: Exchange, secrets: Collection[str]) -> Exchange:
    """Return the exchange decoded, without secrets and without headers that differ every time."""
    headers = {name: value for name, value in exchange.response_headers.items() if name not in VOLATILE}
    with suppress(UnreadableError):  # What can't be decoded stays as it is.
        # Clients keep this header when they decode a body. Where the body is replayed, it would be wrong.
        headers, body = undo_encoding(headers, exchange.response_body)
        exchange = evolve(exchange, response_body=body)
    return redact(evolve(exchange, response_headers=headers), thorough=True, secrets=secrets)


def _interaction(exchange: Exchange) -> dict[str, Any]:
    """Return the interaction that holds an exchange.

    vcrpy passes over what it does not know beside `request` and `response`, and in a response.
    """
    try:
        phrase = HTTPStatus(exchange.status_code).phrase
    except ValueError:  # A CDN has codes of its own.
        phrase = ""
    answer: dict[str, Any] = {"string": _readable(exchange.response_body or b"")}
    if exchange.response_body is None:
        answer["recorded"] = "no"
    about = {"question": _question(exchange.source), "intent": exchange.intent}
    return {
        **{name: value for name, value in about.items() if value},
        "request": {
            "method": exchange.method,
            "uri": exchange.url,
            "headers": _lists(exchange.request_headers),
            "body": None if exchange.request_body is None else _readable(exchange.request_body),
        },
        "response": {
            "status": {"code": exchange.status_code, "message": phrase},
            "headers": _lists(exchange.response_headers),
            "body": answer,
        },
    }


def _question(source: str) -> str:
    """Return a source without the file that it was read from."""
    file, number, question = source.partition("#")
    return question.lstrip("0123456789").strip() if number and file else source


def _lists(headers: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [headers[name]] for name in sorted(headers)}


def _readable(body: bytes) -> str | bytes:
    """Return a body as text if it is text: a cassette is read by people."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body


def _dump(data: Any) -> bytes:
    text: bytes = yaml.dump(data, Dumper=DUMPER, encoding="utf-8", sort_keys=False, allow_unicode=True, width=2**30)
    return text

"""One exchange as a cassette, and short ways to read and write it."""

import base64
from datetime import UTC, datetime
from pathlib import Path

from vcr.serializers import jsonserializer, yamlserializer  # type: ignore[import-untyped]

from longcat.contract.model import Exchange, Inconclusive
from longcat.contract.traffic.cassette import write
from longcat.contract.traffic.recordings import Provenance, read
from longcat.contract.traffic.redact import PLACEHOLDER

KEY_HEADER = "Ocp-Apim-Subscription-Key"
KEY = "0123456789abcdef" * 2
URL = "https://gateway.test/result"
QUESTION = b'{"request_id": "X"}'
ANSWER = b'{"status": "processing"}'
WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
EXCHANGE = Exchange(
    method="POST",
    url=URL,
    request_headers={"content-type": "application/json", "ocp-apim-subscription-key": PLACEHOLDER},
    request_body=QUESTION,
    status_code=200,
    response_headers={"content-type": "application/json"},
    response_body=ANSWER,
    source="probe, unknown",
)

PLAIN = f"""\
interactions:
- request:
    body: '{QUESTION.decode()}'
    headers:
      Content-Type: [application/json]
      Ocp-Apim-Subscription-Key: [{KEY}]
    method: POST
    uri: {URL}
  response:
    body: {{string: '{ANSWER.decode()}'}}
    headers:
      Content-Type: [application/json]
    status: {{code: 200, message: OK}}
version: 1
"""


def found(path: Path) -> list[Exchange | Inconclusive]:
    """Return all that is read."""
    return list(read(path, [KEY_HEADER]))


def read_text(folder: Path, text: str | bytes, name: str = "cassette.yaml") -> list[Exchange | Inconclusive]:
    """Return all that is read from a file with this text."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return found(path)


def only(items: list[Exchange | Inconclusive]) -> Exchange:
    """Return the one exchange there is."""
    (item,) = items
    assert isinstance(item, Exchange), item
    return item


def sources(items: list[Exchange | Inconclusive]) -> list[str]:
    """Return where each thing was found."""
    return [item.source if isinstance(item, Exchange) else item.what for item in items]


def problems(items: list[Exchange | Inconclusive]) -> list[tuple[str, str]]:
    """Return where the problems are, without the folder, and what they are."""
    return [(Path(item.what).name, item.why) for item in items if isinstance(item, Inconclusive)]


def as_json(text: str) -> str:
    """Return a cassette as vcrpy's other serializer writes it."""
    return str(jsonserializer.serialize(yamlserializer.deserialize(text)))


def with_answer(body: str, header: str = "") -> str:
    """Return a cassette with another response body, and a header more."""
    text = PLAIN.replace(f"'{ANSWER.decode()}'", body)
    return text.replace("    status:", f"      {header}\n    status:") if header else text


def binary(body: bytes) -> str:
    """Return a body as vcrpy writes one that is not text."""
    return f'!!binary "{base64.b64encode(body).decode()}"'


def saved(path: Path, *exchanges: Exchange, command: str = "longcat contract record") -> str:
    """Return the text of a cassette with these exchanges."""
    write(path, exchanges, Provenance("live", WHEN, command, "d" * 64))
    return path.read_text("utf-8")

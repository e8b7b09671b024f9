"""What is taken out of exchanges, so that no key is ever shown or stored."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from recordings import ANSWER, EXCHANGE, KEY, KEY_HEADER, PLAIN, URL, binary, found, only, read_text, saved, with_answer
from vcr.serializers import yamlserializer  # type: ignore[import-untyped]

from longcat.contract.traffic.recordings import Provenance, provenance
from longcat.contract.traffic.redact import PLACEHOLDER

# Put together here, so that no file of this project holds what looks like a key.
JWT = ".".join(base64.b64encode(part).decode().strip("=") for part in (b'{"alg": "none"}', b'{"sub": "1"}', b"sesame"))
SESAME = "opensesame" * 2
LEAKS: dict[str, dict[str, Any]] = {
    "in the key's header": {"request_headers": {KEY_HEADER.lower(): KEY}},
    "in another header": {
        "request_headers": {"x-api-key": KEY, "authorization": f"Bearer {KEY}", "cookie": f"a={KEY}"}
    },
    "in the answer's headers": {"response_headers": {"set-cookie": f"session={KEY}; Secure", "x-auth-token": KEY}},
    "in the URL": {"url": f"{URL}?subscription-key={KEY}&x=1"},
    "before the host": {"url": f"https://me:{KEY}@gateway.test/result"},
    "in a redirect": {"response_headers": {"location": f"https://a/b?access_token={KEY}"}},
}
LOOKALIKES: dict[str, dict[str, Any]] = {
    "a hexadecimal number": {"response_body": f'{{"trace": "{KEY}"}}'.encode()},
    "a field": {"response_body": b'{"accessToken" : "a \\" b", "x": "y"}'},
    "a form": {"request_body": b"a=b&api_key=opensesame"},
    "a bearer": {"response_body": f"You sent bearer {SESAME}".encode()},
    "a JWT": {"response_body": f'"{JWT}"'.encode()},
    "a signed URL": {"response_body": b'{"url": "https://a/b.png?X-Amz-Signature=opensesame\\u0026sig=opensesame"}'},
    "another vendor's key": {"response_body": f"sk-{SESAME}".encode()},
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_keys_are_removed_on_reading(tmp_path: Path, leak: dict[str, Any]) -> None:
    """A key is in nothing that is read, whatever held it; that there was one is."""
    exchange = evolve(EXCHANGE, **leak)
    headers = {"request": exchange.request_headers, "response": exchange.response_headers}
    data = yamlserializer.deserialize(PLAIN)
    (interaction,) = data["interactions"]
    interaction["request"]["uri"] = exchange.url
    for side, values in headers.items():
        interaction[side]["headers"] = dict(values)
    read_back = only(read_text(tmp_path, yamlserializer.serialize(data)))
    text = repr(read_back)
    assert (KEY in text, PLACEHOLDER in text) == (False, True)
    assert read_back.request_headers.keys() == exchange.request_headers.keys()


def test_an_echoed_key_is_removed(tmp_path: Path) -> None:
    """An answer that quotes the key it was asked with is read without it, and stays what it was otherwise."""
    body = f'{{"error": "no such key: {KEY}"}}'
    exchange = only(read_text(tmp_path, with_answer(f"'{body}'", "content-length: ['60']")))
    assert exchange.response_body == b'{"error": "no such key: REMOVED"}'
    assert exchange.response_headers["content-length"] == str(len(exchange.response_body))


def test_an_empty_key_stays_empty(tmp_path: Path) -> None:
    """A key header that was sent empty is told from one with a key."""
    exchange = only(read_text(tmp_path, PLAIN.replace(KEY, '""')))
    assert exchange.request_headers["ocp-apim-subscription-key"] == ""


@pytest.mark.parametrize("body", [b"theme=processing", "\u00fc".encode(), b"\xff\0", b"", b'{"next": "page"}'])
def test_other_bodies_are_not_touched(tmp_path: Path, body: bytes) -> None:
    """A body without the key is read as it was, byte for byte."""
    assert only(read_text(tmp_path, with_answer(binary(body)))).response_body == body


@pytest.mark.parametrize("leak", [*LEAKS.values(), *LOOKALIKES.values()], ids=[*LEAKS, *LOOKALIKES])
def test_nothing_secret_is_written(tmp_path: Path, leak: dict[str, Any]) -> None:
    """A cassette holds no key, and nothing that looks like one; its JSON and its URLs stay what they were."""
    text = saved(tmp_path / "a.yaml", evolve(EXCHANGE, **leak))
    assert not re.search(f"{KEY}|opensesame|{JWT}|a .. b", text)
    exchange = only(found(tmp_path / "a.yaml"))
    if exchange.response_body and exchange.response_body.startswith(b"{"):
        assert all(PLACEHOLDER in value or value == "y" for value in json.loads(exchange.response_body).values()) or (
            exchange.response_body == ANSWER
        )


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        (
            f"longcat contract record --api-key {KEY} --request-id X",
            "longcat contract record --api-key REMOVED --request-id X",
        ),
        ("longcat contract record --api-key='open sesame'", "longcat contract record --api-key=REMOVED"),
        ("record --base-url https://me:sesame@a", "record --base-url https://REMOVED@a"),
        ("make record", "make record"),
    ],
)
def test_command(tmp_path: Path, command: str, kept: str) -> None:
    """The command is kept without the key that was given to it."""
    saved(tmp_path / "a.yaml", command=command)
    facts = provenance(tmp_path / "a.yaml")
    assert isinstance(facts, Provenance)
    assert facts.command == kept

"""Write `cassettes/documentation/`, one for each answer that `openapi.yaml` shows; or, with `--check`, compare.

The questions are what the client really sends, and the answers are the examples of the contract: they are what the
vendor's page says, played back, and no proof that the service does so.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from ruamel.yaml import YAML

from longcat import LongCat, LongCatError
from longcat.contract import Exchange, load_spec
from longcat.contract.traffic.cassette import write
from longcat.contract.traffic.recordings import Provenance, provenance
from longcat.contract.traffic.redact import redact

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi.yaml"
FOLDER = ROOT / "cassettes" / "documentation"
COMMAND = "python tools/document_cassettes.py"
OPERATION = "get_request_result"
"""The operation that the client has a method for. A test tells when another one has examples."""


def exchanges() -> Iterator[tuple[str, Exchange]]:
    """Yield every documented answer of the operation, with the name that its cassette gets."""
    document = YAML(typ="safe").load(CONTRACT)
    operations = (operation for path in document["paths"].values() for operation in path.values())
    operation = next(operation for operation in operations if operation["operationId"] == OPERATION)
    (question,) = operation["requestBody"]["content"]["application/json"]["examples"].values()
    for code, response in operation["responses"].items():
        for media_type, content in response["content"].items():
            for name, example in content["examples"].items():
                answer = httpx.Response(int(code), json=example["value"], headers={"Content-Type": media_type})
                yield f"{code}-{name}", exchange(question["value"]["request_id"], answer, f"{code} {name}")


def exchange(request_id: str, answer: httpx.Response, source: str) -> Exchange:
    """Return what the client sends when it asks about a request, with an answer to it."""
    sent: list[httpx.Request] = []

    def send(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer

    key = "example-key"
    with httpx.Client(transport=httpx.MockTransport(send)) as http:
        cat = LongCat(api_key=key, base_url=load_spec(CONTRACT).server, http_client=http)
        with suppress(LongCatError):  # A documented error is an answer, too.
            cat.status(request_id)
    (request,) = sent
    whole = Exchange(
        method=request.method,
        url=str(request.url),
        request_headers=lasting({name.lower(): value for name, value in request.headers.items()}),
        request_body=request.content,
        status_code=answer.status_code,
        response_headers={"content-type": answer.headers["content-type"]},
        response_body=answer.content,
        source=source,
        origin="documentation",
    )
    return redact(whole, [name for name, value in request.headers.items() if value == key], thorough=True)


def lasting(headers: dict[str, str]) -> dict[str, str]:
    """Return request headers without what depends on this machine: versions, and installed decompressors."""
    product = headers["user-agent"].partition("/")[0]
    return {**headers, "user-agent": product, "accept-encoding": "gzip, deflate"}


def save(folder: Path) -> None:
    """Write all cassettes. One that would not change keeps its date."""
    digest = load_spec(CONTRACT).digest
    now = datetime.now(UTC)
    for name, one in exchanges():
        path = folder / f"{name}.yaml"
        before = provenance(path)
        facts: dict[str, Any] = {"origin": "documentation", "command": COMMAND, "spec_digest": digest}
        if isinstance(before, Provenance):
            content = path.read_bytes()
            write(path, [one], recorded=before.recorded, **facts)
            if path.read_bytes() == content:
                continue
        write(path, [one], recorded=now, **facts)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the cassettes in a folder, by name."""
    return {path.name: path.read_bytes() for path in folder.glob("*.yaml")}


def stale() -> list[str]:
    """Return the names of cassettes that are missing, superfluous, or not what would be written now."""
    there = contents(FOLDER)
    with tempfile.TemporaryDirectory() as temporary:
        for name, content in there.items():
            Path(temporary, name).write_bytes(content)
        save(Path(temporary))
        wanted = {f"{name}.yaml" for name, _ in exchanges()}
        now = {name: content for name, content in contents(Path(temporary)).items() if name in wanted}
    return sorted(name for name in there.keys() | now.keys() if there.get(name) != now.get(name))


def main() -> int:
    """Write the cassettes, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a cassette is not up to date")
    if parser.parse_args().check:
        names = stale()
        if names:
            print(f"Not up to date: {', '.join(names)}. Run {COMMAND}.", file=sys.stderr)
        return bool(names)
    save(FOLDER)
    for name in contents(FOLDER).keys() - {f"{name}.yaml" for name, _ in exchanges()}:
        (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

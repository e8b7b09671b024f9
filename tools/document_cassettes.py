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

import httpx
from attrs import evolve
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
NOW = datetime.now(UTC)
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


def wanted() -> dict[str, bytes]:
    """Return the cassettes as they should be, by name. One whose text would not change otherwise keeps its date."""
    now = Provenance("documentation", NOW, COMMAND, load_spec(CONTRACT).digest)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, one in exchanges():
            path = FOLDER / f"{name}.yaml"
            before = provenance(path)
            new = Path(folder, path.name)
            write(new, [one], evolve(now, recorded=before.recorded) if isinstance(before, Provenance) else now)
            if not path.exists() or new.read_bytes() != path.read_bytes():
                write(new, [one], now)
            found[path.name] = new.read_bytes()
    return found


def main() -> int:
    """Write the cassettes, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a cassette is not up to date")
    check = parser.parse_args().check
    new, old = wanted(), {path.name: path.read_bytes() for path in FOLDER.glob("*.yaml")}
    changed = sorted(name for name in new.keys() | old.keys() if new.get(name) != old.get(name))
    if check and changed:
        print(f"Not up to date: {', '.join(changed)}. Run {COMMAND}.", file=sys.stderr)
        return 1
    for name in changed:
        if name in new:
            (FOLDER / name).write_bytes(new[name])
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

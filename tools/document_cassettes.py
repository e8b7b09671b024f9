"""Write `cassettes/documentation/`, one for each answer that `openapi.yaml` shows; or, with `--check`, compare.

The questions are what the client really sends, and the answers are the examples of the contract: they are what the
vendor's page says, played back, and no proof that the service does so.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx
from attrs import evolve
from ruamel.yaml import YAML

from longcat import LongCat, LongCatError
from longcat.contract import Exchange, Operation, load_spec
from longcat.contract.traffic.cassette import write
from longcat.contract.traffic.recordings import Provenance, provenance
from longcat.contract.traffic.redact import redact
from longcat.testing import VirtualClock
from longcat.text.pointer import at

ROOT = Path(__file__).resolve().parent.parent
CONTRACT = ROOT / "openapi.yaml"
FOLDER = ROOT / "cassettes" / "documentation"
COMMAND = "python tools/document_cassettes.py"
NOW = datetime.now(UTC)
KEY = "example-key"
INFERRED = "Inferred"
"""How the summary of an example says that it is ours."""
Ask: TypeAlias = Callable[[LongCat, Any], object]
"""Sends the call of an operation; of an example of its question, which is the body or the id in the path."""
CALLS: dict[str, Ask] = {
    "submit_request": lambda cat, body: cat.submit(**body, timeout=1),
    "get_request_status": lambda cat, request_id: cat.status(request_id, gateway="queue"),
    "get_request_result": lambda cat, body: cat.status(body["request_id"], gateway="result"),
}
"""What the client has for each operation. A test tells when another operation has examples."""


def exchanges() -> Iterator[tuple[str, Exchange]]:
    """Yield every documented answer, with the name that its cassette gets: its operation, status code and example."""
    document = YAML(typ="safe").load(CONTRACT)
    for one in load_spec(CONTRACT).operations:
        operation = at(document, one.pointer)
        for code, response in operation["responses"].items():
            for media_type, content in at_reference(document, response).get("content", {}).items():
                for name, example in content.get("examples", {}).items():
                    if INFERRED in example["summary"]:
                        continue  # No page shows it, so it is no evidence.
                    answer = httpx.Response(int(code), json=example["value"], headers={"Content-Type": media_type})
                    source = f"{code} {name}"
                    yield f"{one.operation_id}-{code}-{name}", exchange(one, question(operation), answer, source)


def at_reference(document: Any, node: Any) -> Any:
    """Return a part of the document, or what it refers to."""
    return at(document, node["$ref"].removeprefix("#")) if "$ref" in node else node


def question(operation: Any) -> Any:
    """Return the example of what is asked: the body, or what stands in the path."""
    if "requestBody" in operation:
        (example,) = operation["requestBody"]["content"]["application/json"]["examples"].values()
        return example["value"]
    return next(one["example"] for one in operation["parameters"] if one["in"] == "path")


def exchange(operation: Operation, asked: Any, answer: httpx.Response, source: str) -> Exchange:
    """Return what the client sends when it asks this of an operation, with an answer to it."""
    sent: list[httpx.Request] = []

    def send(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return answer

    with httpx.Client(transport=httpx.MockTransport(send)) as http:
        cat = LongCat(api_key=KEY, base_url=operation.servers[0], http_client=http, clock=VirtualClock())
        with suppress(LongCatError):  # A documented error is an answer, too.
            CALLS[operation.operation_id](cat, asked)
    request = sent[0]  # A refused order may be sent again.
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
    return redact(whole, [name for name, value in request.headers.items() if value == KEY], thorough=True)


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

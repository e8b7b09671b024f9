"""Send the sandbox what schemathesis makes up from openapi.yaml: good and bad questions, by every check it has.

This tests the sandbox, and through it our reading of the contract. `make fuzz` runs it long; the test suite runs it
short, and proves with `--drift` that it can fail.

The contract is given to schemathesis with two additions, in a copy: the request ids that this sandbox knows, as
examples, because no generator can guess them; and a link from an answer to the next question about the same request,
without which there would be no stateful phase. One thing is taken out: the header for caches.
"""

import argparse
import concurrent.futures
import contextlib
import copy
import json
import multiprocessing
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from click.testing import CliRunner
from gateways import OPERATIONS, served
from ruamel.yaml import YAML
from schemathesis.cli import schemathesis

from longcat.sandbox import DRIFTS, EXAMPLE_KEY

SPEC: Final = Path(__file__).resolve().parent.parent / "openapi.yaml"
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
SECONDS: Final = 300  # Of a long run.
EXAMPLES: Final = 20  # Of each phase, where drifts are hunted; with 200, none of those that it misses was found.
WORKERS: Final = 2


def known_to(document: dict[str, Any], *, linked: bool) -> dict[str, Any]:
    """Return a copy of the contract that shows known request ids, and perhaps how one answer leads to another question.

    It holds for any operation that is told the `request_id` in its body or in its path.
    """
    known = copy.deepcopy(document)
    operations = {operation["operationId"]: operation for operation in _operations(known)}
    _show(
        operations["get_request_result"]["requestBody"]["content"]["application/json"],
        OPERATIONS["result"][1],
        _in_body,
    )
    _show(operations["get_request_status"]["parameters"][0], OPERATIONS["status"][1], str)
    # No gateway refuses a header that is for caches, whatever it says.
    submit = operations["submit_request"]
    submit["parameters"] = [one for one in submit["parameters"] if one["name"] != "Cache-Control"]
    if linked:
        again = {"request_id": "$response.body#/request_id"}
        result = {"operationId": "get_request_result", "requestBody": again}
        status = {"operationId": "get_request_status", "parameters": again}
        operations["get_request_result"]["responses"]["200"]["links"] = {"again": result}
        operations["get_request_status"]["responses"]["200"]["links"] = {"again": status}
        submit["responses"]["202"]["links"] = {"status": status}
    return known


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (path[method] for method in ("get", "post") if method in path)


def _show(place: dict[str, Any], request_ids: Sequence[str], write: Callable[[str], Any]) -> None:
    """Put known request ids in the place of the examples of a body or of a parameter."""
    place.pop("example", None)
    place["examples"] = {name: {"value": write(name)} for name in request_ids}


def _in_body(request_id: str) -> dict[str, str]:
    return {"request_id": request_id}


def read_spec() -> dict[str, Any]:
    """Return the contract."""
    document: dict[str, Any] = YAML(typ="safe").load(SPEC)
    return document


def arguments(spec: Path, url: str, report: Path, *more: str) -> list[str]:
    """Return the command line: every check, every phase, positive and negative data, redirects not followed."""
    # A redirect that is followed would hide that there was one.
    return [
        *("run", str(spec), "--url", url, "--header", f"Ocp-Apim-Subscription-Key: {EXAMPLE_KEY}"),
        *("--checks", "all", "--phases", ",".join(PHASES), "--mode", "all", "--max-redirects", "0"),
        *("--report", "json", "--report-json-path", str(report), "--no-color", *more),
    ]


def run(document: dict[str, Any], url: str, *more: str) -> tuple[dict[str, Any], str]:
    """Run schemathesis against a gateway; return its report, and what it printed. It writes into no other place."""
    with tempfile.TemporaryDirectory() as folder:
        spec, report = Path(folder, "openapi.json"), Path(folder, "report.json")
        spec.write_text(json.dumps(document), "utf-8")
        with contextlib.chdir(folder):
            done = CliRunner().invoke(schemathesis, arguments(spec, url, report, *more))
        if not report.exists():
            raise RuntimeError(f"schemathesis could not run:\n{done.output}") from done.exception
        found: dict[str, Any] = json.loads(report.read_text("utf-8"))
        return found, done.output


def hunt(name: str) -> bool:
    """Look for a drift by schemathesis alone in the operation that it changes; return whether it reports anything."""
    document = known_to(read_spec(), linked=False)
    with served([name]) as gateway:
        options = ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--max-failures", "1"]
        options += ["--include-operation-id", OPERATIONS[DRIFTS[name].call][0]]
        report, _ = run(document, gateway.url, *options)
    return bool(report["exit_code"])


def hunt_all(names: Sequence[str]) -> Iterator[bool]:
    """Look for each of the drifts, and yield in their order whether it was found. Some processes share the work."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        yield from pool.map(hunt, names)


def main() -> int:
    """Run it once, and return 1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--drift",
        action="append",
        default=[],
        metavar="NAME",
        help="give the sandbox a drift, ask only the operations that such change, and stop when one is found",
    )
    parser.add_argument(
        "--examples", type=int, metavar="N", help=f"so many, the same ones; else for {SECONDS} s, others"
    )
    parser.add_argument("--seconds", type=int, metavar="S", default=SECONDS, help="how long a long run takes")
    parser.add_argument("--report", type=Path, metavar="PATH", help="write the report here, as JSON")
    chosen = parser.parse_args()
    short = ["--max-examples", str(chosen.examples), "--generation-deterministic"]
    long = ["--max-time", str(chosen.seconds), "--continue-on-failure"]
    options = [*(short if chosen.examples else long), *(["--max-failures", "1"] if chosen.drift else [])]
    for name in sorted({OPERATIONS[DRIFTS[drift].call][0] for drift in chosen.drift}):
        options += ["--include-operation-id", name]
    document = known_to(read_spec(), linked=True)
    with served(chosen.drift) as gateway:
        report, output = run(document, gateway.url, *options)
    if chosen.report:
        chosen.report.write_text(json.dumps(report, indent=2), "utf-8")
    print(output)
    return int(report["exit_code"])


if __name__ == "__main__":
    sys.exit(main())

"""Write `docs/drift-demonstration.md`: what the drift check says of the queue gateway by the contract before it.

With `--check`, compare. The page is made by a real run: the cassettes of the documentation, judged by a copy of the
contract as it was when only the result gateway was known.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from attrs import evolve

from longcat.contract import Exchange, Finding, Severity, judge, load_spec
from longcat.contract.traffic.recordings import read

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "drift-demonstration.md"
BEFORE: Final = ROOT / "docs" / "_static" / "openapi-1.0.0.yaml"
CASSETTES: Final = ROOT / "cassettes" / "documentation"
COMMAND: Final = "python tools/demonstrate_drift.py"
KEY_HEADER: Final = "Ocp-Apim-Subscription-Key"
TEXT: Final = """\
# A real drift: the queue gateway

Written by `make generate`, from a real run of the drift check.

The vendor's pages of 2026 describe another gateway: another host, other paths, other words, other fields. This page
shows what `longcat contract check` says of it, had nobody told us: the documented answers of the queue gateway, as
cassettes, judged by [the contract as it was before](_static/openapi-1.0.0.yaml), which knew the result gateway alone.
The evidence is the vendor's documentation, never the live service.

## As it happened

The calls go to paths that the old contract does not have.

{moved}

## The same answers at the old address

Had the vendor changed the answers in place, callers of the old status call would have got these bodies. Each line is
one difference that a typed caller would have run into.

{in_place}

By the contract of today, the same cassettes have {today} findings: `longcat contract check` in a checkout shows it.
`longcat contract explain CODE` tells of each code whom it hurts, and what to do. How the contract is changed after
such a report is on the page on [maintaining](maintaining.md).
"""


def cassettes(pattern: str) -> Iterator[tuple[str, Exchange]]:
    """Yield the exchanges of the cassettes whose names match, each with its name."""
    for path in sorted(CASSETTES.glob(pattern)):
        for one in read(path, [KEY_HEADER]):
            if not isinstance(one, Exchange):
                raise TypeError(f"{path.name} can't be read: {one.why}")
            yield path.stem, one


def page() -> str:
    """Return the page."""
    before, now = load_spec(BEFORE), load_spec(ROOT / "openapi.yaml")
    (operation,) = before.operations
    of_queue = [*cassettes("submit_request-*.yaml"), *cassettes("get_request_status-*.yaml")]
    in_place = [
        (
            name,
            evolve(
                one,
                method=operation.method,
                url=operation.servers[0] + operation.path,
                request_headers={**one.request_headers, "content-type": "application/json"},
                request_body=json.dumps({"request_id": one.url.rpartition("/")[2]}).encode(),
            ),
        )
        for name, one in cassettes("get_request_status-*.yaml")
    ]
    return TEXT.format(
        moved=table((name, finding) for name, one in of_queue for finding in judge(before, one)),
        in_place=table((name, finding) for name, one in in_place for finding in judge(before, one)),
        today=sum(1 for _, one in of_queue for _ in judge(now, one)) or "no",
    )


def table(findings: Iterable[tuple[str, Finding]]) -> str:
    """Return findings as a table, the worst first."""
    order = list(Severity)
    lines = [
        "| cassette | severity | code | where | the contract says | seen |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, one in sorted(findings, key=lambda pair: order.index(pair[1].severity)):
        cells = (name, one.severity.value, one.code, one.pointer or "the whole answer", one.expected, one.seen)
        lines.append(f"| {' | '.join(f'`{cell}`' if at in {0, 2, 3, 5} else cell for at, cell in enumerate(cells))} |")
    return "\n".join(lines).replace("`the whole answer`", "the whole answer")


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not up to date")
    check, new = parser.parse_args().check, page()
    if check and (not PAGE.exists() or PAGE.read_text("utf-8") != new):
        print(f"Not up to date: {PAGE.name}. Run {COMMAND}.", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(new, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

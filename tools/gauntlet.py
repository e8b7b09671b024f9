"""Measure the drift check: every drift of the sandbox must be found, weighed and healed, and nothing harmless reported.

For each drift: a sandbox that has it, with requests at every stage. `probe` asks about the operation that has drifted,
`judge` compares, `suggest` writes the patch, and a fresh probe must agree with it. Beside it, schemathesis alone gets
the same gateway, the same requests and the same operation of the contract, with all its checks and phases; as that
takes long, it is asked about the first drift of each kind. The sandbox proves that our parts agree with each other,
never that the service agrees with us.
"""

import argparse
import collections
import concurrent.futures
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import httpx
from attrs import evolve, field, frozen
from gateways import OPERATIONS, Gateway, served

from longcat.contract import Finding, Spec, SpecError, load_spec
from longcat.contract.model import Inconclusive, Severity
from longcat.contract.patches.suggest import suggest
from longcat.contract.probe.probe import Pacing, probe
from longcat.sandbox import DRIFTS, EXAMPLE_KEY
from longcat.sandbox.drifts import Drift

SPEC: Final = Path(__file__).resolve().parent.parent / "openapi.yaml"
WORKERS: Final = 4
SEVERITIES: Final = tuple(Severity)
FIRSTS: Final = frozenset(
    {
        (drift.call, drift.name.removeprefix("queue-").partition("-")[0], drift.severity, drift.patchable): drift.name
        for drift in reversed([*DRIFTS.values()])
    }.values()
)
"""The first drift of each kind, by its name."""


# --- Ours.


@frozen
class Row:
    """What came of one drift.

    Attributes:
        worst: the severity of the worst finding. None: there is no finding.
        clean: whether nothing at all was amiss: no finding, and no question that could not be answered.
        healed: whether the patched contract agrees. None: no patch was to be had, and it was refused with a reason.
        why: the first finding; or what went wrong.
        found_by_schemathesis: None: it was not asked.
    """

    drift: Drift
    worst: Severity | None
    clean: bool
    healed: bool | None
    why: str
    codes: tuple[str, ...] = field(default=(), repr=False)
    found_by_schemathesis: bool | None = None

    @property
    def found(self) -> bool:
        """Whether it was found."""
        return self.worst is not None

    @property
    def right(self) -> bool:
        """Whether it was weighed as the table of drifts says; something harmless is right when nothing is said."""
        return self.worst == self.drift.severity and (self.worst is not None or self.clean)

    @property
    def mended(self) -> bool:
        """Whether the patch did what the table of drifts says: heal, or be refused."""
        return self.healed is (True if self.drift.patchable else None)


def observe(spec: Spec, gateway: Gateway, call: str) -> tuple[list[Finding], list[Inconclusive]]:
    """Ask a gateway about a call of the sandbox, and return the findings, and what could not be told."""
    findings: list[Finding] = []
    unclear: list[Inconclusive] = []
    operation, ids = OPERATIONS[call]
    outcomes = probe(
        spec,
        gateway.url,
        EXAMPLE_KEY,
        ids,
        operations=[operation],
        pacing=Pacing(pause=0.0),
        http_client=gateway.client,
        origin="sandbox",
    )
    for seen in outcomes:
        if isinstance(seen, Inconclusive):
            unclear.append(seen)
        else:
            findings.extend(seen.findings())
    return findings, unclear


def examine(drift: Drift, spec: Spec, gateway: Gateway) -> Row:
    """Run one drift through probe, judge and suggest."""
    findings, unclear = observe(spec, gateway, drift.call)
    worst = min((finding.severity for finding in findings), key=SEVERITIES.index, default=None)
    clean = not findings and not unclear
    why = next((f"{one.code} {one.pointer}" for one in findings), unclear[0].why if unclear else "")
    codes = tuple(dict.fromkeys(finding.code for finding in findings))
    row = Row(drift, worst, clean, clean or None, why, codes)
    return row if not findings else heal(row, findings, gateway)


def heal(row: Row, findings: Iterable[Finding], gateway: Gateway) -> Row:
    """Patch a copy of the contract, and ask again."""
    suggestion = suggest(SPEC.read_text("utf-8"), findings)
    left = list(suggestion.unpatched)
    if left and not row.drift.patchable:
        return evolve(row, healed=None)
    with tempfile.TemporaryDirectory() as folder:
        patched = Path(folder, "openapi.yaml")
        patched.write_text(suggestion.text, "utf-8")
        try:
            again, unclear = observe(load_spec(patched), gateway, row.drift.call)
        except SpecError as error:
            return evolve(row, healed=False, why=f"the patch spoils the contract: {error}")
    still = [f"{finding.code} {finding.pointer}" for finding in again] + [one.why for one in unclear]
    if not row.drift.patchable:
        return evolve(row, healed=not still, why=f"no reason was given; {row.why}")
    reasons = [f"left: {one}"[:100] for one in left]
    return evolve(row, healed=not still, why="; ".join([row.why, *(still or [])[:2], *(reasons if still else [])[:1]]))


# --- The table.


def words(row: Row) -> tuple[str, ...]:
    """Return a row of the table."""
    drift = row.drift
    seen = {None: "-", True: "yes", False: "no"}
    healed = {None: "refused", True: "yes", False: "no"}[row.healed] if row.found else "-"
    marks = (("" if row.right else " (!)"), ("" if row.mended or not row.found else " (!)"))
    return (
        drift.name,
        drift.severity or "harmless",
        f"{row.worst.value if row.worst else 'nothing' if row.clean else 'could not tell'}{marks[0]}",
        f"{healed}{marks[1]}",
        seen[row.found_by_schemathesis],
    )


HEAD: Final = ("drift", "should be", "longcat", "healed", "schemathesis")


@frozen
class Total:
    """One goal: what was reached, of how many; and by schemathesis, of those that it was asked about.

    None: there is nothing to compare with.
    """

    goal: str
    ours: int
    of: int
    theirs: int | None = None
    asked: int = 0

    @property
    def words(self) -> str:
        """What schemathesis reached, in words."""
        return "-" if self.theirs is None else f"{self.theirs} of {self.asked}"

    @property
    def reached(self) -> bool:
        """Whether it was reached whole."""
        return self.ours == self.of


def totals(rows: Sequence[Row]) -> list[Total]:
    """Return how far each goal was reached."""
    harmful = [row for row in rows if row.drift.severity is not None]
    harmless = [row for row in rows if row.drift.severity is None]
    patchable = [row for row in harmful if row.drift.patchable]
    refused = [row for row in harmful if not row.drift.patchable]
    return [
        Total("drifts found", sum(row.found for row in harmful), len(harmful), *_theirs(harmful, found=True)),
        Total("severities right", sum(row.right for row in harmful), len(harmful)),
        Total(
            "harmless and not reported",
            sum(row.right for row in harmless),
            len(harmless),
            *_theirs(harmless, found=False),
        ),
        Total("patchable and healed", sum(row.mended for row in patchable), len(patchable)),
        Total("not patchable and refused", sum(row.mended for row in refused), len(refused)),
    ]


def _theirs(rows: Sequence[Row], *, found: bool) -> tuple[int | None, int]:
    """Return how often schemathesis said that there is a drift, or that there is none, and how often it was asked."""
    asked = [row.found_by_schemathesis for row in rows if row.found_by_schemathesis is not None]
    return (asked.count(found) if asked else None), len(asked)


def passed(sums: Sequence[Total]) -> bool:
    """Tell whether every goal was reached, and schemathesis alone was beaten or not asked."""
    found = sums[0]
    beaten = found.theirs is None or found.theirs < found.asked
    return all(one.reached for one in sums) and beaten


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a table for people."""
    lines = [HEAD, *map(words, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def markdown(rows: Sequence[Row]) -> str:
    """Return the table and the totals as a page."""
    intro = (__doc__ or "").partition("\n\n")[2].strip()
    sums = [(one.goal, f"{one.ours} of {one.of}", one.words) for one in totals(rows)]
    parts: list[tuple[str, ...]] = [("goal", "longcat", "schemathesis"), ("---",) * 3, *sums]
    drifts: list[tuple[str, ...]] = [("drift", "what happens", *HEAD[1:]), ("---",) * 6]
    drifts += [(words(row)[0], row.drift.sentence, *words(row)[1:]) for row in rows]
    pages = ["\n".join(f"| {' | '.join(line)} |" for line in part) for part in (parts, drifts)]
    return "\n\n".join(["# The gauntlet", "Written by `make gauntlet`.", intro, *pages]) + "\n"


def show(rows: Sequence[Row], seconds: float) -> bool:
    """Print the table, what is wrong, and the totals; return whether every goal was reached."""
    print(table(rows))
    wrong = [row for row in rows if not (row.right and row.mended)]
    if wrong:
        print("\nWrong:", *(f"  {row.drift.name}: {row.why or 'nothing was said'}" for row in wrong), sep="\n")
    print()
    for one in totals(rows):
        theirs = "" if one.theirs is None else f"; schemathesis alone: {one.words}"
        print(f"{one.goal}: {one.ours} of {one.of}{theirs}")
    counted = collections.Counter(code for row in rows for code in row.codes)
    print(f"codes seen: {', '.join(sorted(counted))}")
    print(f"{seconds:.0f} s")
    return passed(totals(rows))


def run(drifts: Sequence[Drift]) -> list[Row]:
    """Examine drifts over real HTTP. Some threads share the work, most of which is waiting for servers to start."""
    spec = load_spec(SPEC)

    def row(drift: Drift) -> Row:
        with served([drift.name], client) as gateway:
            return examine(drift, spec, gateway)

    with httpx.Client() as client, concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(row, drifts))


def main() -> int:
    """Return 0 if every goal was reached, else 1; 2 for a name that does not exist."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(DRIFTS), help="this drift, repeatable")
    parser.add_argument(
        "--without-schemathesis", action="store_true", help="ours only, which takes a fraction of the time"
    )
    parser.add_argument("--markdown", type=Path, metavar="PATH", help="write the table there as well")
    chosen = parser.parse_args()
    drifts = [DRIFTS[name] for name in chosen.only or DRIFTS]
    began = time.monotonic()
    rows = run(drifts)
    if not chosen.without_schemathesis:
        from fuzz import hunt_all  # noqa: PLC0415 - it takes a second, which `--without-schemathesis` saves.

        asked = [row.drift.name for row in rows if row.drift.name in FIRSTS or chosen.only]
        hunted = dict(zip(asked, hunt_all(asked), strict=True))
        rows = [evolve(row, found_by_schemathesis=hunted.get(row.drift.name)) for row in rows]
    if chosen.markdown:
        chosen.markdown.parent.mkdir(parents=True, exist_ok=True)
        chosen.markdown.write_text(markdown(rows), "utf-8")
    return 0 if show(rows, time.monotonic() - began) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Measure the drift check with anyone's contracts: spoil valid answers in every way that the mutator knows.

Of each contract, some operations are chosen by a seed. Their schemas give valid exchanges, which are written as a HAR
file and judged: nothing may be found. Each is then spoilt in every way that its contract forbids or does not list, and
changed in ways that harm nobody, and judged again. What is a drift, and how bad it is, is decided by another validator
than the drift check's own. Beside it, Redocly's `drift` gets the same HAR files; it finds something where it says of an
exchange what it does not say of the unspoilt one.
"""

import argparse
import collections
import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import Factory, asdict, define, field, frozen
from made_exchanges import ERROR, MadeExchange, Maker, NothingMadeError
from public_specs import fetch_all

from longcat.contract import Severity, Spec, SpecError, load_spec
from longcat.contract.checks.judge import Judgement
from longcat.contract.model import Inconclusive
from longcat.contract.traffic.recordings import read
from longcat.sandbox.mutator import Mutation, RequestMutation, SentRequest, SentResponse, mutations, request_mutations

ROOT: Final = Path(__file__).resolve().parent.parent
BUILD: Final = ROOT / "build" / "gauntlet"
REDOCLY: Final = "@redocly/cli@2.77.0"
OPERATIONS: Final = 20
"""How many operations of a contract are tried."""
FIELDS: Final = 12
"""How many fields of an answer are spoilt."""
SEED: Final = 11
SEVERITIES: Final = tuple(Severity)
PATIENCE: Final = 300
"""Seconds that Redocly's has for a contract."""
BROKEN: Final = 500
"""The first status code of an answer that is no evidence."""


@frozen
class Trial:
    """An exchange that is judged. `mutation` is None for the unspoilt one."""

    made: MadeExchange
    request: SentRequest
    answer: SentResponse
    mutation: Mutation | RequestMutation | None = None

    @property
    def name(self) -> str:
        """What was done to it, as part of a sentence."""
        what = self.mutation.name.format(where="") if self.mutation else "unspoilt"
        return f"{self.made.request.method} {self.made.operation} {self.made.answer.status} {what}"

    @property
    def kind(self) -> str:
        """The kind of what was done to it."""
        return self.mutation.kind if self.mutation else "unspoilt"

    def is_right(self, worst: str | None) -> bool:
        """Whether the worst finding is as bad as it should be."""
        if self.mutation is None:
            return worst is None
        if self.kind == "status" and self.answer.status >= ERROR:
            return worst == "additive"  # Of traffic of unknown origin, any refusal may be of something else.
        if self.kind == "error-in-200":
            return worst in {"breaking", self.mutation.severity}  # An error that the success allows is still one.
        return worst == self.mutation.severity

    def entry(self) -> dict[str, Any]:
        """Return the exchange as an entry of a HAR file."""
        asked, answer = self.request, self.answer
        request: dict[str, Any] = {"method": asked.method, "url": asked.url, "headers": _pairs(asked.headers.items())}
        if asked.content is not None:
            request["postData"] = {"mimeType": asked.headers["content-type"], "text": asked.content.decode()}
        content = {"size": len(answer.body), "mimeType": answer.media_type, "text": answer.body.decode()}
        response = {"status": answer.status, "headers": _pairs(answer.headers), "content": content}
        return {"startedDateTime": "2026-01-31T10:30:00.000Z", "time": 1, "request": request, "response": response}


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


@define
class Score:
    """What came of some trials.

    Attributes:
        found, right: of the drifts, those that were found, and those of the right severity among them.
        alarmed: of what is harmless, and of the unspoilt, what was reported.
        asked, theirs: how many drifts Redocly's was asked about, and found; `asked_harmless`, `their_alarms` likewise.
        wrong: a line for each that is not as it should be.
    """

    drifts: int = 0
    found: int = 0
    right: int = 0
    harmless: int = 0
    alarmed: int = 0
    asked: int = 0
    theirs: int = 0
    asked_harmless: int = 0
    their_alarms: int = 0
    wrong: list[str] = field(factory=list)

    def note(self, trial: Trial, saw: "Said", others: bool | None) -> None:
        """Count what the drift check, and Redocly's, said of a trial."""
        is_drift = trial.mutation is not None and trial.mutation.severity is not None
        worst = None if not is_drift and saw.is_hint else saw.worst
        if is_drift:
            self.drifts += 1
            self.found += worst is not None
            self.right += trial.is_right(worst)
        else:
            self.harmless += 1
            self.alarmed += worst is not None
        if others is not None and is_drift:
            self.asked += 1
            self.theirs += others
        elif others is not None:
            self.asked_harmless += 1
            self.their_alarms += others
        if not (trial.is_right(worst) if is_drift else worst is None):
            what = "false alarm" if not is_drift else "missed" if worst is None else "another severity"
            self.wrong.append(f"{what}: {trial.name}: {saw.words}")


@frozen
class Said:
    """What the drift check said of an exchange."""

    worst: str | None
    codes: Sequence[str] = ()
    gaps: Sequence[str] = ()

    @property
    def is_hint(self) -> bool:
        """Whether it said nothing but that something is absent that may be."""
        return bool(self.codes) and all(one.startswith("field-absent ") for one in self.codes)

    @property
    def words(self) -> str:
        """All of it."""
        return ", ".join(self.codes) or "; ".join(self.gaps) or "nothing"


# --- What is tried.


def trials(spec: Spec, operations: int) -> Iterator[Trial]:
    """Yield the exchanges of some operations of a contract, each followed by what is made of it."""
    maker, chosen = Maker(spec), list(spec.operations)
    random.Random(SEED).shuffle(chosen)  # noqa: S311 - it is no secret.
    tried = 0
    for operation in chosen:
        if tried >= operations:
            return
        try:
            exchanges = [*maker.exchanges(operation)]
        except NothingMadeError:
            continue
        tried += bool(exchanges)
        for made in exchanges:
            yield Trial(made, made.request, made.answer)
            for mutation in mutations(made.answer, made.rules, FIELDS):
                answer = mutation.change(made.answer)
                # A recorder may have left out the content type; and a broken service keeps no contract.
                if answer != made.answer and answer.status < BROKEN and (answer.media_type or not answer.body):
                    yield Trial(made, made.request, answer, mutation)
            if made.answer.status < ERROR:
                for other in request_mutations(made.request, made.request_rules):
                    if not other.needs_origin:
                        yield Trial(made, other.request, made.answer, other)


def write_har(path: Path, all_trials: Iterable[Trial]) -> None:
    """Write trials as a HAR file."""
    entries = [trial.entry() for trial in all_trials]
    archive = {"log": {"version": "1.2", "creator": {"name": "gauntlet", "version": "1"}, "entries": entries}}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(archive), "utf-8")


# --- What is said of it.


def judged(spec: Spec, har: Path) -> Iterator[Said]:
    """Yield what the drift check says of each exchange in a HAR file."""
    for one in read(har, spec.key_names):
        if isinstance(one, Inconclusive):
            yield Said(None, gaps=[one.why])
            continue
        judgement = Judgement(spec, one)
        found = [*judgement.findings()]
        worst = min((finding.severity for finding in found), key=SEVERITIES.index, default=None)
        gaps = [gap.why for gap in judgement.gaps] + ([judgement.outage] if judgement.outage else [])
        yield Said(worst, [f"{finding.code} {finding.pointer}" for finding in found], gaps)


def judged_by_redocly(spec: Path, har: Path, all_trials: Sequence[Trial]) -> list[bool] | None:
    """Return of each exchange in a HAR file whether Redocly's `drift` says anything new. None: it is not to be had."""
    npx = shutil.which("npx")
    if npx is None:
        return None
    report = har.with_suffix(".csv")
    report.unlink(missing_ok=True)
    command = [npx, "--yes", REDOCLY, "drift", str(har), "--api", str(spec), "--format", "csv", "--output", str(report)]
    environment = {**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    try:
        subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE, env=environment)
        rows = [*csv.DictReader(report.read_text("utf-8").splitlines())]
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = collections.defaultdict[int, set[tuple[str, str]]](set)
    for row in rows:
        said[int(row["exchange_index"])].add((row["rule_id"], row["message"]))
    found, usual = [], set[tuple[str, str]]()
    for index, trial in enumerate(all_trials):
        if trial.mutation is None:
            usual = said[index]
            found.append(any(row["severity"] != "info" for row in rows if row["exchange_index"] == str(index)))
        else:
            found.append(not said[index] <= usual)
    return found


# --- One contract, and all of them.


@define
class Measured:
    """What came of one contract."""

    name: str
    source: str
    digest: str = ""
    operations: int = 0
    exchanges: int = 0
    seconds: float = 0.0
    whole: Score = Factory(Score)
    kinds: dict[str, Score] = Factory(dict)
    obstacle: str = ""


def measure(name: str, source: str, path: Path, operations: int, *, redocly: bool) -> Measured:
    """Return what came of a contract."""
    began, result = time.monotonic(), Measured(name, source)
    try:
        spec = load_spec(path)
    except SpecError as error:
        result.obstacle = str(error).replace(str(path), path.name)
        return result
    made = [*trials(spec, operations)]
    har = BUILD / f"{name.lower().replace(' ', '-')}.har"
    write_har(har, made)
    others = judged_by_redocly(path, har, made) if redocly else None
    for index, (trial, said) in enumerate(zip(made, judged(spec, har), strict=True)):
        theirs = others[index] if others is not None else None
        for score in (result.whole, result.kinds.setdefault(trial.kind, Score())):
            score.note(trial, said, theirs)
    result.digest = spec.digest[:12]
    result.operations = len({(trial.made.request.method, trial.made.operation) for trial in made})
    result.exchanges, result.seconds = len(made), time.monotonic() - began
    return result


def share(part: int, whole: int) -> str:
    """Return a share in words."""
    return "-" if not whole else f"{100 * part / whole:.1f} %"


def table(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a table of Markdown, the first one as its head."""
    head, *body = [[str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *body))


SCORES: Final = ("drifts", "found", "severity right", "harmless", "false alarms", "Redocly found", "its false alarms")


def cells(score: Score) -> list[object]:
    """Return the cells of `SCORES`."""
    found, right = share(score.found, score.drifts), share(score.right, score.drifts)
    alarms, theirs = share(score.alarmed, score.harmless), share(score.theirs, score.asked)
    return [score.drifts, found, right, score.harmless, alarms, theirs, share(score.their_alarms, score.asked_harmless)]


def total(scores: Iterable[Score]) -> Score:
    """Return the sum of some scores."""
    whole = Score()
    for one in scores:
        for name, value in asdict(one).items():
            setattr(whole, name, getattr(whole, name) + value)
    return whole


def page(results: Sequence[Measured], operations: int) -> str:
    """Return the results as a page."""
    command = "make gauntlet-specs" + (f" N={operations}" if operations != OPERATIONS else "")
    intro = "\n\n".join((__doc__ or "").split("\n\n")[1:]).strip()
    read_ones = [one for one in results if not one.obstacle]
    specs: list[tuple[object, ...]] = [("contract", "from", "digest", "operations", *SCORES)]
    specs += [(one.name, one.source, f"`{one.digest}`", one.operations, *cells(one.whole)) for one in read_ones]
    specs.append(
        ("all", "", "", sum(one.operations for one in read_ones), *cells(total(one.whole for one in read_ones)))
    )
    kinds = sorted({kind for one in read_ones for kind in one.kinds})
    by_kind: list[tuple[object, ...]] = [("kind", *SCORES)]
    by_kind += [(kind, *cells(total(one.kinds[kind] for one in read_ones if kind in one.kinds))) for kind in kinds]
    left_out = [f"- {one.name}: {one.obstacle}" for one in results if one.obstacle]
    parts = [
        "# The gauntlet of public contracts",
        f"Written by `{command}`.",
        intro,
        table(specs),
        table(by_kind),
    ]
    return "\n\n".join(parts + (["Left out:", "\n".join(left_out)] if left_out else [])) + "\n"


def contracts(paths: Sequence[Path]) -> Iterator[tuple[str, str, Path | None]]:
    """Yield the name, the source and the file of each contract. None: it can't be had here."""
    if paths:
        yield from ((path.stem, path.name, path) for path in paths)
        return
    yield "longcat", "openapi.yaml", ROOT / "openapi.yaml"
    yield from ((spec.name, f"{spec.registry}: {spec.package}", path) for spec, path in fetch_all())


def main() -> int:
    """Return 0 if at least 97 % of the drifts are found, and at most 1 % of what is harmless is reported; else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("specs", nargs="*", type=Path, metavar="SPEC", help="a contract; default: ours and public ones")
    parser.add_argument("--operations", type=int, default=OPERATIONS, metavar="N", help="of each contract")
    parser.add_argument("--without-redocly", action="store_true", help="ours only")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="how many wrong ones of each kind are shown")
    parser.add_argument("--markdown", type=Path, metavar="PATH", help="write the tables there as well")
    chosen = parser.parse_args()
    results = []
    for name, source, path in contracts(chosen.specs):
        if path is None:
            results.append(Measured(name, source, obstacle=f"{source} can't be had here"))
        else:
            results.append(measure(name, source, path, chosen.operations, redocly=not chosen.without_redocly))
        show(results[-1], chosen.show)
    if chosen.markdown:
        chosen.markdown.write_text(page(results, chosen.operations), "utf-8")
    whole = total(one.whole for one in results)
    print("all:", *(f"{name} {cell};" for name, cell in zip(SCORES, cells(whole), strict=True)))
    return 0 if whole.found >= 0.97 * whole.drifts and whole.alarmed <= 0.01 * whole.harmless else 1


def show(result: Measured, most: int) -> None:
    """Print what came of a contract, and some of what is wrong."""
    if result.obstacle:
        print(f"{result.name}: {result.obstacle}")
        return
    print(
        f"{result.name}:", *(f"{name} {cell};" for name, cell in zip(SCORES, cells(result.whole), strict=True)), end=" "
    )
    print(f"{result.operations} operations, {result.exchanges} exchanges, {result.seconds:.0f} s", flush=True)
    for kind, score in result.kinds.items():
        step = max(1, len(score.wrong) // most) if most else 0
        for line in score.wrong[::step][:most] if step else ():
            print(f"  {kind} ({len(score.wrong)}): {line[:300]}")


if __name__ == "__main__":
    sys.exit(main())

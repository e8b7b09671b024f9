"""What each command of `longcat contract` does. Needs the extra `contract`."""

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from longcat.cli.contract.asking import Contract, find_asking, find_contract
from longcat.cli.contract.recording import record
from longcat.cli.outcome import Exit
from longcat.cli.results import Printer
from longcat.contract import CODES, Finding, Severity
from longcat.contract.reports import FORMATS, SAYS_ALL, About
from longcat.contract.reports.baseline import Baseline, load_baseline
from longcat.contract.reports.verdict import Accepted, JudgedExchange, Tally, summary, verdict
from longcat.contract.run import Observed, events, recorded
from longcat.errors import ConfigurationError

__all__ = ["check", "explain", "probe", "record", "suggest"]

RECORDINGS: Final = "cassettes"
"""What `check` reads when nothing is named."""
ACCEPTED_FOR: Final = timedelta(days=90)
"""How long `--update-baseline` accepts a finding. Nothing is accepted for ever."""


def probe(arguments: argparse.Namespace) -> Exit:
    """Ask the gateway, and judge its answers."""
    asking = find_asking(arguments, find_contract(arguments.spec))
    return _judge(arguments, asking.contract, asking.base_url, asking.ask)


def check(arguments: argparse.Namespace) -> Exit:
    """Judge recorded traffic."""
    contract = find_contract(arguments.spec)
    paths = _paths(arguments.paths or [RECORDINGS])
    return _judge(arguments, contract, ", ".join(map(str, paths)), lambda: recorded(contract.spec, paths))


def suggest(arguments: argparse.Namespace) -> Exit:
    """Turn findings into a change of the contract's file."""
    from longcat.contract.patches.suggest import suggest as change  # noqa: PLC0415 - only this command needs it.

    if not arguments.paths and arguments.base_url is None:
        raise ConfigurationError("Name recorded traffic, or a gateway to ask with --base-url.")
    if arguments.paths and arguments.base_url is not None:
        raise ConfigurationError("Name recorded traffic or --base-url, not both: they may differ.")
    file = Path(arguments.spec or "openapi.yaml")
    if not file.is_file():
        raise ConfigurationError(f"There is no {file} to change. Name the contract's file with --spec.")
    contract = find_contract(str(file))
    paths = _paths(arguments.paths)
    asking = None if paths else find_asking(arguments, contract)
    contract = asking.contract if asking else contract
    observed: Iterable[Observed] = asking.ask() if asking else recorded(contract.spec, paths)
    tally = Tally()
    found = list(_findings(contract, observed, _baseline(arguments.baseline), tally))
    suggestion = change(file.read_bytes().decode(), found)  # With its own line ends.
    if arguments.write and suggestion.diff:
        file.write_bytes(suggestion.text.encode())
        print(f"longcat: {file} was changed. Run `make generate`, then probe again.", file=sys.stderr)
    elif suggestion.diff:
        Printer().print(suggestion.diff.removesuffix("\n"))
    for left in suggestion.left:
        print(f"longcat: not patched: {left}", file=sys.stderr)
    for sentence in summary(tally, Severity.NOTICE):
        print(f"longcat: {sentence}", file=sys.stderr)
    if suggestion.left:
        return Exit.NO
    return Exit.UNCLEAR if tally.unclear or not tally.judged else Exit.DONE


def explain(arguments: argparse.Namespace) -> Exit:
    """Say what a finding means, or list the kinds that there are."""
    printer = Printer()
    if arguments.code is None:
        width = max(map(len, CODES), default=0)
        for code in CODES.values():
            printer.print(f"{code.code:{width}}  {code.severity.value:8}  {code.meaning}")
        return Exit.DONE
    if arguments.code not in CODES:
        near = difflib.get_close_matches(arguments.code, CODES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"There is no code {arguments.code!r}.{hint} Without a code, all are listed.")
    code = CODES[arguments.code]
    printer.print(f"{code.code}: {code.severity.value}\n")
    printer.print(f"{code.meaning}\n\nWho is hurt: {code.hurts}\n\nWhat to do: {code.do}")
    return Exit.DONE


def _judge(
    arguments: argparse.Namespace, contract: Contract, target: str, observe: Callable[[], Iterable[Observed]]
) -> Exit:
    """Judge what is observed, write the report, and return what it came to."""
    baseline = _baseline(arguments.baseline, arguments.update_baseline)
    fail_on, tally = Severity(arguments.fail_on), Tally()
    about = About(
        spec=contract.spec,
        spec_file=contract.file,
        spec_name=contract.name,
        target=target,
        fail_on=fail_on,
        tally=tally,
        started=datetime.now(UTC),
        terminal=arguments.output is None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb",
    )
    with _opened(arguments.output) as put:
        for piece in FORMATS[arguments.format](events(contract.spec, observe(), baseline, tally), about):
            put(piece)
    if arguments.format not in SAYS_ALL or arguments.output is not None:
        for sentence in about.summary():
            print(f"longcat: {sentence}", file=sys.stderr)
    if arguments.update_baseline is not None and baseline.added:
        _add(Path(arguments.baseline), baseline.additions())
    return Exit(verdict(tally, fail_on))


def _findings(contract: Contract, observed: Iterable[Observed], baseline: Baseline, tally: Tally) -> Iterator[Finding]:
    for event in events(contract.spec, observed, baseline, tally):
        if isinstance(event, JudgedExchange):
            yield from (ruling.finding for ruling in event.rulings if ruling.accepted is None)


def _paths(names: Iterable[str]) -> list[Path]:
    """Return the paths. One that is not there is a mistake; one that can't be read is told as the run goes on."""
    paths = [Path(name) for name in names]
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"There is no file or folder {path}. Name recorded traffic.")
    return paths


def _baseline(path: str | None, reason: str | None = None) -> Baseline:
    today = datetime.now(UTC).date()
    if reason is not None and (path is None or not reason.strip()):
        raise ConfigurationError("--update-baseline needs a reason, and --baseline FILE to add it to.")
    others = Accepted(reason, today + ACCEPTED_FOR) if reason is not None else None
    return load_baseline(Path(path), today, others) if path is not None else Baseline(today)


def _add(path: Path, entries: str) -> None:
    text = path.read_text("utf-8") if path.exists() else ""
    path.write_text(f"{text.rstrip()}\n\n{entries}" if text.strip() else entries, "utf-8", newline="\n")
    print(f"longcat: {path} accepts what was found. Read it, and say more where it matters.", file=sys.stderr)


@contextmanager
def _opened(path: str | None) -> Iterator[Callable[[str], None]]:
    """Lend a function that writes a piece of a report: into a file, or to stdout."""
    if path is None:
        printer = Printer()
        yield lambda piece: printer.print(piece.removesuffix("\n"))
        return
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:

        def put(piece: str) -> None:
            file.write(piece)
            file.flush()

        yield put

"""The commands `probe`, `check` and `explain` of `longcat contract`, and what all share. Needs the extra `contract`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from longcat.cli.contract.spec_file import SpecFile, find_spec, with_servers
from longcat.cli.exit_codes import Exit
from longcat.cli.results import Printer
from longcat.contract import CODES, Severity, Spec
from longcat.contract.reports import FORMATS, SAYS_ALL, ReportContext
from longcat.contract.reports.baseline import Baseline, load_baseline
from longcat.contract.reports.findings import Accepted
from longcat.contract.reports.verdict import MAX_OPERATIONS, Tally, verdict
from longcat.contract.run import Observed, events, recorded
from longcat.errors import ConfigurationError
from longcat.saving.files import output_file, whole_file
from longcat.text import decode_text, printable

RECORDINGS: Final = "cassettes"
"""What `check` reads when nothing is named."""
ACCEPTED_FOR: Final = timedelta(days=90)
"""How long `--update-baseline` accepts a finding."""

ANY_HOST: Final = "The contract does not name all its hosts, so that any will do (--server URL names its servers)."
HINTS: Final = frozenset({"field-absent"})
"""The findings that fail only if it is asked for, or if the contract says that its examples show every field."""


def probe(arguments: argparse.Namespace) -> Exit:
    """Send requests to the gateway, and judge its answers."""
    from longcat.cli.contract.target import find_target  # noqa: PLC0415 - `check` sends nothing.

    target = find_target(arguments, find_spec(arguments))
    return _judge(arguments, target.spec_file, ", ".join(target.servers), target.probe())


def check(arguments: argparse.Namespace) -> Exit:
    """Judge recorded traffic."""
    spec_file = with_servers(find_spec(arguments), arguments.server)
    paths = paths_of(arguments.paths or [RECORDINGS])
    return _judge(arguments, spec_file, ", ".join(map(str, paths)), recorded(spec_file.spec, paths))


def explain(arguments: argparse.Namespace) -> Exit:
    """Say what a finding means, or list the kinds that there are."""
    printer = Printer()
    if arguments.code is None:
        width = max(map(len, CODES), default=0)
        for code in CODES.values():
            printer.print(f"{code.code:{width}}  {code.severity.value:8}  {code.meaning}")
        return Exit.DONE
    if arguments.code not in CODES:
        import difflib  # noqa: PLC0415 - it is slow to import, and rarely needed.

        near = difflib.get_close_matches(arguments.code, CODES, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ConfigurationError(f"There is no code {arguments.code!r}.{hint} Without a code, all are listed.")
    code = CODES[arguments.code]
    milder = f" But it is {code.milder}." if code.milder else ""
    printer.print(f"{code.code}: {code.severity.value}\n")
    printer.print(f"{code.meaning}\n\nWho is hurt: {code.hurts}{milder}\n\nWhat to do: {code.do}")
    return Exit.DONE


def _judge(arguments: argparse.Namespace, spec_file: SpecFile, subject: str, observed: Iterable[Observed]) -> Exit:
    """Judge what is observed, write the report, and return what it came to."""
    baseline = baseline_of(arguments.baseline, arguments.update_baseline)
    fail_on = Severity(arguments.fail_on or Severity.NOTICE)
    tally = Tally(hints=hints_of(spec_file.spec) if arguments.fail_on is None else frozenset())
    if arguments.command == "check" and not spec_file.spec.names_hosts:
        tally.remarks.append(ANY_HOST)
    context = ReportContext(
        spec=spec_file.spec,
        spec_file=spec_file.path,
        spec_name=spec_file.name,
        subject=subject,
        fail_on=fail_on,
        tally=tally,
        started=datetime.now(UTC),
        terminal=is_terminal(arguments.output),
        root=Path(os.environ.get("GITHUB_WORKSPACE") or ""),
    )
    # Annotations are for the runner, which reads stdout: with them, a file gets the Markdown report.
    is_annotated = arguments.format == "github" and arguments.output is not None
    report = FORMATS["markdown" if is_annotated else arguments.format]
    with opened(arguments.output) as write:
        for piece in report(events(observed, baseline, tally), context):
            write(piece)
    if is_annotated:
        Printer().print("".join(FORMATS["github"]((), context)).removesuffix("\n"))
    elif arguments.format not in SAYS_ALL or arguments.output is not None:
        is_json = arguments.format == "json"
        print_sentences(context.gap_lines() if is_json else ())  # The others have them in the report.
        print_sentences(context.summary(None if is_json else MAX_OPERATIONS))
    if arguments.update_baseline is not None and baseline.added:
        _add_to_baseline(Path(arguments.baseline), baseline.additions())
    return Exit(verdict(tally, fail_on))


def hints_of(spec: Spec) -> frozenset[str]:
    """Return the codes of findings that are shown and are no drift, as the contract is not complete enough."""
    return frozenset() if spec.examples_are_complete else HINTS


def print_sentences(sentences: Iterable[str]) -> None:
    """Print each to stderr as one line: GitHub's runner would obey a line that begins with `::`."""
    for sentence in sentences:
        print(f"longcat: {printable(sentence)}", file=sys.stderr)


def paths_of(names: Iterable[str]) -> list[Path]:
    """Return the paths. Raises ConfigurationError for one that is not there."""
    paths = [Path(name) for name in names]
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"There is no file or folder {path}. Name recorded traffic.")
    return paths


def baseline_of(path: str | None, reason: str | None = None) -> Baseline:
    """Return the baseline in a file, or an empty one. With a reason, it accepts whatever else is found.

    Raises ConfigurationError for a reason without a file, and for a file that can't be used.
    """
    today = datetime.now(UTC).date()
    if reason is not None and (path is None or not reason.strip()):
        raise ConfigurationError("--update-baseline needs a reason, and --baseline FILE to add it to.")
    others = Accepted(reason, today + ACCEPTED_FOR) if reason is not None else None
    return load_baseline(Path(path), today, others) if path is not None else Baseline(today)


def _add_to_baseline(path: Path, entries: str) -> None:
    text = decode_text(path.read_bytes()) if path.exists() else ""
    with whole_file(path) as file:
        file.write((f"{text.rstrip()}\n\n{entries}" if text.strip() else entries).encode())
    print(f"longcat: {path} accepts what was found. Read it, and say more where it matters.", file=sys.stderr)


def is_terminal(output: str | None) -> bool:
    """Whether a report goes to a terminal that takes colours. `output` is the file that it goes to; None is stdout."""
    return output is None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


@contextmanager
def opened(path: str | None) -> Iterator[Callable[[str], None]]:
    """Lend a function that writes a piece of a report to stdout, or into a file that appears whole or not at all."""
    if path is None:
        yield lambda piece: Printer().print(piece.removesuffix("\n"))
        return
    with output_file(Path(path)) as file:
        yield lambda piece: file.writelines([piece.encode("utf-8")])

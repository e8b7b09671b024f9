"""What each command of `longcat contract` does. Needs the extra `contract`."""

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longcat.cli.contract.spec_file import SpecFile, find_spec, with_servers
from longcat.cli.exit_codes import Exit
from longcat.cli.results import Printer
from longcat.contract import CODES, Finding, Severity, Spec, SpecError
from longcat.contract.reports import FORMATS, SAYS_ALL, ReportContext
from longcat.contract.reports.baseline import Baseline, load_baseline
from longcat.contract.reports.context import findings_of
from longcat.contract.reports.findings import Accepted
from longcat.contract.reports.verdict import MAX_OPERATIONS, Tally, summary, verdict
from longcat.contract.run import Observed, events, recorded
from longcat.errors import ConfigurationError
from longcat.saving.files import output_file, whole_file
from longcat.text import decode_text, printable

if TYPE_CHECKING:  # It needs another library, which is slow to import.
    from longcat.contract.patches.suggest import SuggestedOverlay, Suggestion, Unpatched

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


def suggest(arguments: argparse.Namespace) -> Exit:
    """Turn findings into a change of the contract's file."""
    from longcat.cli.contract.target import find_target  # noqa: PLC0415 - likewise.
    from longcat.contract.patches import suggest as patches  # noqa: PLC0415 - only this command needs it.

    if not arguments.paths and arguments.base_url is None:
        raise ConfigurationError("Name recorded traffic, or a gateway to ask with --base-url.")
    if arguments.paths and arguments.base_url is not None:
        raise ConfigurationError("Name recorded traffic or --base-url, not both: they may differ.")
    file = Path(arguments.spec or "openapi.yaml")
    if arguments.server and arguments.base_url is not None:
        raise ConfigurationError("--server says where recorded traffic is from. What is asked is named by --base-url.")
    if not file.is_file():
        raise ConfigurationError(f"There is no {file} to change. Name the contract's file with --spec.")
    spec_file = with_servers(find_spec(arguments, file), arguments.server)
    observed: Iterable[Observed]
    if arguments.paths:
        observed = recorded(spec_file.spec, paths_of(arguments.paths))
    else:
        target = find_target(arguments, spec_file)
        observed = target.probe()
    tally = Tally(hints=_hints(spec_file.spec))
    run = events(observed, _baseline(arguments.baseline), tally)
    findings = [one for event in run for one in findings_of(event) if one.code not in tally.hints]
    if arguments.overlay:
        unpatched = _print_overlay(patches.suggest_overlay, spec_file.spec, findings, arguments.server)
    else:
        unpatched = _change(patches.suggest, spec_file, findings, arguments)
    print_sentences(f"not patched: {one}" for one in unpatched)
    print_sentences(summary(tally, Severity.NOTICE))
    if unpatched:
        return Exit.NO
    return Exit.UNCLEAR if tally.unclear or not tally.compared else Exit.DONE


def _change(
    change: Callable[..., "Suggestion"], spec_file: SpecFile, findings: Sequence[Finding], arguments: argparse.Namespace
) -> Sequence["Unpatched"]:
    """Print or make the change of a contract's files for some findings. Returns those that it does not mend.

    Raises ConfigurationError for files that are not to be changed.
    """
    file, files = spec_file.path, spec_file.spec.schemas.document.files
    try:
        text = file.read_bytes().decode()  # With its own line ends.
        suggestion = change(text, findings, arguments.server, files)
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} is not UTF-8 text, and only such is changed. Convert it.") from error
    except SpecError as error:
        raise ConfigurationError(str(error)) from error
    if arguments.write and suggestion.diff:
        own = {file: suggestion.text} if suggestion.text != text else {}
        for path, new in {**own, **suggestion.others}.items():
            with whole_file(path) as changed:
                changed.write(new.encode())
            then = "Run `make generate`, then probe again." if arguments.spec is None else "Read it, then check again."
            print(f"longcat: {path} was changed. {then}", file=sys.stderr)
    elif suggestion.diff:
        Printer().print(suggestion.diff.removesuffix("\n"))
    return suggestion.unpatched


def _print_overlay(
    change: Callable[..., "SuggestedOverlay"], spec: Spec, findings: Sequence[Finding], servers: Sequence[str]
) -> Sequence["Unpatched"]:
    """Print the Overlay that makes a contract agree with some findings. Returns those that it does not mend."""
    suggested = change(spec.document, findings, servers, spec.schemas.document.files)
    if suggested.text:
        Printer().print(suggested.text.removesuffix("\n"))
    return suggested.unpatched


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
    baseline = _baseline(arguments.baseline, arguments.update_baseline)
    fail_on = Severity(arguments.fail_on or Severity.NOTICE)
    tally = Tally(hints=_hints(spec_file.spec) if arguments.fail_on is None else frozenset())
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
        _add(Path(arguments.baseline), baseline.additions())
    return Exit(verdict(tally, fail_on))


def _hints(spec: Spec) -> frozenset[str]:
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


def _baseline(path: str | None, reason: str | None = None) -> Baseline:
    today = datetime.now(UTC).date()
    if reason is not None and (path is None or not reason.strip()):
        raise ConfigurationError("--update-baseline needs a reason, and --baseline FILE to add it to.")
    others = Accepted(reason, today + ACCEPTED_FOR) if reason is not None else None
    return load_baseline(Path(path), today, others) if path is not None else Baseline(today)


def _add(path: Path, entries: str) -> None:
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

"""`longcat contract suggest`: turn findings into a change of the contract. Needs the extra `contract`."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from longcat.cli.contract.commands import baseline_of, hints_of, paths_of, print_sentences
from longcat.cli.contract.spec_file import SpecFile, find_spec, with_servers
from longcat.cli.exit_codes import Exit
from longcat.cli.results import Printer
from longcat.contract import Finding, Severity, Spec, SpecError
from longcat.contract.patches import suggest as patches
from longcat.contract.patches.suggest import Unpatched
from longcat.contract.reports.context import findings_of
from longcat.contract.reports.verdict import Tally, summary
from longcat.contract.run import Observed, events, recorded
from longcat.errors import ConfigurationError
from longcat.saving.files import whole_file


def suggest(arguments: argparse.Namespace) -> Exit:
    """Turn findings into a change of the contract's file."""
    from longcat.cli.contract.target import find_target  # noqa: PLC0415 - recordings are read without it.

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
    tally = Tally(hints=hints_of(spec_file.spec))
    run = events(observed, baseline_of(arguments.baseline), tally)
    findings = [one for event in run for one in findings_of(event) if one.code not in tally.hints]
    if arguments.overlay:
        unpatched = _print_overlay(spec_file.spec, findings, arguments.server)
    else:
        unpatched = _change_files(spec_file, findings, arguments)
    print_sentences(f"not patched: {one}" for one in unpatched)
    print_sentences(summary(tally, Severity.NOTICE))
    if unpatched:
        return Exit.NO
    return Exit.UNCLEAR if tally.unclear or not tally.compared else Exit.DONE


def _change_files(
    spec_file: SpecFile, findings: Sequence[Finding], arguments: argparse.Namespace
) -> Sequence[Unpatched]:
    """Print or make the change of a contract's files for some findings. Returns those that it does not mend.

    Raises ConfigurationError for files that are not to be changed.
    """
    file, files = spec_file.path, spec_file.spec.schemas.document.files
    try:
        text = file.read_bytes().decode()  # With its own line ends.
        suggestion = patches.suggest(text, findings, arguments.server, files)
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


def _print_overlay(spec: Spec, findings: Sequence[Finding], servers: Sequence[str]) -> Sequence[Unpatched]:
    """Print the Overlay that makes a contract agree with some findings. Returns those that it does not mend."""
    suggested = patches.suggest_overlay(spec.document, findings, servers, spec.schemas.document.files)
    if suggested.text:
        Printer().print(suggested.text.removesuffix("\n"))
    return suggested.unpatched

"""`longcat contract`: watch the gateway for changes of its contract. Its commands need the extra `contract`."""

from __future__ import annotations

import argparse
from contextlib import suppress

from longcat.cli.subcommands import add_commands, add_debug

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from longcat.cli.exit_codes import Exit

EPILOG = """\
exit codes:
  0  no finding as bad as --fail-on, or worse
  1  drift; of coverage: less was seen than --fail-under
  2  used wrongly: an argument, the spec, the baseline
  3  could not tell: the network, an outage, 429 for too long, a recording that can't be read, nothing to judge

What a finding rests on is only as good as its evidence: live recordings, then the vendor's documentation, then the
sandbox. The sandbox proves that our parts agree, never that the service does.
"""
COVERAGE_FORMATS = ("table", "json", "markdown", "html")
FORMATS = ("table", "json", "junit", "sarif", "markdown", "html", "github")
MAX_DAYS = 100_000
SEVERITIES = ("breaking", "additive", "notice")


def add_arguments(command: argparse.ArgumentParser, words: Sequence[str]) -> None:
    """Add the commands, and the arguments of the one that is asked for by these words of the command line."""
    command.epilog, command.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    commands = {
        "probe": ("ask the gateway what costs and changes nothing, and judge the answers", _add_probe),
        "check": ("judge recorded traffic: cassettes, HAR files, lines of JSON", _add_check),
        "record": ("ask the same questions, and write cassettes without secrets", _add_record),
        "suggest": ("turn findings into a change of the contract", _add_suggest),
        "coverage": ("say how much of the contract was seen in recorded traffic", _add_coverage),
        "explain": ("say what a finding means, who is hurt, and what to do", _add_explain),
    }
    add_commands(command, commands, words)


def _begin(command: argparse.ArgumentParser, name: str) -> None:
    command.set_defaults(run=run, command=name)
    add_debug(command)


def _add_probe(command: argparse.ArgumentParser) -> None:
    _begin(command, "probe")
    _add_asking(command)
    _add_contract(command)
    _add_judging(command)


def _add_check(command: argparse.ArgumentParser) -> None:
    _begin(command, "check")
    _add_contract(command)
    _add_reading(command)
    _add_judging(command)
    command.add_argument("paths", metavar="PATH", nargs="*", help="a file or folder (default: cassettes)")


def _add_record(command: argparse.ArgumentParser) -> None:
    _begin(command, "record")
    _add_asking(command)
    _add_contract(command)
    command.add_argument("--output", metavar="DIR", required=True, help="the folder for the cassettes")
    command.add_argument(
        "--origin", choices=["live", "sandbox"], required=True, help="what kind of evidence it will be"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would be sent, and send nothing")
    command.add_argument("--yes", action="store_true", help="send it without asking first")
    command.add_argument("--force", action="store_true", help="replace cassettes that are there already")


def _add_suggest(command: argparse.ArgumentParser) -> None:
    _begin(command, "suggest")
    _add_asking(command)
    _add_contract(command)
    _add_reading(command)
    command.add_argument("paths", metavar="PATH", nargs="*", help="recorded traffic; without it, --base-url is asked")
    command.add_argument("--baseline", metavar="FILE", help="deviations to leave as they are")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--write", action="store_true", help="change the files rather than print the difference")
    how.add_argument(
        "--overlay",
        action="store_true",
        help="print an OpenAPI Overlay 1.0 document that makes the change, for a contract that somebody else maintains",
    )


def _add_coverage(command: argparse.ArgumentParser) -> None:
    _begin(command, "coverage")
    _add_contract(command)
    _add_reading(command)
    command.add_argument("paths", metavar="PATH", nargs="*", help="a file or folder (default: cassettes)")
    command.add_argument("--fail-under", metavar="PERCENT", type=_percent, help="fail when less was seen, of all items")
    command.add_argument(
        "--stale-after",
        metavar="DAYS",
        type=_days,
        help="what was last seen longer ago, or nobody knows when, is not seen",
    )
    command.add_argument("--format", choices=COVERAGE_FORMATS, default="table", help="default: table")
    command.add_argument("--output", metavar="FILE", help="write the report there (default: stdout)")


def _add_explain(command: argparse.ArgumentParser) -> None:
    _begin(command, "explain")
    command.add_argument("code", metavar="CODE", nargs="?", help="such as field-missing (default: list them all)")


def run(arguments: argparse.Namespace) -> Exit:
    """Run one of the commands."""
    from importlib import import_module  # noqa: PLC0415 - as all that the help does not need.

    modules = {"record": "recording", "suggest": "suggestion", "coverage": "coverage"}
    module = modules.get(arguments.command, "commands")
    try:
        commands = import_module(f"longcat.cli.contract.{module}")  # It needs the extra, and is slow to import.
        code: Exit = getattr(commands, arguments.command)(arguments)
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "longcat":
            raise
        from longcat.errors import ConfigurationError  # noqa: PLC0415 - likewise.
        from longcat.text import missing_package  # noqa: PLC0415 - likewise.

        raise ConfigurationError(missing_package("The drift check", error.name or "", "contract")) from error
    return code


def _percent(text: str) -> float:
    with suppress(ValueError):
        number = float(text)
        if 0 <= number <= 100:  # noqa: PLR2004 - and not NaN.
            return number
    raise _refusal(text, "a number from 0 to 100")


def _days(text: str) -> int:
    with suppress(ValueError):
        number = int(text)
        if 0 < number <= MAX_DAYS:
            return number
    raise _refusal(text, f"a whole number from 1 to {MAX_DAYS:,}")


def _refusal(text: str, expected: str) -> argparse.ArgumentTypeError:
    from longcat.text import show  # noqa: PLC0415 - likewise.

    return argparse.ArgumentTypeError(f"{show(text)} is not {expected}")


def _add_contract(command: argparse.ArgumentParser) -> None:
    command.add_argument("--spec", metavar="FILE", help="the contract (default: the one that came with longcat)")
    command.add_argument(
        "--spec-folder",
        metavar="DIR",
        action="append",
        default=[],
        help="a folder that other files of the contract may be in, besides its own; repeatable",
    )
    command.add_argument(
        "--strict-spec",
        action="store_true",
        help="refuse a contract with anything wrong in it (default: only what reaches it can't be judged)",
    )


def _add_reading(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--server",
        metavar="URL",
        action="append",
        default=[],
        help="the recorded gateway, in place of the servers that the contract names; repeatable. All other traffic of "
        "unknown origin is left out",
    )


def _add_asking(command: argparse.ArgumentParser) -> None:
    asking = command.add_argument_group("whom to ask, and how")
    asking.add_argument(
        "--base-url",
        metavar="URL",
        help="the gateway, for all operations (default: LONGCAT_BASE_URL, else each operation's own server)",
    )
    asking.add_argument(
        "--operation",
        metavar="ID",
        action="append",
        default=[],
        help="ask about this operation only, by its operationId; repeatable (default: all). An operation that may cost "
        "or change something is never called with the key",
    )
    asking.add_argument(
        "--api-key", metavar="KEY", help="the key (default: PIXAZO_API_KEY, else the file); it may be absent"
    )
    asking.add_argument(
        "--request-id",
        metavar="ID",
        action="append",
        default=[],
        help="a request, repeatable: asked of the operations whose pattern of ids it matches, "
        "or if there are none, of those that have no pattern",
    )
    asking.add_argument(
        "--pause", metavar="S", type=float, help="seconds between two calls (default: 1, and 0 on this machine)"
    )
    asking.add_argument("--timeout", metavar="S", type=float, default=10.0, help="seconds for a call (default: 10)")
    asking.add_argument(
        "--patience",
        metavar="S",
        type=float,
        default=20.0,
        help="seconds to wait in all when the gateway asks for it, as with 429 (default: 20)",
    )


def _add_judging(command: argparse.ArgumentParser) -> None:
    judging = command.add_argument_group("what counts, and how it is told")
    judging.add_argument(
        "--fail-on",
        choices=SEVERITIES,
        help="the mildest finding that fails (default: notice, without field-absent unless the spec says "
        "`x-longcat-examples-complete: true` in its info, as longcat's own does: its examples show every field)",
    )
    judging.add_argument("--baseline", metavar="FILE", help="accepted deviations, in TOML")
    judging.add_argument(
        "--update-baseline", metavar="REASON", help="accept what is found, for this reason and 90 days: add it to FILE"
    )
    judging.add_argument(
        "--format",
        choices=FORMATS,
        default="table",
        help="default: table; github: annotations on stdout, for GitHub Actions, and with --output a Markdown report",
    )
    judging.add_argument("--output", metavar="FILE", help="write the report there (default: stdout)")

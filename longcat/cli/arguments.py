"""The arguments of the command line. A mistake in them ends the process with exit code 2, as argparse does.

It imports no more than that takes, and makes the arguments of a command only when it is asked for.
"""

from __future__ import annotations

import argparse

from longcat._version import __version__
from longcat.cli.contract import arguments as contract
from longcat.cli.journal.arguments import add_journal_arguments
from longcat.cli.orders import arguments as orders
from longcat.cli.orders.arguments import DEFAULT_TIMEOUT
from longcat.cli.subcommands import add_commands, add_debug

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Sequence

    from longcat.cli.exit_codes import Exit

DESCRIPTION = """\
Order pictures from the LongCat-Image API, wait for them, and save them.

From a prompt to a picture, with the service's subscription key:

  export PIXAZO_API_KEY=...
  longcat generate "a lioness in tall grass, golden hour" -o lioness.png

Without a key, against an emulator on this machine: `longcat sandbox`, which
prints the URL to set as LONGCAT_BASE_URL.
"""
EPILOG = """\
exit codes:
  0    done
  1    the answer is no: a generation failed, or the contract is broken
  2    used wrongly: an argument, the key, the account
  3    could not tell: the network, a time-out, an order in doubt, an answer
       that breaks the contract
  130  stopped with Ctrl-C

environment:
  PIXAZO_API_KEY    the key; without it, the one line of ~/.pixazo/api-key
  LONGCAT_BASE_URL  the gateway, instead of the service's own
  NO_COLOR          no colours
"""
FAULTS_HELP = "spoil answers: NAME[:COUNT[:SECONDS]], repeatable; `--fault list` shows the names"
VARIANTS_HELP = "answer as a sister model of the queue does, repeatable; `--variant list` shows how"
DRIFTS_HELP = "behave as a gateway that has changed, repeatable; `--drift list` shows how"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; `run` among them is the command's function, which takes them and returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="longcat",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"longcat {__version__}")
    commands = {
        "generate": ("order pictures for a prompt, wait for them, and save them", _add_generate),
        "batch": ("order, wait and save for each line of a file; run again, it goes on", _add_batch),
        "status": ("ask once how a request stands", _add_status),
        "wait": ("wait for requests that were ordered before, and save their pictures", _add_wait),
        "journal": ("tell what stands in a journal, and let the next run take things up again", _add_journal),
        "sandbox": ("serve a local emulator of both gateways", _add_sandbox),
        "contract": (
            "watch a gateway, this one or any other, for changes of its contract",
            lambda command: contract.add_arguments(command, words),
        ),
    }
    add_commands(parser, commands, words)
    arguments = parser.parse_args(words)
    if arguments.run is _wait and not arguments.request_ids and arguments.source is None:
        arguments.complain("the following arguments are required: ID or --from")
    return arguments


def _add_generate(command: argparse.ArgumentParser) -> None:
    _add_asking(command)
    orders.add_generate_arguments(command)
    _add_allow_private(command)


def _add_batch(command: argparse.ArgumentParser) -> None:
    _add_asking(command)
    orders.add_batch_arguments(command)
    _add_allow_private(command)


def _add_status(command: argparse.ArgumentParser) -> None:
    _add_asking(command)
    _add_gateway(command)
    command.add_argument("request_id", metavar="ID", type=str)
    command.set_defaults(run=_status)


def _add_wait(command: argparse.ArgumentParser) -> None:
    _add_asking(command)
    _add_gateway(command)
    command.add_argument("request_ids", metavar="ID", type=str, nargs="*")
    command.add_argument(
        "--from", metavar="FILE", dest="source", help="take more IDs from this file, one a line; - is stdin"
    )
    command.add_argument("-o", "--output", metavar="PATH", help="save the picture here; with several IDs, a folder")
    command.add_argument("--force", action="store_true", help="replace files that are there already")
    command.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        default=DEFAULT_TIMEOUT,
        help=f"for waiting and saving, in seconds, for each ID (default: {DEFAULT_TIMEOUT:g})",
    )
    command.add_argument("--batch-timeout", metavar="S", type=float, help="for all IDs together (default: no bound)")
    command.add_argument("--max-rate", metavar="N", type=float, help="ask N questions a second at most")
    command.add_argument(
        "--journal",
        metavar="PLACE",
        help="note in this file, or at postgresql://..., what is done; it is not done twice, nor by two at once",
    )
    command.add_argument("--strict", action="store_true", help="give up at a status word that nobody documented")
    _add_allow_private(command)
    command.set_defaults(run=_wait, complain=command.error)


def _add_journal(command: argparse.ArgumentParser) -> None:
    add_debug(command)
    add_journal_arguments(command)


def _add_sandbox(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the sandbox. Their defaults are its own."""
    add_debug(command)
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=0, help="the port (default: a free one)")
    command.add_argument("--api-key", metavar="KEY", help="the one key that is accepted (default: the documentation's)")
    command.add_argument("--duration", type=float, metavar="SECONDS", help="how long a request takes (default: 6)")
    command.add_argument("--queued", type=float, metavar="SHARE", help="the part of it in the queue (default: 0.2)")
    outcomes = ["completed", "failed", "cancelled", "error"]
    command.add_argument("--outcome", choices=outcomes, help="how requests end")
    command.add_argument("--request", action="append", metavar="ID", help="an id to answer for, repeatable")
    command.add_argument("--fault", action="append", metavar="FAULT", default=[], help=FAULTS_HELP)
    command.add_argument("--fault-every", type=int, metavar="N", help="spoil every N-th order only (default: 1)")
    command.add_argument("--variant", action="append", metavar="NAME", default=[], help=VARIANTS_HELP)
    command.add_argument("--drift", action="append", metavar="NAME", default=[], help=DRIFTS_HELP)
    command.add_argument("--rate-limit", type=int, metavar="N", help="calls answered in a second (default: all)")
    command.add_argument("--balance", metavar="USD", help="what orders may cost (default: anything)")
    command.add_argument("--disabled", action="store_true", help="take no order: the model is disabled")
    command.add_argument("--small-pictures", action="store_true", help="serve pictures of some pixels, at once")
    command.add_argument("--log", action="store_true", help="print a line for each call to stderr")
    command.set_defaults(run=_sandbox)


def _add_asking(command: argparse.ArgumentParser) -> None:
    add_debug(command)
    command.add_argument("--base-url", metavar="URL", help="the gateway (default: LONGCAT_BASE_URL, else the service)")
    command.add_argument("--json", action="store_true", help="print one JSON object a line")


def _add_gateway(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--gateway", choices=["queue", "result"], help="which gateway gave the ID out (default: as its form tells)"
    )


def _add_allow_private(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--allow-private",
        action="store_true",
        help="fetch pictures from addresses that are not on the public internet, too",
    )


def _status(arguments: argparse.Namespace) -> Exit:
    from longcat.cli import status  # noqa: PLC0415 - only this command needs it, and it is slow to import.

    return status.run(arguments)


def _wait(arguments: argparse.Namespace) -> Exit:
    from longcat.cli import wait  # noqa: PLC0415 - likewise.

    return wait.run(arguments)


def _sandbox(arguments: argparse.Namespace) -> Exit:
    from longcat.cli import sandbox  # noqa: PLC0415 - likewise.

    return sandbox.run(arguments)

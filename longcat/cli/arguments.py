"""The arguments of the command line. A mistake in them ends the process with exit code 2, as argparse does."""

import argparse
from collections.abc import Sequence
from typing import Final

from longcat._version import __version__
from longcat.cli import sandbox
from longcat.cli.contract import arguments as contract
from longcat.cli.orders import arguments as orders
from longcat.cli.orders.arguments import TIMEOUT
from longcat.cli.results import Exit

DESCRIPTION: Final = """\
Order pictures from the LongCat-Image API, wait for them, and save them.

From a prompt to a picture, with the service's subscription key:

  export PIXAZO_API_KEY=...
  longcat generate "a lioness in tall grass, golden hour" -o lioness.png

Without a key, against an emulator on this machine: `longcat sandbox`, which
prints the URL to set as LONGCAT_BASE_URL.
"""
EPILOG: Final = """\
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


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments; `run` among them is the command's function, which takes them and returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="longcat",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"longcat {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    everywhere = argparse.ArgumentParser(add_help=False)
    everywhere.add_argument("--debug", action="store_true", help="show what is done, and tracebacks")
    asking = argparse.ArgumentParser(add_help=False, parents=[everywhere])
    asking.add_argument("--base-url", metavar="URL", help="the gateway (default: LONGCAT_BASE_URL, else the service)")
    asking.add_argument("--json", action="store_true", help="print one JSON object a line")

    command = _add(commands, "generate", "order pictures for a prompt, wait for them, and save them", asking)
    orders.add_generate_arguments(command)
    _add_allow_private(command)

    command = _add(commands, "batch", "order, wait and save for each line of a file; run again, it goes on", asking)
    orders.add_batch_arguments(command)
    _add_allow_private(command)

    about = argparse.ArgumentParser(add_help=False, parents=[asking])
    about.add_argument(
        "--gateway", choices=["queue", "result"], help="which gateway gave the ID out (default: as its form tells)"
    )
    command = _add(commands, "status", "ask once how a request stands", about)
    command.add_argument("request_id", metavar="ID")
    command.set_defaults(run=_status)

    command = _add(commands, "wait", "wait for requests that were ordered before, and save their pictures", about)
    _add_wait_arguments(command)
    _add_allow_private(command)
    waiting = command

    command = _add(commands, "sandbox", "serve a local emulator of both gateways", everywhere)
    sandbox.add_arguments(command)
    command.set_defaults(run=sandbox.run)

    command = _add(commands, "contract", "watch a gateway, this one or any other, for changes of its contract", None)
    contract.add_arguments(command, everywhere)

    arguments = parser.parse_args(argv)
    if arguments.run is _wait and not arguments.request_ids and arguments.source is None:
        waiting.error("the following arguments are required: ID or --from")
    return arguments


def _add_wait_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("request_ids", metavar="ID", nargs="*")
    command.add_argument(
        "--from", metavar="FILE", dest="source", help="take more IDs from this file, one a line; - is stdin"
    )
    command.add_argument("-o", "--output", metavar="PATH", help="save the picture here; with several IDs, a folder")
    command.add_argument("--force", action="store_true", help="replace files that are there already")
    command.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        default=TIMEOUT,
        help=f"for waiting and saving, in seconds, for each ID (default: {TIMEOUT:g})",
    )
    command.add_argument("--batch-timeout", metavar="S", type=float, help="for all IDs together (default: no bound)")
    command.add_argument("--max-rate", metavar="N", type=float, help="ask N questions a second at most")
    command.add_argument(
        "--journal", metavar="FILE", help="note here what is done; run again, it is not done twice, nor by two at once"
    )
    command.add_argument("--strict", action="store_true", help="give up at a status word that nobody documented")
    command.set_defaults(run=_wait)


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


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    summary: str,
    parent: argparse.ArgumentParser | None,
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        parents=[parent] if parent is not None else [],
        allow_abbrev=False,
    )

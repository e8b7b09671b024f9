"""`longcat sandbox`: serve the emulator until Ctrl-C. Needs the extra `sandbox`."""

import argparse
from decimal import Decimal, InvalidOperation

from longcat.cli.results import Exit
from longcat.errors import ConfigurationError

FAULTS_HELP = "spoil answers: NAME[:COUNT[:SECONDS]], repeatable; `--fault list` shows the names"
VARIANTS_HELP = "answer as a sister model of the queue does, repeatable; `--variant list` shows how"
DRIFTS_HELP = "behave as a gateway that has changed, repeatable; `--drift list` shows how"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments. Their defaults are the sandbox's own."""
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


def _dollars(text: str) -> Decimal:
    """Return an amount of money; raise ValueError."""
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError(f"The balance is an amount of US dollars, not {text[:40]!r}.") from None


def run(arguments: argparse.Namespace) -> Exit:
    """Serve until SIGINT or SIGTERM."""
    try:
        from longcat.sandbox import BODY_VARIANTS, DRIFTS, FAULTS, Fault, Settings, serve  # noqa: PLC0415 - it needs the extra.
    except ImportError as error:
        raise ConfigurationError(str(error)) from error
    lists = {
        "fault": [(f"{name:24}", kind.sentence) for name, kind in FAULTS.items()],
        "variant": [(f"{variant.name:24}", variant.sentence) for variant in BODY_VARIANTS.values()],
        "drift": [(f"{one.name:32} {one.severity or 'harmless':9}", one.sentence) for one in DRIFTS.values()],
    }
    for option, lines in lists.items():
        if "list" in getattr(arguments, option):
            print("\n".join(map(" ".join, lines)))
            return Exit.DONE
    names = ("api_key", "duration", "outcome", "queued", "fault_every", "rate_limit")
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    try:
        settings = Settings(
            requests=tuple(arguments.request or ()),
            faults=tuple(Fault.parse(text) for text in arguments.fault),
            variants=tuple(arguments.variant),
            drifts=tuple(arguments.drift),
            balance=None if arguments.balance is None else _dollars(arguments.balance),
            disabled=arguments.disabled,
            small_pictures=arguments.small_pictures,
            **given,
        )
        serve(settings, host=arguments.host, port=arguments.port, log_requests=arguments.log)
    except BrokenPipeError:
        return Exit.UNCLEAR  # Nobody reads stdout, so nobody would learn the URL.
    except OSError as error:
        message = f"The sandbox can't listen there: {error.strerror or error}. Pass another --host or --port."
        raise ConfigurationError(message) from error
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return Exit.DONE

"""`longcat sandbox`: serve the emulator until Ctrl-C. Needs the extra `sandbox`."""

import argparse
from decimal import Decimal, InvalidOperation

from longcat.cli.exit_codes import Exit
from longcat.cli.results import Printer
from longcat.errors import ConfigurationError


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
            printer = Printer()
            for line in lines:
                printer.print(" ".join(line))
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

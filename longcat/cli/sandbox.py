"""`longcat sandbox`: serve the emulator until Ctrl-C. Needs the extra `sandbox`."""

import argparse

from longcat.cli.results import Exit
from longcat.errors import ConfigurationError

FAULTS_HELP = "spoil answers: NAME[:COUNT[:SECONDS]], repeatable; `--fault list` shows the names"
DRIFTS_HELP = "behave as a gateway that has changed, repeatable; `--drift list` shows how"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the command's arguments. Their defaults are the sandbox's own."""
    command.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=0, help="the port (default: a free one)")
    command.add_argument("--api-key", metavar="KEY", help="the one key that is accepted (default: the documentation's)")
    command.add_argument("--duration", type=float, metavar="SECONDS", help="how long a request takes (default: 6)")
    command.add_argument("--outcome", choices=["completed", "failed", "cancelled"], help="how requests end")
    command.add_argument("--request", action="append", metavar="ID", help="an id to know, repeatable")
    command.add_argument("--fault", action="append", metavar="FAULT", default=[], help=FAULTS_HELP)
    command.add_argument("--drift", action="append", metavar="NAME", default=[], help=DRIFTS_HELP)
    command.add_argument("--rate-limit", type=int, metavar="N", help="questions answered in a second (default: all)")
    command.add_argument("--log", action="store_true", help="print a line for each call to stderr")


def run(arguments: argparse.Namespace) -> Exit:
    """Serve until SIGINT or SIGTERM."""
    try:
        from longcat.sandbox import DRIFTS, FAULTS, Fault, Settings, serve  # noqa: PLC0415 - it needs the extra.
    except ImportError as error:
        raise ConfigurationError(str(error)) from error
    if "list" in arguments.fault:
        for name, kind in FAULTS.items():
            print(f"{name:18} {kind.sentence}")
        return Exit.DONE
    if "list" in arguments.drift:
        for drift in DRIFTS.values():
            print(f"{drift.name:32} {drift.severity or 'harmless':9} {drift.sentence}")
        return Exit.DONE
    given = {
        "api_key": arguments.api_key,
        "duration": arguments.duration,
        "outcome": arguments.outcome,
        "requests": tuple(arguments.request) if arguments.request else None,
        "rate_limit": arguments.rate_limit,
    }
    try:
        faults = tuple(Fault.parse(text) for text in arguments.fault)
        drifts = tuple(arguments.drift)
        settings = Settings(
            faults=faults, drifts=drifts, **{name: value for name, value in given.items() if value is not None}
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

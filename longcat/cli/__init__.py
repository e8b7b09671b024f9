"""The command line. Results go to stdout, progress and errors to stderr; the exit code says how it went."""

import argparse
import logging
import sys
from collections.abc import Sequence

from longcat.cli.arguments import parse
from longcat.cli.outcome import Exit, report
from longcat.cli.results import quiet_pipe


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments without the program's name. None: those of this process.
    """
    try:
        return _run(parse(argv))
    finally:
        with quiet_pipe():
            sys.stdout.flush()


def _run(arguments: argparse.Namespace) -> Exit:
    logging.basicConfig(format="longcat: %(message)s", handlers=[_Stderr()])
    if arguments.debug:
        # Not the libraries below: they would show headers.
        logging.getLogger("longcat").setLevel(logging.DEBUG)
        logging.getLogger("httpx").setLevel(logging.INFO)
    try:
        code: Exit = arguments.run(arguments)
    except KeyboardInterrupt:
        print("longcat: Stopped. The requests themselves go on; wait for them again.", file=sys.stderr)
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost caller: nobody else would tell the user.
        return report(error, debug=arguments.debug)
    return code


class _Stderr(logging.Handler):
    """Prints to what is stderr at that moment, so that a live display can put the line above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)

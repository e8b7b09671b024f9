"""Run one command. Results go to stdout, progress and errors to stderr; the exit code says how it went."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from longcat.cli.arguments import parse
from longcat.cli.results import Exit, lenient_stderr, print_error, quiet_pipe, report
from longcat.errors import ConfigurationError


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments without the program's name. None: those of this process.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # The shell closed it, as `>&-` does.
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it is never closed.
    with lenient_stderr():
        try:
            return _run(parse(argv))
        finally:
            try:
                with quiet_pipe():
                    sys.stdout.flush()  # The help, or the version.
            except ConfigurationError as error:
                report(error, debug=False)


def _run(arguments: argparse.Namespace) -> Exit:
    logging.basicConfig(format="longcat: %(message)s", handlers=[_Stderr()])
    # INFO tells of faults that are waited out, and of httpx's calls. Its DEBUG would show headers.
    logging.getLogger("longcat").setLevel(logging.DEBUG if arguments.debug else logging.INFO)
    logging.getLogger("httpx").setLevel(logging.INFO if arguments.debug else logging.WARNING)
    try:
        code: Exit = arguments.run(arguments)
    except Exception as error:  # noqa: BLE001 - the outermost caller: nobody else would tell the user.
        return report(error, debug=arguments.debug)
    return code


class _Stderr(logging.Handler):
    """Prints to what is stderr at that moment, so that a live display can put the line above itself."""

    def emit(self, record: logging.LogRecord) -> None:
        print_error(self.format(record))

"""The command line. Results go to stdout, progress and errors to stderr; the exit code says how it went."""

import logging
import os
import sys
from collections.abc import Sequence

from longcat.cli.arguments import parse
from longcat.cli.outcome import Exit, report


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments without the program's name. None: those of this process.
    """
    arguments = parse(argv)
    logging.basicConfig(
        level=logging.DEBUG if arguments.debug else logging.WARNING, format="longcat: %(message)s", handlers=[_Stderr()]
    )
    try:
        code: Exit = arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough. What is still buffered must not fail again when Python exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.UNCLEAR
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

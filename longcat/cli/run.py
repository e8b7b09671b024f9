"""Run one command. Results go to stdout, progress and errors to stderr; the exit code says how it went.

What a command needs is imported when it runs: the version, the help and a complaint about wrong use come at once.
"""

from __future__ import annotations

import sys
from contextlib import suppress

from longcat._version import __version__
from longcat.cli.streams import quiet_pipe, usable_streams

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from longcat.cli.exit_codes import Exit


def run(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: the arguments without the program's name. None: those of this process.
    """
    words = [*(sys.argv[1:] if argv is None else argv)]
    with usable_streams():
        try:
            if words[:1] == ["--version"]:  # As `argparse` has it, which takes longer to import than all else here.
                with suppress(OSError):  # As with `argparse`, too.
                    print(f"longcat {__version__}")
                return 0
            from longcat.cli.arguments import parse  # noqa: PLC0415 - see above.

            return _run(parse(words))
        finally:
            try:
                with quiet_pipe():
                    sys.stdout.flush()  # The help, or the version.
            except Exception as error:  # noqa: BLE001 - as below.
                from longcat.cli.results import report  # noqa: PLC0415 - see above.

                sys.exit(report(error, debug=False))


def _run(arguments: argparse.Namespace) -> Exit:
    from longcat.cli.results import log_to_stderr, report  # noqa: PLC0415 - see above.

    log_to_stderr(debug=arguments.debug)
    try:
        code: Exit = arguments.run(arguments)
    except Exception as error:  # noqa: BLE001 - the outermost caller: nobody else would tell the user.
        return report(error, debug=arguments.debug)
    return code

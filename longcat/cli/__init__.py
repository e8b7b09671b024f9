"""The command line. This file sees to Ctrl-C, and only then imports the rest, which takes its time."""

from __future__ import annotations

import gc
import sys

from longcat.cli import interrupt

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Sequence

ALLOCATIONS = 50_000
"""New objects after which garbage is looked for. Python's own 700 take a sixth of a start, in which there is none."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command as this process, and return its exit code. Ctrl-C and SIGTERM end it with 130 at any moment.

    Within another program, call `longcat.cli.run.run`: it leaves the signals alone.

    Args:
        argv: the arguments without the program's name. None: those of this process.
    """
    gc.set_threshold(ALLOCATIONS)
    try:
        interrupt.exit_on_interrupt()
        sys.unraisablehook = _unraisable
        from longcat.cli.run import run  # noqa: PLC0415 - see above.

        try:
            interrupt.raise_on_interrupt()
            return run(argv)
        finally:
            interrupt.exit_on_interrupt()  # The interpreter's own end takes its time as well.
            gc.freeze()  # Less of it if it need not look for garbage.
    except* KeyboardInterrupt:  # A second one may come out of a group of tasks that the first has cancelled.
        interrupt.exit_now()


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """End the process if Ctrl-C struck where Python drops exceptions, such as in `__del__`."""
    if unraisable.exc_type is KeyboardInterrupt:
        interrupt.exit_now()
    sys.__unraisablehook__(unraisable)

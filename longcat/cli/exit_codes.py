"""The exit codes of the command line."""

from enum import IntEnum

from longcat.cli.interrupt import EXIT_CODE


class Exit(IntEnum):
    """The exit codes. They are fixed: scripts rely on them."""

    DONE = 0
    NO = 1
    """The answer is no: a generation failed."""
    MISUSED = 2
    """Something must be changed before it can work: an argument, the key, the account."""
    UNCLEAR = 3
    """Nobody can say: the network failed, the time was up, or the answer makes no sense."""
    INTERRUPTED = EXIT_CODE
    """Ctrl-C; what shells give a command that SIGINT ended."""

"""`longcat status`: ask once."""

import argparse

from longcat.cli.outcome import Exit, Printer, as_object
from longcat.client import LongCat
from longcat.errors import LongCatError
from longcat.text import shorten
from longcat.waiting.wait import FAILURES


def run(arguments: argparse.Namespace) -> Exit:
    """Print how a request stands. A failed one is an answer, and the answer is no."""
    printer = Printer()
    try:
        with LongCat(base_url=arguments.base_url) as cat:
            status = cat.status(arguments.request_id)
    except LongCatError as error:
        if arguments.json:
            printer.print(as_object(arguments.request_id, None, error=error))
        raise
    if arguments.json:
        printer.print(as_object(status.request_id, status))
    else:
        percent = f"{status.progress:.0%}" if status.progress is not None else None
        url = status.image.url if status.image else None
        words = (status.request_id, status.raw_state, percent, url, status.error)
        printer.print("  ".join(shorten(word, 2000) for word in words if word))
    return Exit.NO if status.state in FAILURES else Exit.DONE

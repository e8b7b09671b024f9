"""`longcat status`: ask once. And what is known of a request, as a JSON object."""

import argparse
from collections.abc import Sequence
from typing import Any

from longcat.cli.exit_codes import Exit
from longcat.cli.results import Printer
from longcat.client.sync_client import LongCat
from longcat.errors import LongCatError
from longcat.models import Status
from longcat.text import shorten
from longcat.waiting.outcome import GENERATION_ERRORS


def run(arguments: argparse.Namespace) -> Exit:
    """Print how a request stands. A failed one is an answer, and the answer is no."""
    printer = Printer()
    try:
        with LongCat(base_url=arguments.base_url) as cat:
            status = cat.status(arguments.request_id, gateway=arguments.gateway)
    except LongCatError as error:
        if arguments.json:
            printer.print(as_object(arguments.request_id, None, error=error))
        raise
    if arguments.json:
        printer.print(as_object(status.request_id, status))
    else:
        percent = f"{status.progress:.0%}" if status.progress is not None else None
        urls = status.image.urls if status.image else ()
        words = (status.request_id, status.raw_state, percent, *urls, status.error)
        printer.print("  ".join(shorten(word, 2000) for word in words if word))
    return Exit.NO if status.state in GENERATION_ERRORS else Exit.DONE


def as_object(
    request_id: str | None, status: Status | None, paths: Sequence[str] = (), error: LongCatError | None = None
) -> dict[str, Any]:
    """Return what is known of a request as a JSON object. Every field is always there; null means unknown.

    `url` and `path` are those of the first picture, `urls` and `paths` those of all.
    """
    image = status.image if status else None
    if error is None and status is not None and status.state in GENERATION_ERRORS:
        error = GENERATION_ERRORS[status.state](status)
    return {
        "request_id": request_id,
        "state": status.state.value if status else None,
        "raw_state": status.raw_state if status else None,
        "progress": status.progress if status else None,
        "url": image.url if image else None,
        "urls": list(image.urls) if image else [],
        "created_at": image.created_at.isoformat() if image and image.created_at else None,
        "duration_seconds": image.duration.total_seconds() if image and image.duration is not None else None,
        "model_version": image.model_version if image else None,
        "path": paths[0] if paths else None,
        "paths": [*paths],
        "error": {"type": type(error).__name__, "message": str(error)} if error else None,
    }

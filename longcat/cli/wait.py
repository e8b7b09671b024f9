"""`longcat wait`: wait for requests side by side, show how they stand, and save their pictures."""

import argparse
import os
import sys
import time
from pathlib import Path

import anyio

from longcat.cli.outcome import Exit, overall, report
from longcat.cli.progress import Display, display
from longcat.cli.results import Printer, as_object
from longcat.client import AsyncLongCat, Unknown
from longcat.conversation import image_of
from longcat.download import existing
from longcat.errors import ConfigurationError, LongCatError
from longcat.models import Status
from longcat.settings import usable_timeout
from longcat.text import shorten


def run(arguments: argparse.Namespace) -> Exit:
    """Wait for every request, print what came of each, and return what came of all."""
    request_ids = list(dict.fromkeys(arguments.request_ids))  # Naming one twice asks once.
    usable_timeout(arguments.timeout)
    output = _output(arguments, request_ids)
    later = sys.stdout.isatty() and sys.stderr.isatty()
    with Printer(later=later) as printer, display(request_ids) as shown:
        codes = anyio.run(_wait_for_all, arguments, request_ids, output, shown, printer)
    return overall(codes)


def _output(arguments: argparse.Namespace, request_ids: list[str]) -> Path | None:
    """Return where pictures go. What would fail after the wait had better fail before it."""
    if arguments.output is None:
        return None
    if not arguments.output:
        raise ConfigurationError("The --output is empty; a shell variable may be unset. Name a file or a folder.")
    path = Path(arguments.output)
    try:
        if len(request_ids) > 1 or arguments.output.endswith(("/", os.sep)):
            path.mkdir(parents=True, exist_ok=True)
        old = [file for one in request_ids if (file := existing(path, one))]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"Nothing can be saved at {shorten(path)}: {reason}. Pass another --output."
        ) from error
    if not path.is_dir() and not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write {path.name} into. Make it first.")
    if old and not arguments.force:
        raise ConfigurationError(f"{old[0]} is there already. Pass --force to replace it, or another --output.")
    return path


async def _wait_for_all(
    arguments: argparse.Namespace, request_ids: list[str], output: Path | None, shown: Display, printer: Printer
) -> list[Exit]:
    codes: list[Exit] = []
    async with AsyncLongCat(base_url=arguments.base_url) as cat, anyio.create_task_group() as tasks:

        async def wait_for_one(request_id: str) -> None:
            status: Status | None = None
            path: Path | None = None
            failure: LongCatError | None = None
            deadline = time.monotonic() + arguments.timeout
            try:
                unknown: Unknown = "raise" if arguments.strict else "wait"
                async for status in cat.watch(request_id, arguments.timeout, unknown=unknown):
                    shown.update(status)
                image = image_of(status)
                if output is not None:
                    left = max(0.0, deadline - time.monotonic())
                    path = await cat.download(image, output, overwrite=arguments.force, timeout=left)
                if not arguments.json:
                    printer.print(str(path or image.url))
                codes.append(Exit.DONE)
            except LongCatError as error:
                failure = error
                codes.append(report(error, debug=arguments.debug))
            shown.finish(request_id)
            if arguments.json:
                try:
                    printer.print(as_object(request_id, status, path, failure))
                except ConfigurationError as error:
                    codes.append(report(error, debug=arguments.debug))

        for request_id in request_ids:
            tasks.start_soon(wait_for_one, request_id)
    return codes

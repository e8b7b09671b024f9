"""`longcat wait`: wait for requests side by side, show how they stand, and save their pictures."""

import argparse
import math
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import aclosing
from functools import partial
from typing import Final

import anyio

from longcat.cli.displays.display import Display
from longcat.cli.displays.progress import display
from longcat.cli.exit_codes import Exit
from longcat.cli.ids import STDIN, known_ids, piped_ids
from longcat.cli.interrupt import run_async
from longcat.cli.output import usable_output
from longcat.cli.results import Printer, overall, printer_beside_display, report
from longcat.cli.status import as_object
from longcat.client.async_client import AsyncLongCat
from longcat.client.options import Unknown
from longcat.errors import ConfigurationError, LongCatError, WaitTimeout
from longcat.saving.stores.store import PictureStore
from longcat.sending.tasks.pool import Outcomes
from longcat.settings import usable_rate, usable_timeout
from longcat.waiting.outcome import Outcome

SAVED_AT_ONCE: Final = 8
"""How many requests have their pictures downloaded at a time."""
MAX_UNSAVED: Final = 40
"""How many requests may be done and wait for that. More would be kept in memory, and might wait until their timeout."""
ESTIMATED_EVERY: Final = 1.0
"""Seconds between two estimates of when all will be done."""


def run(arguments: argparse.Namespace) -> Exit:
    """Wait for every request, print what came of each, and return what came of all."""
    usable_timeout(arguments.timeout, "--timeout")
    usable_timeout(arguments.batch_timeout, "--batch-timeout")
    usable_rate(arguments.max_rate, "--max-rate")
    known = None if arguments.source == STDIN else known_ids(arguments.request_ids, arguments.source)
    # What the journal knows is not in the way. It is looked at when the picture is.
    new = known if known is not None and arguments.journal is None else ()
    folder = known is None or len(known) > 1
    output = usable_output(arguments.output, new, folder=folder, force=arguments.force)
    with (
        printer_beside_display() as printer,
        display({one: one for one in known} if known is not None else None) as shown,
    ):
        waiting = _Waiting(arguments, output, shown, printer)
        request_ids = piped_ids(arguments.request_ids) if known is None else known
        codes = run_async(waiting.wait_for_all, request_ids)
    if not codes:
        raise ConfigurationError("There was no request id on stdin. Write one a line.")
    return overall(codes)


class _Waiting:
    """One run of the command: its arguments, its display and printer, and how each request went."""

    def __init__(
        self, arguments: argparse.Namespace, output: PictureStore | None, shown: Display, printer: Printer
    ) -> None:
        self._arguments = arguments
        self._output = output
        self._shown = shown
        self._printer = printer
        self._end = time.monotonic() + (math.inf if arguments.batch_timeout is None else arguments.batch_timeout)
        self._codes: list[Exit] = []
        self._left: set[str] = set()
        """Known requests that have no outcome yet."""

    async def wait_for_all(self, request_ids: Iterable[str] | AsyncIterable[str]) -> list[Exit]:
        """Wait for every request, and return how each went."""
        arguments = self._arguments
        self._left.update(request_ids if isinstance(request_ids, list) else ())
        unknown: Unknown = "raise" if arguments.strict else "wait"
        async with AsyncLongCat(
            base_url=arguments.base_url,
            max_rate=arguments.max_rate,
            journal=arguments.journal,
            allow_private=arguments.allow_private,
        ) as cat:
            outcomes = cat.as_completed(
                request_ids,
                arguments.timeout,
                gateway=arguments.gateway,
                batch_timeout=arguments.batch_timeout,
                unknown=unknown,
                on_change=self._shown.update,
            )
            async with aclosing(outcomes):
                await conclude_all(outcomes, partial(self._conclude, cat), self._shown)
            for request_id in sorted(self._left):
                error = WaitTimeout(request_id, 0.0, asked=False)
                await self._conclude(cat, Outcome(request_id, error=error))
        return self._codes

    async def _conclude(self, cat: AsyncLongCat, outcome: Outcome) -> None:
        """Save the picture, and say how it went."""
        self._left.discard(outcome.request_id)
        places: list[str] = []
        failure: LongCatError | None = None
        try:
            image = outcome.result()
            if self._output is not None:
                left = min(self._arguments.timeout - outcome.elapsed, self._end - time.monotonic())
                places = await cat.save(image, self._output, overwrite=self._arguments.force, timeout=max(0.0, left))
            if not self._arguments.json:
                for place in places or image.urls:
                    self._printer.print(place)
            self._codes.append(Exit.DONE)
        except LongCatError as error:
            failure = error
            self._codes.append(report(error, debug=self._arguments.debug))
        self._shown.finish(outcome, is_done=failure is None)
        if self._arguments.json:
            try:
                self._printer.print(as_object(outcome.request_id, outcome.status, places, failure))
            except ConfigurationError as error:
                self._codes.append(report(error, debug=self._arguments.debug))


async def conclude_all(outcomes: Outcomes, conclude: Callable[[Outcome], Awaitable[None]], shown: Display) -> None:
    """Conclude the outcomes as they come, several side by side, and show when the last one will be there.

    Args:
        outcomes: the caller closes them.
        conclude: saves the pictures of an outcome, and tells how it went.
        shown: shows the estimate.
    """
    saving, unsaved = anyio.Semaphore(SAVED_AT_ONCE), anyio.Semaphore(MAX_UNSAVED)

    async def save(outcome: Outcome) -> None:
        try:
            async with saving:
                await conclude(outcome)
        finally:
            unsaved.release()

    async def estimate() -> None:
        while True:
            await anyio.sleep(ESTIMATED_EVERY)
            shown.estimate(outcomes.remaining())

    async with anyio.create_task_group() as estimating:
        estimating.start_soon(estimate)
        async with anyio.create_task_group() as tasks:
            async for outcome in outcomes:
                tasks.start_soon(save, outcome)
                await unsaved.acquire()  # While pictures come faster than they can be saved, nothing more is asked for.
        estimating.cancel_scope.cancel()

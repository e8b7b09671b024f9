"""The process that others are forked from, which has imported what each of them would import."""

from multiprocessing import get_context
from typing import Final

# One list for all: there is one such process, and it imports what was named last before it starts.
CONTEXT: Final = get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "anyio._backends._asyncio",
        "httpcore",
        "httpx",
        "longcat.cli.displays.progress",
        "longcat.cli.orders.batch",
        "longcat.cli.orders.one_machine",
        "longcat.cli.status",
        "longcat.cli.subcommands",
        "longcat.cli.wait",
        "longcat.client.flows",
        "longcat.saving.journal.journal",
        "longcat.saving.journal.postgres.database",
        "longcat_api.api.requests.get_request_result",
        "rich.progress",
    ]
)

"""The callbacks of the orders of a command."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from longcat.errors import ConfigurationError
from longcat.webhooks import Receiver, serving


def callback_fields(arguments: argparse.Namespace) -> dict[str, str | None]:
    """Return the fields of an order that say where its callbacks go."""
    return {"webhook_url": arguments.webhook_url, "webhook_mode": arguments.webhook_mode}


@contextmanager
def receiving(arguments: argparse.Namespace) -> Iterator[Receiver | None]:
    """Take callbacks while the block lasts, and yield who is woken by them. None: nobody asked for that.

    Raises ConfigurationError when they can't be taken.
    """
    if arguments.webhook_listen is None:
        yield None
        return
    if arguments.webhook_url is None:
        raise ConfigurationError("--webhook-listen needs a --webhook-url that leads there. Pass both.")
    receiver = Receiver()
    with serving(receiver, *arguments.webhook_listen):
        yield receiver

"""The arguments of `longcat generate` and `longcat batch`."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from decimal import Decimal

    from longcat.cli.exit_codes import Exit

DEFAULT_TIMEOUT = 300.0
"""Seconds. The client's own default, which is not imported here, as that takes long: a test compares the two."""
# The contract's words, which are not read here, as that takes long: a test compares the two.
SIZES = ("landscape_4_3", "portrait_3_4", "square_1_1", "ultra_wide_16_9", "ultra_portrait_9_16")
FORMATS = ("png", "jpeg", "webp")
ACCELERATIONS = ("regular", "high_performance")
WEBHOOK_MODES = ("terminal", "sync")
# The words of `Layout`, and how many pictures a shard has, likewise.
LAYOUTS = ("flat", "hash")
STORED_AS = ("files", "webdataset")
SHARD_SIZE = 1000


def add_generate_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `longcat generate`."""
    command.add_argument("prompt", metavar="PROMPT", type=str, help="what the picture should show")
    fields = command.add_argument_group("the picture", "Only what is given is sent; for the rest the service decides.")
    fields.add_argument(
        "--size", choices=SIZES, metavar="S", help=f"{', '.join(SIZES)} (default: {SIZES[0]}, as one must be sent)"
    )
    fields.add_argument("--steps", type=int, metavar="N", help="how many steps the model takes, such as 28")
    fields.add_argument("--guidance", type=float, metavar="X", help="how closely it keeps to the prompt, such as 4.5")
    fields.add_argument("-n", "--number", type=int, metavar="N", help="how many pictures; each may cost the full price")
    fields.add_argument("--format", choices=FORMATS, metavar="F", help=", ".join(FORMATS))
    fields.add_argument("--acceleration", choices=ACCELERATIONS, metavar="A", help=", ".join(ACCELERATIONS))
    fields.add_argument("--no-safety-checker", action="store_true", help="have the pictures not checked")
    _add_webhook(command)
    command.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="save the picture as this file, or in this folder; several are numbered; or at a URL, as for batch",
    )
    command.add_argument("--force", action="store_true", help="replace files that are there already")
    command.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        default=DEFAULT_TIMEOUT,
        help=(
            f"for all of it, in seconds (default: {DEFAULT_TIMEOUT:g});"
            " the request goes on, and `longcat wait` takes it up"
        ),
    )
    command.add_argument(
        "--journal",
        metavar="PLACE",
        help="note the order in this file, or at postgresql://...; run again, it is not sent again, but goes on",
    )
    _add_resubmit(command)
    command.set_defaults(run=_generate)


def add_batch_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `longcat batch`."""
    command.add_argument(
        "file",
        metavar="FILE",
        help='a prompt a line; JSON lines, {"prompt": ..., "id": ..., "image_size": ...}; or Parquet; - is stdin',
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        required=True,
        help="save the pictures and manifest.jsonl in this folder, or at a URL such as s3://bucket/prefix",
    )
    command.add_argument(
        "--layout",
        choices=LAYOUTS,
        default=LAYOUTS[0],
        help="flat: beside each other (default); hash: in 256 folders with 256 in each",
    )
    command.add_argument(
        "--format",
        choices=STORED_AS,
        default=STORED_AS[0],
        help="files (default); webdataset: tar files of pictures with a JSON object beside each",
    )
    command.add_argument(
        "--shard-size",
        metavar="N",
        type=int,
        default=SHARD_SIZE,
        help=f"pictures in a tar file, which has 256 MiB at most (default: {SHARD_SIZE})",
    )
    command.add_argument(
        "--journal",
        metavar="PLACE",
        help="what was ordered is noted in this file (default: .longcat-journal.db in DIR); or at postgresql://..., and"
        " then the command may be started on many machines, each of which takes its share",
    )
    command.add_argument("--dry-run", action="store_true", help="tell what would be ordered at what price, then stop")
    command.add_argument(
        "--max-cost",
        metavar="USD",
        type=_dollars,
        help="send nothing if all orders of the journal, with these, could cost more",
    )
    command.add_argument("--max-rate", metavar="N", type=float, help="send N orders and questions a second at most")
    _add_webhook(command)
    command.add_argument(
        "--timeout",
        metavar="S",
        type=float,
        default=DEFAULT_TIMEOUT,
        help=f"for each order, in seconds (default: {DEFAULT_TIMEOUT:g})",
    )
    command.add_argument("--batch-timeout", metavar="S", type=float, help="for all of it (default: no bound)")
    _add_resubmit(command)
    command.set_defaults(run=_batch)


def _add_webhook(command: argparse.ArgumentParser) -> None:
    command.add_argument("--webhook-url", metavar="URL", help="where the service posts the status, too; https")
    command.add_argument(
        "--webhook-listen",
        metavar="HOST:PORT",
        type=_address,
        help="take what is posted there, over plain HTTP, and ask at once; needs the extra webhooks",
    )
    command.add_argument(
        "--webhook-mode",
        choices=WEBHOOK_MODES,
        help="terminal: once, at the end; sync: with each news (default: the service chooses)",
    )


def _add_resubmit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--resubmit-unknown",
        action="store_true",
        help="send orders in doubt again, though they may have been taken: this may mean to pay twice",
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, such as 127.0.0.1:8000")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _dollars(text: str) -> Decimal:
    from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - as above.

    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of US dollars, such as 2.60")
    return amount


def _generate(arguments: argparse.Namespace) -> Exit:
    from longcat.cli.orders import generate  # noqa: PLC0415 - it is slow to import.

    return generate.run(arguments)


def _batch(arguments: argparse.Namespace) -> Exit:
    from longcat.cli.orders import batch  # noqa: PLC0415 - likewise.

    return batch.run(arguments)

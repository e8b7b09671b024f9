"""`longcat generate`: from a prompt to a picture."""

import argparse
import shlex

from longcat.cli.displays.progress import display
from longcat.cli.exit_codes import Exit
from longcat.cli.interrupt import run_async
from longcat.cli.orders.batch_run import BatchRun, BatchRunSettings
from longcat.cli.orders.order_line import LineState, OrderLine
from longcat.cli.orders.webhooks import receiving
from longcat.cli.output import check_free, usable_output
from longcat.cli.results import Printer, print_error, report
from longcat.cli.status import as_object
from longcat.gateway.contract import SUBMIT, contract
from longcat.gateway.gateways import likely_gateway
from longcat.gateway.order_fields import usable_order
from longcat.models import OrderRequest
from longcat.saving.journal.journal import without_password
from longcat.saving.stores.folder import FolderStore
from longcat.saving.stores.store import PictureStore
from longcat.settings import api_key_if_any, find_base_url, usable_timeout
from longcat.waiting.order_store import OrderKeys


def run(arguments: argparse.Namespace) -> Exit:
    """Order pictures, wait until they are there, save them, and print where they are."""
    usable_timeout(arguments.timeout, "--timeout")
    order = _order(arguments)
    line = OrderLine(order, OrderKeys().next(order))
    output = usable_output(arguments.output, [], folder=False, force=True)
    # A picture that the journal knows is not in the way. In a folder, the name is not known yet.
    if output is not None and arguments.journal is None and not arguments.force and not output.is_folder:
        check_free(output, "", order.pictures, "Pass --force to replace it, or another --output.")
    settings = BatchRunSettings(
        output=output,
        base_url=arguments.base_url,
        journal=arguments.journal,
        timeout=arguments.timeout,
        resubmit_unknown=arguments.resubmit_unknown,
        allow_private=arguments.allow_private,
        overwrite=arguments.force,
    )
    try:
        with receiving(arguments) as wake, display({line.key: order.prompt}, at_first="ordering") as shown:
            run_async(BatchRun([line], settings, shown, lambda _: None, wake).run)
    finally:  # Ctrl-C, too.
        code = Exit.DONE
        if line.error is not None:
            told = line.request_id is None or line.request_id in str(line.error)
            code = report(line.error, debug=arguments.debug, about="" if told else f"request {line.request_id}")
        if line.request_id is not None and line.state is LineState.OPEN:
            print_error(f"longcat: The request is not lost; this takes it up: {_take_up(line, output, arguments)}")
    with Printer() as printer:
        _print(line, output, printer, as_json=arguments.json)
    return code


def _order(arguments: argparse.Namespace) -> OrderRequest:
    """Return what is to be ordered. Raises ConfigurationError when it can't be."""
    base_url = find_base_url(arguments.base_url, contract(SUBMIT).server)
    fields = {
        "prompt": arguments.prompt,
        "image_size": arguments.size,
        "num_inference_steps": arguments.steps,
        "guidance_scale": arguments.guidance,
        "num_images": arguments.number,
        "enable_safety_checker": False if arguments.no_safety_checker else None,
        "output_format": arguments.format,
        "acceleration": arguments.acceleration,
        "webhook_url": arguments.webhook_url,
        "webhook_mode": arguments.webhook_mode,
    }
    return usable_order(fields, plain_http=base_url.startswith("http://"), api_key=api_key_if_any())


def _take_up(line: OrderLine, output: PictureStore | None, arguments: argparse.Namespace) -> str:
    """Return the command that takes the request up. The queue gateway took the order, whatever form the id has."""
    request_id = line.request_id or ""
    words = ["longcat", "wait", request_id]
    words += ["--gateway", "queue"] if likely_gateway(request_id) != "queue" else []
    is_path = output is None or isinstance(output, FolderStore)  # A URL may hold a password.
    words += ["--output", arguments.output if is_path else str(output)] if output is not None else []
    words += ["--journal", without_password(arguments.journal)] if arguments.journal is not None else []
    words += ["--base-url", arguments.base_url] if arguments.base_url is not None else []
    return shlex.join(words)


def _print(line: OrderLine, output: PictureStore | None, printer: Printer, *, as_json: bool) -> None:
    places = [output.place(name) for name in line.files] if output is not None else []
    if as_json:
        printer.print(as_object(line.request_id, line.last_status, places, line.error))
    elif line.state is LineState.DONE:
        image = line.last_status.image if line.last_status is not None else None
        for place in places or (image.urls if image is not None else ()):
            printer.print(place)

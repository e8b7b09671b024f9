"""`longcat batch`: order, wait and save for each line of a file, and go on where an earlier run was."""

import argparse

from longcat.cli.exit_codes import Exit
from longcat.gateway.contract import SUBMIT, contract
from longcat.settings import find_base_url, usable_rate, usable_timeout


def run(arguments: argparse.Namespace) -> Exit:
    """Order what the file says and the journal does not know, and wait for all of it."""
    usable_timeout(arguments.timeout, "--timeout")
    usable_timeout(arguments.batch_timeout, "--batch-timeout")
    usable_rate(arguments.max_rate, "--max-rate")
    base_url = find_base_url(arguments.base_url, contract(SUBMIT).server)
    if arguments.journal is not None and "://" in arguments.journal:
        from longcat.cli.orders import many_machines  # noqa: PLC0415 - one of the two is enough.

        return many_machines.run(arguments, base_url)
    from longcat.cli.orders import one_machine  # noqa: PLC0415 - likewise.

    return one_machine.run(arguments, base_url)

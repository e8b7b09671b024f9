"""`longcat batch`: order, wait and save for each line of a file."""

import argparse

from longcat.cli.results import Exit
from longcat.errors import ConfigurationError


def run(arguments: argparse.Namespace) -> Exit:
    """Order what the file says."""
    raise ConfigurationError(f"{arguments.file} can't be ordered yet.")

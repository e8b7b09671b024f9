"""Gives a command its subcommands: each has a parser, but gets its arguments only when somebody asks for it."""

from __future__ import annotations

import argparse

TYPE_CHECKING = False  # As in `typing`, the import of which takes longer than this module.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def add_commands(
    parser: argparse.ArgumentParser,
    commands: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None]]],
    words: Sequence[str],
) -> None:
    """Add commands to a parser.

    Args:
        parser: that of the command line, or of a command with commands of its own.
        commands: for the name of each its summary, and what adds its arguments.
        words: what is to be parsed. A name that is not among them can't be asked for, so the arguments of that command
            are not added, which would take longer than all the rest.
    """
    action = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    action.type = str  # The words after a command are for it to judge.
    for name, (summary, add_arguments) in commands.items():
        description = f"{summary[0].upper()}{summary[1:]}."
        command = action.add_parser(name, help=summary, description=description, allow_abbrev=False)
        command.register("type", None, _given)
        if name in words:
            add_arguments(command)


def _given(text: str) -> str:
    """Return the text of an argument that has no type of its own."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; a shell variable may be unset")
    return text


def add_debug(command: argparse.ArgumentParser) -> None:
    """Add the option that every command has."""
    command.add_argument("--debug", action="store_true", help="show what is done, and tracebacks")

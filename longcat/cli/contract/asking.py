"""Whom `longcat contract` asks, how, and by which contract. Needs the extra `contract`."""

import argparse
import math
import os
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from longcat.contract import Exchange, Origin, Spec, SpecError, load_spec
from longcat.contract.traffic.probe import Politeness, Unanswered, probe
from longcat.contract.traffic.questions import Question, questions
from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract as our_contract
from longcat.settings import KEY_FILE, KEY_VARIABLE, find_api_key, find_base_url, usable_request_id

LONGEST: Final = 3600.0
"""Seconds. A pause, a call or the patience is not longer."""


@frozen
class Contract:
    """The contract in use.

    Attributes:
        file: where it stands.
        name: how to call that file in a report: relative, so that it means the same on another machine.
    """

    spec: Spec
    file: Path
    name: str


@frozen
class Asking:
    """Whom to ask, and how."""

    contract: Contract
    base_url: str
    api_key: str | None
    request_ids: tuple[str, ...]
    politeness: Politeness

    def questions(self) -> list[Question]:
        """Return what will be asked, and what can't be."""
        return questions(self.contract.spec, self.request_ids, self.base_url)

    def ask(self, origin: Origin | None = None) -> Iterator[Exchange | Unanswered]:
        """Ask, and yield what comes of each question. Somebody who watches is shown each."""
        asked = probe(
            self.contract.spec, self.base_url, self.api_key, self.request_ids, politeness=self.politeness, origin=origin
        )
        for one in asked:
            if sys.stderr.isatty() and isinstance(one, Exchange):
                print(f"longcat: {one.source}: {one.status_code}", file=sys.stderr)
            yield one


def find_contract(path: str | None) -> Contract:
    """Return the contract in a file; None: the one that came with longcat. Raises ConfigurationError."""
    try:
        spec = load_spec(Path(path) if path is not None else None)
        if path is not None:
            return Contract(spec, Path(path), _relative(Path(path)))
        source = Path("openapi.yaml")  # In a checkout, people read this one.
        if source.is_file() and load_spec(source).digest == spec.digest:
            return Contract(spec, source, source.name)
    except SpecError as error:
        if path is not None:
            raise ConfigurationError(str(error)) from error
        spec = load_spec()  # It was the file here that is not valid, and nobody named it.
    return Contract(spec, Path(str(files("longcat_api") / "openapi.json")), "longcat_api/openapi.json")


def find_asking(arguments: argparse.Namespace, contract: Contract) -> Asking:
    """Return whom to ask, and how. Raises ConfigurationError."""
    server = contract.spec.server if arguments.spec is not None else None
    base_url = find_base_url(arguments.base_url, server or our_contract().server)
    return Asking(
        contract=evolve(contract, spec=contract.spec.served_at(base_url)),  # Its paths that nobody documented, too.
        base_url=base_url,
        api_key=_key(arguments.api_key),
        request_ids=tuple(usable_request_id(text) for text in arguments.request_id),
        politeness=Politeness(
            pause=_seconds("--pause", arguments.pause) if arguments.pause is not None else None,
            timeout=_seconds("--timeout", arguments.timeout, least=0.001),
            patience=_seconds("--patience", arguments.patience),
        ),
    )


def _key(argument: str | None) -> str | None:
    """Return the key, or None when there is none. One that is there and can't be used is an error."""
    if argument is None and not os.environ.get(KEY_VARIABLE):
        try:
            if not KEY_FILE.expanduser().exists():
                return None
        except (OSError, RuntimeError):
            return None
    return find_api_key(argument)


def _seconds(name: str, value: float, least: float = 0.0) -> float:
    if math.isnan(value) or not least <= value <= LONGEST:
        raise ConfigurationError(f"{name} is a number of seconds from {least:g} to {LONGEST:g}, not {value:g}.")
    return value


def _relative(path: Path) -> str:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name

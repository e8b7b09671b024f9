"""The contract that `longcat contract` checks against. Needs the extra `contract`."""

import argparse
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from attrs import evolve, frozen

from longcat.contract import Spec, SpecError, load_spec
from longcat.contract.reports.locations import file_name
from longcat.errors import ConfigurationError
from longcat.text import show, without_query


@frozen
class SpecFile:
    """The contract in use, and its file.

    Attributes:
        name: what the file is called in a report: relative, so that it means the same on another machine.
    """

    spec: Spec
    path: Path
    name: str


def find_spec(arguments: argparse.Namespace, path: Path | None = None) -> SpecFile:
    """Return the contract that the arguments name, or the one that came with longcat when they name none.

    `path` stands for a file that they need not name. Raises ConfigurationError when the contract can't be used.
    """
    if path is None and arguments.spec is not None:
        path = Path(arguments.spec)
    load = partial(load_spec, strict=arguments.strict_spec, folders=[Path(one) for one in arguments.spec_folder])
    try:
        spec = load(path)
        if path is not None:
            return SpecFile(spec, path, file_name(path))
        source = Path("openapi.yaml")  # In a checkout, people read this one.
        if source.is_file() and load(source).digest == spec.digest:
            return SpecFile(spec, source, source.name)
    except SpecError as error:
        if path is not None:
            raise ConfigurationError(str(error)) from error
        spec = load_spec()  # It was the file here that is not valid, and nobody named it.
    return SpecFile(spec, Path(str(files("longcat_api") / "openapi.json")), "longcat_api/openapi.json")


def with_servers(spec_file: SpecFile, servers: Sequence[str]) -> SpecFile:
    """Return the contract as that of these servers, in place of those that it names. Without any, it stays as it is.

    Raises ConfigurationError for what is no address of a server.
    """
    if not servers:
        return spec_file
    from longcat.settings import is_http_url  # noqa: PLC0415 - it is slow to import, as it brings httpx with it.

    for url in servers:
        if not is_http_url(url):
            message = f"--server takes an address such as https://api.example.com/v1, not {show(url, without_query)}."
            raise ConfigurationError(message)
    return evolve(spec_file, spec=spec_file.spec.served_only_at(servers))

"""`longcat contract record`: send the requests of the probe, and keep the answers as cassettes."""

import argparse
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from longcat.cli.contract.spec_file import find_spec
from longcat.cli.contract.target import Target, find_target
from longcat.cli.exit_codes import Exit
from longcat.cli.results import Printer, print_error
from longcat.contract.model import Inconclusive
from longcat.contract.probe.probe import SOURCE, is_loopback, origin_of
from longcat.contract.probe.probe_requests import KeyUse, ProbeRequest
from longcat.contract.traffic.cassette import write
from longcat.contract.traffic.recordings import Provenance
from longcat.errors import ConfigurationError


def record(arguments: argparse.Namespace) -> Exit:
    """Say what will be sent; send it; write a cassette for each answer."""
    target = find_target(arguments, find_spec(arguments))
    _check_origin(arguments.origin, target)
    folder = Path(arguments.output)
    files = {request: folder / name for request, name in _names(target.requests()).items()}
    _announce(target, folder)
    if arguments.dry_run:
        return Exit.DONE
    there = [path for path in files.values() if path.exists()]
    if there and not arguments.force:
        raise ConfigurationError(f"{there[0]} is there already. Pass --force to replace it, or another --output.")
    if not arguments.yes and not _confirmed():
        raise ConfigurationError("Nothing was sent. Pass --yes to send it.")
    folder.mkdir(parents=True, exist_ok=True)  # If this fails, it should fail before anything is sent.
    code = Exit.DONE
    command = _command(arguments, target)
    for outcome in target.probe(arguments.origin):
        if isinstance(outcome, Inconclusive):
            print_error(f"longcat: {outcome.what}: {outcome.why}.")
            code = Exit.UNCLEAR if outcome.unclear else code
            continue
        exchange = outcome.exchange
        path = files[exchange.source.removeprefix(SOURCE)]
        spec = target.spec_file.spec.digest
        secrets = [target.api_key] if target.api_key is not None else []
        write(path, [exchange], Provenance(arguments.origin, datetime.now(UTC), command, spec), secrets)
        Printer().print(str(path))
    return code


def _check_origin(origin: str, target: Target) -> None:
    """Raise ConfigurationError for an origin that a base URL contradicts. Evidence is only as good as this label."""
    for server in target.servers:
        if origin == "live" and is_loopback(server):
            raise ConfigurationError(f"{server} is this machine, not the live service. Pass --origin sandbox.")
        if origin == "sandbox" and origin_of(target.spec_file.spec, server) == "live":
            raise ConfigurationError(f"{server} is the live service, not a sandbox. Pass --origin live.")


def _announce(target: Target, folder: Path) -> None:
    possible = [request for request in target.requests() if _is_possible(request, target)]
    with_key = sum(request.key in {KeyUse.VALID, KeyUse.ANY} and target.api_key is not None for request in possible)
    lines = []
    for server in target.servers:
        there = [request for request in possible if request.base_url == server]
        lines += [f"longcat contract record sends these {len(there)} questions to {server}, one at a time:"]
        lines += [f"  {request}" for request in there]
    lines += [f"{with_key} of them carry the key. The answers go to {folder}, without secrets."]
    print("\n".join(lines), file=sys.stderr)


def _is_possible(request: ProbeRequest, target: Target) -> bool:
    return request.obstacle is None and (request.key is not KeyUse.VALID or target.api_key is not None)


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Send them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _names(requests: list[ProbeRequest]) -> dict[str, str]:
    """Return a file name for each request, by the request's name; no two are the same."""
    names: dict[str, str] = {}
    for request in requests:
        stem = re.sub(r"[^a-z0-9_]+", "-", request.name.lower()).strip("-")
        taken = sum(name.partition(".")[0] == stem for name in names.values())
        names[request.name] = f"{stem}.{taken + 1}.yaml" if taken else f"{stem}.yaml"
    return names


def _command(arguments: argparse.Namespace, target: Target) -> str:
    """Return the command that would record this again. The key is not in it."""
    words = ["longcat", "contract", "record"]
    words += ["--base-url", target.base_url] if target.base_url is not None else []
    words += ["--origin", arguments.origin, "--output", Path(arguments.output).name]
    words += [word for name in target.operations for word in ("--operation", name)]
    words += [word for text in target.request_ids for word in ("--request-id", text)]
    return shlex.join(words)

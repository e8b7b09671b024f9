"""`longcat contract record`: ask the questions of the probe, and keep the answers as cassettes."""

import argparse
import re
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from longcat.cli.contract.asking import Asking, find_asking, find_contract
from longcat.cli.outcome import Exit
from longcat.cli.results import Printer
from longcat.contract.traffic.probe import Unanswered
from longcat.contract.traffic.questions import Key, Question
from longcat.contract.traffic.recordings import write
from longcat.contract.traffic.sender import SOURCE, is_loopback, origin_of
from longcat.errors import ConfigurationError


def record(arguments: argparse.Namespace) -> Exit:
    """Say what will be sent; send it; write a cassette for each answer."""
    asking = find_asking(arguments, find_contract(arguments.spec))
    _honest(arguments.origin, asking)
    folder = Path(arguments.output)
    files = {question: folder / name for question, name in _names(asking.questions()).items()}
    _announce(asking, folder)
    if arguments.dry_run:
        return Exit.DONE
    there = [path for path in files.values() if path.exists()]
    if there and not arguments.force:
        raise ConfigurationError(f"{there[0]} is there already. Pass --force to replace it, or another --output.")
    if not arguments.yes and not _agreed():
        raise ConfigurationError("Nothing was sent. Pass --yes to send it.")
    folder.mkdir(parents=True, exist_ok=True)  # What would fail after the questions had better fail before them.
    code = Exit.DONE
    command = _command(arguments, asking)
    for one in asking.ask(arguments.origin):
        if isinstance(one, Unanswered):
            print(f"longcat: {one.question.name}: {one.reason}.", file=sys.stderr)
            code = Exit.UNCLEAR if one.unclear else code
            continue
        path = files[one.source.removeprefix(SOURCE)]
        digest = asking.contract.spec.digest
        write(path, [one], origin=arguments.origin, command=command, spec_digest=digest, recorded=datetime.now(UTC))
        Printer().print(str(path))
    return code


def _honest(origin: str, asking: Asking) -> None:
    """Raise ConfigurationError for an origin that the base URL contradicts. Evidence is only as good as this label."""
    if origin == "live" and is_loopback(asking.base_url):
        raise ConfigurationError(f"{asking.base_url} is this machine, not the live service. Pass --origin sandbox.")
    if origin == "sandbox" and origin_of(asking.contract.spec, asking.base_url) == "live":
        raise ConfigurationError(f"{asking.base_url} is the live service, not a sandbox. Pass --origin live.")


def _announce(asking: Asking, folder: Path) -> None:
    say = sys.stderr
    possible = [question for question in asking.questions() if _is_possible(question, asking)]
    with_key = sum(question.key in {Key.VALID, Key.ANY} and asking.api_key is not None for question in possible)
    print(
        f"longcat contract record sends these {len(possible)} questions to {asking.base_url}, one at a time:", file=say
    )
    for question in possible:
        print(f"  {question}", file=say)
    print(f"{with_key} of them carry the key. The answers go to {folder}, without secrets.", file=say)


def _is_possible(question: Question, asking: Asking) -> bool:
    return question.obstacle is None and (question.key is not Key.VALID or asking.api_key is not None)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        return False
    print("Send them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _names(questions: list[Question]) -> dict[str, str]:
    """Return a file name for each question, by the question's; no two are the same."""
    names: dict[str, str] = {}
    for question in questions:
        stem = re.sub(r"[^a-z0-9_]+", "-", question.name.lower()).strip("-")
        taken = sum(name.partition(".")[0] == stem for name in names.values())
        names[question.name] = f"{stem}.{taken + 1}.yaml" if taken else f"{stem}.yaml"
    return names


def _command(arguments: argparse.Namespace, asking: Asking) -> str:
    """Return the command that would record this again. The key is not in it."""
    words = ["longcat", "contract", "record", "--base-url", asking.base_url, "--origin", arguments.origin]
    words += ["--output", Path(arguments.output).name]
    words += [word for text in asking.request_ids for word in ("--request-id", text)]
    return shlex.join(words)

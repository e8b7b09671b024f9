"""Batches as their users run them: a sandbox that takes the orders, the file of orders, and the manifest."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import LIMIT
from shell import KEY, Gateway, Ran, environment

from longcat.cli.run import run as main
from longcat.sandbox import Fault, Settings, running


@pytest.fixture
def gateway_with() -> Iterator[Callable[..., Gateway]]:
    """Return what starts sandboxes with settings of their own."""
    with ExitStack() as stack, httpx.Client(trust_env=False, timeout=LIMIT) as http:

        def start(*faults: str, **settings: Any) -> Gateway:
            usual: dict[str, Any] = {"api_key": KEY, "duration": 0, "small_pictures": True}
            usual["faults"] = tuple(map(Fault.parse, faults))
            return Gateway(stack.enter_context(running(Settings(**(usual | settings)))), http)

        yield start


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Return what runs a command in this process, against a gateway."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("longcat.gateway.queue.QueueGateway.seconds_per_question", 0.05)  # The sandbox minds none.

    def run(gateway: Gateway, *arguments: str) -> Ran:
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url).items():
                patch.setenv(name, value)
            try:
                code = int(main(arguments))
            except SystemExit as end:
                code = int(end.code or 0)
        return Ran(code, *capsys.readouterr(), 0.0)

    return run


def manifest() -> list[dict[str, Any]]:
    """Return the lines of the manifest."""
    return [json.loads(line) for line in Path("out/manifest.jsonl").read_text("utf-8").splitlines()]


def write(*lines: str | dict[str, Any]) -> None:
    """Write the file of orders."""
    Path("orders").write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines))

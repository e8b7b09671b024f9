"""`longcat generate` as its users meet it: one prompt, its pictures, and what is left when it does not get them."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from servers import LIMIT, Server, read, response
from shell import FIELDS, KEY, PNG, Ran, environment

from longcat.cli.orders import arguments
from longcat.cli.output import usable_output
from longcat.cli.run import run as main
from longcat.client.options import DEFAULT_TIMEOUT
from longcat.errors import ConfigurationError
from longcat.gateway.contract import contract
from longcat.sandbox import Settings, running


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return a sandbox for all tests, which makes pictures at once."""
    with running(Settings(api_key=KEY, duration=0, small_pictures=True)) as served:
        yield served


@pytest.fixture
def call(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Return what runs `longcat generate` in this process."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("longcat.gateway.queue.QueueGateway.seconds_per_question", 0.05)  # The sandbox minds none.

    def run(*words: str) -> Ran:
        with monkeypatch.context() as patch:
            for name in os.environ:
                patch.delenv(name)
            for name, value in environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=url).items():
                patch.setenv(name, value)
            try:
                code = int(main(["generate", *words]))
            except SystemExit as end:
                code = int(end.code or 0)
        return Ran(code, *capsys.readouterr(), 0.0)

    return run


def orders(url: str) -> list[dict[str, Any]]:
    """Return the orders that came."""
    received: list[dict[str, Any]] = httpx.get(f"{url}/sandbox/orders", trust_env=False, timeout=LIMIT).json()["orders"]
    return received


def test_the_words_of_the_arguments_are_those_of_the_contract() -> None:
    """The command line knows the contract's own words, and the client's own time-out."""
    assert arguments.DEFAULT_TIMEOUT == DEFAULT_TIMEOUT
    fields = contract("submit_request").body["properties"]
    assert list(arguments.SIZES) == fields["image_size"]["enum"]
    assert list(arguments.FORMATS) == fields["output_format"]["enum"]
    assert list(arguments.ACCELERATIONS) == fields["acceleration"]["enum"]
    assert list(arguments.WEBHOOK_MODES) == contract("submit_request").parameters["X-Webhook-Mode"]["enum"]


def test_from_a_prompt_to_a_picture(url: str, call: Callable[..., Ran]) -> None:
    """Only what was given is sent, and the size; the id is shown as soon as it is known, the path at the end."""
    ran = call("a cat", "-o", "cat.png")
    order = orders(url)[-1]
    assert (ran.code, ran.out, Path("cat.png").read_bytes()[:8]) == (0, "cat.png\n", PNG)
    assert order["body"] == {"prompt": "a cat", "image_size": "landscape_4_3"}
    assert order["request_id"] in ran.err.splitlines()[0]


def test_every_option_is_sent(url: str, call: Callable[..., Ran]) -> None:
    """Each option has its field; all pictures are saved, and told as JSON."""
    options = (
        "--size square_1_1 --steps 28 --guidance 4.5 -n 2 --format webp --acceleration regular --no-safety-checker"
    )
    ran = call("a cat", *options.split(), "-o", "cat.webp", "--json")
    assert orders(url)[-1]["body"] == {
        "prompt": "a cat",
        "image_size": "square_1_1",
        "num_inference_steps": 28,
        "guidance_scale": 4.5,
        "num_images": 2,
        "output_format": "webp",
        "acceleration": "regular",
        "enable_safety_checker": False,
    }
    (told,) = ran.objects
    assert (tuple(told), told["paths"], len(told["urls"])) == (FIELDS, ["cat-1.webp", "cat-2.webp"], 2)


def test_with_a_journal_it_is_ordered_once(url: str, call: Callable[..., Ran]) -> None:
    """Run again with its journal, the same command orders nothing, and prints the same path."""
    first = call("a cat", "-o", "cat.png", "--journal", "cats.db")
    before = len(orders(url))
    second = call("a cat", "-o", "cat.png", "--journal", "cats.db")
    assert (first.code, second.code, first.out, second.out) == (0, 0, "cat.png\n", "cat.png\n")
    assert len(orders(url)) == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["", "-o", "new.png"], "The prompt is empty"),
        (["a cat", "--steps", "0.5"], "invalid int value"),
        (["a cat", "--size", "huge"], "invalid choice: 'huge'"),
        (["a cat", "-o", "old.png"], "old.png is there already. Pass --force"),
        (["a cat", "-n", "2", "-o", "two.png"], "two-2.png is there already. Pass --force"),
        (["a cat", "-o", "nowhere/cat.png"], "There is no folder nowhere"),
        (["a cat", "-o", "-"], "No picture goes to stdout. Name a file, a folder or a URL"),
        (["a cat", "-n", "0"], "/num_images should be at least 1, but is 0"),
        (["a cat", "--steps", "-3"], "/num_inference_steps should be at least 1, but is -3"),
        (["a cat", "--webhook-mode", "sync"], "A webhook_mode needs a webhook_url"),
        (["a cat", "--journal", ""], "argument --journal: it is empty"),
        (["a cat", "--timeout", "nan"], "--timeout is zero or more seconds, not NaN"),
        ([f"a cat, {KEY}"], "The order holds the key, which belongs into a header alone"),
        (["a cat", "--webhook-url", f"https://cats.test/?key={KEY}"], "The order holds the key"),
    ],
)
def test_what_can_not_be_done_is_noticed_before_it_is_paid(
    url: str, call: Callable[..., Ran], words: list[str], says: str
) -> None:
    """A mistake ends the command with exit code 2 before anything is ordered."""
    for name in ("old.png", "two-2.png"):
        Path(name).write_text("old")
    before = len(orders(url))
    ran = call(*words)
    assert (ran.code, ran.out, says in ran.err, len(orders(url))) == (2, "", True, before), ran.err


@pytest.mark.parametrize("output", ["cat.png", ".", "./", "cats/"])
def test_a_folder_that_may_not_be_written_is_noticed_before_anything_is_paid(
    output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a file nor a folder can be made in it, and the error says so before an order is sent."""
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.chdir(folder)
        Path(folder).chmod(0o555)
        os.seteuid(before or 65534)  # Root may write everywhere.
        try:
            with pytest.raises(ConfigurationError, match=r"^Nothing can be saved at .*: Permission denied\."):
                usable_output(output, [], folder=False, force=True)
        finally:
            os.seteuid(before)
            Path(folder).chmod(0o700)


@pytest.mark.usefixtures("virtual_time")
def test_what_is_left_of_a_time_out(call: Callable[..., Ran]) -> None:
    """A request that is not done in time is told with the command that takes it up; exit code 3."""
    with running(Settings(api_key=KEY, duration=60)) as slow:
        ran = call("a cat", "-o", "cat.png", "--timeout", "10", "--base-url", slow)
        request_id = orders(slow)[0]["request_id"]
    hint = f"longcat wait {request_id} --output cat.png --base-url {slow}"
    assert (ran.code, ran.out, ran.err.splitlines()[-1].endswith(hint)) == (3, "", True), ran.err


@pytest.mark.usefixtures("virtual_time")
def test_a_request_whose_id_misleads_is_taken_up_where_it_was_ordered(call: Callable[..., Ran]) -> None:
    """The command that takes it up names the gateway where the form of the id does not, and the journal."""
    taken = response(b'{"request_id": "plain", "status": "QUEUED"}', status="202 Accepted")
    with Server([read, taken]) as server:
        ran = call("a cat", "--timeout", "2", "--journal", "cats.db", "--base-url", server.url)
    hint = f"longcat wait plain --gateway queue --journal cats.db --base-url {server.url}"
    assert (ran.code, ran.err.splitlines()[-1].endswith(hint)) == (3, True), ran.err

"""`longcat batch` as its users meet it: files of orders, what is sent, the manifest, and being stopped."""

import json
import shutil
import signal
import time
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import anyio
import pytest
from batches import manifest, write
from journals import Place, rows
from servers import LIMIT, SOON, eventually
from shell import KEY, PNG, Gateway, Ran, User, environment

from longcat.cli.displays.display import Display
from longcat.cli.orders.files.lines import read_lines
from longcat.cli.wait import MAX_UNSAVED, conclude_all
from longcat.errors import ConfigurationError
from longcat.gateway.queue import QueueGateway
from longcat.sandbox import RequestOutcome
from longcat.saving.file_names import folded
from longcat.saving.journal.journal import Journal

PRICE: Final = Decimal("0.13")


def test_a_batch_goes_on_and_asks_nothing_that_is_known(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran]
) -> None:
    """Each line is one order, also if it comes twice; the same command orders, asks and downloads nothing again."""
    gateway = gateway_with()
    write({"prompt": "a", "id": "cat"}, {"prompt": "a", "id": "cat"}, {"prompt": "b", "num_images": 2}, {"prompt": "c"})
    first = call(gateway, "batch", "orders", "-o", "out")
    before = gateway.posts, gateway.asked, manifest()
    assert (first.code, before[0], [line["state"] for line in before[2]]) == (0, 4, ["done"] * 4)
    assert [line["cost"] for line in before[2]] == [0.13, 0.13, 0.26, 0.13]
    assert sorted(before[2][2]) == sorted(["id", "prompt", "request_id", "state", "files", "cost", "error"])
    files = [name for line in before[2] for name in line["files"]]
    assert (len(set(files)), files[0], len(before[2][2]["files"])) == (5, "cat.png", 2)
    assert all(Path("out", name).read_bytes().startswith(PNG) for name in files)
    assert "4 of 4 done; 0.65 USD at most; saved in out" in first.err
    second = call(gateway, "batch", "orders", "-o", "out")
    assert (second.code, sorted(second.out.split())) == (0, sorted(f"out/{name}" for name in files))
    assert (gateway.posts, gateway.asked, manifest()) == before


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (['{"prompt": "a"}', "b"], "Line 2 of orders: It is no JSON object"),
        (['{"prompt": "a"}', "[1]"], "Line 2 of orders: It is no JSON object"),
        (["a", "", '{"prompt": "a"}'], "Line 3 of orders: It is a JSON object among prompts."),
        (['{"prompt": "a"}', '{"promt": "a"}'], "Line 2 of orders: An order has no field"),
        (['{"prompt": "a", "prompt": "b"}'], "Line 1 of orders: It is no JSON object: a field"),
        (['{"prompt": "a", "image_size": "huge"}'], "Line 1 of orders: The order can't be sent: /image_size"),
        (['{"prompt": "a", "guidance_scale": NaN}'], "Line 1 of orders: The order can't be sent"),
        (['{"prompt": ""}', '{"prompt": 1}'], "Line 2 can't be used either."),
        (['{"prompt": "a", "id": "x"}', '{"prompt": "b", "id": "x"}'], "Line 1 has the same id"),
        (["", " "], "There is no order in orders."),
        (["a", f"two cats, {KEY}"], "Line 2 of orders: The order holds the key"),
    ],
)
def test_a_bad_line_is_named_before_anything_is_sent(call: Callable[..., Ran], lines: list[str], says: str) -> None:
    """A line that can't be ordered is named with its number; nothing is sent, and nothing is made."""
    write(*lines)
    ran = call(Gateway("http://127.0.0.1:1"), "batch", "orders", "-o", "out")
    assert (ran.code, ran.out, says in ran.err) == (2, "", True), ran.err
    assert not Path("out").exists()


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    """A line that is not UTF-8 is named, too; a byte order mark and line ends of Windows do no harm."""
    (tmp_path / "orders").write_bytes(b"\xef\xbb\xbfone\r\ntwo \xe2\x80\xa8 lines\r\n")
    assert [one.order.prompt for one in read_lines(str(tmp_path / "orders"), {}, plain_http=False)] == [
        "one",
        "two \u2028 lines",
    ]
    (tmp_path / "orders").write_bytes("\ufeffone\r\ntwo \u2028 lines\r\n".encode("utf-16-le"))  # As PowerShell does.
    assert [one.order.prompt for one in read_lines(str(tmp_path / "orders"), {}, plain_http=False)] == [
        "one",
        "two \u2028 lines",
    ]
    (tmp_path / "orders").write_bytes(b"\xff\xfeone")
    with pytest.raises(ConfigurationError, match="can't be read"):
        read_lines(str(tmp_path / "orders"), {}, plain_http=False)
    (tmp_path / "orders").write_bytes(b"one\n\xff\n")
    with pytest.raises(ConfigurationError, match=r"Line 2 of .* It is not UTF-8"):
        read_lines(str(tmp_path / "orders"), {}, plain_http=False)


@pytest.mark.parametrize(
    "ids",
    [
        ["cat", "cat"],
        ["cat", "Cat", "CAT"],
        ["strasse", "stra\u00dfe", "caf\u00e9", "cafe\u0301", "CON", "con", "nul.x"],
        ["a/b", "a_b", "../a_b", "a\\b"],
        ["x" * 300, "x" * 299 + "y"],
        ["cat", "cat-1", "cat-2"],
        [".", "..", "-", "manifest.jsonl"],
    ],
)
def test_no_two_orders_share_a_file(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran], ids: list[str]
) -> None:
    """Ids that look alike to a file system, or like a path, give files of their own, in the folder."""
    write(*({"prompt": "a", "id": one, "num_images": 2 if one == "cat" else 1} for one in ids))
    ran = call(gateway_with(), "batch", "orders", "-o", "out")
    files = [name for line in manifest() for name in line["files"]]
    assert ran.code == 0, ran.err
    assert len({folded(name) for name in files}) == len(files) == sum(2 if one == "cat" else 1 for one in ids)
    assert {path.name for path in Path("out").glob("*.png")} == set(files)


def test_a_dry_run_sends_nothing(gateway_with: Callable[..., Gateway], call: Callable[..., Ran]) -> None:
    """`--dry-run` tells how many orders cost how much, and how many are known; it makes nothing."""
    gateway = gateway_with()
    write("a", "b")
    ran = call(gateway, "batch", "orders", "-o", "out", "--dry-run", "--json")
    plan = {"lines": 2, "orders": 2, "pictures": 2, "cost": 0.26, "known": 0, "in_doubt": 0}
    plan |= {"resubmitted": 0, "spent": 0.0}
    assert (ran.code, ran.objects, gateway.posts, Path("out").exists()) == (0, [plan], 0, False)
    call(gateway, "batch", "orders", "-o", "out")
    write("a", "b", "c")
    ran = call(gateway, "batch", "orders", "-o", "out", "--dry-run")
    assert "1 of 3 orders would be sent, for 1 picture at 0.13 USD: 0.13 USD at most. 2 are known" in ran.out
    assert gateway.posts == 2


def test_max_cost_counts_what_was_spent(gateway_with: Callable[..., Gateway], call: Callable[..., Ran]) -> None:
    """A batch that could cost more than `--max-cost`, with what the journal knows of, is refused as a whole."""
    gateway = gateway_with()
    write("a", "b")
    assert call(gateway, "batch", "orders", "-o", "out", "--max-cost", "0.26").code == 0
    write("a", "b", "c")
    ran = call(gateway, "batch", "orders", "-o", "out", "--max-cost", "0.38")
    assert (ran.code, gateway.posts, "0.39 USD, more than --max-cost 0.38" in ran.err) == (2, 2, True)
    assert call(gateway, "batch", "orders", "-o", "out", "--max-cost", "0.39").code == 0


def test_orders_in_doubt(gateway_with: Callable[..., Gateway], call: Callable[..., Ran]) -> None:
    """An order without a readable answer is in doubt: exit code 3, and it is sent again only when that is asked for."""
    gateway = gateway_with("order-server-error-taken:1")
    write("a", "b")
    codes = [call(gateway, "batch", "orders", "-o", "out").code for _ in range(2)]
    assert (codes, gateway.posts, sorted(line["state"] for line in manifest())) == ([3, 3], 2, ["done", "unknown"])
    assert [line["cost"] for line in manifest()] == [0.13, 0.13]
    planned = call(gateway, "batch", "orders", "-o", "out", "--resubmit-unknown", "--dry-run", "--json")
    assert [json.loads(planned.out)[name] for name in ("orders", "in_doubt", "resubmitted")] == [1, 1, 1]
    ran = call(gateway, "batch", "orders", "-o", "out", "--resubmit-unknown")
    assert (ran.code, gateway.posts, [line["state"] for line in manifest()]) == (0, 3, ["done", "done"])
    assert (sorted(line["cost"] for line in manifest()), "; 0.39 USD at most;" in ran.err) == ([0.13, 0.26], True)


def test_an_order_in_doubt_stays_so_when_it_is_refused(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran]
) -> None:
    """An order that may have been paid for is in doubt still when the gateway does not take it once more."""
    gateway = gateway_with("order-server-error-taken:1", "order-status:1:418")
    write("a")
    assert call(gateway, "batch", "orders", "-o", "out").code == 3
    for again in (["--resubmit-unknown"], []):
        ran = call(gateway, "batch", "orders", "-o", "out", *again)
        (line,) = manifest()
        assert (ran.code, gateway.posts, line["state"], line["cost"]) == (3, 2, "unknown", 0.13)


@pytest.mark.parametrize(
    ("settings", "code", "state", "cost"),
    [
        ({"outcome": RequestOutcome.FAILED}, 1, "failed", 0.13),
        ({"outcome": RequestOutcome.ERROR}, 1, "failed", 0.0),
        ({"disabled": True}, 1, "failed", 0.0),
        ({"balance": Decimal(0)}, 2, "open", 0.0),
        ({"api_key": "another"}, 2, "open", 0.0),
    ],
)
def test_how_an_order_ends(  # noqa: PLR0913, PLR0917 - a table.
    gateway_with: Callable[..., Gateway],
    call: Callable[..., Ran],
    settings: dict[str, Any],
    code: int,
    state: str,
    cost: float,
) -> None:
    """A failure is told with its request; what is wrong with the account leaves orders open; ERROR costs nothing."""
    write("a cat")
    ran = call(gateway_with(**settings), "batch", "orders", "-o", "out")
    (line,) = manifest()
    assert (ran.code, line["state"], line["cost"], line["files"]) == (code, state, cost, [])
    assert "longcat: order 'a cat'" in ran.err
    assert line["request_id"] is None or line["request_id"] in ran.err


def test_a_file_in_the_way_is_noticed_before_anything_is_ordered(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran]
) -> None:
    """A file that a picture would replace, and that the journal does not know, stops the batch."""
    gateway = gateway_with()
    Path("out").mkdir()
    Path("out/cat-2.png").write_text("old")
    write({"prompt": "a", "id": "cat", "num_images": 2})
    ran = call(gateway, "batch", "orders", "-o", "out")
    assert (ran.code, gateway.posts, "cat-2.png is there already." in ran.err) == (2, 0, True)


def test_a_manifest_that_can_not_be_written_hides_nothing(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran], place: Place
) -> None:
    """It is said why, and how it all went as well; the pictures are there, and the next run writes it."""
    gateway = gateway_with()
    write("a cat")
    Path("out/manifest.jsonl").mkdir(parents=True)
    command = ("batch", "orders", "-o", "out", "--journal", str(place))
    ran = call(gateway, *command)
    assert (ran.code, gateway.posts, len([*Path("out").glob("*.png")])) == (2, 1, 1), ran.err
    assert "longcat: no manifest.jsonl was written: " in ran.err
    assert "1 of 1 done; 0.13 USD at most; saved in out.\n" in ran.err
    Path("out/manifest.jsonl").rmdir()
    assert (call(gateway, *command).code, gateway.posts, len(manifest())) == (0, 1, 1)


@pytest.fixture
def at_first_answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Return what has a function called, once, when the answer to an order is there and not read yet."""

    def do(function: Callable[[], object]) -> None:
        todo, read_order = [function], QueueGateway.read_order

        def read(gateway: QueueGateway, *arguments: Any) -> Any:
            while todo:
                todo.pop()()
            return read_order(gateway, *arguments)

        monkeypatch.setattr(QueueGateway, "read_order", read)

    return do


def test_what_is_wrong_with_the_journal_is_said_once(
    gateway_with: Callable[..., Gateway],
    call: Callable[..., Ran],
    at_first_answer: Callable[[Callable[[], object]], None],
) -> None:
    """It concerns all lines, so that it names none; each line is counted once, though its id is not noted."""

    def remove_journal() -> None:
        for file in Path().glob("jobs.db*"):
            file.unlink()

    write(*(f"cat {number}" for number in range(30)))
    at_first_answer(remove_journal)
    gateway = gateway_with()
    ran = call(gateway, "batch", "orders", "-o", "out", "--journal", "jobs.db")
    assert (ran.code, gateway.posts < 30) == (2, True), ran.err
    assert len([line for line in ran.errors if line.startswith("longcat: The journal")]) in {1, 2}  # A thread may, too.
    assert not [line for line in ran.errors if line.startswith("longcat: order 'cat") and "The journal" in line]
    assert "longcat: 0 of 30 done, 30 without a picture.\n" in ran.err


def test_what_is_wrong_with_the_key_is_said_once(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran]
) -> None:
    """Several orders are in flight when the first is refused, and the same is wrong with each."""
    write(*(f"cat {number}" for number in range(30)))
    ran = call(gateway_with(api_key="another"), "batch", "orders", "-o", "out")
    assert (ran.code, len([line for line in ran.errors if "The gateway answered 401" in line])) == (2, 1), ran.err


def test_a_folder_that_is_removed_meanwhile_does_not_become_a_file(
    gateway_with: Callable[..., Gateway],
    call: Callable[..., Ran],
    at_first_answer: Callable[[Callable[[], object]], None],
) -> None:
    """No picture can be saved, and none takes its name; the next run makes the folder, and orders nothing."""
    write("a cat", "a dog")
    at_first_answer(partial(shutil.rmtree, "out"))
    gateway, command = gateway_with(), ("batch", "orders", "-o", "out", "--journal", "jobs.db")
    ran = call(gateway, *command)
    assert (ran.code, gateway.posts, Path("out").exists()) == (2, 2, False), ran.err
    assert (call(gateway, *command).code, gateway.posts) == (0, 2)
    assert [line["state"] for line in manifest()] == ["done", "done"]


def test_the_summary_counts_no_line_as_done_that_is_open(
    gateway_with: Callable[..., Gateway], call: Callable[..., Ran]
) -> None:
    """A picture that can't be fetched is none, in the progress as in the summary at the end."""
    write(*(f"cat {number}" for number in range(9)))
    ran = call(gateway_with("picture-404"), "batch", "orders", "-o", "out")
    assert ran.code == 3
    assert "longcat: 0 of 9 done, 9 without a picture.\n" in ran.err
    assert "longcat: 0 of 9 done, 9 open; " in ran.err


def test_nobody_counts_to_a_billion(gateway_with: Callable[..., Gateway], call: Callable[..., Ran]) -> None:
    """An order of far more pictures than there will be is refused by its price, or sent, as quickly as any other."""
    gateway = gateway_with()
    write({"prompt": "a", "id": "cat", "num_images": 10**9}, {"prompt": "b", "id": "cat-5000"})
    assert call(gateway, "batch", "orders", "-o", "out", "--max-cost", "1").code == 2
    assert call(gateway, "batch", "orders", "-o", "out").code == 0
    assert {name.partition("-")[0] for line in manifest() for name in line["files"]} == {"cat"}


@pytest.mark.parametrize(
    ("number", "interrupt", "place"),
    [
        (signal.SIGINT, signal.default_int_handler, "sqlite"),
        (signal.SIGINT, signal.default_int_handler, "postgres"),
        (signal.SIGTERM, signal.default_int_handler, "sqlite"),
        (signal.SIGTERM, signal.SIG_IGN, "postgres"),  # As for a command in the background of a script.
    ],
    indirect=["place"],
)
def test_ctrl_c_leaves_no_order_in_doubt(  # noqa: PLR0913, PLR0917 - a table.
    gateway_with: Callable[..., Gateway],
    tmp_path: Path,
    request: pytest.FixtureRequest,
    number: signal.Signals,
    interrupt: Any,
    place: Place,
) -> None:
    """The first one lets orders under way be answered, and sends no other; the manifest is written, the code 130."""
    gateway = gateway_with("order-slow:all:0.6", duration=LIMIT)
    user = User(tmp_path, environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url))
    (tmp_path / "orders").write_text("\n".join(f"cat {number}" for number in range(40)))
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.signal(signal.SIGINT, interrupt)))
    with user.start("batch", "orders", "-o", "out", "--journal", str(place)) as process:
        assert eventually(lambda: gateway.posts > 0, LIMIT)
        process.send_signal(number)
        _, err = process.communicate(timeout=LIMIT)
    lines = [json.loads(line) for line in (tmp_path / "out/manifest.jsonl").read_text("utf-8").splitlines()]
    ordered = [line for line in lines if line["request_id"] is not None]
    assert (process.returncode, len(lines), {line["state"] for line in lines}) == (130, 40, {"open"}), err
    assert 0 < len(ordered) == gateway.posts < 40
    assert "Run the same command again" in err
    assert "Traceback" not in err
    if isinstance(place, str):
        assert rows(place, "SELECT FROM longcat_line WHERE owner IS NOT NULL") == []


def test_no_more_pictures_wait_to_be_saved_than_memory_allows() -> None:
    """While they come faster than they can be saved, nothing more is asked for; in the end, all are saved."""
    came, saved, may_save = [], [], anyio.Event()

    async def main() -> None:
        async def outcomes() -> AsyncGenerator[int]:
            for number in range(200):
                came.append(number)
                yield number

        async def save(outcome: Any) -> None:
            await may_save.wait()
            saved.append(outcome)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(conclude_all, cast("Any", outcomes()), save, Display({}))
            await anyio.wait_all_tasks_blocked()
            assert len(came) <= MAX_UNSAVED + 1
            may_save.set()

    anyio.run(main)
    assert sorted(saved) == came == [*range(200)]


def test_ctrl_c_twice_ends_at_once(gateway_with: Callable[..., Gateway], tmp_path: Path, place: Place) -> None:
    """The second Ctrl-C waits for no answer; what was under way is in doubt, and is sent again by nobody unasked."""
    gateway = gateway_with(f"order-slow:all:{LIMIT:.0f}")
    user = User(tmp_path, environment(tmp_path, PIXAZO_API_KEY=KEY, LONGCAT_BASE_URL=gateway.url))
    (tmp_path / "orders").write_text("a cat\na dog\n")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    command = "batch", "orders", "-o", "out", "--journal", str(place), "--max-rate", "100"
    with user.start(*command) as process:
        assert eventually(lambda: gateway.posts == 2, LIMIT)
        process.send_signal(signal.SIGINT)
        assert process.stderr
        assert any("Ctrl-C again leaves them in doubt" in line for line in process.stderr)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, time.monotonic() - began < SOON) == (130, True), err
    with Journal(place, time=time.time) as journal:
        assert len(journal.orders(gateway.url).in_doubt()) == 2
    with user.start(*command) as process:
        process.communicate(timeout=LIMIT)
    assert (process.returncode, gateway.posts) == (3, 2)

"""What is measured: the experiments, and the rows of the table, each with its goal."""

from functools import partial
from typing import Final, Literal

from attrs import frozen

from bench import calls, commands, profiles, rates
from bench.experiment import Experiment
from bench.har import hars
from bench.many_waits import many_waits

EXPERIMENTS: Final = {
    "status": Experiment("plain", 15, partial(calls.questions, calls.PLAIN)),
    "peers": Experiment("peers", 9, partial(calls.questions, calls.PEERS)),
    "parse": Experiment("plain", 15, calls.bodies),
    "plan": Experiment("plain", 9, calls.plans),
    "import": Experiment("plain", 11, partial(commands.imports, commands.IMPORTS["plain"])),
    "peers-import": Experiment("peers", 5, partial(commands.imports, commands.IMPORTS["peers"])),
    "answer": Experiment("plain", 11, commands.first_answers),
    "start": Experiment("plain", 11, commands.starts),
    "status-command": Experiment("plain", 11, commands.status_commands),
    "waiting": Experiment("plain", 5, partial(rates.rates, rates.PLAIN)),
    "peers-waiting": Experiment("peers", 3, partial(rates.rates, rates.PEERS)),
    "waits": Experiment("plain", 3, many_waits),
    "profile": Experiment("plain", 1, profiles.plain),
    "peers-profile": Experiment("peers", 1, partial(profiles.profiles, profiles.PEERS)),
    "har": Experiment("peers", 3, hars),
}
"""By the name that `make bench ROWS=` takes."""


@frozen
class Row:
    """One line of the table: a figure of an experiment, or the ratio of two.

    Attributes:
        what: what ours does, and beside what.
        experiment: the name of the experiment.
        ours: the name of our series in it.
        other: that of the other. Several: the one with the greatest median. None: the figure stands for itself.
        bound: whether the goal is a most or a least.
        goal: the number.
        unit: of ours and of the other.
    """

    what: str
    experiment: str
    ours: str
    other: str | tuple[str, ...] | None
    bound: Literal["at most", "at least"]
    goal: float
    unit: str


MANY: Final = f"httpx, {rates.MANY} in flight"
FAST: Final = "longcat on httpx-aiohttp (extra fast)"
HTTPX2: Final = tuple(name for name in rates.PEERS if name.startswith("httpx2"))

ROWS: Final = (
    Row("`LongCat.status`, default install / raw httpx", "status", "longcat", "httpx", "at most", 1.0, "µs"),
    Row(
        "`LongCat.status` on an httpx2 client / raw httpx2",
        "peers",
        "longcat on httpx2",
        "httpx2",
        "at most",
        1.0,
        "µs",
    ),
    Row("`AsyncLongCat`, 500 waiting / raw httpx, 500 in flight", "waiting", "longcat", MANY, "at least", 6, "1/s"),
    Row(
        "`AsyncLongCat` on httpx2, 500 waiting / raw httpx2 at its best",
        *("peers-waiting", "longcat on httpx2", HTTPX2, "at least", 0.8, "1/s"),
    ),
    Row(
        "extra `fast`, 500 waiting / its engine bare, 500 in flight",
        *("peers-waiting", FAST, f"aiohttp, {rates.MANY} in flight", "at least", 0.5, "1/s"),
    ),
    Row(
        "extra `fast`, 500 waiting / raw httpx, 500 in flight",
        *("peers-waiting", FAST, MANY, "at least", 12, "1/s"),
    ),
    Row("10,000 waits at once: memory over idle", "waits", "10,000 waits, memory", None, "at most", 50, "MiB"),
    Row(
        "10,000 waits at once: how late the event loop is, 99 %",
        "waits",
        "10,000 waits, lag",
        None,
        "at most",
        50,
        "ms",
    ),
    Row(
        "CPU time of a question, 10,000 waits / 100 waits",
        *("waits", "10,000 waits, CPU", "100 waits, CPU", "at most", 1.2, "µs"),
    ),
    Row("when to ask next, without progress", "plan", "no progress", None, "at most", 10, "µs"),
    Row("when to ask next, with progress", "plan", "progress", None, "at most", 25, "µs"),
    Row("`import longcat` / `import httpx`", "import", "longcat", "httpx", "at most", 0.2, "ms"),
    Row("`import longcat.testing` / `import httpx`", "import", "longcat.testing", "httpx", "at most", 0.2, "ms"),
    Row(
        "the pytest plugin, beyond pytest / `import httpx`",
        "peers-import",
        commands.PLUGIN,
        "httpx",
        "at most",
        0.2,
        "ms",
    ),
    Row("import and first answer / raw httpx", "answer", "longcat", "httpx", "at most", 1.15, "ms"),
    Row("`longcat --version` / `python -c pass`", "start", "--version", "python", "at most", 6, "ms"),
    Row("`longcat --help` / `python -c pass`", "start", "--help", "python", "at most", 6, "ms"),
    Row("`longcat status ID` / a program with httpx", "status-command", "longcat", "httpx", "at most", 1.3, "ms"),
    Row(
        "a status body, judged and typed / `json.loads`",
        *("parse", "longcat, processing", "json.loads, processing", "at most", 6, "µs"),
    ),
    Row(
        "a completed body, judged and typed / `json.loads`",
        *("parse", "longcat, completed", "json.loads, completed", "at most", 6, "µs"),
    ),
    Row(
        "11,000 exchanges: `longcat contract check` / Redocly `drift`",
        *("har", "longcat", "Redocly", "at most", 1.0, "s"),
    ),
    Row("11,000 exchanges: memory", "har", "longcat, memory", "Redocly, memory", "at most", 1.0, "MiB"),
)

"""Try every way in which workers can claim lines, order and note, whatever fails meanwhile: none may be paid twice.

This is a model: what the statements of the journal do to its rows, what a worker does next, and what can go wrong. A
breadth-first search visits every state that can be reached, so it finds the shortest way to one that must not be. Each
of the `RULES` can be broken on purpose, to see that it is needed. `tests/test_order_rows.py` holds the rows of the
model and those of the real journals together.
"""

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, NamedTuple

from attrs import evolve, frozen

from longcat.waiting.submit import OrderState

RULES: Final = {
    "intent": "that an order is about to be sent is noted first",
    "durable intent": "this note is on the disk before the order is sent",
    "one transaction": "whether to send an order is read and noted in one transaction",
    "doubt": "an order that its owner began, and can't end, is in doubt and not sent again",
    "sending": "an owner knows which orders it is sending, and begins none of them a second time",
    "own intent": "an owner knows its own note again if it could not hear that it was written",
    "sum": "an order that is sent again is counted once more",
    "withdraw one": "to take back what was refused leaves in doubt what was in doubt before",
    "stay in doubt": "an order that may have been taken before is not new again after two refusals either",
    "own note": "what came of an order is noted by its last sender only, and not about one that was taken",
    "durable notes": "what came of an order is on the disk before its line ends",
    "told once": "to begin an order uses up the mark of who looked and said that it is to be sent again",
    "unsure": "who could not hear that an order was withdrawn withdraws only what is still its own",
    "undo": "what was begun, and could not be heard of, is taken back only if nobody is sending it",
    "dead owners": "the lines of an owner that is gone are free",
    "durable claim": "whose a line is, is on the disk before the one who had it forgets it",
    "own line": "a worker begins an order only while the line is its own, or goes on with what it has begun",
    "own end": "a worker ends the lines that are its own, and no others",
    "durable end": "what came of a line is on the disk before its worker forgets the line",
}
"""What the protocol rests on. A `Protocol` may be made without some of it."""
DEAD: Final = -1
"""The owner of rows whose process is gone for good, as no other process gets its token."""


# --- The rows of the journal, and what its statements do to them. ---


class OrderRow(NamedTuple):
    """An order in the table `orders`. Sending an order costs 1.

    Attributes:
        state: `intended`, `taken` or `unknown`.
        owner: who is sending it. None: nobody.
        cost: what it costs at most.
        in_doubt: what it may have cost before. None: it was not sent before.
        has_mark: whether its message says that it is to be sent again. That holds while it is `unknown`.
    """

    state: str
    owner: int | None = None
    cost: int = 1
    in_doubt: int | None = None
    has_mark: bool = False

    @property
    def is_marked(self) -> bool:
        """Whether somebody has decided that it is sent again, though it may have been taken."""
        return self.state == "unknown" and self.has_mark

    @property
    def spent(self) -> int:
        """What it may have cost in all."""
        return self.cost + (self.in_doubt or 0)


def standing(row: OrderRow | None, *, is_owner_alive: bool) -> OrderState:
    """Return how an order stands for others than its owner. `INTENDED`: it is new, so it may be begun."""
    if row is None:
        return OrderState.INTENDED
    if row.state == "taken":
        return OrderState.TAKEN
    return OrderState.BUSY if row.state == "intended" and is_owner_alive else OrderState.UNKNOWN


def begin(row: OrderRow | None, owner: int) -> OrderRow:
    """Return the row of an order that is about to be sent."""
    if row is None:
        return OrderRow("intended", owner)
    return OrderRow("intended", owner, in_doubt=row.spent, has_mark=row.has_mark)


def is_free(row: OrderRow | None, owner: int) -> bool:
    """Whether an owner may note what came of its order. False: another sent it again, or it was taken."""
    return row is not None and row.owner in {None, owner} and row.state != "taken"


def note_taken(row: OrderRow) -> OrderRow:
    """Return the row of an order that was taken."""
    return row._replace(state="taken", owner=None)


def note_unknown(row: OrderRow) -> OrderRow:
    """Return the row of an order that got no answer."""
    return row._replace(state="unknown", owner=None, has_mark=False)


def withdraw(row: OrderRow) -> OrderRow | None:
    """Return the row of an order that was refused. None: it has none any more."""
    return None if row.in_doubt is None else row._replace(state="unknown", owner=None, cost=0)


def mark(row: OrderRow) -> OrderRow:
    """Return the row of an order in doubt of which somebody has decided that it is sent again."""
    return row._replace(state="unknown", owner=None, has_mark=True)


# --- What there is at one moment. ---


class LineRow(NamedTuple):
    """A line of the batch.

    Attributes:
        state: `open`, `done`, `failed` or `unknown`.
        owner: who works on it. None: nobody.
    """

    state: str = "open"
    owner: int | None = None


class Tables(NamedTuple):
    """What the database has: for each line, its row, and that of its order, or None."""

    lines: tuple[LineRow, ...]
    orders: tuple[OrderRow | None, ...]


class Step(Enum):
    """What a task does next. The steps of `SENDING` have an order that may be out."""

    CLAIM = "claim a line"
    LOOK = "look how the order stands"
    BEGIN = "note that the order is about to be sent"
    SEND = "send the order"
    TAKEN = "note that it was taken"
    UNANSWERED = "note that no answer came"
    REFUSED = "note that it was refused for now"
    WRONG = "note that it was refused for good"
    DONE = "end the line as done"
    FAILED = "end the line as failed"
    UNKNOWN = "end the line as in doubt"


SENDING: Final = frozenset({Step.SEND, Step.TAKEN, Step.UNANSWERED, Step.REFUSED, Step.WRONG})
ENDS: Final = {Step.DONE: "done", Step.FAILED: "failed", Step.UNKNOWN: "unknown"}


class Task(NamedTuple):
    """What a task of a worker is at.

    Attributes:
        process: the number of its process, which is what rows name as their owner.
        step: what it does next.
        number: of the line that it works on.
        is_unsure: whether it could not hear if its last change of the order was made.
        seen: how the order stood when it looked. None: it looks when it begins, as it should.
    """

    process: int
    step: Step = Step.CLAIM
    number: int = 0
    is_unsure: bool = False
    seen: OrderState | None = None


class Faults(NamedTuple):
    """How often what may go wrong, and what somebody does by hand, can still come.

    Attributes:
        kills: a process is killed. Another one takes its place.
        losses: a process loses its connection.
        restarts: the database is ended at once.
        looks: somebody says that an order in doubt is to be sent again.
    """

    kills: int = 1
    losses: int = 1
    restarts: int = 1
    looks: int = 1


ONE_OF_EACH: Final = Faults()


class Moment(NamedTuple):
    """All there is at one moment.

    Attributes:
        tables: what everybody sees.
        disk: what is left of it when the database is ended at once.
        sessions: for each process, whether it is connected. For the others, it is alive if it is.
        tasks: what the workers are at.
        strays: for each order, how often it is still on its way, with nobody who waits for the answer.
        paid: for each order, how often the gateway took it.
        told: for each order, how often somebody said that it is to be sent again.
        faults: what may still come.
    """

    tables: Tables
    disk: Tables
    sessions: tuple[bool, ...]
    tasks: tuple[Task, ...]
    strays: tuple[int, ...]
    paid: tuple[int, ...]
    told: tuple[int, ...]
    faults: Faults

    def is_alive(self, owner: int | None) -> bool:
        """Whether an owner has the lock that says so."""
        return owner is not None and owner != DEAD and self.sessions[owner]

    def is_sending(self, process: int, number: int) -> bool:
        """Whether a task of a process has an order that may be out."""
        return any((one.process, one.number) == (process, number) and one.step in SENDING for one in self.tasks)

    @property
    def is_over(self) -> bool:
        """Whether all lines have ended, and no worker is at one."""
        return all(line.state != "open" for line in self.tables.lines) and all(
            task.step is Step.CLAIM for task in self.tasks
        )

    def write(self, number: int, *, durable: bool, **rows: Any) -> "Moment":
        """Change the `line` or the `order` of this number. What is durable takes all before it to the disk, too."""
        lines, orders = self.tables
        if "line" in rows:
            lines = put(lines, number, rows["line"])
        if "order" in rows:
            orders = put(orders, number, rows["order"])
        tables = Tables(lines, orders)
        return self._replace(tables=tables, disk=tables if durable else self.disk)


def put(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    """Return the values with another one in one place."""
    return (*values[:index], value, *values[index + 1 :])


def add(values: tuple[int, ...], index: int) -> tuple[int, ...]:
    """Return the numbers with one of them greater by one."""
    return put(values, index, values[index] + 1)


# --- What can come next. ---


class Move(NamedTuple):
    """Something that can come next.

    Attributes:
        what: in words.
        moment: what there is then.
        task: what the task that does it is at then. None: no task does it.
        is_needed: False: it may never come, so nothing may depend on it.
    """

    what: str
    moment: Moment
    task: Task | None = None
    is_needed: bool = True


@frozen
class Protocol:
    """What can come after each moment.

    Attributes:
        processes: for each task, the number of its process.
        lines: how many there are.
        faults: what may go wrong.
        without: those of the `RULES` that are broken.
    """

    processes: tuple[int, ...] = (0, 1)
    lines: int = 1
    faults: Faults = ONE_OF_EACH
    without: frozenset[str] = frozenset()

    @property
    def first(self) -> Moment:
        """Return the moment when all lines are registered, and the workers begin."""
        tables = Tables((LineRow(),) * self.lines, (None,) * self.lines)
        sessions = (True,) * (max(self.processes) + 1)
        none = (0,) * self.lines
        return Moment(tables, tables, sessions, tuple(map(Task, self.processes)), none, none, none, self.faults)

    def moves(self, now: Moment) -> Iterator[Move]:
        """Yield all that can come next."""
        for index, task in enumerate(now.tasks):
            name = f"{'ABCDEF'[index]}, of process {task.process},"
            for move in self._work(now, task):
                moment = move.moment._replace(tasks=put(now.tasks, index, move.task))
                yield Move(f"{name} {move.what}", moment, is_needed=move.is_needed)
        for process, is_connected in enumerate(now.sessions):
            if not is_connected:
                yield Move(f"process {process} connects again", connect(now, process))
        yield from trouble(now)

    def _work(self, now: Moment, task: Task) -> Iterator[Move]:
        """Yield what a task can do next. All but sending needs the connection."""
        if task.step is Step.SEND:
            yield from self._send(now, task)
        elif not now.sessions[task.process]:
            return
        elif task.step is Step.CLAIM:
            yield from self._claim(now, task)
        elif task.step is Step.LOOK:
            seen = self._standing(now, task)
            yield Move(f"sees that the order is {seen.name}", now, task._replace(step=Step.BEGIN, seen=seen))
        elif task.step is Step.BEGIN:
            yield from self._begin(now, task)
        elif task.step in ENDS:
            yield self._end(now, task)
        else:
            yield from self._note(now, task)

    def _claim(self, now: Moment, task: Task) -> Iterator[Move]:
        """Yield the claims of lines that are free. Two calls of a process may be about the same order, too."""
        for number, line in enumerate(now.tables.lines):
            is_free = line.owner is None or ("dead owners" not in self.without and not now.is_alive(line.owner))
            is_shared = any(
                other.process == task.process and other.number == number and other.step is not Step.CLAIM
                for other in now.tasks
            )
            if line.state == "open" and (is_free or is_shared):
                step = Step.LOOK if "one transaction" in self.without else Step.BEGIN
                claimed = LineRow("open", task.process)
                moment = now.write(number, line=claimed, durable="durable claim" not in self.without)
                yield Move(f"claims line {number}", moment, Task(task.process, step, number))

    def _standing(self, now: Moment, task: Task) -> OrderState:
        """Return how the order stands for one who is about to send it."""
        number, process, row = task.number, task.process, now.tables.orders[task.number]
        is_taken = row is not None and row.state == "taken"
        if not is_taken and now.is_sending(process, number) and "sending" not in self.without:
            return OrderState.BUSY  # Even if there is no row: who could not hear that it was removed removes it again.
        if row is not None and row.state == "intended" and row.owner == process and "own intent" not in self.without:
            return OrderState.INTENDED
        stands = standing(row, is_owner_alive=row is not None and now.is_alive(row.owner))
        is_told = row is not None and (row.has_mark if "told once" in self.without else row.is_marked)
        if stands is OrderState.UNKNOWN and (is_told or "doubt" in self.without):
            return OrderState.INTENDED
        return stands

    def _begin(self, now: Moment, task: Task) -> Iterator[Move]:
        number, row = task.number, now.tables.orders[task.number]
        is_begun = row is not None and row.state == "intended" and row.owner == task.process
        is_own = is_begun or now.tables.lines[number].owner == task.process
        if task.is_unsure and is_begun and ("undo" in self.without or not now.is_sending(task.process, number)):
            undone = now.write(number, order=withdraw(row) if row else None, durable=True)
            yield Move(f"takes back order {number}, which it has begun perhaps", undone, task, is_needed=False)
        if not is_own and "own line" not in self.without:
            yield Move(f"leaves line {number}, which is no longer its own", now, Task(task.process))
            return
        stands = task.seen or self._standing(now, task)
        if stands is OrderState.BUSY:  # It looks again as soon as something has changed.
            if task.seen:
                yield Move("looks again", now, task._replace(step=Step.LOOK, seen=None))
            return
        if stands is not OrderState.INTENDED:
            step = Step.DONE if stands is OrderState.TAKEN else Step.UNKNOWN
            yield Move(f"finds order {number} {stands.name}", now, task._replace(step=step, seen=None))
            return
        what, noted = f"notes that order {number} is about to be sent", self._intend(now, task)
        yield Move(what, noted, task._replace(step=Step.SEND, seen=None))
        yield from self._lose(now, noted, task, what)

    def _lose(self, now: Moment, changed: Moment, task: Task, what: str) -> Iterator[Move]:
        """Yield how the connection is lost while an order is changed: after that was done, or before."""
        if now.faults.losses:
            unsure = task._replace(is_unsure=True)
            done, undone = lose(changed, task.process), lose(now, task.process)
            yield Move(f"{what}, and loses its connection before it hears so", done, unsure, is_needed=False)
            yield Move(f"{what}, but loses its connection before it has", undone, unsure, is_needed=False)

    def _intend(self, now: Moment, task: Task) -> Moment:
        row = now.tables.orders[task.number]
        if "intent" in self.without or (row is not None and row.state == "intended" and row.owner == task.process):
            return now
        after = begin(row, task.process)
        if "sum" in self.without:
            after = after._replace(in_doubt=None)
        return now.write(task.number, order=after, durable="durable intent" not in self.without)

    def _send(self, now: Moment, task: Task) -> Iterator[Move]:
        """Yield what can come of an order. One that gets no answer may still be under way, and be taken later."""
        number = task.number
        took = now._replace(paid=add(now.paid, number))
        stray = now._replace(strays=add(now.strays, number))
        yield Move(f"sends order {number}, which is taken", took, task._replace(step=Step.TAKEN))
        for step, what in (
            (Step.REFUSED, "which is refused for now"),
            (Step.WRONG, "which is refused for good"),
        ):
            yield Move(f"sends order {number}, {what}", now, task._replace(step=step), is_needed=False)
        unanswered = task._replace(step=Step.UNANSWERED)
        yield Move(f"sends order {number}, and gets no answer", stray, unanswered, is_needed=False)

    def _note(self, now: Moment, task: Task) -> Iterator[Move]:
        """Yield how a task notes what came of its order. What is no longer its own to note stays as it is."""
        row = now.tables.orders[task.number]
        if row is None and "intent" in self.without:
            row = begin(row, task.process)
        look = Step.LOOK if "one transaction" in self.without else Step.BEGIN
        step = {
            Step.TAKEN: Step.DONE,
            Step.UNANSWERED: Step.UNKNOWN,
            Step.REFUSED: look,
            Step.WRONG: Step.FAILED,
        }[task.step]
        after = task._replace(step=step, is_unsure=False)
        if row is None or not self._is_ours(row, task):
            if task.is_unsure:
                yield Move(f"takes it that it did {task.step.value}", now, after)
            else:
                yield Move(f"can't {task.step.value}", now, task._replace(step=Step.UNKNOWN))
            return
        moment = now.write(task.number, order=self._noted(row, task.step), durable="durable notes" not in self.without)
        yield Move(f"goes on to {task.step.value}", moment, after)
        yield from self._lose(now, moment, task, f"goes on to {task.step.value}")

    def _is_ours(self, row: OrderRow, task: Task) -> bool:
        """Whether a task may note what came of its order."""
        if task.is_unsure and task.step in {Step.REFUSED, Step.WRONG} and "unsure" not in self.without:
            return row.owner == task.process  # One that has no owner may be another's, which is in doubt.
        return is_free(row, task.process) or "own note" in self.without

    def _noted(self, row: OrderRow, step: Step) -> OrderRow | None:
        """Return what becomes of the row of an order. None: it is removed."""
        if step is Step.TAKEN:
            return note_taken(row)
        if step is Step.UNANSWERED:
            return note_unknown(row)
        if "withdraw one" in self.without:
            return None
        if row.in_doubt is not None and "stay in doubt" in self.without:
            return OrderRow("unknown", cost=row.in_doubt)
        return withdraw(row)

    def _end(self, now: Moment, task: Task) -> Move:
        line = now.tables.lines[task.number]
        idle = Task(task.process)
        if line.state != "open" or (line.owner != task.process and "own end" not in self.without):
            return Move(f"leaves line {task.number}, which is no longer its own", now, idle)
        state = ENDS[task.step]
        moment = now.write(task.number, line=LineRow(state), durable="durable end" not in self.without)
        return Move(f"notes that line {task.number} is {state}", moment, idle)


def connect(now: Moment, process: int) -> Moment:
    """Return what there is when a process is connected again: its token is the same, and so are its rows."""
    return now._replace(sessions=put(now.sessions, process, True))


def lose(now: Moment, process: int) -> Moment:
    """Return what there is when a process has lost its connection, and with it the lock that says that it lives."""
    faults = now.faults._replace(losses=now.faults.losses - 1)
    return now._replace(sessions=put(now.sessions, process, False), faults=faults)


def kill(now: Moment, process: int) -> Moment:
    """Return what there is when a process was killed, and another one with a token of its own has taken its place."""

    def bury(rows: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(row._replace(owner=DEAD) if row and row.owner == process else row for row in rows)

    return now._replace(
        tables=Tables(bury(now.tables.lines), bury(now.tables.orders)),
        disk=Tables(bury(now.disk.lines), bury(now.disk.orders)),
        sessions=put(now.sessions, process, True),
        tasks=tuple(Task(process) if task.process == process else task for task in now.tasks),
        faults=now.faults._replace(kills=now.faults.kills - 1),
    )


def trouble(now: Moment) -> Iterator[Move]:
    """Yield what can go wrong next, and what somebody can do by hand."""
    faults = now.faults
    for number, strays in enumerate(now.strays):
        if strays:
            late = now._replace(strays=put(now.strays, number, strays - 1), paid=add(now.paid, number))
            yield Move(f"the gateway takes order {number}, which was still under way", late, is_needed=False)
    for process, is_connected in enumerate(now.sessions):
        if faults.losses and is_connected:
            yield Move(f"process {process} loses its connection", lose(now, process), is_needed=False)
        if faults.kills:
            yield Move(f"process {process} is killed, and another one started", kill(now, process), is_needed=False)
    if faults.restarts:
        fewer = faults._replace(restarts=faults.restarts - 1)
        ended = now._replace(tables=now.disk, sessions=(False,) * len(now.sessions), faults=fewer)
        yield Move("the database is ended at once, and started again", ended, is_needed=False)
    for number, (line, row) in enumerate(zip(*now.tables, strict=True)):
        if faults.looks and row and is_in_doubt(now, row):
            told = now._replace(told=add(now.told, number), faults=faults._replace(looks=faults.looks - 1))
            again = line if line.state == "open" else LineRow()
            after = told.write(number, line=again, order=mark(row), durable=True)
            yield Move(f"somebody says that order {number} is to be sent again", after, is_needed=False)


def is_in_doubt(now: Moment, row: OrderRow) -> bool:
    """Whether somebody who looks sees an order as one in doubt, of which nothing is decided."""
    return standing(row, is_owner_alive=now.is_alive(row.owner)) is OrderState.UNKNOWN and not row.is_marked


# --- What must hold at every moment. ---


def wrong(now: Moment, *, is_shared: bool) -> str | None:
    """Return what must not be, in words. None: all is well."""
    for number, (line, row) in enumerate(zip(*now.tables, strict=True)):
        paid, told, spent = now.paid[number], now.told[number], row.spent if row else 0
        if paid > 1 + told:
            return f"order {number} was taken {paid} times, and {told} times told to be sent again"
        if spent < paid:
            return f"order {number} was taken {paid} times, and counted {spent} times"
        if line.state == "done" and (row is None or row.state != "taken"):
            return f"line {number} is done, and its order is not known to be taken"
        if line.state == "failed" and row is not None and not told and not is_shared:
            return f"line {number} failed, and its order is {row.state}"
    return None


@frozen
class Counterexample:
    """A way to what must not be.

    Attributes:
        what: must not be.
        steps: what happened, in words, and what there was then.
    """

    what: str
    steps: list[tuple[str, Moment]]

    def __str__(self) -> str:
        lines = []
        for number, (words, now) in enumerate(self.steps, 1):
            lines += [f"{number:3}. {words}", f"       {_describe(now)}"]
        return "\n".join([*lines, f"     But {self.what}."])


def _describe(now: Moment) -> str:
    words = []
    for number, (line, row) in enumerate(zip(*now.tables, strict=True)):
        owner = {None: "", DEAD: " of the dead"}.get(line.owner, f" of process {line.owner}")
        words.append(f"line {number}: {line.state}{owner}")
        if row is not None:
            owner = {None: "", DEAD: " by the dead"}.get(row.owner, f" by process {row.owner}")
            again = " (to be sent again)" if row.is_marked else ""
            words.append(f"order {number}: {row.state}{owner}{again}, counted {row.spent}")
        words.append(f"taken {now.paid[number]}")
    return ", ".join(words)


@frozen
class Search:
    """What a search found.

    Attributes:
        moments: how many there can be.
        counterexample: the shortest way to what must not be. None: there is none.
    """

    moments: int
    counterexample: Counterexample | None


def search(protocol: Protocol) -> Search:
    """Visit every moment that can come, until one is wrong. Then see that from each of them all lines can end."""
    is_shared = len({*protocol.processes}) < len(protocol.processes)
    before: dict[Moment, tuple[Moment, str] | None] = {protocol.first: None}
    needed: dict[Moment, list[Moment]] = {}
    ahead = deque(before)
    while ahead:
        now = ahead.popleft()
        for what, moment, _, is_needed in protocol.moves(now):
            if moment not in before:
                before[moment] = now, what
                if (words := wrong(moment, is_shared=is_shared)) is not None:
                    return Search(len(before), _trace(before, moment, words))
                ahead.append(moment)
            if is_needed:
                needed.setdefault(moment, []).append(now)
    # Backwards from the good ends, by what is sure to come once nothing goes wrong any more.
    ends = [moment for moment in before if moment.is_over]
    good = set(ends)
    while ends:
        for moment in needed.get(ends.pop(), ()):
            if moment not in good:
                good.add(moment)
                ends.append(moment)
    stuck = next((moment for moment in before if moment not in good), None)
    if stuck is not None:
        return Search(len(before), _trace(before, stuck, "from here on, the lines never all end"))
    return Search(len(before), None)


def _trace(before: dict[Moment, tuple[Moment, str] | None], last: Moment, words: str) -> Counterexample:
    steps, moment = [], last
    while (came := before[moment]) is not None:
        steps.append((came[1], moment))
        moment = came[0]
    return Counterexample(words, steps[::-1])


# --- What is searched. ---

TWO: Final = (0, 1)
THREADS: Final = (0, 0)
"""Two tasks of one process, about the same order: a program that calls twice with one id."""
QUICK: Final = (
    Protocol(TWO, faults=Faults(kills=1, losses=1, restarts=0, looks=1)),
    Protocol(TWO, faults=Faults(kills=1, losses=0, restarts=1, looks=1)),
    Protocol(TWO, faults=Faults(kills=0, losses=1, restarts=1, looks=0)),
    Protocol(TWO, lines=2, faults=Faults(kills=1, losses=0, restarts=0, looks=0)),
    Protocol(THREADS, faults=Faults(kills=1, losses=1, restarts=1, looks=0)),
)
DEEP: Final = (
    Protocol(TWO, faults=Faults(kills=2, losses=1, restarts=1, looks=1)),
    Protocol(TWO, faults=Faults(kills=1, losses=2, restarts=0, looks=1)),
    Protocol(TWO, faults=Faults(kills=1, losses=1, restarts=0, looks=2)),
    Protocol(TWO, lines=2, faults=Faults(kills=1, losses=1, restarts=0, looks=0)),
    Protocol((0, 0, 1), faults=Faults(kills=1, losses=1, restarts=1, looks=0)),
    Protocol((0, 1, 2), faults=Faults(kills=1, losses=1, restarts=0, looks=1)),
    Protocol((0, 1, 2), faults=Faults(kills=1, losses=0, restarts=1, looks=1)),
)
"""What takes most of a minute."""
SHORTEST: Final = {
    "one transaction": Protocol(THREADS, faults=Faults(0, 0, 0, 0)),
    "sending": Protocol(THREADS, faults=Faults(0, 0, 0, 0)),
    "own intent": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
    "undo": Protocol(THREADS, faults=Faults(0, 1, 0, 0)),
    "stay in doubt": Protocol(TWO, faults=Faults(0, 1, 0, 2)),
    "dead owners": Protocol(TWO, faults=Faults(1, 0, 0, 0)),
    "durable claim": Protocol(TWO, faults=Faults(0, 1, 1, 0)),
    "durable end": Protocol(TWO, faults=Faults(0, 0, 1, 0)),
}
"""Where a broken rule shows soonest. For all others, one of each fault will do."""


def broken(rule: str) -> Protocol:
    """Return the protocol without a rule."""
    return evolve(SHORTEST.get(rule, Protocol()), without=frozenset({rule}))


def main() -> int:
    """Print the figures, and return whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without", choices=list(RULES), help="break a rule, and print what comes of it")
    arguments = parser.parse_args()
    if arguments.without:
        print(f"Without the rule {RULES[arguments.without]!r}:\n{search(broken(arguments.without)).counterexample}")
        return 0
    failures = 0
    for protocol in (*QUICK, *DEEP):
        began = time.monotonic()
        found = search(protocol)
        seconds = time.monotonic() - began
        print(f"{_title(protocol)}: {found.moments} moments, in {seconds:.1f} s.", flush=True)
        if found.counterexample is not None:
            failures += 1
            print(f"WRONG:\n{found.counterexample}")
    for rule, words in RULES.items():
        found = search(broken(rule))
        if found.counterexample is None:
            failures += 1
            print(f"WRONG: nothing goes wrong without the rule {words!r}")
        else:
            print(f"Without {rule!r}: after {len(found.counterexample.steps)} steps, {found.counterexample.what}.")
    return bool(failures)


def _title(protocol: Protocol) -> str:
    faults = ", ".join(f"{count} {name}" for name, count in protocol.faults._asdict().items() if count)
    processes = len({*protocol.processes})
    return f"{len(protocol.processes)} tasks of {processes} processes, {protocol.lines} lines, {faults or 'no faults'}"


if __name__ == "__main__":
    sys.exit(main())

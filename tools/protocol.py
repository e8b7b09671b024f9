"""Try every way in which workers can claim lines, order and note, whatever fails meanwhile: none may be paid twice.

This is a model: what the statements of the journal do to its rows, what a worker does next, and what can go wrong. A
breadth-first search visits every state that can be reached, so it finds the shortest way to one that must not be. Each
of the `RULES` can be broken on purpose, to see that it is needed. `tests/journal/test_order_rows.py` holds the rows of
the model and those of the real journals together.
"""

import argparse
import sys
import time
from collections import deque
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final, NamedTuple

from attrs import evolve, frozen

from longcat.waiting.order_store import OrderState

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
    "check": "whether an order is still its sender's own is asked right before the first byte",
    "unsent": "what that keeps from being sent is withdrawn before anybody of the same program begins it",
    "own request": "an order counts as noted as taken only if the row says so",
    "coming back": "an order is in doubt only some seconds after the last sign of life of its sender",
    "under way": "an order that may be under way is not told to be sent again",
    "dead owners": "the lines of an owner that is gone are free",
    "give back": "lines that a worker claimed, and could not hear of, are free again with its next claim",
    "durable claim": "whose a line is, is on the disk before the one who had it forgets it",
    "own line": "a worker begins an order only while the line is its own, or goes on with what it has begun",
    "own end": "a worker ends the lines that are its own, and others if they are done",
    "late end": "a line that was found in doubt is not any more when its sender knows what came of it",
    "other doubts": "that is so unless its order is in doubt still, which another worker has sent",
    "durable end": "what came of a line is on the disk before its worker forgets the line",
}
"""What the protocol rests on. A `Protocol` may be made without some of it."""
CONNECTED, LOST, AWAY, GONE = range(4)
"""How long ago a process gave its last sign of life: it is connected; it has lost its connection just now; some seconds
have passed since, in which it comes back if it can; or minutes, so that nothing that it sent is under way."""
DEAD: Final = -LOST
"""The owner of rows whose process is gone for good, as no other process gets its token: -2 and -3 after a while."""


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
    AWAIT = "await the answer"
    UNSENT = "note that it was not sent"
    TAKEN = "note that it was taken"
    UNANSWERED = "note that no answer came"
    REFUSED = "note that it was refused for now"
    WRONG = "note that it was refused for good"
    DONE = "end the line as done"
    FAILED = "end the line as failed"
    UNKNOWN = "end the line as in doubt"


SENDING: Final = frozenset({Step.SEND, Step.AWAIT, Step.UNSENT, Step.TAKEN, Step.UNANSWERED, Step.REFUSED, Step.WRONG})
ENDS: Final = {Step.DONE: "done", Step.FAILED: "failed", Step.UNKNOWN: "unknown"}


class Task(NamedTuple):
    """What a task of a worker is at.

    Attributes:
        process: the number of its process, which is what rows name as their owner.
        step: what it does next.
        number: of the line that it works on.
        is_unsure: whether it could not hear if its last change, of the order or of its lines, was made.
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
        sessions: for each process, whether it is connected, and if not, since when. It is alive for others if it is.
        tasks: what the workers are at.
        strays: for each order, how often it is still on its way, with nobody who waits for the answer.
        paid: for each order, how often the gateway took it.
        told: for each order, how often somebody said that it is to be sent again.
        faults: what may still come.
    """

    tables: Tables
    disk: Tables
    sessions: tuple[int, ...]
    tasks: tuple[Task, ...]
    strays: tuple[int, ...]
    paid: tuple[int, ...]
    told: tuple[int, ...]
    faults: Faults

    def silence(self, owner: int | None) -> int:
        """Return for how long an owner has given no sign of life: from `CONNECTED` to `GONE`."""
        if owner is None:
            return GONE
        return -owner if owner < 0 else self.sessions[owner]

    def is_alive(self, owner: int | None) -> bool:
        """Whether an owner has the lock that says so."""
        return self.silence(owner) == CONNECTED

    def is_sending(self, process: int, number: int, steps: frozenset[Step] = SENDING) -> bool:
        """Whether a task of a process is at one of these steps with an order, which may be out."""
        return any((one.process, one.number) == (process, number) and one.step in steps for one in self.tasks)

    @property
    def is_over(self) -> bool:
        """Whether all lines have ended, and no worker is at one."""
        return all(line.state != "open" for line in self.tables.lines) and all(
            task.step is Step.CLAIM for task in self.tasks
        )

    def with_owner(self, former: int, owner: int) -> "Moment":
        """Let all rows of one owner be those of another."""

        def change(rows: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(row._replace(owner=owner) if row and row.owner == former else row for row in rows)

        tables, disk = (Tables(change(one.lines), change(one.orders)) for one in (self.tables, self.disk))
        return self._replace(tables=tables, disk=disk)

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
        fault: what is wrong with that, in words. None: nothing.
    """

    what: str
    moment: Moment
    task: Task | None = None
    is_needed: bool = True
    fault: str | None = None


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
        sessions = (CONNECTED,) * (max(self.processes) + 1)
        none = (0,) * self.lines
        return Moment(tables, tables, sessions, tuple(map(Task, self.processes)), none, none, none, self.faults)

    def moves(self, now: Moment) -> Iterator[Move]:
        """Yield all that can come next."""
        for index, task in enumerate(now.tasks):
            name = f"{'ABCDEF'[index]}, of process {task.process},"
            for move in self._work(now, task):
                moment = move.moment._replace(tasks=put(now.tasks, index, move.task))
                yield Move(f"{name} {move.what}", moment, is_needed=move.is_needed, fault=move.fault)
        for process, silence in enumerate(now.sessions):
            if silence:
                yield Move(f"process {process} connects again", self._connect(now, process))
        yield from time_passes(now)
        yield from trouble(now)
        if now.faults.looks:
            yield from self._look(now)

    def _work(self, now: Moment, task: Task) -> Iterator[Move]:
        """Yield what a task can do next. All but sending needs the connection."""
        if task.step is Step.SEND:
            yield from self._send(now, task)
        elif task.step is Step.AWAIT:
            yield from self._await(now, task)
        elif now.sessions[task.process]:
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
        if task.is_unsure:
            lines = now.tables.lines if "give back" in self.without else self._given_back(now, task.process)
            moment = now._replace(tables=now.tables._replace(lines=lines))
            yield Move("gives back what it may have claimed", moment._replace(disk=moment.tables), Task(task.process))
            return
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
                if not is_shared:
                    yield from self._lose(now, moment, task, f"claims line {number}")

    @staticmethod
    def _given_back(now: Moment, process: int) -> tuple[LineRow, ...]:
        """Return the lines when those are free that a process does not know to be its own."""
        known = {task.number for task in now.tasks if task.process == process and task.step is not Step.CLAIM}
        return tuple(
            LineRow() if line == LineRow("open", process) and number not in known else line
            for number, line in enumerate(now.tables.lines)
        )

    def _standing(self, now: Moment, task: Task) -> OrderState:
        """Return how the order stands for one who is about to send it."""
        number, process, row = task.number, task.process, now.tables.orders[task.number]
        is_taken = row is not None and row.state == "taken"
        steps = SENDING - {Step.UNSENT} if "unsent" in self.without else SENDING
        if not is_taken and now.is_sending(process, number, steps) and "sending" not in self.without:
            return OrderState.BUSY  # Even if there is no row: who could not hear that it was removed removes it again.
        if row is not None and row.state == "intended" and row.owner == process and "own intent" not in self.without:
            return OrderState.INTENDED
        stands = self._standing_for_others(now, row)
        is_told = row is not None and (row.has_mark if "told once" in self.without else row.is_marked)
        if stands is OrderState.UNKNOWN and (is_told or "doubt" in self.without):
            return OrderState.INTENDED
        return stands

    def _standing_for_others(self, now: Moment, row: OrderRow | None) -> OrderState:
        """Return how an order stands, the owner of which may come back for some seconds."""
        latest = CONNECTED if "coming back" in self.without else LOST
        return standing(row, is_owner_alive=row is not None and now.silence(row.owner) <= latest)

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
            is_early = step is Step.UNKNOWN and row is not None and row.state == "intended" and row.owner is not None
            fault = None
            if is_early and row is not None and now.silence(row.owner) == LOST:
                fault = f"order {number} is in doubt, though its sender may come back within seconds"
            found = task._replace(step=step, seen=None)
            yield Move(f"finds order {number} {stands.name}", now, found, fault=fault)
            return
        what, noted = f"notes that order {number} is about to be sent", self._intend(now, task)
        yield Move(what, noted, task._replace(step=Step.SEND, seen=None, is_unsure=False))
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
        """Yield how the first byte goes out, or does not as the order may be another's by now.

        Who is cut off may not know it yet. Once it has connected again, or minutes have passed, it does.
        """
        number, row, silence = task.number, now.tables.orders[task.number], now.sessions[task.process]
        if silence and "check" not in self.without:
            yield Move(f"does not send order {number}, as it is cut off", now, task._replace(step=Step.UNSENT))
            if silence == GONE:
                return
        is_own = row is not None and row.state == "intended" and row.owner == task.process
        fault = None if is_own else f"order {number} is sent by one whose own it is not any more"
        yield Move(f"sends order {number}", now, task._replace(step=Step.AWAIT), fault=fault)

    @staticmethod
    def _await(now: Moment, task: Task) -> Iterator[Move]:
        """Yield what can come of an order. One that gets no answer may still be under way, and be taken later."""
        number = task.number
        took = now._replace(paid=add(now.paid, number))
        stray = now._replace(strays=add(now.strays, number))
        yield Move(f"hears that order {number} is taken", took, task._replace(step=Step.TAKEN))
        for step, what in ((Step.REFUSED, "for now"), (Step.WRONG, "for good")):
            refused = task._replace(step=step)
            yield Move(f"hears that order {number} is refused {what}", now, refused, is_needed=False)
        unanswered = task._replace(step=Step.UNANSWERED)
        yield Move(f"gets no answer to order {number}", stray, unanswered, is_needed=False)

    def _note(self, now: Moment, task: Task) -> Iterator[Move]:
        """Yield how a task notes what came of its order. What is no longer its own to note stays as it is."""
        row = now.tables.orders[task.number]
        if row is None and "intent" in self.without:
            row = begin(row, task.process)
        look = Step.LOOK if "one transaction" in self.without else Step.BEGIN
        step = {
            Step.TAKEN: Step.DONE,
            Step.UNANSWERED: Step.UNKNOWN,
            Step.UNSENT: look,
            Step.REFUSED: look,
            Step.WRONG: Step.FAILED,
        }[task.step]
        after = task._replace(step=step, is_unsure=False)
        if row is None or not self._is_ours(row, task):
            is_noted = task.is_unsure
            if task.step is Step.TAKEN and "own request" not in self.without:
                is_noted = row is not None and row.state == "taken"
            if is_noted or task.step is Step.UNSENT:
                yield Move(f"takes it that it did {task.step.value}", now, after)
            else:
                yield Move(f"can't {task.step.value}", now, task._replace(step=Step.UNKNOWN))
            return
        moment = now.write(task.number, order=self._noted(row, task.step), durable="durable notes" not in self.without)
        yield Move(f"goes on to {task.step.value}", moment, after)
        yield from self._lose(now, moment, task, f"goes on to {task.step.value}")

    def _is_ours(self, row: OrderRow, task: Task) -> bool:
        """Whether a task may note what came of its order."""
        withdraws = task.step in {Step.REFUSED, Step.WRONG, Step.UNSENT}
        if task.is_unsure and withdraws and "unsure" not in self.without:
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
        state = ENDS[task.step]
        is_own = line.owner == task.process or state == "done" or "own end" in self.without
        row = now.tables.orders[task.number]
        is_clear = row is None or row.state == "taken" or "other doubts" in self.without
        is_late = line.state == "unknown" and state != "unknown" and is_clear and "late end" not in self.without
        if not (is_late or (line.state == "open" and is_own)):
            return Move(f"leaves line {task.number}, which is no longer its own", now, idle)
        moment = now.write(task.number, line=LineRow(state), durable="durable end" not in self.without)
        return Move(f"notes that line {task.number} is {state}", moment, idle)

    def _connect(self, now: Moment, process: int) -> Moment:
        """Return what there is when a process is connected again: its token is the same, and so are its rows.

        What it is about to send was begun in another session, and others may have sent it since.
        """
        tasks = tuple(
            task._replace(step=Step.UNSENT)
            if task.process == process and task.step is Step.SEND and "check" not in self.without
            else task
            for task in now.tasks
        )
        return now._replace(sessions=put(now.sessions, process, CONNECTED), tasks=tasks)

    def _look(self, now: Moment) -> Iterator[Move]:
        """Yield how somebody says that an order in doubt is to be sent again, having looked that it was not taken."""
        faults = now.faults._replace(looks=now.faults.looks - 1)
        for number, (line, row) in enumerate(zip(*now.tables, strict=True)):
            if row is None or row.is_marked or self._standing_for_others(now, row) is not OrderState.UNKNOWN:
                continue
            if row.state == "intended" and now.silence(row.owner) < GONE and "under way" not in self.without:
                continue
            is_out = any(task.number == number and task.step is Step.AWAIT for task in now.tasks)
            told = now._replace(told=add(now.told, number), faults=faults)
            again = line if line.state == "open" else LineRow()
            yield Move(
                f"somebody says that order {number} is to be sent again",
                told.write(number, line=again, order=mark(row), durable=True),
                is_needed=False,
                fault=f"order {number} is told to be sent again while it is under way" if is_out else None,
            )


def time_passes(now: Moment) -> Iterator[Move]:
    """Yield how some seconds pass, or the minutes in which everything comes to its end that is under way."""
    owners = {row.owner for tables in (now.tables, now.disk) for rows in tables for row in rows if row is not None}
    for since, what in ((LOST, "some seconds pass"), (AWAY, "some minutes pass")):
        is_due = since in now.sessions or -since in owners
        if is_due and not (since == AWAY and any(task.step is Step.AWAIT for task in now.tasks)):
            yield Move(
                what,
                now.with_owner(-since, -since - 1)._replace(
                    sessions=tuple(one + 1 if one == since else one for one in now.sessions)
                ),
            )


def lose(now: Moment, process: int) -> Moment:
    """Return what there is when a process has lost its connection, and with it the lock that says that it lives."""
    faults = now.faults._replace(losses=now.faults.losses - 1)
    return now._replace(sessions=put(now.sessions, process, LOST), faults=faults)


def kill(now: Moment, process: int) -> Moment:
    """Return what there is when a process was killed, and another one with a token of its own has taken its place."""
    strays = now.strays
    for task in now.tasks:
        if task.process == process and task.step is Step.AWAIT:  # It may be taken, or it may not.
            strays = add(strays, task.number)
    return now.with_owner(process, DEAD)._replace(
        strays=strays,
        sessions=put(now.sessions, process, CONNECTED),
        tasks=tuple(Task(process) if task.process == process else task for task in now.tasks),
        faults=now.faults._replace(kills=now.faults.kills - 1),
    )


def trouble(now: Moment) -> Iterator[Move]:
    """Yield what can go wrong next."""
    faults = now.faults
    for number, strays in enumerate(now.strays):
        if strays:
            late = now._replace(strays=put(now.strays, number, strays - 1), paid=add(now.paid, number))
            yield Move(f"the gateway takes order {number}, which was still under way", late, is_needed=False)
    for process, silence in enumerate(now.sessions):
        if faults.losses and silence == CONNECTED:
            yield Move(f"process {process} loses its connection", lose(now, process), is_needed=False)
        if faults.kills:
            yield Move(f"process {process} is killed, and another one started", kill(now, process), is_needed=False)
    if faults.restarts:
        fewer = faults._replace(restarts=faults.restarts - 1)
        sessions = tuple(max(silence, LOST) for silence in now.sessions)
        ended = now._replace(tables=now.disk, sessions=sessions, faults=fewer)
        yield Move("the database is ended at once, and started again", ended, is_needed=False)


# --- What must hold at every moment. ---


def wrong(now: Moment, *, is_shared: bool, may_doubt: bool) -> str | None:
    """Return what must not be, in words. None: all is well.

    Args:
        now: what there is.
        is_shared: whether two tasks of a process may be about one order.
        may_doubt: whether a line may be in doubt though its order was taken: when who knows that was killed.
    """
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
        if now.is_over and line.state == "unknown" and row is not None and row.state == "taken" and not may_doubt:
            return f"line {number} is in doubt in the end, and its order is known to be taken"
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
        owner = "" if line.owner is None else f" of process {line.owner}" if line.owner >= 0 else " of the dead"
        words.append(f"line {number}: {line.state}{owner}")
        if row is not None:
            owner = "" if row.owner is None else f" by process {row.owner}" if row.owner >= 0 else " by the dead"
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
        for what, moment, _, is_needed, fault in protocol.moves(now):
            if moment not in before or fault is not None:
                before.setdefault(moment, (now, what))
                may_doubt = moment.faults.kills < protocol.faults.kills
                words = fault or wrong(moment, is_shared=is_shared, may_doubt=may_doubt)
                if words is not None:
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
    Protocol(TWO, faults=Faults(kills=0, losses=1, restarts=0, looks=1)),
    Protocol(TWO, faults=Faults(kills=1, losses=0, restarts=1, looks=0)),
    Protocol(TWO, faults=Faults(kills=0, losses=1, restarts=1, looks=0)),
    Protocol(TWO, lines=2, faults=Faults(kills=1, losses=0, restarts=0, looks=0)),
    Protocol(THREADS, faults=Faults(kills=0, losses=1, restarts=1, looks=0)),
)
DEEP: Final = (
    Protocol(TWO, faults=Faults(kills=1, losses=1, restarts=1, looks=1)),
    Protocol(TWO, faults=Faults(kills=2, losses=1, restarts=0, looks=0)),
    Protocol(TWO, faults=Faults(kills=0, losses=2, restarts=0, looks=1)),
    Protocol(TWO, faults=Faults(kills=0, losses=1, restarts=0, looks=2)),
    Protocol(TWO, lines=2, faults=Faults(kills=1, losses=1, restarts=0, looks=0)),
    Protocol((0, 0, 1), faults=Faults(kills=0, losses=1, restarts=1, looks=0)),
    Protocol((0, 1, 2), faults=Faults(kills=1, losses=1, restarts=0, looks=1)),
)
"""What takes most of a minute."""
SHORTEST: Final = {
    "one transaction": Protocol(THREADS, faults=Faults(0, 0, 0, 0)),
    "sending": Protocol(THREADS, faults=Faults(0, 0, 0, 0)),
    "own intent": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
    "undo": Protocol(THREADS, faults=Faults(0, 1, 0, 0)),
    "unsent": Protocol(THREADS, faults=Faults(0, 1, 0, 0)),
    "give back": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
    "late end": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
    "other doubts": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
    "sum": Protocol(TWO, faults=Faults(1, 0, 0, 1)),
    "withdraw one": Protocol(TWO, faults=Faults(0, 0, 0, 1)),
    "own note": Protocol(TWO, faults=Faults(0, 1, 0, 1)),
    "own request": Protocol(TWO, faults=Faults(0, 1, 0, 1)),
    "told once": Protocol(TWO, faults=Faults(1, 0, 0, 1)),
    "unsure": Protocol(TWO, faults=Faults(0, 1, 0, 1)),
    "stay in doubt": Protocol(TWO, faults=Faults(0, 1, 0, 2)),
    "dead owners": Protocol(TWO, faults=Faults(1, 0, 0, 0)),
    "durable claim": Protocol(TWO, faults=Faults(0, 1, 1, 0)),
    "own line": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
    "own end": Protocol(TWO, faults=Faults(0, 1, 0, 0)),
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

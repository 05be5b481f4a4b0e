"""The driver: one asyncio task per execution around the pure engine.

    batch of events  ->  apply  ->  advance  ->  one append  ->  begin what started
          ^                                                            |
          '------------ node runs, answers, signals, timers <---------'

A node's completion and the starts it causes go into one append, and nothing begins before its own start is durable
(decision 30). Recovery is the same `apply`, over the whole journal.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dipeo_executor import observed, wire
from dipeo_executor.attempts import attempt, failure_of, timed_out, usage_of
from dipeo_executor.budget import Alarm, Budget
from dipeo_executor.context import NodeContext
from dipeo_executor.engine import events as ev
from dipeo_executor.engine.scheduler import advance, failed
from dipeo_executor.engine.state import Frame, Running, State
from dipeo_executor.engine.transitions import apply
from dipeo_executor.journal import Journal
from dipeo_executor.llm import script
from dipeo_executor.llm.metering import Metered
from dipeo_executor.llm.models import Models
from dipeo_executor.llm.prices import Prices
from dipeo_executor.llm.retrying import wait_s
from dipeo_executor.nodes.base import Answer, Files, Http, Question, Usage, Workers
from dipeo_executor.options import Options
from dipeo_executor.partial import Partial
from dipeo_executor.pauses import Pauses
from dipeo_executor.spending import Ledgers
from dipeo_kit import ids, logs
from dipeo_protos.store.v1 import store_pb2

log = logs.get(__name__)

MAX_LOGS = 5_000  # of one execution (store contract 15.5)


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to append to an execution."""

    execution_id: str
    fence: int
    head_seq: int


class RunWorkers(Workers, Protocol):
    """Of one execution, until its end."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What the nodes of one execution may use."""

    journal: Journal
    files: Files
    workers: RunWorkers
    models: Models
    prices: Prices
    http: Http
    executor: str  # who runs it, for people
    trace_content: bool = False  # prompts and answers in spans


class Run:
    """One execution being run by this process."""

    def __init__(self, claim: Claim, state: State, options: Options, tools: Tools) -> None:
        self.claim, self.state, self.options, self.tools = claim, state, options, tools
        self.budget = Budget(options.timeout_s)
        self.trace_parent = ""  # W3C, of the span around this run
        self._script = script.read(options.mock_script)
        self._ledgers = Ledgers(state, options.budget, tools.prices)
        self._head_seq = claim.head_seq
        self._names = wire.Names(state.root.program)
        self._inbox: list[ev.Event] = []
        self._arrived = asyncio.Event()
        self._end: tuple[ev.Event, ...] = ()  # how to end at once: abort, timeout
        self._pauses = Pauses(state, self._put)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._clocks: dict[str, Alarm] = {}  # of sub-diagrams with a timeout
        self._questions: dict[str, asyncio.Future[Answer]] = {}
        self._signals: set[str] = set()
        self._closed: set[str] = set()
        self._waits: dict[str, float] = {}  # node -> seconds before its next attempt
        self._failing: dict[tuple[str, int], float] = {}  # node run -> when its first attempt failed here
        self._logs = 0

    # --- from outside ------------------------------------------------------------------------------------------------

    def signal(self, signal: store_pb2.Signal) -> None:
        """Take a signal; its effect is journaled with its consumption. One that has no effect any more is consumed."""
        if signal.signal_id in self._signals:
            return
        self._signals.add(signal.signal_id)
        consumed = ev.SignalConsumed(signal.signal_id)
        if signal.HasField("abort"):
            end = ev.RunEnded("aborted", reason=signal.abort.reason, principal=signal.abort.principal)
            self._end = self._end or (consumed, end)
            self._arrived.set()
        elif signal.HasField("pause"):
            self._pauses.pause(signal.pause, consumed)
        elif signal.HasField("resume"):
            self._pauses.resume(signal.resume, consumed)
        elif signal.HasField("answer"):
            answer = signal.answer
            self._put(consumed)
            for (node, _), asked in self.state.interactions.items():
                if asked.id == answer.interaction_id and not asked.outcome:
                    self._close(answer.interaction_id, node, "answered", answer.response, answer.responder)

    async def drive(self, first: Sequence[ev.Event]) -> None:
        """Run to the end. Raises AppendRefused or StoreLost when the execution is no longer ours to run."""
        try:
            for path in self.state.frames:
                if path:  # inside a sub-diagram that was running when another executor was lost: its clock starts anew
                    frame, index = self.state.locate(path)
                    self._time_sub_diagram(path, frame.node(index).props.timeout)
            await self._step(first)
            while self.state.ended is None:
                await self._next()
                await (self._finish() if self._end else self._step(self._taken()))
        finally:
            await self._cancel_tasks()

    async def give_up(self, message: str, *, type: str = "InternalError", code: str = "internal") -> None:
        """End a run that cannot go on, by our own mistake if nothing else is said: failed."""
        claim = self.claim
        await self.tools.journal.give_up(
            claim.execution_id,
            fence=claim.fence,
            expected_seq=self._head_seq,
            message=message,
            type=type,
            code=code,
        )

    # --- the loop ----------------------------------------------------------------------------------------------------

    async def _step(self, batch: Sequence[ev.Event]) -> None:
        for event in batch:
            apply(self.state, event)
        events = [*batch, *(self._pauses.due() if self._pauses.holding else advance(self.state))]
        if not events:
            return
        await self._append(events)
        for event in events:
            if isinstance(event, ev.NodeStarted | ev.NodeRetrying):
                self._begin(event.node)
            elif isinstance(event, ev.NodeCompleted | ev.NodeFailed | ev.NodeAborted) and event.node in self._clocks:
                self._clocks.pop(event.node).stop()
            elif isinstance(event, ev.RunPaused | ev.RunResumed):
                for clock in self._clocks.values():
                    clock.stop() if self.state.paused else clock.go()

    async def _append(self, events: Sequence[ev.Event]) -> None:
        now = time.time()
        pbs = [wire.to_pb(event, self._names, event_id=ids.new_hex(), at=now) for event in events]
        claim = self.claim
        self._head_seq = await self.tools.journal.append(
            claim.execution_id,
            fence=claim.fence,
            expected_seq=self._head_seq,
            events=pbs,
            trace_parent=self.trace_parent,
        )

    async def _next(self) -> None:
        """Wait until something arrived or the deadline passed."""
        self.budget.observe(time.time(), ticking=self.state.ticking)
        try:
            async with asyncio.timeout(self.budget.left_s):
                await self._arrived.wait()
        except TimeoutError:
            message = f"Execution timed out after {self.options.timeout_s:g} seconds"
            self._end = (ev.RunEnded("failed", error=ev.Failure("TimeoutError", message, code="timeout")),)
        self._arrived.clear()

    def _taken(self) -> list[ev.Event]:
        taken, self._inbox = self._inbox, []
        return taken

    def _put(self, *events: ev.Event) -> None:
        self._inbox += events
        self._arrived.set()

    async def _finish(self) -> None:
        """End at once: what runs is cancelled and marked aborted, what has ended already is kept."""
        await self._cancel_tasks()
        batch = self._taken()
        for event in batch:
            apply(self.state, event)
        for path in sorted(self.state.frames, key=lambda path: -path.count("/")):
            frame = self.state.frames[path]
            for index, run in list(frame.running.items()):
                event = ev.NodeAborted(frame.path_of(index), run.iteration, run.attempt)
                apply(self.state, event)
                batch.append(event)
        for event in self._end:
            apply(self.state, event)
        await self._append([*batch, *self._end])

    async def _cancel_tasks(self) -> None:
        for clock in self._clocks.values():
            clock.stop()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- node runs ---------------------------------------------------------------------------------------------------

    def _begin(self, path: str) -> None:
        if path.rpartition("/")[0] not in self.state.frames:
            return  # a sub-diagram that ended in the same step
        frame, index = self.state.locate(path)
        if index not in frame.running:
            return
        if frame.node(index).child is not None:
            self._time_sub_diagram(path, frame.node(index).props.timeout)
            return
        task = asyncio.create_task(self._run_node(path, frame, index, frame.running[index], self._waits.pop(path, 0.0)))
        self._tasks[path] = task
        task.add_done_callback(lambda done: self._tasks.pop(path, None) if self._tasks.get(path) is done else None)

    def _time_sub_diagram(self, path: str, timeout_s: float | None) -> None:
        """A sub-diagram runs in its own nodes; only its clock runs here."""

        def expire() -> None:
            for inner, task in list(self._tasks.items()):
                if inner.startswith(f"{path}/"):
                    task.cancel()
            self._fail(path, timed_out(timeout_s or 0))

        if timeout_s:
            self._clocks[path] = clock = Alarm(timeout_s, expire)
            if not self.state.paused:
                clock.go()

    async def _run_node(self, path: str, frame: Frame, index: int, run: Running, wait_s: float) -> None:
        node = frame.node(index)
        if wait_s:
            await asyncio.sleep(wait_s)
        tools = self.tools
        place = script.Place(node.id, node.label, run.iteration + 1, run.attempt)
        metered = Metered(
            tools.models, self._ledgers.of(frame), self.options.mock_llm, tools.trace_content, self._script, place
        )
        partial = Partial(lambda text, size: self._tell(ev.NodeOutput(path, run.iteration, run.attempt, text, size)))
        context = NodeContext(
            self.state, frame, index, run, self.claim.execution_id, tools.files, tools.workers, metered, tools.http,
            self._note, partial.more, self._ask,
        )  # fmt: skip
        with observed.node(self.claim.execution_id, path, node, run) as failed_with:
            try:
                self._put(*await attempt(path, node, run, context, metered))
            except Exception as error:  # noqa: BLE001 the boundary around a node; failure_of logs what is our mistake
                failed_with(error)
                self._fail(path, error, metered.usage)
            finally:
                partial.close()

    def _fail(self, path: str, error: Exception, spent: Usage | None = None) -> None:
        """Another attempt if the node's policy allows it, else the failure of the run of this node."""
        frame, index = self.state.locate(path)
        run, failure, usage = frame.running[index], failure_of(error, path), usage_of(spent)
        wait = None if frame.node(index).child is not None else self._wait_s(path, frame, index, error, failure.type)
        if wait is None:
            self._failing.pop((path, run.iteration), None)
            self._put(failed(self.state, path, failure, usage))
            return
        self._waits[path] = wait
        reason = f"{failure.type}: {failure.message}"
        self._put(ev.NodeRetrying(path, run.iteration, run.attempt + 1, reason, usage, round(wait * 1000)))

    def _wait_s(self, path: str, frame: Frame, index: int, error: Exception, kind: str) -> float | None:
        """Seconds before the next attempt of a node run that failed; None = it has failed for good."""
        run, now = frame.running[index], time.monotonic()
        since = self._failing.setdefault((path, run.iteration), now)
        luck = random.Random(f"{self.state.seed}:{path}:{run.iteration}:{run.attempt}").random()
        policy = frame.node(index).props.retry
        return wait_s(policy, error, kind, failed=run.attempt, spent_s=now - since, luck=luck)

    def _tell(self, event: ev.NodeOutput) -> None:
        """The latest wins: what has not been written yet is out of date."""
        self._inbox = [it for it in self._inbox if not (isinstance(it, ev.NodeOutput) and it.node == event.node)]
        self._put(event)

    def _note(self, event: ev.Logged) -> None:
        self._logs += 1
        if self._logs <= MAX_LOGS:
            self._put(event)

    # --- questions ---------------------------------------------------------------------------------------------------

    async def _ask(self, node: str, iteration: int, question: Question, timeout_s: float | None) -> Answer:
        """Ask durably: a question an earlier executor asked is not asked again, an answer it got is used."""
        frame, index = self.state.locate(node)
        label = frame.node(index).label
        if label in self.options.answers:
            return Answer(self.options.answers[label], "answered")
        if self.options.non_interactive:
            return Answer("", "unattended")
        asked = self.state.interactions.get((node, iteration))
        if asked is not None and asked.outcome:
            return Answer(asked.response, "expired" if asked.outcome == "expired" else "answered")
        if asked is not None:
            interaction_id, expires_at = asked.id, asked.expires_at
        else:
            interaction_id = ids.new_hex()
            expires_at = time.time() + timeout_s if timeout_s is not None else None
            self._put(
                ev.InteractionOpened(
                    interaction_id,
                    node,
                    iteration,
                    question.prompt,
                    question.context,
                    expires_at=expires_at,
                    options=tuple(question.options),
                    sensitive=question.sensitive,
                )
            )
        return await self._answer(interaction_id, node, expires_at)

    async def _answer(self, interaction_id: str, node: str, expires_at: float | None) -> Answer:
        future = self._questions.setdefault(interaction_id, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(None if expires_at is None else max(0.0, expires_at - time.time())):
                return await future
        except TimeoutError:
            self._close(interaction_id, node, "expired", "")
            return Answer("", "expired")
        finally:
            self._questions.pop(interaction_id, None)

    def _close(self, interaction_id: str, node: str, outcome: str, response: str, responder: str = "") -> None:
        """Journal the end of a question once, and wake the node that waits for it."""
        if interaction_id in self._closed:
            return
        self._closed.add(interaction_id)
        self._put(ev.InteractionClosed(interaction_id, node, outcome, response, responder))
        future = self._questions.get(interaction_id)
        if future is not None and not future.done():
            future.set_result(Answer(response, "answered"))

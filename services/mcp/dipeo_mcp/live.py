"""One execution as it happens: folded from its journal once, for everybody who waits for it here."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC

from dipeo_kit import errors, logs
from dipeo_mcp.backend import Backend, follow
from dipeo_protos.store.v1 import events_pb2 as ev

log = logs.get(__name__)

KEPT_STEPS = 256
MAX_STEP_CHARS = 200
TERMINAL = ("execution_completed", "execution_failed", "execution_aborted", "execution_maxiter_reached")


@dataclass(frozen=True, slots=True)
class Prompt:
    """An open question to a human."""

    id: str
    node_id: str
    label: str
    prompt: str
    context: str
    options: tuple[str, ...]
    sensitive: bool


@dataclass(frozen=True, slots=True)
class Step:
    """Progress: half a point when a node run starts, half when it ends (spec/mcp.md §3.6.3)."""

    value: float
    text: str


@dataclass(slots=True)
class Live:
    """`version` grows with everything that waiters should look at; `steps` are the latest of `step_count`."""

    execution_id: str
    owner: str
    started: int = 0
    done: int = 0
    prompts: dict[str, Prompt] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)  # node id → start in seconds
    labels: dict[str, str] = field(default_factory=dict)
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=KEPT_STEPS))
    step_count: int = 0
    ended_nodes: list[str] = field(default_factory=list)
    seq: int = 0
    version: int = 0
    ended: bool = False
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def askable(self) -> dict[str, Prompt]:
        """The open questions that a client's form may ask; secrets are for our own front ends."""
        return {key: prompt for key, prompt in self.prompts.items() if not prompt.sensitive}

    @property
    def waits_for_human(self) -> bool:
        """Nothing but a human can make it go on."""
        return bool(self.prompts) and len(self.running) <= len({prompt.node_id for prompt in self.prompts.values()})

    async def changed(self, version: int) -> None:
        """Return once something happened after `version`, at once if it has."""
        while self.version <= version and not self.ended:
            await self._bell.wait()

    async def reached(self, seq: int) -> None:
        """Return once event `seq` has been seen."""
        while self.seq < seq and not self.ended:
            await self.changed(self.version)

    async def closed(self, prompt_id: str) -> None:
        """Return once the question is open no more."""
        while prompt_id in self.prompts and not self.ended:
            await self.changed(self.version)

    def ring(self) -> None:
        self.version += 1
        self._bell.set()
        self._bell = asyncio.Event()

    def fold(self, event: ev.Event) -> None:
        kind = event.WhichOneof("body") or ""
        if kind in _FOLDS:
            _FOLDS[kind](self, getattr(event, kind), event.at.ToMicroseconds() / 1e6)
        self.ended = self.ended or kind in TERMINAL
        self.seq = event.seq
        self.ring()

    def _node_started(self, body: ev.NodeStarted, at: float) -> None:
        self.labels[body.node_id] = body.label
        self.running[body.node_id] = at
        self.started += 1
        self._step(f"{body.label} — started")

    def _node_ended(self, body: ev.NodeCompleted | ev.NodeFailed | ev.NodeAborted, at: float) -> None:
        if (began := self.running.pop(body.node_id, None)) is None:
            return
        word = "failed" if isinstance(body, ev.NodeFailed) else "finished"
        self.done += 1
        self.ended_nodes.append(body.node_id)
        self._step(f"{self.labels.get(body.node_id, body.node_id)} — {word} ({max(0.0, at - began):.1f} s)")

    def _opened(self, body: ev.InteractionOpened, at: float) -> None:
        self.prompts[body.interaction_id] = Prompt(
            body.interaction_id,
            body.node_id,
            body.label,
            body.prompt,
            body.context,
            tuple(body.options),
            body.sensitive,
        )

    def _closed(self, body: ev.InteractionClosed, at: float) -> None:
        self.prompts.pop(body.interaction_id, None)

    def _step(self, text: str) -> None:
        self.steps.append(Step((self.started + self.done) / 2, text[:MAX_STEP_CHARS]))
        self.step_count += 1


_FOLDS: dict[str, Callable[..., None]] = {
    "node_started": Live._node_started,
    "node_completed": Live._node_ended,
    "node_failed": Live._node_ended,
    "node_aborted": Live._node_ended,
    "interaction_opened": Live._opened,
    "interaction_closed": Live._closed,
}


@dataclass(slots=True)
class Lives:
    """Executions followed by this process, each by one task, until they end."""

    backend: Backend
    on_begin: Callable[[Live], None] = lambda live: None
    _lives: dict[str, Live] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def of(self, execution_id: str, owner: str) -> Live:
        """The live view of an execution that exists."""
        live = self._lives.get(execution_id)
        if live is None:
            live = self._lives[execution_id] = Live(execution_id, owner)
            task = asyncio.create_task(self._follow(live), name=f"follow {execution_id}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self.on_begin(live)
        return live

    def known(self, execution_id: str) -> Live | None:
        return self._lives.get(execution_id)

    def busy(self, owner: str | None = None) -> int:
        """Runs that take somebody's time: those that wait for a human do not."""
        return sum(owner in (None, live.owner) and not live.waits_for_human for live in self._lives.values())

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, live: Live) -> None:
        try:
            async with contextlib.aclosing(follow(self.backend, live.execution_id)) as events:
                async for event in events:
                    live.fold(event)
        except errors.DipeoError as error:  # removed, or of another store: nobody shall wait for it
            log.warning("mcp.follow_ended", execution_id=live.execution_id, error=str(error))
        finally:
            live.ended = True
            live.ring()
            self._lives.pop(live.execution_id, None)


def event_line(event: ev.Event) -> dict[str, object]:
    """An event for the events resource: what happened where, without values."""
    kind = event.WhichOneof("body") or "unknown"
    body = getattr(event, kind) if kind != "unknown" else None
    line: dict[str, object] = {
        "seq": event.seq,
        "at": event.at.ToDatetime(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event": kind.replace("_", ".", 1),
    }
    for name in ("node_id", "label", "iteration", "attempt", "outcome", "reason", "prompt", "level", "message"):
        if (value := getattr(body, name, None)) not in (None, ""):
            line[name] = value
    if body is not None and "error" in body.DESCRIPTOR.fields_by_name and body.HasField("error"):
        line["error"] = body.error.message
    if interaction_id := getattr(body, "interaction_id", ""):
        line["prompt_id"] = interaction_id
    return line

"""A journal folded into node runs with their predecessors: what every figure of metrics.py is made of. Pure.

Times are milliseconds since the run started. A sub-diagram is a run that contains others (ids "parent/child"); only the
runs inside, the leaves, spend time of their own.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dipeo_gateway.executions import error_text
from dipeo_protos.store.v1 import events_pb2 as ev

EXECUTOR_LOST = "executor_lost"  # reason of NodeRetrying
TERMINAL = ("execution_completed", "execution_failed", "execution_aborted", "execution_maxiter_reached")


@dataclass(slots=True)
class Run:
    """One attempt of one run of a node. `end_ms` None = it has not ended."""

    node_id: str
    label: str
    type: str
    iteration: int
    attempt: int
    start_ms: float
    start_seq: int
    sources: tuple[str, ...]
    end_ms: float | None = None
    end_seq: int | None = None
    usage: ev.TokenUsage | None = None
    error: str | None = None
    waiting_ms: float = 0.0  # for a human
    backoff_ms: float = 0.0  # between the failure of the attempt before and the start of this one
    prompts: list[str] = field(default_factory=list)  # digests of what was asked of a model
    passed: bool = False  # published again without running: no run, only a link between runs

    @property
    def key(self) -> str:
        return f"{self.node_id}_iter_{self.iteration}"

    @property
    def duration_ms(self) -> float | None:
        return None if self.end_ms is None else self.end_ms - self.start_ms

    @property
    def is_lost(self) -> bool:
        """Its executor was: how long it really ran nobody knows."""
        return self.error == EXECUTOR_LOST

    @property
    def parent(self) -> str:
        return self.node_id.rpartition("/")[0]


@dataclass
class Timeline:
    """Everything the journal says about time. Runs in start order."""

    runs: list[Run]
    links: list[Run]  # passed nodes
    start_ms: float = 0.0
    total_ms: float = 0.0  # until the end, or until the last event
    queued_ms: float = 0.0  # from creation to the start
    paused_ms: float = 0.0
    lost_ms: float = 0.0  # from the last event of an executor that was lost until another took over
    ended: bool = False

    @cached_property
    def leaves(self) -> list[Run]:
        containers = {run.parent for run in self.runs if run.parent}
        return [run for run in self.runs if run.node_id not in containers]

    @cached_property
    def predecessors(self) -> dict[int, list[Run]]:
        """start_seq of a leaf -> the leaves it had to wait for."""
        by_node: dict[str, list[Run]] = {}
        for run in sorted([*self.runs, *self.links], key=lambda each: each.start_seq):
            by_node.setdefault(run.node_id, []).append(run)
        leaves = {run.start_seq for run in self.leaves}
        sourced = any(run.sources for run in self.runs)
        finder = _Finder(by_node, leaves, self.leaves, sourced)
        return {run.start_seq: finder.before(run) for run in self.leaves}

    def ready_ms(self, run: Run) -> float:
        """When the last of its predecessors had ended."""
        return max((before.end_ms or 0.0 for before in self.predecessors[run.start_seq]), default=0.0)

    def made_room(self, run: Run) -> list[Run]:
        """Of a run inside a sub-diagram that could have started earlier: the one inside whose end let it start."""
        begun = run.start_ms - run.backoff_ms
        ready_ms = self.ready_ms(run)
        if not run.parent or run.attempt > 1 or begun - ready_ms < 1:
            return []
        outermost = f"{run.node_id.partition('/')[0]}/"
        ended = [
            leaf
            for leaf in self.leaves
            if leaf.node_id.startswith(outermost) and leaf.end_seq is not None and leaf.end_seq < run.start_seq
        ]
        last = max(ended, key=lambda leaf: leaf.end_seq or 0, default=None)
        return [last] if last is not None and (last.end_ms or 0.0) > ready_ms else []


@dataclass(frozen=True, slots=True)
class _Finder:
    by_node: dict[str, list[Run]]
    leaf_seqs: set[int]
    leaves: list[Run]
    sourced: bool  # the journal says whose tokens a start took; those of the first release do not

    def before(self, run: Run) -> list[Run]:
        if run.attempt > 1:
            attempts = [each for each in self.by_node[run.node_id] if each.iteration == run.iteration]
            return [each for each in attempts if each.attempt == run.attempt - 1]
        if run.sources:
            found = [self._latest(source, run.start_seq) for source in run.sources]
            return [leaf for source in found if source for leaf in self._leaves_of(source)]
        if run.parent:  # the first nodes inside wait for whatever the sub-diagram waited for
            around = [each for each in self.by_node.get(run.parent, []) if each.start_seq < run.start_seq]
            return self.before(around[-1]) if around else []
        return [] if self.sourced else self._last_ended(run)

    def _last_ended(self, run: Run) -> list[Run]:
        ended = [leaf for leaf in self.leaves if leaf.end_seq is not None and leaf.end_seq < run.start_seq]
        return [max(ended, key=lambda leaf: leaf.end_seq or 0)] if ended else []

    def _latest(self, node_id: str, before_seq: int) -> Run | None:
        ended = [run for run in self.by_node.get(node_id, []) if run.end_seq is not None and run.end_seq < before_seq]
        return max(ended, key=lambda run: run.end_seq or 0) if ended else None

    def _leaves_of(self, run: Run) -> list[Run]:
        """The run itself, what a passed node passed on, or the last leaf inside a sub-diagram."""
        if run.passed:
            return self.before(run)
        if run.start_seq in self.leaf_seqs:
            return [run]
        inside = [
            leaf
            for leaf in self.leaves
            if leaf.node_id.startswith(f"{run.node_id}/")
            and leaf.end_seq is not None
            and run.start_seq < leaf.start_seq
            and leaf.end_seq <= (run.end_seq or leaf.end_seq)
        ]
        return [max(inside, key=lambda leaf: leaf.end_ms or 0.0)] if inside else self.before(run)


# --- folding ---------------------------------------------------------------------------------------------------------


class _Fold:
    def __init__(self) -> None:
        self.timeline = Timeline([], [])
        self.open: dict[tuple[str, int], Run] = {}
        self.labels: dict[str, tuple[str, str]] = {}
        self.asked: dict[str, float] = {}
        self.created = self.started = self.paused = self.last = 0.0

    def take(self, event: ev.Event) -> None:
        at = event.at.ToMicroseconds() / 1000
        kind = event.WhichOneof("body") or ""
        body = getattr(event, kind) if kind else None
        handler = getattr(self, f"_{kind}", None)
        if kind in TERMINAL:
            self.timeline.ended = True
        if handler:
            handler(body, event.seq, at)
        self.last = at
        if kind != "execution_created":
            self.timeline.total_ms = max(self.timeline.total_ms, self._offset(at))

    def _offset(self, at: float) -> float:
        return at - self.started if self.started else 0.0

    def _execution_created(self, body: Any, seq: int, at: float) -> None:
        self.created = at

    def _execution_started(self, body: Any, seq: int, at: float) -> None:
        self.started = at
        self.timeline.queued_ms = at - self.created if self.created else 0.0

    def _execution_recovered(self, body: Any, seq: int, at: float) -> None:
        self.timeline.lost_ms += at - self.last

    def _execution_paused(self, body: Any, seq: int, at: float) -> None:
        self.paused = at

    def _execution_resumed(self, body: Any, seq: int, at: float) -> None:
        if self.paused:
            self.timeline.paused_ms += at - self.paused
        self.paused = 0.0

    def _node_started(self, body: Any, seq: int, at: float) -> None:
        self.labels[body.node_id] = body.label or body.node_id, body.type
        sources = tuple(dict.fromkeys(token.source for token in body.consumed if token.source))
        self._begin(body.node_id, body.iteration, body.attempt, seq, at, sources)

    def _begin(self, node_id: str, iteration: int, attempt: int, seq: int, at: float, sources: tuple[str, ...]) -> None:
        label, type_ = self.labels.get(node_id, (node_id, ""))
        run = Run(node_id, label, type_, iteration, attempt, self._offset(at), seq, sources)
        self.open[node_id, iteration] = run
        self.timeline.runs.append(run)

    def _end(self, body: Any, seq: int, at: float, *, error: str | None = None) -> None:
        run = self.open.pop((body.node_id, body.iteration), None)
        if run is None:
            return
        run.end_ms, run.end_seq, run.error = self._offset(at), seq, error
        if run.start_ms > run.end_ms:  # it ended before it began
            run.backoff_ms -= run.start_ms - run.end_ms
            run.start_ms = run.end_ms
        if hasattr(body, "usage") and body.HasField("usage"):
            run.usage = body.usage

    def _node_completed(self, body: Any, seq: int, at: float) -> None:
        self._end(body, seq, at)

    def _node_failed(self, body: Any, seq: int, at: float) -> None:
        self._end(body, seq, at, error=error_text(body))

    def _node_aborted(self, body: Any, seq: int, at: float) -> None:
        self._end(body, seq, at, error="aborted")

    def _node_retrying(self, body: Any, seq: int, at: float) -> None:
        self._end(body, seq, at, error=body.reason or "retried")
        self._begin(body.node_id, body.iteration, body.attempt, seq, at + body.wait_ms, ())
        self.open[body.node_id, body.iteration].backoff_ms = body.wait_ms

    def _node_passed(self, body: Any, seq: int, at: float) -> None:
        sources = tuple(dict.fromkeys(token.source for token in body.consumed if token.source))
        offset = self._offset(at)
        link = Run(body.node_id, "", "", -1, 1, offset, seq, sources, end_ms=offset, end_seq=seq, passed=True)
        self.timeline.links.append(link)

    def _message_appended(self, body: Any, seq: int, at: float) -> None:
        run = self.open.get((body.node_id, body.iteration))
        if run is None:  # a completion and its messages are one append, in either order
            run = next((each for each in reversed(self.timeline.runs) if each.node_id == body.node_id), None)
        if run is not None and body.role == "user":
            run.prompts.append(hashlib.sha256(f"{body.person_id}\n{body.content}".encode()).hexdigest())

    def _interaction_opened(self, body: Any, seq: int, at: float) -> None:
        self.asked[body.interaction_id] = at

    def _interaction_closed(self, body: Any, seq: int, at: float) -> None:
        asked = self.asked.pop(body.interaction_id, None)
        if asked is None:
            return
        run = next((each for each in self.open.values() if each.node_id == body.node_id), None)
        if run is not None:
            run.waiting_ms += at - asked


def fold(events: Iterable[ev.Event]) -> Timeline:
    folded = _Fold()
    for event in events:
        folded.take(event)
    return folded.timeline

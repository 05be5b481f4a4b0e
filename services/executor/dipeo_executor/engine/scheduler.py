"""What may happen next: `advance(state)`.

**n starts when a required edge is fresh and no other edge is live** (decision 2): it waits for an input only as long as
that input can still come in this round. A node is *active* when it runs, or holds an unread token and may still run; a
not-fresh edge is *live* when an active node other than n can still feed it (Graph.feeders). Every type follows the same
rule. When nothing runs and nothing is ready although tokens are left, passes 2 to 4 of engine contract 1.5 release one
entry of an irreducible loop.
"""

from dataclasses import replace

from dipeo_executor.engine import batch
from dipeo_executor.engine.children import SKIPPED, shaped_result
from dipeo_executor.engine.events import (
    Event,
    Failure,
    NodeAborted,
    NodeCompleted,
    NodeFailed,
    NodePassed,
    NodeSkipped,
    NodeStarted,
    RunEnded,
    Usage,
)
from dipeo_executor.engine.graph import bits
from dipeo_executor.engine.outcome import body, never_started, outputs, quiet_status, result
from dipeo_executor.engine.state import Frame, State
from dipeo_executor.engine.tokens import awaited, fresh_tokens, is_fresh
from dipeo_executor.engine.transitions import apply
from dipeo_executor.program import Node

FATAL = frozenset({"budget_exceeded", "price_unknown"})  # codes of failures that no policy of a node can handle


def advance(state: State) -> list[Event]:
    """Start what may start, finish what is finished. The returned events are already applied, in order.

    Ends with RunEnded when nothing runs and nothing may start. Starts nothing beyond `limits.parallel` node runs, and
    nothing at all while the run is paused.
    """
    if state.paused:
        return []
    events: list[Event] = []
    parked: list[str] = []
    while state.touched and state.ended is None:
        path = next(reversed(state.touched))
        frame = state.frames[path]
        if step := _step(state, frame):
            for event in step:
                apply(state, event)
            events += step
            continue
        del state.touched[path]
        if _full(state) and _candidates(frame):
            parked.append(path)  # looked at again once a run has ended
    state.touched.update(dict.fromkeys(reversed(parked)))
    return events


def failure_port(node: Node, handles: set[str], *, keep_going: bool) -> str:
    """Where the error value of a failed node goes: "" = nowhere, the run fails (decision 1)."""
    if "error" in handles:
        return "error"
    if node.on_error == "continue" or keep_going:
        return "condfalse" if node.type == "condition" else "default"
    return ""


def failed(state: State, node: str, error: Failure, usage: Usage | None = None) -> NodeFailed:
    """The event for a node run that failed, its port decided: a failure that ends the run has none."""
    frame, index = state.locate(node)
    run = frame.running[index]
    handles = {frame.program.edges[edge].handle for edge in frame.graph.outgoing[index]}
    port = failure_port(frame.node(index), handles, keep_going=state.limits.keep_going)
    port = "" if error.code in FATAL else port
    return NodeFailed(node, run.iteration, run.attempt, replace(error, node=error.node or node), port, usage)


# --- one frame -------------------------------------------------------------------------------------------------------


def _step(state: State, frame: Frame) -> list[Event]:
    """The next thing that may happen in a frame: one start, one pass-through, or its end; [] = nothing now."""
    if _halted(state, frame):
        return [] if frame.running else _end(state, frame, frame.failed)
    candidates = _candidates(frame)
    chosen = _chosen(frame, candidates) if candidates else None
    if chosen is not None:
        node = frame.node(chosen)
        if frame.count[chosen] >= state.limits.runs_per_node:
            return [] if frame.running else _end(state, frame, _runaway(state, frame, chosen))
        if (_full(state) and node.child is None) or (frame.width and frame.busy.bit_count() >= frame.width):
            return []
        path, tokens = frame.path_of(chosen), fresh_tokens(frame, chosen)
        history = len(state.conversation(frame))
        return [NodeStarted(path, state.runs.get(path, 0), consumed=tokens, history=history)]
    if frame.running:
        return []
    if passed := _pass_through(frame):
        return [passed]
    return _end(state, frame, None)


def _halted(state: State, frame: Frame) -> bool:
    """This diagram, or one around it, has failed: what runs is awaited, nothing starts (decision 1)."""
    while frame.failed is None:
        if not frame.path:
            return False
        frame = state.locate(frame.path)[0]
    return True


def _chosen(frame: Frame, candidates: int) -> int | None:
    """The first node, in declaration order, that may start now."""
    active = candidates | frame.busy
    for index in bits(candidates):
        if is_ready(frame, index, active):
            return index
    return None if frame.running else _released(frame, candidates, active)


def is_ready(frame: Frame, index: int, active: int, *, ranked: bool = True) -> bool:
    """Decision 2 for one node that holds a token and may run; `active` is a set of nodes (bit i = node i)."""
    graph = frame.graph
    if _would_overwrite(frame, index):
        return False
    if graph.sourceless >> index & 1:
        return True
    others = active & ~(1 << index)
    hit = False
    for edge in awaited(frame, index):
        if is_fresh(frame, edge):
            hit = hit or _required(frame, edge)
        elif graph.source[edge] != index and others and graph.feeders(index, graph.source[edge]) & others:
            return False
    return hit and not (ranked and graph.ranked and _outranked(frame, index, active))


def _candidates(frame: Frame) -> int:
    """Nodes that hold a token, do not run and may: not persons at their limit, not loops once every endpoint began."""
    nodes = frame.holding & ~frame.busy & ~frame.exhausted
    if nodes and frame.ending:
        nodes &= ~frame.graph.cyclic
    return nodes


def _required(frame: Frame, edge: int) -> bool:
    """False for the branch of a condition whose latest decision is the other one."""
    if not frame.graph.branching[edge]:
        return True
    decided = frame.branch.get(frame.graph.source[edge])
    return decided is None or decided == frame.program.edges[edge].handle


def _would_overwrite(frame: Frame, index: int) -> bool:
    """A running reader that has not yet taken this node's last token takes it first (decision 2)."""
    graph = frame.graph
    return bool(frame.busy) and any(
        frame.busy >> graph.target[edge] & 1 and is_fresh(frame, edge) for edge in graph.outgoing[index]
    )


def _outranked(frame: Frame, index: int, active: int) -> bool:
    """A sibling fed by the same source over an arrow of higher priority is still to run (1.2, FIX 9)."""
    graph, edges = frame.graph, frame.program.edges
    return any(
        edges[rival].priority > edges[edge].priority
        and graph.target[rival] != index
        and active >> graph.target[rival] & 1
        for edge in graph.incoming[index]
        for rival in graph.outgoing[graph.source[edge]]
    )


def _full(state: State) -> bool:
    return state.leaves >= state.limits.parallel


# --- when nothing is ready -------------------------------------------------------------------------------------------


def _released(frame: Frame, candidates: int, active: int) -> int | None:
    """The first node that a stall releases: priorities given up, then passes 2 and 3 of engine contract 1.5."""
    if frame.graph.ranked:
        for index in bits(candidates):
            if is_ready(frame, index, active, ranked=False):
                return index
    graph = frame.graph
    entries = [index for index in bits(candidates) if _may_reenter(frame, index)]
    mask = sum(1 << index for index in entries)
    runnable = ~frame.exhausted
    for cycles_wait in (False, True):
        for index in entries:
            alive = graph.reachable_from(mask & ~(1 << index), through=runnable & ~(1 << index))
            if all(_forgone(frame, edge, alive, cycles_wait) for edge in _blocked(frame, index)):
                return index
    return None


def _may_reenter(frame: Frame, index: int) -> bool:
    """Never ran, or its token came round a cycle: a left-over token elsewhere never re-fires a node."""
    return not frame.count[index] or any(
        is_fresh(frame, edge) and frame.graph.closes_cycle(edge) for edge in frame.graph.incoming[index]
    )


def _blocked(frame: Frame, index: int) -> list[int]:
    return [edge for edge in awaited(frame, index) if _required(frame, edge) and not is_fresh(frame, edge)]


def _forgone(frame: Frame, edge: int, alive: int, cycles_wait: bool) -> bool:
    """The missing edge need not be waited for: dead, spent, or round a cycle (pass 2: only out of a condition)."""
    graph = frame.graph
    if not alive >> graph.source[edge] & 1 or frame.consumed[edge] > 0:
        return True
    return graph.closes_cycle(edge) and (cycles_wait or graph.branching[edge])


def _pass_through(frame: Frame) -> NodePassed | None:
    """Pass 4: a person at its limit hands its last output on, while another person of its cycle may still run."""
    graph = frame.graph
    if frame.ending:
        return None
    for index in bits(frame.exhausted & frame.holding):
        on_cycle = any(is_fresh(frame, edge) and graph.closes_cycle(edge) for edge in graph.incoming[index])
        company = any(
            other != index and graph.component[other] == graph.component[index] and not frame.exhausted >> other & 1
            for other in range(graph.size)
            if frame.node(other).max_iteration is not None
        )
        if on_cycle and company and frame.passed_at.get(index, -1) < frame.person_runs and frame.completed[index]:
            return NodePassed(frame.path_of(index), fresh_tokens(frame, index))
    return None


# --- ends ------------------------------------------------------------------------------------------------------------


def _runaway(state: State, frame: Frame, index: int) -> Failure:
    """Decision 9: nothing else has started; now that nothing runs, the diagram fails with the node's name."""
    node, limit = frame.node(index), state.limits.runs_per_node
    name = f'node "{node.label or node.id}" ({node.type})'
    message = f"{name} has run {limit} times and would run again: give its loop an exit, or raise max_node_runs"
    return Failure("RunawayLoop", message, code="runaway", node=frame.path_of(index))


def _end(state: State, frame: Frame, error: Failure | None) -> list[Event]:
    """Nothing runs and nothing may start: the sub-diagram node ends, or the run."""
    if frame.path:
        return [_child_ended(state, frame, error)]
    skipped = never_started(frame)
    if error is not None:
        end = RunEnded("failed", error=error, skipped=skipped)
    else:
        status, warnings = quiet_status(frame)
        if state.failures:
            labels = ", ".join(f'"{path}"' for path in dict.fromkeys(path for path, _ in state.failures))
            warnings += (f"{len(state.failures)} node run(s) failed: {labels}",)
        present, value, wrong = result(frame)
        end = RunEnded(status, value, present, wrong, warnings=warnings, skipped=skipped)
    return [*(NodeSkipped(path) for path in skipped), end]


def _child_ended(state: State, frame: Frame, error: Failure | None) -> Event:
    parent, index = state.locate(frame.path)
    node, run = parent.node(index), parent.running[index]
    if error is not None:
        return failed(state, frame.path, error)
    if _halted(state, parent):
        return NodeAborted(frame.path, run.iteration, run.attempt)
    if node.props.batch:
        value, meta, hopeless = batch.collected(frame)
        if hopeless:
            first = frame.errors[0]
            message = f"all {frame.graph.size} items failed; the first: {first.message}"
            return failed(state, frame.path, Failure(first.type, message, node=frame.path))
        return NodeCompleted(frame.path, run.iteration, run.attempt, value, meta=meta)
    if parent.path and node.props.ignore_if_sub:  # compiled to an empty diagram (node contract 12.3)
        return NodeCompleted(frame.path, run.iteration, run.attempt, dict(SKIPPED))
    status, _ = quiet_status(frame)
    if status == "maxiter_reached":
        name = frame.program.name or node.label
        message = f'sub-diagram "{name}" reached no endpoint: a person in it is at its max_iteration'
        return failed(state, frame.path, Failure("MaxIterationsReached", message, node=frame.path))
    value = shaped_result(node.props.output_mapping, body(frame), outputs(frame))
    meta = {"diagram_name": frame.program.name, "execution_status": status, "node_count": sum(frame.count)}
    return NodeCompleted(frame.path, run.iteration, run.attempt, value, meta=meta)

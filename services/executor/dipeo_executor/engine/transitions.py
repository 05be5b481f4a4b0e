"""What each event does to a run: `apply(state, event)`.

A state is changed in place (copying it per event would cost what the program holds, not what the event touches);
`apply` is still a function of state and event alone, so the same journal always gives an equal state.
"""

from collections.abc import Mapping

from dipeo_executor.engine import batch
from dipeo_executor.engine.children import child_variables
from dipeo_executor.engine.events import (
    Event,
    InteractionClosed,
    InteractionOpened,
    MessageAppended,
    NodeAborted,
    NodeCompleted,
    NodeFailed,
    NodePassed,
    NodeRetrying,
    NodeStarted,
    RunEnded,
    RunPaused,
    RunResumed,
    RunStarted,
    Usage,
)
from dipeo_executor.engine.graph import Graph
from dipeo_executor.engine.state import Frame, Interaction, Json, Running, State, new_frame, pictures_for
from dipeo_executor.engine.tokens import consume, publish


def apply(state: State, event: Event) -> State:
    """The state after `event`. Events that only inform (logs, recoveries, consumed signals) change nothing."""
    match event:
        case NodeStarted():
            _start(state, event)
        case NodeCompleted():
            _complete(state, event)
        case NodeFailed():
            _fail(state, event)
        case NodeRetrying():
            frame, index = state.locate(event.node)
            frame.running[index].attempt = event.attempt
            _spend(state, frame, event.usage)
        case NodeAborted():
            frame, index = state.locate(event.node)
            _leave(state, frame, index)
        case NodePassed():
            _pass(state, event)
        case MessageAppended():
            state.messages.setdefault(state.locate(event.node)[0].scope, []).append(event)
        case InteractionOpened():
            state.interactions[event.node, event.iteration] = Interaction(event.id, event.expires_at)
            state.open_questions += 1
        case InteractionClosed():
            for interaction in state.interactions.values():
                if interaction.id == event.id and not interaction.outcome:
                    interaction.outcome, interaction.response = event.outcome, event.response
                    state.open_questions -= 1
        case RunStarted():
            state.started, state.seed = True, event.seed
        case RunPaused():
            state.paused = True
        case RunResumed():
            state.paused = False
            state.touched |= dict.fromkeys(state.frames)
        case RunEnded():
            state.ended = event
    return state


def _start(state: State, event: NodeStarted) -> None:
    frame, index = state.locate(event.node)
    node = frame.node(index)
    inputs = consume(frame, index, event.consumed)
    frame.count[index] += 1
    if node.max_iteration is not None:
        frame.person_runs += 1
        if frame.count[index] >= node.max_iteration:
            frame.exhausted |= 1 << index
    frame.busy |= 1 << index
    frame.unreached &= ~(1 << index)
    frame.running[index] = Running(event.iteration, event.attempt, inputs, event.history)
    state.runs[event.node] = event.iteration + 1
    if node.child is None:
        state.leaves += 1
    else:
        inner = _inner_frame(frame, index, inputs)
        inner.scope = f"{event.node}#{event.iteration}" if node.props.isolate_conversation else frame.scope
        state.frames[event.node] = inner
        state.touched[event.node] = None
    state.touched[frame.path] = None


def _inner_frame(frame: Frame, index: int, inputs: Mapping[str, Json]) -> Frame:
    node, path = frame.node(index), frame.path_of(index)
    if isinstance(node.props, batch.Item):
        return new_frame(path, frame.graph.child(index), node.props.variables)
    if not node.props.batch:
        return new_frame(path, frame.graph.child(index), child_variables(node.props, inputs))
    inner = new_frame(path, Graph(batch.program_of(node, inputs), shared=frame.graph.child(index)), {})
    inner.width = batch.width(node)
    return inner


def _complete(state: State, event: NodeCompleted) -> None:
    frame, index = state.locate(event.node)
    node = frame.node(index)
    tainted = node.type in ("condition", "endpoint") and any(
        frame.tainted[edge] for edge in frame.graph.incoming[index] if frame.published[edge]
    )
    _leave(state, frame, index)
    frame.completed[index] += 1
    frame.errors.pop(index, None)
    frame.output[index] = event.value
    frame.last, frame.last_wrong = index, tainted
    frame.variables.update(event.variables)
    if event.conversation is not None:
        frame.spoken[index] = event.conversation
    frame.pictures[index] = _pictures(event)
    if node.type == "condition":
        frame.branch[index] = event.port
        frame.pictures[index] = pictures_for(frame, index)
    if node.type == "endpoint":
        bit = 1 << index
        frame.reached |= bit
        frame.wrapped = frame.wrapped | bit if event.meta.get("wrapped") else frame.wrapped & ~bit
        frame.wrong = frame.wrong | bit if tainted else frame.wrong & ~bit
    _spend(state, frame, event.usage)
    publish(frame, index, event.port, event.value, event.conversation, tainted=tainted)


def _pictures(event: NodeCompleted) -> list[str]:
    outputs = event.meta.get("tool_outputs", ())
    return [it["result"]["file"] for it in outputs if it["type"] == "image_generation"]


def _fail(state: State, event: NodeFailed) -> None:
    frame, index = state.locate(event.node)
    _leave(state, frame, index)
    state.failures.append((event.node, event.error))
    _spend(state, frame, event.usage)
    frame.errors[index] = event.error
    if not event.port:
        frame.failed = frame.failed or event.error
        return
    if frame.node(index).type == "condition":
        frame.branch[index] = event.port
    frame.output[index] = event.value
    frame.last, frame.last_wrong = index, True
    publish(frame, index, event.port, event.value, None, tainted=True)


def _spend(state: State, frame: Frame, usage: Usage | None) -> None:
    if usage:
        for each in state.around(frame):
            each.spent += usage


def _leave(state: State, frame: Frame, index: int) -> None:
    """A node run is over, however it ended; what ran inside it is over too."""
    frame.running.pop(index)
    frame.busy &= ~(1 << index)
    if frame.node(index).child is None:
        state.leaves -= 1
    else:
        _drop(state, frame.path_of(index))
    state.touched[frame.path] = None


def _drop(state: State, path: str) -> None:
    inner = state.frames.pop(path)
    state.touched.pop(path, None)
    for index in list(inner.running):
        if inner.node(index).child is None:
            state.leaves -= 1
        else:
            _drop(state, inner.path_of(index))


def _pass(state: State, event: NodePassed) -> None:
    frame, index = state.locate(event.node)
    consume(frame, index, event.consumed)
    frame.passed_at[index] = frame.person_runs
    publish(frame, index, "default", frame.output[index], frame.spoken.get(index), tainted=False)
    state.touched[frame.path] = None

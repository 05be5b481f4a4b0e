"""What a run has come to: `apply(state, event)`.

A `State` belongs to one run and is changed in place (copying it per event would cost what the program holds, not what
the event touches); `apply` is still a function of state and event alone, so the same journal always gives an equal
state. A run is a tree of frames: the root diagram, and one per sub-diagram node that is running.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dipeo_executor.engine import batch
from dipeo_executor.engine.children import child_variables
from dipeo_executor.engine.events import (
    Consumed,
    Event,
    Failure,
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
from dipeo_executor.program import Node, Program

Json = Any


@dataclass(slots=True)
class Interaction:
    """A question to a human and, once closed, its answer."""

    id: str
    expires_at: float | None
    outcome: str = ""  # "" = open
    response: str = ""


@dataclass(slots=True)
class Running:
    """A node run that has not ended."""

    iteration: int
    attempt: int
    inputs: Mapping[str, Json]
    history: int


@dataclass(slots=True)
class Frame:
    """One diagram being run: the root ("") or the inside of a sub-diagram node ("review").

    Lists are indexed by the number of the edge or node in its program.
    """

    path: str
    graph: Graph = field(compare=False, repr=False)
    variables: dict[str, Json]
    published: list[int]
    consumed: list[int]
    values: list[Json]
    tainted: list[bool]  # the edge's value is an error value, or was passed on from one
    fresh: list[int]  # per node: how many of its incoming edges hold an unread token
    sticky: list[dict[str, Json]]
    count: list[int]  # runs started
    completed: list[int]
    output: list[Json]  # value of the last completed run
    running: dict[int, Running] = field(default_factory=dict)
    branch: dict[int, str] = field(default_factory=dict)
    holding: int = 0  # nodes with an unread token, and source-less nodes that never ran
    busy: int = 0  # nodes that are running
    exhausted: int = 0  # persons at their limit
    reached: int = 0  # endpoints that completed
    wrapped: int = 0  # endpoints whose value was wrapped into {"default": …}
    wrong: int = 0  # endpoints whose value is an error value
    width: int = 0  # how many of its nodes may be busy at a time, 0 = no limit of its own (batch.py)
    scope: str = ""  # whose conversation its persons share
    errors: dict[int, Failure] = field(default_factory=dict)  # per node, of its last run when that failed
    failed: Failure | None = None
    unreached: int = 0  # endpoints that never started
    last: int = -1  # node that ended last with a value
    last_wrong: bool = False  # that value is an error value
    spoken: dict[int, Json] = field(default_factory=dict)  # what conversation_state edges carried last, per person
    pictures: dict[int, list[str]] = field(default_factory=dict)  # per node: files of images its last run has made
    person_runs: int = 0
    passed_at: dict[int, int] = field(default_factory=dict)
    spent: Usage = field(default_factory=Usage)  # by its nodes, those of diagrams inside it included

    @property
    def program(self) -> Program:
        return self.graph.program

    @property
    def ending(self) -> bool:
        """Every endpoint has started: loops stop, side branches finish their work (decision 3)."""
        return not self.unreached and self.graph.endpoints != 0

    def node(self, index: int) -> Node:
        return self.graph.program.nodes[index]

    def path_of(self, index: int) -> str:
        name = self.graph.program.nodes[index].id
        return f"{self.path}/{name}" if self.path else name


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a run may go (decisions 2 and 9)."""

    parallel: int = 64
    runs_per_node: int = 1000
    keep_going: bool = False


@dataclass(slots=True)
class State:
    """Everything a run has come to."""

    limits: Limits
    frames: dict[str, Frame]
    runs: dict[str, int] = field(default_factory=dict)  # node path -> runs so far, over all frames
    messages: dict[str, list[MessageAppended]] = field(default_factory=dict)  # scope -> its conversation
    interactions: dict[tuple[str, int], Interaction] = field(default_factory=dict)
    open_questions: int = 0
    failures: list[tuple[str, Failure]] = field(default_factory=list)
    seed: int = 0
    started: bool = False
    paused: bool = False
    leaves: int = 0  # node runs in progress, sub-diagrams not counted
    touched: dict[str, None] = field(default_factory=dict)  # frames `advance` has to look at, in order
    ended: RunEnded | None = None

    @property
    def root(self) -> Frame:
        return self.frames[""]

    def around(self, frame: Frame) -> list[Frame]:
        """The frame and all that it is inside of, outwards."""
        frames = [frame]
        while frames[-1].path:
            frames.append(self.frames[frames[-1].path.rpartition("/")[0]])
        return frames

    def conversation(self, frame: Frame) -> list[MessageAppended]:
        return self.messages.get(frame.scope, [])

    @property
    def awaits_only_humans(self) -> bool:
        return 0 < self.open_questions >= self.leaves

    @property
    def ticking(self) -> bool:
        """Whether time counts against the deadline (decision 36)."""
        return not self.paused and not self.awaits_only_humans

    def locate(self, path: str) -> tuple[Frame, int]:
        """Frame and number of a node. Raises KeyError for a node that is not there."""
        parent, _, name = path.rpartition("/")
        frame = self.frames[parent]
        return frame, frame.graph.index[name]


def new_state(program: Program, variables: Mapping[str, Json], limits: Limits | None = None) -> State:
    """A run that has not begun."""
    root = new_frame("", Graph(program), variables)
    return State(limits or Limits(), {"": root}, touched={"": None})


def new_frame(path: str, graph: Graph, variables: Mapping[str, Json]) -> Frame:
    edges, nodes = len(graph.source), graph.size
    exhausted = 0
    for index, node in enumerate(graph.program.nodes):
        if node.max_iteration is not None and node.max_iteration < 1:
            exhausted |= 1 << index
    return Frame(
        path, graph, dict(variables), [0] * edges, [0] * edges, [None] * edges, [False] * edges,
        [0] * nodes, [{} for _ in range(nodes)], [0] * nodes, [0] * nodes, [None] * nodes,
        holding=graph.sourceless, exhausted=exhausted, unreached=graph.endpoints,
    )  # fmt: skip


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


def awaited(frame: Frame, index: int) -> list[int]:
    """Edges that count for the next run of a node: those from start nodes only before its first run (1.2)."""
    edges = frame.graph.incoming[index]
    if frame.count[index]:
        return [edge for edge in edges if not frame.graph.starts >> frame.graph.source[edge] & 1]
    return edges


def is_fresh(frame: Frame, edge: int) -> bool:
    return frame.published[edge] > frame.consumed[edge]


def fresh_tokens(frame: Frame, index: int) -> tuple[Consumed, ...]:
    """The unread tokens of a node, in declaration order of the arrows; all are taken, required or not (1.4)."""
    return tuple(Consumed(edge, frame.published[edge]) for edge in frame.graph.incoming[index] if is_fresh(frame, edge))


def _start(state: State, event: NodeStarted) -> None:
    frame, index = state.locate(event.node)
    node = frame.node(index)
    inputs = _consume(frame, index, event.consumed)
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


def _consume(frame: Frame, index: int, tokens: tuple[Consumed, ...]) -> Mapping[str, Json]:
    """Take the tokens; inputs are the fresh values over those that stick (decision 4), by key in arrow order."""
    graph, edges = frame.graph, frame.program.edges
    fresh: dict[str, Json] = {}
    for token in tokens:
        if is_fresh(frame, token.edge):
            frame.fresh[index] -= 1
        frame.consumed[token.edge] = token.token
        fresh[edges[token.edge].key] = frame.values[token.edge]
    if not frame.fresh[index]:
        frame.holding &= ~(1 << index)
    if not tokens and graph.sourceless >> index & 1:
        return dict(frame.variables)
    stuck = frame.sticky[index]
    inputs = {
        key: fresh[key] if key in fresh else stuck[key]
        for key in (edges[edge].key for edge in graph.incoming[index])
        if key in fresh or key in stuck
    }
    for token in tokens:
        edge = edges[token.edge]
        if edge.key != "first" and edge.content_type != "conversation_state":
            stuck[edge.key] = frame.values[token.edge]
        else:
            stuck.pop(edge.key, None)
    return inputs


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


def pictures_for(frame: Frame, index: int) -> list[str]:
    """Files of the images that the nodes before this one have made, in the order of the arrows."""
    sources = (frame.graph.source[edge] for edge in frame.graph.incoming[index])
    return [file for source in sources for file in frame.pictures.get(source, ())]


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
    _consume(frame, index, event.consumed)
    frame.passed_at[index] = frame.person_runs
    publish(frame, index, "default", frame.output[index], frame.spoken.get(index), tainted=False)
    state.touched[frame.path] = None


def publish(frame: Frame, index: int, port: str, value: Json, conversation: Json, *, tainted: bool) -> None:
    """A token on every edge that leaves by `port` (1.4); success and results are other names of default (nodes 2.7)."""
    ports = ("default", "success", "results") if port == "default" else (port,)
    graph = frame.graph
    for edge in graph.outgoing[index]:
        arrow = frame.program.edges[edge]
        if arrow.handle not in ports:
            continue
        target = graph.target[edge]
        if not is_fresh(frame, edge):
            frame.fresh[target] += 1
            frame.holding |= 1 << target
        frame.published[edge] += 1
        speaks = conversation is not None and arrow.content_type == "conversation_state"
        frame.values[edge] = conversation if speaks else value
        frame.tainted[edge] = tainted

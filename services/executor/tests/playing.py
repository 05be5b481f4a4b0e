"""Run programs through the pure engine with chosen node behaviour and completion order: no I/O, no clock."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dipeo_executor.engine.events import (
    Event,
    Failure,
    MessageAppended,
    NodeCompleted,
    NodeFailed,
    NodeStarted,
    RunEnded,
    RunStarted,
)
from dipeo_executor.engine.scheduler import advance, failed
from dipeo_executor.engine.state import Limits, State, new_state
from dipeo_executor.engine.transitions import apply
from dipeo_executor.program import Edge, Node, Program

Inputs = Mapping[str, Any]
Behaviour = Callable[
    [Inputs, int], Any
]  # (inputs, run number from 1) -> value, Branch, Speech; raising = the node fails


@dataclass(frozen=True)
class Branch:
    """What a condition decided."""

    taken: bool


@dataclass(frozen=True)
class Speech:
    """What a person said: the text, and the payload of conversation_state edges."""

    text: str
    conversation: Any


@dataclass(frozen=True)
class SubProps:
    """Properties of a sub-diagram node."""

    pass_input_data: bool = False
    input_mapping: Mapping[str, str] | None = None
    output_mapping: Mapping[str, str] | None = None
    ignore_if_sub: bool = False
    isolate_conversation: bool = False
    batch: bool = False
    batch_input_key: str = "items"
    batch_parallel: bool = True
    max_concurrent: int = 10


def program(nodes: str, arrows: str = "", *, children: Mapping[str, Node] | None = None, name: str = "") -> Program:
    """`nodes`: "S:start A C:condition P:person_job/3 E:endpoint" (code_job when untyped; "!" = on_error continue).

    `arrows`: one a line or separated by ";": "S > A", "C.t > B", "A > X (label)", "A > P.first", "A > B raw #2".
    """
    made = [(children or {}).get(text.partition(":")[0]) or _node(text) for text in nodes.split()]
    lines = [line.strip() for line in arrows.replace(";", "\n").splitlines() if line.strip()]
    return Program(tuple(made), tuple(_edge(i, line) for i, line in enumerate(lines)), name=name)


def _node(text: str) -> Node:
    name, _, kind = text.partition(":")
    kind, _, limit = kind.partition("/")
    on_error = "continue" if name.endswith("!") else "fail"
    return Node(
        name.rstrip("!"), kind or "code_job", name.rstrip("!"), None, on_error,
        max_iteration=int(limit or 100) if kind == "person_job" else None,
    )  # fmt: skip


def _edge(index: int, line: str) -> Edge:
    handles = {"t": "condtrue", "f": "condfalse"}
    left, _, right = line.partition(" > ")
    source, _, handle = left.strip().partition(".")
    words = right.split()
    target, _, port = words[0].partition(".")
    label = next((word.strip("()") for word in words[1:] if word.startswith("(")), "")
    priority = next((float(word[1:]) for word in words[1:] if word.startswith("#")), 0.0)
    kind = "conversation_state" if "conversation" in words[1:] else "raw_text"
    port = port or "default"
    return Edge(
        index,
        f"arrow_{index}",
        source,
        handles.get(handle, handle or "default"),
        target,
        label or port,
        port,
        kind,
        priority,
    )


@dataclass
class Played:
    """A finished (or stuck) run."""

    state: State
    journal: list[Event]
    starts: list[str] = field(default_factory=list)
    inputs: list[tuple[str, Inputs]] = field(default_factory=list)

    @property
    def end(self) -> RunEnded:
        assert self.state.ended is not None, "the run did not end"
        return self.state.ended

    def inputs_of(self, node: str) -> list[Inputs]:
        return [inputs for name, inputs in self.inputs if name == node]


def play(
    made: Program,
    behaviour: Mapping[str, Any] | None = None,
    *,
    variables: Mapping[str, Any] | None = None,
    order: random.Random | None = None,
    limits: Limits | None = None,
    most: int = 20_000,
    prefix: Sequence[Event] = (),
) -> Played:
    """Run to the end. `behaviour`: node path -> value or function; others return their name, endpoints their inputs.

    `order` picks which running node ends next; without it, the one that started first. `prefix` is replayed first.
    """
    state = new_state(made, variables or {}, limits)
    played = Played(state, [])
    running: list[NodeStarted] = []

    def note(events: list[Event]) -> None:
        played.journal.extend(events)
        for event in events:
            if isinstance(event, NodeStarted):
                played.starts.append(event.node)
                if event.node.rpartition("/")[0] not in state.frames:
                    continue  # its sub-diagram ended in the same step
                frame, index = state.locate(event.node)
                if index not in frame.running:
                    continue
                played.inputs.append((event.node, frame.running[index].inputs))
                if frame.node(index).child is None:
                    running.append(event)

    for event in prefix or [RunStarted(seed=1)]:
        apply(state, event)
        note([event])
        if isinstance(event, NodeCompleted | NodeFailed):
            running = [start for start in running if start.node != event.node]
    note(advance(state))
    for _ in range(most):
        if state.ended is not None or not running:
            break
        started = running.pop(order.randrange(len(running)) if order else 0)
        done = _finish(state, started, behaviour or {})
        for event in done:
            apply(state, event)
        note([*done, *advance(state)])
    return played


def _finish(state: State, started: NodeStarted, behaviour: Mapping[str, Any]) -> list[Event]:
    frame, index = state.locate(started.node)
    node, inputs = frame.node(index), frame.running[index].inputs
    act = behaviour.get(started.node, behaviour.get(node.id, _default(node)))
    try:
        value = act(inputs, frame.count[index]) if callable(act) else act
    except Exception as error:
        return [failed(state, started.node, Failure(type(error).__name__, str(error)))]
    run = (started.node, started.iteration, started.attempt)
    if isinstance(value, Branch):
        return [NodeCompleted(*run, dict(inputs), "condtrue" if value.taken else "condfalse")]
    if isinstance(value, Speech):
        message = MessageAppended(
            f"m{len(state.conversation(frame))}", started.node, started.iteration, node.id, "system", value.text
        )
        return [message, NodeCompleted(*run, value.text, conversation=value.conversation)]
    if node.type == "endpoint":
        data = inputs["default"] if list(inputs) == ["default"] else dict(inputs)
        wrapped = not isinstance(data, dict)
        return [NodeCompleted(*run, {"default": data} if wrapped else data, meta={"wrapped": wrapped})]
    return [NodeCompleted(*run, value)]


def _default(node: Node) -> Any:
    if node.type == "start":
        return lambda inputs, _: {"default": dict(inputs)}
    if node.type == "condition":
        return Branch(True)
    return node.id


def replayed(made: Program, played: Played, variables: Mapping[str, Any] | None = None) -> State:
    """The state a new executor gets from the journal."""
    state = new_state(made, variables or {}, played.state.limits)
    for event in played.journal:
        apply(state, event)
    state.touched = dict(played.state.touched)  # what is left to look at is no part of what has happened
    return state

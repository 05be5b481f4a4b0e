"""What one node run may touch: the driver's implementation of nodes.base.Context."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dipeo_executor.engine.events import Logged, MessageAppended
from dipeo_executor.engine.state import Frame, Running, State, pictures_for
from dipeo_executor.nodes.base import Answer, Files, Http, Llm, Message, NodeCount, Question, Workers
from dipeo_executor.program import Edge, Node, Person


class Ask(Protocol):
    """Asks the human of this run, durably."""

    def __call__(self, node: str, iteration: int, question: Question, timeout_s: float | None) -> Awaitable[Answer]: ...


@dataclass(slots=True)
class NodeContext:
    """One per node run. Everything it shows is fixed at the start of the run, except `counts`."""

    state: State
    frame: Frame
    index: int
    run: Running
    execution_id: str
    files: Files
    workers: Workers
    llm: Llm
    http: Http
    note: Callable[[Logged], None]
    teller: Callable[[str], None]
    asker: Ask

    @property
    def path(self) -> str:
        return self.frame.path_of(self.index)

    @property
    def node(self) -> Node:
        return self.frame.node(self.index)

    @property
    def iteration(self) -> int:
        return self.run.iteration

    @property
    def first_run(self) -> bool:
        return self.frame.count[self.index] == 1

    @property
    def attempt(self) -> int:
        return self.run.attempt

    @property
    def idempotency_key(self) -> str:
        """Without the attempt (decision 30): what an external service has already done is done."""
        return f"{self.execution_id}:{self.path}:{self.run.iteration}"

    @property
    def variables(self) -> Mapping[str, Any]:
        return self.frame.variables

    @property
    def custom_data(self) -> Mapping[str, Any]:
        """The lowest scope: custom_data of the start nodes, except with trigger_mode none (decision 45)."""
        merged: dict[str, Any] = {}
        starts = self.frame.graph.starts
        while starts:
            index = starts.bit_length() - 1
            starts &= ~(1 << index)
            props = self.frame.node(index).props
            if props.trigger_mode != "none":
                merged = {**props.custom_data, **merged}
        return merged

    @property
    def counts(self) -> Sequence[NodeCount]:
        frame = self.frame
        return [
            NodeCount(node.id, node.label, node.type, frame.count[index], frame.completed[index], node.max_iteration)
            for index, node in enumerate(frame.program.nodes)
        ]

    @property
    def outgoing(self) -> Sequence[Edge]:
        return [self.frame.program.edges[edge] for edge in self.frame.graph.outgoing[self.index]]

    @property
    def persons(self) -> Mapping[str, Person]:
        return self.frame.program.persons

    @property
    def history(self) -> Sequence[Message]:
        return [_message(message) for message in self.state.conversation(self.frame)[: self.run.history]]

    @property
    def pictures(self) -> Sequence[str]:
        return pictures_for(self.frame, self.index)

    @property
    def nested(self) -> bool:
        return bool(self.frame.path)

    async def ask(self, question: Question, *, timeout_s: float | None = None) -> Answer:
        return await self.asker(self.path, self.iteration, question, timeout_s)

    def log(self, level: str, message: str, **fields: Any) -> None:
        self.note(Logged(level, message, self.path, fields))

    def say(self, piece: str) -> None:
        self.teller(piece)


def _message(message: MessageAppended) -> Message:
    return Message(
        message.id,
        message.from_id,
        message.to_id,
        message.content,
        message.node,
        message.iteration,
        message.token_count,
    )

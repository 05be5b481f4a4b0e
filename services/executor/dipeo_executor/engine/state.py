"""What a run has come to. transitions.py says how it changes; replay gives an equal state.

A run is a tree of frames: the root diagram, and one per sub-diagram node that is running.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dipeo_executor.engine.events import Failure, MessageAppended, RunEnded, Usage
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


def pictures_for(frame: Frame, index: int) -> list[str]:
    """Files of the images that the nodes before this one have made, in the order of the arrows."""
    sources = (frame.graph.source[edge] for edge in frame.graph.incoming[index])
    return [file for source in sources for file in frame.pictures.get(source, ())]

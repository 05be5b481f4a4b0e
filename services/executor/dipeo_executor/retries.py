"""Where a retry goes on: before which point of an ended run's journal everything is kept. (dipeo.executor.v1.Retry)"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dipeo_kit.errors import BadInput
from dipeo_protos.store.v1 import events_pb2

Journal = Sequence[events_pb2.Event]
BEGINNING = 2  # after execution.created
_ENDS = ("node_skipped", "execution_completed", "execution_failed", "execution_aborted", "execution_maxiter_reached")


@dataclass(frozen=True, slots=True)
class Cut:
    """`before_seq`: the first event that is not taken over. `kept`: node runs that completed before it."""

    before_seq: int
    label: str  # of the node it goes on with; "" = none in particular
    kept: int


@dataclass(slots=True)
class _Starts:
    """Node runs of a journal: where they started and whether they ended well."""

    labels: dict[str, str] = field(default_factory=dict)  # node id -> label
    first: dict[str, int] = field(default_factory=dict)  # node id -> seq of its first start
    open: dict[tuple[str, int], int] = field(default_factory=dict)  # (node, iteration) that did not end well -> seq
    failed: list[tuple[str, int]] = field(default_factory=list)  # those that failed the run


def cut(journal: Journal, from_node: str) -> Cut:
    """Before the first start of `from_node`, but never after something that failed the run, whose failure would be
    taken over too. Without a node: before whatever failed or was interrupted first; if nothing did, the beginning of a
    run that completed, the very end of another. Raises BadInput naming the nodes that started.
    """
    starts = _read(journal)
    broken = _innermost([(starts.open[run], run[0]) for run in starts.failed or starts.open if run in starts.open])
    if from_node:
        asked = _named(starts, from_node)
        seq, node = min([(starts.first[asked], asked), *(broken if starts.failed else ())])
    elif broken:
        seq, node = min(broken)
    else:
        seq, node = _end(journal), ""
    kept = sum(event.HasField("node_completed") for event in journal if event.seq < seq)
    return Cut(seq, starts.labels.get(node, ""), kept)


def _innermost(runs: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Without sub-diagram nodes that broke only because of a node inside them."""
    return [(seq, node) for seq, node in runs if not any(other.startswith(f"{node}/") for _, other in runs)]


def _read(journal: Journal) -> _Starts:
    found = _Starts()
    for event in journal:
        match event.WhichOneof("body"):
            case "node_started":
                body = event.node_started
                found.labels.setdefault(body.node_id, body.label)
                found.first.setdefault(body.node_id, event.seq)
                found.open[body.node_id, body.iteration] = event.seq
            case "node_completed":
                found.open.pop((event.node_completed.node_id, event.node_completed.iteration), None)
            case "node_failed" if event.node_failed.port:
                found.open.pop((event.node_failed.node_id, event.node_failed.iteration), None)
            case "node_failed":
                found.failed.append((event.node_failed.node_id, event.node_failed.iteration))
    return found


def _end(journal: Journal) -> int:
    if journal[-1].HasField("execution_completed"):
        return BEGINNING
    return next(event.seq for event in journal if event.WhichOneof("body") in _ENDS)


def _named(starts: _Starts, name: str) -> str:
    """The node of that id, path of labels or label, the first that started when several share a label."""
    paths = {node: "/".join(_path(starts, node)) for node in starts.labels}
    for node in starts.labels:
        if name in (node, paths[node]):
            return node
    for node, label in starts.labels.items():
        if name == label:
            return node
    started = ", ".join(f'"{path}"' for path in dict.fromkeys(paths.values()))
    raise BadInput(f'no node "{name}" started in that run; these did: {started or "none"}')


def _path(starts: _Starts, node: str) -> list[str]:
    steps = node.split("/")
    parents = ("/".join(steps[: depth + 1]) for depth in range(len(steps)))
    return [starts.labels.get(parent) or step for parent, step in zip(parents, steps, strict=True)]

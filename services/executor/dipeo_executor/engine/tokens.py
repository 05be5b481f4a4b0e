"""Values on arrows: which are unread, how a node run takes them, how an output leaves them. (engine contract 1.4)"""

from collections.abc import Mapping

from dipeo_executor.engine.events import Consumed
from dipeo_executor.engine.state import Frame, Json


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


def consume(frame: Frame, index: int, tokens: tuple[Consumed, ...]) -> Mapping[str, Json]:
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

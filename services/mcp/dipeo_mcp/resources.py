"""Resources (spec/mcp.md §3.7): diagrams, their schemas and pictures, runs, and a guide for authors."""

import json
import re
from importlib import resources as files
from typing import Any
from urllib.parse import parse_qs

import mcp_types as types
from mcp.shared.exceptions import MCPError

from dipeo_kit import errors, publishing
from dipeo_mcp import executions, limits, result
from dipeo_mcp.live import event_line
from dipeo_mcp.notices import ALL_DIAGRAMS, ALL_EXECUTIONS
from dipeo_mcp.principals import Principal
from dipeo_mcp.published import Offer, source_of
from dipeo_mcp.service import Service
from dipeo_protos.executor.v1 import executor_pb2
from dipeo_protos.store.v1 import store_pb2

GUIDE = "dipeo://guides/light-format"
LATEST_LISTED = 20
LATEST = 50
MAX_URI = 500
DIAGRAM_TTL_MS, ENDED_TTL_MS = 5_000, 3_600_000
JSON, YAML, NDJSON, MERMAID = "application/json", "application/yaml", "application/x-ndjson", "text/vnd.mermaid"

_DIAGRAM = re.compile(r"dipeo://diagrams/([^/?]+)(?:/(schema|graph))?")
_EXECUTION = re.compile(
    r"dipeo://executions/(exec_[0-9a-f]{32})(?:/(events|conversation)|/nodes/([^?#]+))?(?:\?([^#]*))?"
)


class Missing(MCPError):
    """No such resource, or not for this caller: the same answer."""

    def __init__(self, uri: str) -> None:
        super().__init__(types.INVALID_PARAMS, "Resource not found", {"uri": uri[:MAX_URI]})


# --- lists -----------------------------------------------------------------------------------------------------------


async def listed(service: Service, principal: Principal) -> list[types.Resource]:
    """The collections, the guide, published diagrams by name, the caller's latest runs."""
    found = [
        types.Resource(uri=ALL_DIAGRAMS, name="diagrams", title="Published diagrams", mime_type=JSON),
        types.Resource(uri=ALL_EXECUTIONS, name="executions", title="Your latest runs", mime_type=JSON),
        types.Resource(uri=GUIDE, name="light-format", title="How to write a light diagram", mime_type="text/markdown"),
    ]
    for name, offer in sorted(service.published.offers.items()):
        found.append(
            types.Resource(
                uri=f"{publishing.URI}{name}",
                name=name,
                title=offer.title or name,
                description=offer.description or None,
                mime_type=_mime(offer),
                size=len(offer.entry.text.encode()),
            )
        )
    latest, _ = await executions.page(service, principal, limit=LATEST_LISTED)
    for it in latest:
        uri, name = f"{result.EXECUTIONS}{it.execution_id}", f"{result.diagram_of(it)} {it.execution_id}"
        found.append(types.Resource(uri=uri, name=name, description=result.status_of(it), mime_type=JSON))
    return found


TEMPLATES = [
    types.ResourceTemplate(uri_template=uri, name=name, description=description, mime_type=mime)
    for uri, name, description, mime in (
        ("dipeo://diagrams/{name}", "diagram", "Source text of a published diagram", None),
        ("dipeo://diagrams/{name}/schema", "diagram-schema", "JSON Schema of its inputs and its result", JSON),
        ("dipeo://diagrams/{name}/graph", "diagram-graph", "Its picture as Mermaid text", MERMAID),
        ("dipeo://executions/{id}", "execution", "A run: status, result, outputs", JSON),
        ("dipeo://executions/{id}/events{?after_seq}", "execution-events", "What happened, one JSON a line", NDJSON),
        ("dipeo://executions/{id}/nodes/{node_id}", "node-output", "The whole output of a node", JSON),
        ("dipeo://executions/{id}/conversation", "conversation", "What persons said and were told", JSON),
    )
]


# --- reading ---------------------------------------------------------------------------------------------------------


async def read(service: Service, principal: Principal, uri: str) -> types.ReadResourceResult:
    """Exact URIs only: nothing is decoded, no path is ever made of one. Raises Missing, DipeoError."""
    if uri == ALL_DIAGRAMS:
        return _text(uri, _diagrams(service), JSON, DIAGRAM_TTL_MS)
    if uri == GUIDE:
        return _text(uri, files.files("dipeo_mcp").joinpath("guide.md").read_text(), "text/markdown", ENDED_TTL_MS)
    if uri == ALL_EXECUTIONS:
        found, _ = await executions.page(service, principal, limit=LATEST)
        told = service.redactor.value({"executions": [executions.summary(it) for it in found]})
        return _text(uri, json.dumps(told, ensure_ascii=False), JSON, 0)
    if match := _DIAGRAM.fullmatch(uri):
        return await _diagram(service, uri, match[1], match[2] or "")
    if match := _EXECUTION.fullmatch(uri):
        try:
            return await _execution(service, principal, uri, *match.groups())
        except errors.NotFound:
            raise Missing(uri) from None
    raise Missing(uri)


def execution_of(uri: str) -> str | None:
    """The execution an execution's URI is about; None for other URIs."""
    match = _EXECUTION.fullmatch(uri)
    return match[1] if match else None


def is_ours(uri: str) -> bool:
    """Whether a URI has the form of one of ours; it may still lead nowhere."""
    return uri in (ALL_DIAGRAMS, ALL_EXECUTIONS, GUIDE) or bool(_DIAGRAM.fullmatch(uri) or _EXECUTION.fullmatch(uri))


def _diagrams(service: Service) -> str:
    told = [
        {
            "name": name,
            "title": offer.title or name,
            "description": offer.description,
            "format": offer.format,
            "uri": f"{publishing.URI}{name}",
            "tool": service.published.tool_of[name] if offer.valid and offer.exposed else None,
            "updated_at": offer.entry.updated_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        for name, offer in sorted(service.published.offers.items())
    ]
    return json.dumps({"diagrams": told}, ensure_ascii=False)


async def _diagram(service: Service, uri: str, name: str, part: str) -> types.ReadResourceResult:
    offer = await service.published.offer(name) if publishing.is_name(name) else None
    if offer is None:
        raise Missing(uri)
    if part == "schema":
        schemas = {"input": offer.schema, "output": result.schema(offer.output_schema)}
        return _text(uri, json.dumps(schemas, ensure_ascii=False), JSON, DIAGRAM_TTL_MS)
    if part == "graph":
        request = executor_pb2.DescribeRequest(source=source_of(offer.entry), picture="mermaid")
        described = await service.backend.executor.read(service.backend.executor.rpc.Describe, request)
        return _text(uri, described.picture, MERMAID, DIAGRAM_TTL_MS)
    return _text(uri, service.redactor.text(offer.entry.text, paths=False), _mime(offer), DIAGRAM_TTL_MS)


async def _execution(
    service: Service,
    principal: Principal,
    uri: str,
    execution_id: str,
    part: str | None,
    node: str | None,
    query: str | None,
) -> types.ReadResourceResult:
    if query and part != "events":
        raise Missing(uri)
    found = await service.own_execution(principal, execution_id)
    ttl_ms = ENDED_TTL_MS if result.status_of(found.execution) in result.TERMINAL else 0
    if part == "events":
        return _text(uri, await _events(service, uri, execution_id, query or ""), NDJSON, ttl_ms)
    if part == "conversation":
        messages = [result.message_of(it) for it in await service.messages(execution_id)]
        return _text(uri, _json(service, {"messages": messages}), JSON, ttl_ms)
    if node is not None:
        return _text(uri, _json(service, _node_output(found, uri, node)), JSON, ttl_ms)
    told = result.verbose(result.of(found), found, await service.messages(execution_id))
    return _text(uri, _json(service, told), JSON, ttl_ms)


async def _events(service: Service, uri: str, execution_id: str, query: str) -> str:
    after = parse_qs(query).get("after_seq", ["0"])[0]
    if not after.isdecimal() or len(after) > 18:
        raise Missing(uri)
    lines: list[str] = []
    seq = int(after)
    while True:
        request = store_pb2.ReadJournalRequest(execution_id=execution_id, after_seq=seq, limit=1000)
        page = await service.backend.store.read(service.backend.store.rpc.ReadJournal, request)
        lines += [_json(service, event_line(event)) for event in page.events]
        if not page.events or page.events[-1].seq >= page.head_seq:
            return "".join(f"{line}\n" for line in lines)
        seq = page.events[-1].seq


def _node_output(found: store_pb2.GetExecutionResponse, uri: str, node_id: str) -> Any:
    """What its latest run made."""
    outputs = [run.output_json for run in found.node_runs if run.node_id == node_id and run.output_json]
    if not outputs:
        raise Missing(uri)
    return json.loads(outputs[-1])


def _json(service: Service, value: Any) -> str:
    return json.dumps(service.redactor.value(value), ensure_ascii=False)


def _mime(offer: Offer) -> str:
    return JSON if offer.format == "native" else YAML


def _text(uri: str, text: str, mime: str, ttl_ms: int) -> types.ReadResourceResult:
    contents = [types.TextResourceContents(uri=uri, text=text, mime_type=mime)]
    return types.ReadResourceResult(contents=contents, ttl_ms=ttl_ms, cache_scope="private")


async def diagram_names(service: Service, principal: Principal) -> list[str]:
    return sorted(service.published.offers)


async def execution_ids(service: Service, principal: Principal) -> list[str]:
    """Newest first."""
    found, _ = await executions.page(service, principal, limit=limits.PAGE * 2)
    return [it.execution_id for it in found]


def completed(values: list[str], typed: str) -> types.Completion:
    """By prefix, then by what they contain."""
    lower = typed.lower()
    first = [value for value in values if value.lower().startswith(lower)]
    rest = [value for value in values if lower in value.lower() and value not in first]
    found = [*first, *rest]
    return types.Completion(values=found[:100], total=len(found), has_more=len(found) > 100)

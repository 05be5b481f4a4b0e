"""search and fetch: text-only JSON, as ChatGPT's connectors read it (spec/mcp.md §3.3)."""

import json

import mcp_types as types

from dipeo_kit import publishing
from dipeo_mcp.arguments import Json
from dipeo_mcp.call import Call
from dipeo_mcp.published import Offer


async def search(call: Call, given: Json) -> types.CallToolResult:
    """Every word of the query is in the name, the title or the description."""
    words = given["query"].lower().split()
    found = [offer for offer in _sorted(call) if all(word in _text(offer).lower() for word in words)]
    results = [
        {
            "id": offer.name,
            "title": offer.title or offer.name,
            "url": f"{publishing.URI}{offer.name}",
            "text": offer.description,
            "name": offer.name,
            "format": offer.format,
            "location": "published",
        }
        for offer in found[: given.get("limit", 20)]
    ]
    return _envelope(call, {"success": True, "query": given["query"], "count": len(results), "results": results})


async def fetch(call: Call, given: Json) -> types.CallToolResult:
    """By name only: nothing is ever taken for a path (D2)."""
    name = publishing.of_reference(given["id"])
    offer = await call.service.published.offer(name) if name else None
    if offer is None:
        return _envelope(call, {"success": False, "error": "there is no published diagram with this id"}, error=True)
    text = offer.entry.text
    return _envelope(
        call,
        {
            "success": True,
            "id": offer.name,
            "title": offer.title or offer.name,
            "text": text,
            "url": f"{publishing.URI}{offer.name}",
            "metadata": {"description": offer.description, "tool": call.service.published.tool_of[offer.name]},
            "uri": f"{publishing.URI}{offer.name}",
            "name": offer.name,
            "format": offer.format,
            "size": len(text.encode()),
        },
    )


def _envelope(call: Call, value: Json, *, error: bool = False) -> types.CallToolResult:
    text = call.service.redactor.text(json.dumps(value, ensure_ascii=False), paths=False)
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=error)


def _sorted(call: Call) -> list[Offer]:
    return [offer for _, offer in sorted(call.service.published.offers.items())]


def _text(offer: Offer) -> str:
    return f"{offer.name} {offer.title} {offer.description}"

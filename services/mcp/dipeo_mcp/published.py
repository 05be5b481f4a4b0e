"""The published diagrams as this service offers them: a snapshot, kept fresh, that survives outages behind it."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from dipeo_kit import errors, logs, publishing
from dipeo_mcp import schemas
from dipeo_mcp.backend import Backend
from dipeo_mcp.catalogue import Catalogue, Entry
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2

log = logs.get(__name__)

MAX_DESCRIPTION = 1000
FORMATS_PB = {
    "light": diagram_pb2.FORMAT_LIGHT,
    "native": diagram_pb2.FORMAT_NATIVE,
    "readable": diagram_pb2.FORMAT_READABLE,
}
FORMATS = {number: name for name, number in FORMATS_PB.items()}
SUFFIXES = {"light": ".light.yaml", "native": ".native.json", "readable": ".readable.yaml"}
HINTS = ("readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint")


@dataclass(frozen=True, slots=True)
class Offer:
    """A diagram, read. `schema` describes its inputs alone; `valid` false: it does not compile and cannot be called."""

    entry: Entry
    format: str
    valid: bool
    title: str = ""
    description: str = ""
    schema: schemas.Schema = field(default_factory=lambda: dict(schemas.OPEN))
    output_schema: schemas.Schema | None = None
    hints: Mapping[str, bool] = field(default_factory=dict)
    exposed: bool = True
    node_types: frozenset[str] = frozenset()
    node_count: int = 0
    straight: bool = False

    @property
    def name(self) -> str:
        return self.entry.name

    def validator(self) -> jsonschema_rs.Draft202012Validator:
        return schemas.compiled(self.schema)

    @property
    def face(self) -> tuple[Any, ...]:
        """What callers see before they call: lists have changed when it has."""
        told = (self.title, self.description, self.schema, self.output_schema, dict(self.hints), self.exposed)
        return (self.name, self.format, self.valid, json.dumps(told, sort_keys=True, default=str))


def source_of(entry: Entry) -> diagram_pb2.Source:
    """One without a file gets the path it would have at the project's root: executions are named after it."""
    format = FORMATS_PB.get(entry.format, diagram_pb2.FORMAT_UNSPECIFIED)
    path = entry.path or f"{entry.name}{SUFFIXES.get(entry.format, '.yaml')}"
    return diagram_pb2.Source(text=entry.text, path=path, format=format)


async def read(backend: Backend, entry: Entry) -> Offer:
    """Ask the executor what a diagram offers. Raises DipeoError when it does not answer."""
    request = executor_pb2.CompileRequest(source=source_of(entry))
    response = await backend.executor.read(backend.executor.rpc.Compile, request)
    format = entry.format or FORMATS.get(response.format, "")
    if not response.valid:
        return Offer(entry, format, valid=False)
    it = response.interface
    mcp = json.loads(it.mcp_json or b"{}")
    return Offer(
        entry,
        format,
        valid=True,
        title=_plain(mcp.get("title") or response.name or entry.name, 100),
        description=_plain(it.description, MAX_DESCRIPTION) or _derived(entry.name, response),
        schema=_inputs(entry.name, mcp, json.loads(it.inputs_json or b"{}"), json.loads(it.defaults_json or b"{}")),
        output_schema=_outputs(entry.name, mcp),
        hints={name: value for name in HINTS if isinstance(value := (mcp.get("annotations") or {}).get(name), bool)},
        exposed=mcp.get("expose") is not False,
        node_types=frozenset(it.node_types),
        node_count=response.node_count,
        straight=it.straight,
    )


def _inputs(name: str, mcp: dict[str, Any], inputs: dict[str, Any], defaults: dict[str, Any]) -> schemas.Schema:
    try:
        return schemas.of_inputs(mcp.get("input_schema"), inputs, defaults)
    except schemas.SchemaRefused as refused:
        log.warning("mcp.schema_refused", diagram=name, schema="input", reason=str(refused))
        return dict(schemas.OPEN)


def _outputs(name: str, mcp: dict[str, Any]) -> schemas.Schema | None:
    declared = mcp.get("output_schema")
    if declared is None:
        return None
    try:
        # any type is fine for a result: only the wrapping in an object is checked as an input schema would be
        schemas.usable({"type": "object", "properties": {"result": declared}})
    except schemas.SchemaRefused as refused:
        log.warning("mcp.schema_refused", diagram=name, schema="output", reason=str(refused))
        return None
    found: schemas.Schema = declared
    return found


def _derived(name: str, response: executor_pb2.CompileResponse) -> str:
    kinds = ", ".join(sorted(set(response.interface.node_types) - {"start", "endpoint"}))
    nodes = "1 node" if response.node_count == 1 else f"{response.node_count} nodes"
    return f"Runs the workflow {name}: {nodes}{f' ({kinds})' if kinds else ''}."


def _plain(text: Any, limit: int) -> str:
    shown = "".join(char if char.isprintable() or char == "\n" else " " for char in str(text or ""))
    return shown.strip()[:limit]


@dataclass(slots=True)
class Published:
    """`on_change(lists, names)`: whether the lists look different now, and whose content does."""

    backend: Backend
    catalogue: Catalogue
    on_change: Callable[[bool, set[str]], Awaitable[None]]
    offers: dict[str, Offer] = field(default_factory=dict)
    by_tool: dict[str, Offer] = field(default_factory=dict)
    tool_of: dict[str, str] = field(default_factory=dict)
    loaded: bool = False

    async def keep_fresh(self) -> None:
        """Until cancelled."""
        async for _ in self.catalogue.changes():
            try:
                await self.refresh()
            except errors.DipeoError as error:  # the last snapshot stays
                log.warning("mcp.catalogue_silent", error=str(error))

    async def refresh(self) -> None:
        """Raises DipeoError; then nothing has changed."""
        before = self.offers
        offers: dict[str, Offer] = {}
        for entry in await self.catalogue.published():
            known = before.get(entry.name)
            unchanged = known is not None and known.entry == entry
            offers[entry.name] = known if known and unchanged else await read(self.backend, entry)
        self._use(offers)
        was_loaded, self.loaded = self.loaded, True
        if not was_loaded:
            return
        lists = {offer.face for offer in before.values()} != {offer.face for offer in offers.values()}
        bodies = {
            name for name, offer in offers.items() if name in before and before[name].entry.text != offer.entry.text
        }
        if lists or bodies:
            await self.on_change(lists, bodies)

    def _use(self, offers: dict[str, Offer]) -> None:
        tools = publishing.tool_names(offers)
        self.offers, self.tool_of = offers, tools
        self.by_tool = {tools[name]: offer for name, offer in offers.items() if offer.valid and offer.exposed}

    async def offer_of_tool(self, tool: str) -> Offer | None:
        """Looks once more before it says that there is none: it may have been published this very second."""
        if tool not in self.by_tool and tool.startswith(publishing.PREFIX):
            await self.refresh()
        return self.by_tool.get(tool)

    async def offer(self, name: str, *, unpublished: bool = False) -> Offer | None:
        if name not in self.offers:
            await self.refresh()
        found = self.offers.get(name)
        if found is None and unpublished:
            entry = await self.catalogue.find(name)
            found = await read(self.backend, entry) if entry else None
        return found

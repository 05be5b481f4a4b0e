"""The diagram as people draw it: what every format is read into. (spec/formats.md §1)"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dipeo_executor.formats.positions import Path

NODE_TYPES = (
    *("start", "endpoint", "condition", "person_job", "code_job", "api_job", "db", "user_response", "sub_diagram"),
    *("hook", "template_job", "json_schema_validator", "typescript_ast", "integrated_api", "ir_builder", "diff_patch"),
)
CONTENT_TYPES = ("raw_text", "conversation_state", "object", "empty", "generic", "variable", "binary")
NATIVE_CONTENT_TYPES = {  # of an arrow without a type, by the type of its source; of all others raw_text (§9.5)
    "person_job": "conversation_state",
    **dict.fromkeys(("db", "code_job", "api_job"), "object"),
}
HANDLE_LABELS = ("default", "first", "condtrue", "condfalse", "success", "error", "results")
BRANCHES = {"condtrue": "true", "condfalse": "false"}

_INPUTS: dict[str, tuple[str, ...]] = {"start": (), "person_job": ("first", "default")}
_OUTPUTS: dict[str, tuple[str, ...]] = {
    "endpoint": (),
    "condition": ("condtrue", "condfalse"),
    "hook": ("default", "success"),
    "diff_patch": ("default", "success"),
    "typescript_ast": ("default", "results"),
}


@dataclass(frozen=True, slots=True)
class Handle:
    id: str
    node_id: str
    label: str
    direction: str  # input, output
    data_type: str = "any"
    position: str | None = None  # left, right


@dataclass(frozen=True, slots=True)
class DiagramNode:
    """`data` holds the properties, without the label. `type` is as written, folded to lower case in light files."""

    id: str
    type: str
    label: str
    x: float
    y: float
    data: Mapping[str, Any]
    at: Path = ()
    fields: Mapping[str, Path] = field(default_factory=dict)  # property -> where it is written

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.label or self.id

    def at_field(self, name: str) -> Path:
        return self.fields.get(name, self.at)


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source` and `target` are handle ids."""

    id: str
    source: str
    target: str
    content_type: str | None = None
    label: str = ""
    execution_priority: float = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    at: Path = ()


@dataclass(frozen=True, slots=True)
class DiagramPerson:
    id: str
    label: str
    service: str = "openai"
    model: str = ""
    api_key_id: str = "default"
    system_prompt: str = ""
    prompt_file: str = ""
    base_url: str = ""
    at: Path = ()


@dataclass(frozen=True, slots=True)
class Metadata:
    version: str = "1.0"
    created: str = ""
    modified: str = ""
    id: str = ""
    name: str = ""
    description: str = ""
    author: str = ""
    format: str = ""
    tags: tuple[str, ...] = ()
    budget: Mapping[str, Any] = field(default_factory=dict)  # what model calls may use: program.Budget
    mcp: Mapping[str, Any] = field(default_factory=dict)  # how it is offered as a tool (spec/mcp.md §3.4)


@dataclass(frozen=True, slots=True)
class Diagram:
    """Order of nodes and arrows is as written and carries meaning."""

    nodes: tuple[DiagramNode, ...]
    arrows: tuple[Arrow, ...]
    handles: tuple[Handle, ...] = ()
    persons: tuple[DiagramPerson, ...] = ()
    metadata: Metadata = Metadata()


def handle_id(node_id: str, label: str, direction: str) -> str:
    return f"{node_id}_{label}_{direction}"


def parse_handle_id(text: str) -> tuple[str, str, str] | None:
    """(node id, handle label, direction), or None when the text is no handle id. (§1.1)"""
    parts = text.rsplit("_", 2)
    if len(parts) != 3 or not parts[0] or parts[1] not in HANDLE_LABELS or parts[2] not in ("input", "output"):
        return None
    return parts[0], parts[1], parts[2]


def handle_words(node_type: str, direction: str) -> tuple[str, ...]:
    """Handles an arrow may use. Every node but an endpoint can fail, hence `error` (decision 1)."""
    if direction == "input":
        return _INPUTS.get(node_type, ("default",))
    outputs = _OUTPUTS.get(node_type, ("default",))
    return (*outputs, "error") if outputs else ()


def usual_handles(node: DiagramNode) -> list[Handle]:
    """Handles that the original makes for a node whose file lists none. (§1.3)"""
    data_type = "boolean" if node.type == "condition" else "any"
    inputs = _INPUTS.get(node.type, ("default",))
    outputs = _OUTPUTS[node.type] if node.type in ("endpoint", "condition") else ("default",)
    return [
        Handle(handle_id(node.id, label, "input"), node.id, label, "input", position="left") for label in inputs
    ] + [Handle(handle_id(node.id, label, "output"), node.id, label, "output", data_type, "right") for label in outputs]

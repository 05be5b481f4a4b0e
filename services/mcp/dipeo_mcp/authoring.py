"""compile_diagram and unpublish_diagram."""

import mcp_types as types

from dipeo_kit import errors, publishing
from dipeo_mcp.arguments import Json
from dipeo_mcp.call import Call
from dipeo_mcp.errors import Unserved
from dipeo_mcp.executions import data
from dipeo_mcp.published import FORMATS, FORMATS_PB
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2

MAX_PROBLEMS = 50
_SEVERITIES = {diagram_pb2.SEVERITY_WARNING: "warning", diagram_pb2.SEVERITY_INFO: "info"}


async def compile_diagram(call: Call, given: Json) -> types.CallToolResult:
    """An invalid diagram is an answer, not a failure; it is never published."""
    text, name = given["diagram_content"], given.get("push_as")
    if excess := publishing.excess(text):
        raise Unserved("invalid_input", f"diagram_content: {excess}")
    if name is not None and not publishing.is_name(name):
        raise Unserved("invalid_input", f"push_as: a name has {publishing.NAME_RULE}")
    backend = call.service.backend
    format = given.get("format_type", "")
    source = diagram_pb2.Source(text=text, format=FORMATS_PB.get(format, diagram_pb2.FORMAT_UNSPECIFIED))
    response = await backend.executor.read(backend.executor.rpc.Compile, executor_pb2.CompileRequest(source=source))
    if response.HasField("wanted"):
        raise Unserved(
            "invalid_input", f"diagram_content: {publishing.names_files(response.wanted.names, remote=True)}"
        )
    if name is not None and response.absent_files:
        raise Unserved(
            "invalid_input", f"diagram_content: {publishing.names_files(response.absent_files, remote=False)}"
        )
    problems = [_problem(it) for it in response.diagnostics]
    report: Json = {
        "success": True,
        "valid": response.valid,
        "errors": [it for it in problems if it["severity"] == "error"][:MAX_PROBLEMS],
        "warnings": [it for it in problems if it["severity"] != "error"][:MAX_PROBLEMS],
        "node_count": response.node_count,
        "edge_count": response.edge_count,
    }
    if not response.valid or name is None:
        return data(call, report, _told(report))
    if response.node_count > publishing.MAX_NODES:
        raise Unserved("invalid_input", f"diagram_content: more than {publishing.MAX_NODES} nodes")
    found = format or FORMATS.get(response.format, "light")
    published = call.service.published
    try:
        await published.catalogue.put(name, text, found, overwrite=given.get("overwrite", False))
    except errors.AlreadyExists:
        raise Unserved("invalid_input", f'push_as: "{name}" exists; give overwrite: true to replace it') from None
    await published.refresh()
    report |= {"pushed_as": name, "tool_name": published.tool_of.get(name, ""), "uri": f"{publishing.URI}{name}"}
    return data(call, report, f"{_told(report)}; published as {name}, tool {report['tool_name']}")


async def unpublish_diagram(call: Call, given: Json) -> types.CallToolResult:
    name = publishing.of_reference(given["name"])
    if name is None:
        raise Unserved("invalid_input", f"name: a name has {publishing.NAME_RULE}")
    published = call.service.published
    removed = await published.catalogue.remove(name)
    await published.refresh()
    return data(call, {"name": name, "removed": removed}, f"{name}: {'removed' if removed else 'was not published'}")


def _problem(it: diagram_pb2.Diagnostic) -> Json:
    return {
        "phase": it.phase,
        "message": it.message,
        "severity": _SEVERITIES.get(it.severity, "error"),
        "node_id": it.node_id or None,
        "code": it.code,
        "line": it.line or None,
        "suggestion": it.suggestion or None,
    }


def _told(report: Json) -> str:
    if not report["valid"]:
        lines = [f"- {it['message']}" for it in report["errors"][:10]]
        return "\n".join([f"the diagram is invalid: {len(report['errors'])} errors", *lines])
    return f"the diagram is valid: {report['node_count']} nodes, {report['edge_count']} edges"

"""Diagnostics and formats <-> dipeo.diagram.v1."""

from dipeo_executor.formats.detect import Format
from dipeo_executor.formats.diagnostics import Diagnostic
from dipeo_protos.diagram.v1 import diagram_pb2

FORMATS: dict["diagram_pb2.Format", Format] = {
    diagram_pb2.FORMAT_LIGHT: "light",
    diagram_pb2.FORMAT_NATIVE: "native",
    diagram_pb2.FORMAT_READABLE: "readable",
}
SEVERITIES_PB = {
    "error": diagram_pb2.SEVERITY_ERROR,
    "warning": diagram_pb2.SEVERITY_WARNING,
    "info": diagram_pb2.SEVERITY_INFO,
}


def format_to_pb(format: str | None) -> "diagram_pb2.Format":
    return next((number for number, word in FORMATS.items() if word == format), diagram_pb2.FORMAT_UNSPECIFIED)


def diagnostic_to_pb(it: Diagnostic) -> diagram_pb2.Diagnostic:
    return diagram_pb2.Diagnostic(
        phase=it.phase,
        code=it.code,
        severity=SEVERITIES_PB[it.severity],
        message=it.message,
        node_id=it.node_id or "",
        label=it.label or "",
        arrow_id=it.arrow_id or "",
        field=it.field or "",
        line=it.line or 0,
        column=it.column or 0,
        suggestion=it.suggestion or "",
    )

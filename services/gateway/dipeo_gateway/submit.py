"""executeDiagram's input as the executor's request, and its diagnostics as JSON (decision 35, spec/cli.md §6.2)."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dipeo_gateway import transfers
from dipeo_gateway.types import DiagramFormatGraphQL, ExecuteDiagramInput
from dipeo_kit import errors, ids
from dipeo_protos.diagram.v1 import diagram_pb2
from dipeo_protos.executor.v1 import executor_pb2

_FORMATS = {
    DiagramFormatGraphQL.NATIVE: diagram_pb2.FORMAT_NATIVE,
    DiagramFormatGraphQL.JSON: diagram_pb2.FORMAT_NATIVE,
    DiagramFormatGraphQL.LIGHT: diagram_pb2.FORMAT_LIGHT,
    DiagramFormatGraphQL.READABLE: diagram_pb2.FORMAT_READABLE,
    DiagramFormatGraphQL.YAML: diagram_pb2.FORMAT_UNSPECIFIED,  # both light and readable are YAML: detect
}
_SEVERITIES = {
    diagram_pb2.SEVERITY_WARNING: "warning",
    diagram_pb2.SEVERITY_INFO: "info",
}
MAX_IDEMPOTENCY_KEY = 255
MAX_NAME = 200  # characters of a run's name, and of each of its labels


def submit_request(
    asked: ExecuteDiagramInput, *, origin: str, principal: str, idempotency_key: str
) -> executor_pb2.SubmitRequest:
    """Raises BadInput naming the field."""
    variables: Any = {} if asked.variables is None else asked.variables
    if not isinstance(variables, dict):
        raise errors.BadInput(f"variables: a JSON object is needed, not {_kind(variables)}")
    execution_id = asked.execution_id or ""
    if execution_id and not ids.is_execution_id(execution_id):
        raise errors.BadInput(f'execution_id: "{execution_id}" is not "exec_" and 32 hex digits')
    if len(idempotency_key) > MAX_IDEMPOTENCY_KEY:
        raise errors.BadInput(f"Idempotency-Key: at most {MAX_IDEMPOTENCY_KEY} characters")
    return executor_pb2.SubmitRequest(
        source=_source_of(asked),
        changes_json=changes(asked.changes),
        variables_json=json.dumps(variables, ensure_ascii=False).encode(),
        options=run_options(asked),
        execution_id=execution_id,
        origin=origin,
        principal=principal,
        idempotency_key=idempotency_key,
        uploads=transfers.to_pb(asked.uploads),
    )


def changes(asked: Any) -> bytes:
    """Raises BadInput."""
    if asked is None:
        return b""
    if not isinstance(asked, dict):
        raise errors.BadInput(f'changes: an object of "LABEL.property" → value is needed, not {_kind(asked)}')
    return json.dumps(asked, ensure_ascii=False).encode()


def source(text: str, path: str | None, format_: DiagramFormatGraphQL | None) -> diagram_pb2.Source:
    return diagram_pb2.Source(text=text, path=path or "", format=format_number(format_))


def format_number(format_: DiagramFormatGraphQL | None) -> "diagram_pb2.Format":
    return _FORMATS[format_] if format_ else diagram_pb2.FORMAT_UNSPECIFIED


def format_word(number: "diagram_pb2.Format") -> str | None:
    word = diagram_pb2.Format.Name(number).removeprefix("FORMAT_").lower()
    return None if word == "unspecified" else word


def _source_of(asked: ExecuteDiagramInput) -> diagram_pb2.Source:
    given = [name for name in ("diagram_id", "diagram_data", "diagram_source") if getattr(asked, name) is not None]
    if len(given) != 1:
        raise errors.BadInput(
            f"give exactly one of diagram_source and diagram_data, not {' and '.join(given) or 'none'}"
        )
    if asked.diagram_source is not None:
        return source(asked.diagram_source, asked.diagram_path, asked.diagram_format)
    if asked.diagram_id is not None:
        raise errors.BadInput("diagram_id: this gateway has no catalogue; give diagram_source, the text of the diagram")
    if not isinstance(asked.diagram_data, dict):
        raise errors.BadInput(f"diagram_data: a JSON object is needed, not {_kind(asked.diagram_data)}")
    text = json.dumps(asked.diagram_data, ensure_ascii=False, indent=2)  # lines, so that diagnostics can point at one
    return source(text, asked.diagram_path, asked.diagram_format or _declared_format(asked.diagram_data))


def _declared_format(data: Mapping[str, Any]) -> DiagramFormatGraphQL | None:
    """The original's rule: `version` or `format` says light or readable, else it is for the executor to tell."""
    for word in (data.get("version"), data.get("format")):
        if word in ("light", "readable"):
            return DiagramFormatGraphQL(word)
    return None


# --- options ---------------------------------------------------------------------------------------------------------


def run_options(asked: ExecuteDiagramInput) -> executor_pb2.RunOptions:
    """Raises BadInput for an option that is unknown or of the wrong kind."""
    options: Any = {} if asked.options is None else asked.options
    if not isinstance(options, dict):
        raise errors.BadInput(f"options: a JSON object is needed, not {_kind(options)}")
    made = executor_pb2.RunOptions(
        timeout_s=_seconds("timeout_seconds", asked.timeout_seconds or 0),
        max_node_runs=_count("max_iterations", asked.max_iterations) if asked.max_iterations is not None else 0,
    )
    for name, value in options.items():
        if name not in _OPTIONS:
            raise errors.BadInput(f'options: "{name}" is unknown; there are {", ".join(_OPTIONS)}')
        if value is not None:
            _OPTIONS[name](made, f"options.{name}", value)
    return made


def _set_flag(field: str) -> Callable[[executor_pb2.RunOptions, str, Any], None]:
    return lambda made, name, value: setattr(made, field, _flag(name, value))


def _set_count(field: str) -> Callable[[executor_pb2.RunOptions, str, Any], None]:
    return lambda made, name, value: setattr(made, field, _count(name, value))


def _set_interactive(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    made.non_interactive = not _flag(name, value)


def _set_timeout(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    made.timeout_s = _seconds(name, value)


def _set_dollars(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**31:
        raise errors.BadInput(f"{name}: US dollars above 0 are needed, not {json.dumps(value)[:40]}")
    made.max_cost_usd = value


def _set_answers(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    if not isinstance(value, dict) or not all(isinstance(answer, str) for answer in value.values()):
        raise errors.BadInput(f"{name}: an object of node label → text is needed")
    made.answers.update(value)


def _set_name(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise errors.BadInput(f"{name}: text of at most {MAX_NAME} characters is needed")
    made.name = value


def _set_labels(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    if not isinstance(value, dict) or not all(
        isinstance(mark, str) and len(mark) <= MAX_NAME for mark in value.values()
    ):
        raise errors.BadInput(f"{name}: an object of key → text of at most {MAX_NAME} characters is needed")
    made.labels.update(value)


def _set_script(made: executor_pb2.RunOptions, name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise errors.BadInput(f"{name}: a list of rules is needed")
    made.mock_script_json = json.dumps(value).encode()


_OPTIONS: Mapping[str, Callable[[executor_pb2.RunOptions, str, Any], None]] = {
    "mock_llm": _set_flag("mock_llm"),
    "keep_going": _set_flag("keep_going"),
    "answers": _set_answers,
    "interactive": _set_interactive,
    "timeout_s": _set_timeout,
    "max_parallel": _set_count("max_parallel"),
    "max_node_runs": _set_count("max_node_runs"),
    "max_cost_usd": _set_dollars,
    "max_tokens": _set_count("max_tokens"),
    "name": _set_name,
    "labels": _set_labels,
    "mock_script": _set_script,
}


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise errors.BadInput(f"{name}: true or false is needed, not {_kind(value)}")
    return value


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise errors.BadInput(f"{name}: a whole number from 1 is needed, not {json.dumps(value)[:40]}")
    return value


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**31:
        raise errors.BadInput(f"{name}: seconds from 0 are needed (0 = no limit), not {json.dumps(value)[:40]}")
    return float(value)


def _kind(value: Any) -> str:
    kinds = {list: "an array", str: "text", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")


# --- diagnostics -----------------------------------------------------------------------------------------------------


def diagnostics(found: Iterable[diagram_pb2.Diagnostic]) -> dict[str, list[dict[str, Any]]]:
    """{"errors": …, "warnings": …}; remarks of severity info stand among the warnings and say so."""
    shown = [_diagnostic(one) for one in found]
    return {
        "errors": [one for one in shown if one["severity"] == "error"],
        "warnings": [one for one in shown if one["severity"] != "error"],
    }


def _diagnostic(it: diagram_pb2.Diagnostic) -> dict[str, Any]:
    return {
        "phase": it.phase,
        "code": it.code,
        "severity": _SEVERITIES.get(it.severity, "error"),
        "message": it.message,
        "node_id": it.node_id or None,
        "label": it.label or None,
        "arrow_id": it.arrow_id or None,
        "field": it.field or None,
        "line": it.line or None,
        "column": it.column or None,
        "suggestion": it.suggestion or None,
    }


def compiled(response: executor_pb2.CompileResponse) -> dict[str, Any]:
    if response.HasField("wanted"):
        return {"valid": False, "errors": [], "warnings": [], "wanted": transfers.wanted(response.wanted)}
    found = diagnostics(response.diagnostics)
    size = {"node_count": response.node_count, "edge_count": response.edge_count} if response.valid else {}
    return {
        "valid": response.valid,
        **found,
        **size,
        "format": format_word(response.format),
        "name": response.name or None,
    }

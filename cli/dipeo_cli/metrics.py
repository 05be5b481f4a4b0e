"""`dipeo metrics`: where the time and the tokens of a run went (spec/cli.md §5). The figures are the gateway's."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dipeo_cli import compare, figures, lookup, output, refs, stack
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import EXIT_NEGATIVE, CliError, NotFound, Usage

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What `dipeo metrics` was asked for."""

    execution: str = ""
    diagram: str = ""
    compare: tuple[str, str] | None = None
    history: bool = False
    limit: int = 20
    threshold_ms: float | None = None
    views: figures.Views = field(default_factory=figures.Views)
    as_json: bool = False


def metrics(config: Config, asked: Asked) -> int:
    """Sentences about what is not there go to stdout, too: scripts of the original look for them."""
    with stack.connect(config) as gateway:
        if asked.compare:
            return _compare(gateway, asked)
        diagram = _diagram_id(config, asked.diagram)
        if asked.history:
            return _history(gateway, diagram, asked)
        try:
            execution_id = (
                refs.resolve(asked.execution, gateway) if asked.execution else _newest(gateway, diagram, asked)
            )
            found = gateway.metrics(execution_id, asked.threshold_ms)
        except NotFound as error:
            return _missing(error, asked)
    if asked.as_json:
        output.document(found)
    else:
        output.answer(figures.text(found, asked.views, output.width()))
    return 0


def breakdown(gateway: Gateway, execution_id: str) -> str:
    """What `run --timing` prints at the end."""
    return figures.text(gateway.metrics(execution_id), figures.Views(breakdown=True), output.width())


def _diagram_id(config: Config, name: str) -> str:
    """How runs of a diagram are filed: its path relative to the project; a name that is no file is taken as it is."""
    if not name:
        return ""
    try:
        return lookup.load(name, "", config.base).path
    except CliError:
        return name


def _newest(gateway: Gateway, diagram: str, asked: Asked) -> str:
    found = gateway.list_executions(limit=1, filter={"diagram_id": diagram} if diagram else {})
    if not found:
        raise NotFound("No main executions found" + (f" for diagram: {asked.diagram}" if diagram else ""))
    return str(found[0]["id"])


def _missing(error: NotFound, asked: Asked) -> int:
    unknown = error.context.get("execution_id") or error.context.get("session_id")
    sentence = f"{output.symbol('❌', 'FAILED:')} Execution {unknown} not found" if unknown else str(error)
    output.error(str(error), error.hint)
    if asked.as_json:
        output.document({"error": str(error), "error_code": error.code, "execution_id": unknown})
    else:
        output.answer(sentence)
    return EXIT_NEGATIVE


def _compare(gateway: Gateway, asked: Asked) -> int:
    assert asked.compare is not None
    before, after = (gateway.metrics(refs.resolve(one, gateway)) for one in asked.compare)
    if asked.as_json:
        output.document(compare.document(before, after))
    else:
        output.answer(compare.text(before, after))
    return 0


def _history(gateway: Gateway, diagram: str, asked: Asked) -> int:
    if asked.execution:
        raise Usage("--history is about a diagram; name one run, or say --history")
    found = gateway.history(diagram, asked.limit)
    if asked.as_json:
        output.document(found)
    elif found:
        output.answer(compare.history(found, datetime.now(UTC)))
    else:
        return _missing(NotFound(f"No main executions found for diagram: {asked.diagram}"), asked)
    return 0

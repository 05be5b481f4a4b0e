"""`dipeo ps`: runs, those in progress first (spec/cli.md §14.1)."""

import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dipeo_cli import output, refs, stack
from dipeo_cli import results as shapes
from dipeo_cli.config import Config
from dipeo_cli.errors import Usage
from dipeo_cli.tables import columns, span

Json = dict[str, Any]
REFRESH_S = 1.0
ALL = 1000  # the gateway lists no more


@dataclass(frozen=True, slots=True)
class Asked:
    """What `dipeo ps` was asked for."""

    status: str = ""
    diagram: str = ""
    since: datetime | None = None
    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    limit: int = 20
    ids_only: bool = False
    as_json: bool = False

    def filter(self) -> Json:
        filter = {
            "status": self.status.upper(),
            "diagram_id": self.diagram,
            "name": self.name,
            "labels": self.labels,
            "started_after": self.since.isoformat() if self.since else "",
        }
        return {name: value for name, value in filter.items() if value}


def ps(config: Config, asked: Asked) -> int:
    with stack.connect(config) as gateway:
        found = gateway.list_executions(limit=asked.limit, filter=asked.filter(), summaries=True)
    if asked.as_json:
        output.document([shapes.summary(execution) for execution in found])
    elif asked.ids_only:
        for execution in found:
            output.answer(execution["id"])
    elif found:
        output.answer(table(found, datetime.now(UTC)))
    else:
        output.say("no runs yet")
    return 0


def watch(config: Config, asked: Asked) -> int:
    """The table, drawn again each second until Ctrl-C."""
    if not sys.stdout.isatty() or asked.as_json:
        raise Usage("--watch needs a terminal, and no --json", hint="follow one run with `dipeo watch ID`")
    while True:
        with stack.connect(config) as gateway:
            found = gateway.list_executions(limit=asked.limit, filter=asked.filter(), summaries=True)
        picture = table(found, datetime.now(UTC)) if found else "no runs yet"
        output.answer(f"\x1b[H\x1b[J{picture}")
        time.sleep(REFRESH_S)


def table(executions: list[Json], now: datetime) -> str:
    """Running first, then newest first."""
    rows = [("ID", "STATUS", "DIAGRAM", "AGE", "TIME", "NODES", "TOKENS", "")]
    for execution in sorted(executions, key=lambda each: shapes.status_of(each) in shapes.TERMINAL):
        usage = execution.get("llm_usage") or {}
        begun = execution.get("created_at") or execution.get("started_at")
        rows.append(
            (
                refs.short(execution["id"]),
                shapes.status_of(execution),
                str(execution.get("diagram_id") or execution.get("diagram_name") or "-"),
                span((now - datetime.fromisoformat(begun)).total_seconds()) if begun else "-",
                _time(execution, now),
                str(len(execution.get("executed_nodes") or ())),
                str(int(usage.get("total") or 0)),
                _remarks(execution),
            )
        )
    return columns(rows)


def _time(execution: Json, now: datetime) -> str:
    """How long it took, or has taken so far."""
    if execution.get("duration_ms") is not None:
        return span(execution["duration_ms"] / 1000)
    started = execution.get("started_at")
    return span((now - datetime.fromisoformat(started)).total_seconds()) if started else "-"


def _remarks(execution: Json) -> str:
    labels = [f"{key}={value}" for key, value in (execution.get("labels") or {}).items()]
    waiting = ["waiting for an answer"] if execution.get("waiting") else []
    return ", ".join([*waiting, *filter(None, [execution.get("name")]), *labels])

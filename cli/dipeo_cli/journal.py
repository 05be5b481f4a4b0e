"""`dipeo logs`: what happened in a run, from its journal (spec/cli.md §14.1)."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dipeo_cli import output, progress, refs, stack
from dipeo_cli.client import Gateway
from dipeo_cli.config import Config
from dipeo_cli.errors import Usage
from dipeo_cli.follow import events

Json = dict[str, Any]
PAGE = 1000
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Asked:
    """What `dipeo logs` was asked for. Filters hold for every output; `level` "" is info in text, else everything."""

    follow: bool = False
    node: str = ""  # label or id
    tail: int | None = None
    since: datetime | None = None
    level: str = ""
    everything: bool = False  # also events that say nothing to people
    timestamps: bool = False
    format: str = "text"  # text, ndjson, json

    def wants(self, event: Json) -> bool:
        if self.node and self.node not in (event.get("node_id"), event.get("node_name")):
            return False
        if self.since and event.get("timestamp") and datetime.fromisoformat(event["timestamp"]) < self.since:
            return False
        least = self.level or ("info" if self.format == "text" and not self.everything else "debug")
        return LEVELS.index(level_of(event)) >= LEVELS.index(least)


def logs(config: Config, reference: str, asked: Asked) -> int:
    """Ctrl-C only detaches."""
    if asked.level and asked.level not in LEVELS:
        raise Usage(f"--level {asked.level}: {', '.join(LEVELS)}")
    with stack.connect(config) as gateway:
        execution_id = refs.resolve(reference, gateway)
        found = _journal(config, gateway, execution_id, asked)
        if asked.format == "json":
            output.document(list(found))
            return 0
        for event in found:
            if text := _text(event, asked):
                output.answer(text)
    return 0


def level_of(event: Json) -> str:
    """How bad an event is: an execution.log says it itself."""
    data = event.get("data") or {}
    match event["type"]:
        case "NODE_ERROR" | "EXECUTION_ERROR":
            return "error"
        case "EXECUTION_LOG" if data.get("event") == "execution.log":
            return str(data.get("level")) if data.get("level") in LEVELS else "info"
        case "EXECUTION_LOG" if data.get("event") in ("node.retrying", "execution.recovered"):
            return "warning"
    return "info"


def _text(event: Json, asked: Asked) -> str:
    if asked.format == "ndjson":
        return json.dumps(event, ensure_ascii=False)
    words = progress.words(event)
    if not words and asked.everything:
        kind = (event.get("data") or {}).get("event") or str(event["type"]).lower().replace("_", ".", 1)
        words = f"{kind} {event.get('node_name') or ''}".rstrip()
    at = str(event.get("timestamp")) if asked.timestamps else f"{progress.at(event):%H:%M:%S}"
    return f"{at} {words}" if words else ""


def _journal(config: Config, gateway: Gateway, execution_id: str, asked: Asked) -> Iterator[Json]:
    if not asked.follow:
        yield from _last(filter(asked.wants, pages(gateway, execution_id)), asked.tail)
        return
    gateway.get_execution(execution_id)  # an unknown id is an error now, not a stream that never begins
    seq = 0
    if asked.tail is not None:
        history = list(pages(gateway, execution_id))
        seq = history[-1]["seq"] if history else 0
        yield from _last(filter(asked.wants, history), asked.tail)
        if history and (history[-1].get("data") or {}).get("is_final"):
            return
    for _, event in events(lambda: stack.connect(config), execution_id, seq):
        if event is not None and asked.wants(event):
            yield event


def _last(found: Iterable[Json], tail: int | None) -> Iterable[Json]:
    return found if tail is None else deque(found, maxlen=tail)


def pages(gateway: Gateway, execution_id: str) -> Iterator[Json]:
    """The whole journal so far."""
    seq = 0
    while True:
        page = gateway.events(execution_id, seq, PAGE)
        yield from page["events"]
        if not page["events"] or page["events"][-1]["seq"] >= page["head_seq"]:
            return
        seq = page["events"][-1]["seq"]

"""How a run looks while it runs, on stderr (spec/cli.md §14.3). rich is imported by the live view only."""

import json
import os
import sys
import time
from datetime import datetime
from typing import Any, Protocol

from dipeo_cli import cells, live, output

Event = dict[str, Any]


class View(Protocol):
    """Shows the events of one run."""

    def show(self, event: Event) -> None: ...

    def tick(self) -> None:
        """Called about ten times a second by views that want it (`is_live`)."""

    def pause(self) -> None:
        """Leave the screen to a question; the next `show` or `tick` draws again."""

    def close(self) -> None: ...

    @property
    def is_live(self) -> bool: ...


class Silent:
    is_live = False

    def show(self, event: Event) -> None: ...
    def tick(self) -> None: ...
    def pause(self) -> None: ...
    def close(self) -> None: ...


class JsonLines(Silent):
    """One event object per line."""

    def show(self, event: Event) -> None:
        output.say(json.dumps(event, ensure_ascii=False))


class Plain(Silent):
    """One line per thing that happens."""

    def show(self, event: Event) -> None:
        if text := describe(event):
            output.say(text)


def choose(kind: str, title: str) -> View:
    """`kind`: auto, tty, plain, json, none."""
    if kind == "auto":
        kind = "tty" if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else "plain"
    match kind:
        case "tty":
            return live.Live(title)
        case "plain":
            return Plain()
        case "json":
            return JsonLines()
    return Silent()


def describe(event: Event) -> str:
    """One event as a line with its time, "" when it says nothing to people, or only to those who debug."""
    text = "" if (event.get("data") or {}).get("level") == "debug" else words(event)
    return f"{at(event):%H:%M:%S} {cells.one_line(text)}" if text else ""


def words(event: Event) -> str:
    """One event in words, "" when it says nothing to people."""
    data = event.get("data") or {}
    name = event.get("node_name") or event.get("node_id") or ""
    match event["type"]:
        case "NODE_STARTED":
            text = f'node "{name}" started'
        case "NODE_COMPLETED":
            text = _ended(name, str(event.get("status") or "completed"), data)
        case "NODE_ERROR" if event.get("status") == "ABORTED":
            text = _ended(name, "aborted", data)
        case "NODE_ERROR":
            text = f'node "{name}" failed: {event.get("error") or data.get("error")}'
        case "INTERACTIVE_PROMPT":
            text = f'node "{name}" waits for an answer: {data.get("prompt", "")}'
        case "INTERACTIVE_RESPONSE":
            text = f'node "{name}": the question is closed ({data.get("outcome", "answered")})'
        case "EXECUTION_STARTED":
            text = f"{event['execution_id']} running"
        case "EXECUTION_LOG":
            text = _log(name, data)
        case "EXECUTION_COMPLETED" | "EXECUTION_ERROR":
            text = f"run {str(data.get('status') or event.get('status') or 'ended').lower()}"
        case _:
            text = ""
    return text


def _ended(name: str, status: str, data: Event) -> str:
    took = f" in {data['duration_ms'] / 1000:.1f}s" if data.get("duration_ms") is not None else ""
    return f'node "{name}" {status.lower()}{took}'


def _log(name: str, data: Event) -> str:
    match data.get("event"):
        case "execution.log":
            return f"{data.get('level')}: {data.get('message')}"
        case "node.retrying":
            return f'node "{name}" starts again (attempt {data.get("attempt")}): {data.get("reason")}'
        case "execution.paused":
            return "run paused" + (f": {data['reason']}" if data.get("reason") else "")
        case "execution.resumed":
            return "run resumed"
        case "execution.recovered":
            return "run taken over by another executor; finished nodes are not run again"
    return ""


def at(event: Event) -> datetime:
    """In local time, for people."""
    text = event.get("timestamp")
    return (datetime.fromisoformat(text) if text else datetime.fromtimestamp(time.time())).astimezone()

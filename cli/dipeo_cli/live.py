"""The live block on a terminal: one line per node, redrawn at most ten times a second."""

import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dipeo_cli import cells, output

if TYPE_CHECKING:
    import rich.live
    from rich.console import Console
    from rich.text import Text

Event = dict[str, Any]
FRAME_S = 0.1
_MARKS = {"completed": ("✔", "green"), "failed": ("✘", "red"), "waiting": ("?", "yellow"), "aborted": ("■", "red")}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


@dataclass(slots=True)
class Row:
    """One node; its iterations fold into one line."""

    name: str
    status: str = "running"
    runs: int = 1
    started: float = 0.0
    spent_s: float = 0.0
    note: str = ""

    def seconds(self, now: float) -> float:
        return self.spent_s + (now - self.started if self.status in ("running", "waiting") else 0.0)


class Live:
    is_live = True

    def __init__(self, title: str) -> None:
        self._title, self._execution_id, self._status = cells.one_line(title), "", "pending"
        self._rows: dict[str, Row] = {}
        self._begun = time.monotonic()
        self._drawn = 0.0
        self._shown: tuple[int, list[int]] = (0, [])  # columns of the terminal, and of each line in the last frame
        self._paused = False
        self._console: Console | None = None
        self._block: rich.live.Live | None = None

    def show(self, event: Event) -> None:
        self._execution_id = event.get("execution_id") or self._execution_id
        update(self._rows, event, time.monotonic())
        if event["type"] == "EXECUTION_STARTED":
            self._status = "running"
        data = event.get("data") or {}
        if data.get("event") in ("execution.paused", "execution.resumed"):
            self._status = str(event.get("status")).lower()
        if data.get("is_final"):
            self._status = str(data.get("status") or "ended").lower()
        if not self._paused:
            self.tick()

    def tick(self) -> None:
        self._paused = False
        now = time.monotonic()
        if now - self._drawn >= FRAME_S:
            self._drawn = now
            self._draw(now)

    def pause(self) -> None:
        """Leave a still copy where the block stood, and draw no more before the next tick: somebody may be typing."""
        self._still()
        self._paused = True

    def close(self) -> None:
        if self._block or not self._paused:
            self._still()

    def _still(self) -> None:
        """The block as it is now, whole, as ordinary lines that stay in the scroll-back."""
        now = time.monotonic()
        if self._block is None:
            self._draw(now)
        assert self._block is not None and self._console is not None
        self._follow_width(self._console)
        self._block.transient = True
        self._block.stop()
        self._block, self._shown = None, (0, [])
        self._console.print(self._picture(now, room=len(self._rows)))

    def _draw(self, now: float) -> None:
        if self._block is None:
            import rich.live
            from rich.console import Console

            colored = output.colored(sys.stderr)
            self._console = self._console or Console(stderr=True, highlight=False, no_color=not colored)
            self._block = rich.live.Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
            self._block.start()
        assert self._console is not None
        self._follow_width(self._console)
        picture = self._picture(now, room=max(self._console.height - 4, 2))
        self._shown = self._console.width, [cells.width(line) for line in picture.plain.splitlines()]
        self._block.update(picture, refresh=True)

    def _follow_width(self, console: "Console") -> None:
        """Lines of the last frame that a narrower terminal has wrapped are taken away: rich counts each as one."""
        before, widths = self._shown
        if console.width < before:
            wrapped = sum((width - 1) // console.width for width in widths if width)
            if wrapped:
                console.file.write(f"\r\x1b[{wrapped}A\x1b[J")

    def _picture(self, now: float, *, room: int) -> "Text":
        """A line for the run and one per node, the oldest beyond `room` folded; none is wider than the terminal."""
        from rich.text import Text

        assert self._console is not None
        width = self._console.width
        rows = list(self._rows.values())
        folded = max(len(rows) - room, 0)
        names = name_width((row.name for row in rows), width)
        picture = Text(self._headline(now, width), no_wrap=True, overflow="ellipsis")
        if folded:
            picture.append(f"\n … {folded} more", style="dim")
        for row in rows[folded:]:
            mark, style = _MARKS.get(row.status, (_SPINNER[int(now * 10) % len(_SPINNER)], "cyan"))
            picture.append(f"\n {mark} ", style=style)
            times = f"×{row.runs}" if row.runs > 1 else ""
            name = cells.left(cells.cut(row.name, names), names)
            line = f"{name} {times:<4}{row.seconds(now):6.1f}s  {row.note}"
            picture.append(cells.cut(line.rstrip(), width - 4))
        return picture

    def _headline(self, now: float, width: int) -> str:
        clock = time.strftime("%M:%S", time.gmtime(now - self._begun))
        parts = [self._title, self._execution_id[:21], self._status, clock]
        lines = ("  ".join(parts), "  ".join([self._title, self._status, clock]), f"{self._status}  {clock}")
        return next((line for line in lines if cells.width(line) < width), lines[-1][: width - 1])


def name_width(names: Iterable[str], width: int) -> int:
    """Columns for the names of nodes, so that their times fit beside them."""
    longest = max((cells.width(name) for name in names), default=0)
    return max(min(max(longest, 12), 40, width - 18), 4)


def update(rows: dict[str, Row], event: Event, now: float) -> None:
    """Fold one event into the rows, in order of first start."""
    node_id = event.get("node_id")
    if not node_id:
        return
    row = rows.get(node_id)
    match event["type"]:
        case "NODE_STARTED" if row is None:
            rows[node_id] = Row(cells.one_line(event.get("node_name") or node_id), started=now)
        case "NODE_STARTED" if row is not None:
            row.status, row.started, row.runs, row.note = "running", now, row.runs + 1, ""
        case "NODE_COMPLETED" | "NODE_ERROR" if row is not None:
            row.spent_s = row.seconds(now)
            failed = event["type"] == "NODE_ERROR"
            row.status = str(event.get("status") or ("failed" if failed else "completed")).lower()
            row.note = cells.one_line(str(event.get("error") or "").partition("\n")[0]) if failed else ""
        case "NODE_OUTPUT" if row is not None:
            row.note = last_words(str((event.get("data") or {}).get("output") or ""))
        case "INTERACTIVE_PROMPT" if row is not None:
            row.status, row.note = "waiting", "waiting for your answer"
        case "INTERACTIVE_RESPONSE" if row is not None:
            row.status, row.note = "running", ""


def last_words(text: str, room: int = 40) -> str:
    """What a model has just said, in quotes: whole words from the end, on one line."""
    flat = " ".join(cells.one_line(text).split())
    tail = flat[-room:]
    shown = flat if len(flat) <= room else "…" + (tail.partition(" ")[2] or tail)
    return f'"{shown}"' if shown else ""

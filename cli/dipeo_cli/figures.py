"""The text views of `dipeo metrics` (spec/cli.md §5.3). Pure: the gateway's document in, text out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dipeo_cli import cells, output
from dipeo_cli.tables import columns

Json = dict[str, Any]
LABEL_WIDTH = 28  # beside a bar
NAME_WIDTH = 40  # in a table
MIN_BAR = 10
WAITS = {
    "waiting_ms": "for answers",
    "paused_ms": "paused",
    "backoff_ms": "before another attempt",
    "lost_ms": "for another executor",
    "queued_ms": "in the queue before",
}


@dataclass(frozen=True, slots=True)
class Views:
    """Which sections; none = the summary."""

    breakdown: bool = False
    bottlenecks: bool = False
    critical_path: bool = False
    optimizations: bool = False


def text(found: Json, views: Views, width: int) -> str:
    sections = [_summary(found)]
    if not views.bottlenecks:
        sections.append(_tokens(found))
    if not (views.optimizations or views.critical_path) or views.bottlenecks:
        sections.append(_bottlenecks(found))
    if views.breakdown:
        sections += [_system(found), _nodes(found)]
    if views.critical_path:
        sections.append(gantt(found, width))
    if views.optimizations:
        sections.append(_optimizations(found))
    return "\n\n".join(section for section in sections if section)


def _title(emoji: str, words: str) -> str:
    return f"{output.symbol(emoji + ' ', '')}{words}"


def _summary(found: Json) -> str:
    total = found["total_duration_ms"]
    durations = [run["duration_ms"] for run in found["node_breakdown"] if run["duration_ms"] is not None]
    mean = sum(durations) / len(durations) if durations else 0
    facts = [
        f"  Execution: {found['execution_id']}" + (" (running)" if found.get("running") else ""),
        f"  Total:     {total:.0f}ms ({total / 1000:.2f}s)",
        f"  Nodes:     {found['node_count']}",
        f"  Average:   {mean:.0f}ms per node run",
    ]
    for key, words in WAITS.items():
        if found.get(key, 0) >= 1:
            facts.append(f"  Waited:    {found[key]:.0f}ms {words}")
    return "\n".join([_title("📊", "Execution Metrics"), *facts])


def _tokens(found: Json) -> str:
    usage = found["total_token_usage"]
    if not usage["total"]:
        return ""
    lines = [
        f"  {name.capitalize() + ':':<8} {usage[name]:,}"
        for name in ("input", "output", "cached", "total")
        if name in usage
    ]
    cost = f"  Cost:    ${usage['cost_usd']:.4f}" if "cost_usd" in usage else "  Cost:    not known"
    return "\n".join([_title("🪙", "Token Usage:"), *lines, cost])


def _bottlenecks(found: Json) -> str:
    if not found["bottlenecks"]:
        return ""
    lines = [
        f"  {place}. {_name(slow)} ({slow['node_type']}): {slow['duration_ms']:.0f}ms ({slow['percentage']}% of total)"
        for place, slow in enumerate(found["bottlenecks"], start=1)
    ]
    return "\n".join([_title("⚠️ ", "Top Bottlenecks:"), *lines])


def _system(found: Json) -> str:
    rows = [
        ("in the queue before the start", "queued_ms"),  # no part of the total
        ("no node running", "idle_ms"),
        ("paused", "paused_ms"),
        ("waiting for answers", "waiting_ms"),
        ("waiting before another attempt", "backoff_ms"),
        ("without an executor", "lost_ms"),
    ]
    total = found["total_duration_ms"] or 1
    lines = [
        f"  {words:<30} {found[key]:>9.0f}ms" + (f"  {100 * found[key] / total:5.1f}%" if key != "queued_ms" else "")
        for words, key in rows
        if found.get(key, 0) >= 0.5
    ]
    return "\n".join([_title("🔧", "System Operations Timing:"), *lines]) if lines else ""


def _nodes(found: Json) -> str:
    """Per node its runs, then each of them when there are several."""
    total = found["total_duration_ms"] or 1
    by_node: dict[str, list[Json]] = {}
    for run in found["node_breakdown"]:
        by_node.setdefault(run["node_id"].rpartition("_iter_")[0], []).append(run)
    shares = 0.0
    lines = []
    for runs in by_node.values():
        spent = sum(run["duration_ms"] or 0 for run in runs)
        shares += spent / total
        tokens = _count(sum(run["token_usage"]["total"] for run in runs))
        name, kind = cells.cut(cells.one_line(runs[0]["label"]), NAME_WIDTH), runs[0]["node_type"]
        lines.append((name, kind, f"{len(runs)}×", f"{spent:.0f}ms", f"{100 * spent / total:.1f}%", tokens))
        if len(runs) > 1:
            lines += [_one(run) for run in runs]
    table = columns([("NODE", "TYPE", "RUNS", "TIME", "SHARE", "TOKENS"), *lines], right=(2, 3, 4, 5))
    note = "\n  (over 100% in sum: nodes ran at the same time)" if shares > 1.005 else ""
    return f"{_title('⏱️ ', 'Per-Node Timing Breakdown:')}\n{_indented(table)}{note}"


def _one(run: Json) -> tuple[str, str, str, str, str, str]:
    took = "running" if run["duration_ms"] is None else f"{run['duration_ms']:.0f}ms"
    attempt = f" attempt {run['attempt']}" if run["attempt"] > 1 else ""
    failed = f" failed: {str(run['error']).splitlines()[0][:40]}" if run["error"] else ""
    return f"  #{run['iteration']}{attempt}{failed}", "", "", took, "", _count(run["token_usage"]["total"])


def gantt(found: Json, width: int) -> str:
    """The critical path, one bar per run, from the start of the execution to its end."""
    path = found["critical_path"]
    total = found["total_duration_ms"]
    title = f"{_title('🧭', 'Critical Path')} ({found['critical_path_ms']:.0f}ms in {len(path)} node runs)"
    if not path or not total:
        return f"{title}\n  nothing has ended yet"
    names = min(max(cells.width(run["label"]) for run in path), LABEL_WIDTH)
    room = max(width - names - 16, MIN_BAR)
    block = output.symbol("█", "#")
    lines = []
    for run in path:
        left = min(round(room * run["start_offset_ms"] / total), room - 1)
        size = min(max(round(room * run["duration_ms"] / total), 1), room - left)
        bar = (" " * left + block * size).ljust(room)
        label = cells.left(cells.cut(cells.one_line(run["label"]), names), names)
        lines.append(f"  {label} {bar} {run['duration_ms']:>8.0f}ms")
    return "\n".join([title, *lines])


def _optimizations(found: Json) -> str:
    return "\n".join([_title("💡", "Optimization Suggestions:"), *_bullets(found["optimizations"])])


def _bullets(suggestions: list[Json]) -> Iterator[str]:
    if not suggestions:
        yield "  No optimization suggestions available"
    for each in suggestions:
        saving = f" (saves {each['saving_ms']:.0f}ms)" if each["saving_ms"] is not None else ""
        yield f"  {output.symbol('•', '-')} {each['title']}{saving}"
        yield f"    {each['evidence']}"


def _name(run: Json) -> str:
    """As the original named it, and as people do."""
    return f"{run['node_id']} {run['label']}"


def _count(tokens: int) -> str:
    return f"{tokens:,}" if tokens else ""


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())

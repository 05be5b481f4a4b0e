"""Two runs side by side, and the runs of a diagram over time (spec/cli.md §5.3). Pure."""

from datetime import datetime
from typing import Any

from dipeo_cli import cells, refs
from dipeo_cli.figures import NAME_WIDTH
from dipeo_cli.tables import columns, span

Json = dict[str, Any]


def document(before: Json, after: Json) -> Json:
    """Per label: times and runs of both, and the difference in milliseconds."""
    return {
        "execution_ids": [before["execution_id"], after["execution_id"]],
        "total_duration_ms": _pair(before["total_duration_ms"], after["total_duration_ms"]),
        "total_tokens": _pair(before["total_token_usage"]["total"], after["total_token_usage"]["total"]),
        "critical_path_ms": _pair(before["critical_path_ms"], after["critical_path_ms"]),
        "nodes": [
            {"label": label, "runs": [runs[0], runs[1]], "duration_ms": _pair(*spent)}
            for label, (spent, runs) in _by_label(before, after).items()
        ],
    }


def text(before: Json, after: Json) -> str:
    found = document(before, after)
    first, second = (refs.short(execution_id) for execution_id in found["execution_ids"])
    rows = [("", first, second, "CHANGE", "")]
    rows.append(_row("total", found["total_duration_ms"]))
    rows.append(_row("critical path", found["critical_path_ms"]))
    if any(found["total_tokens"][:2]):
        one, other, change = found["total_tokens"]
        rows.append(("tokens", f"{one:,}", f"{other:,}", f"{change:+,}", ""))
    for node in found["nodes"]:
        runs = "" if node["runs"][0] == node["runs"][1] else f"{node['runs'][0]} → {node['runs'][1]} runs"
        label = cells.cut(cells.one_line(node["label"]), NAME_WIDTH)
        rows.append(_row(f"  {label}", node["duration_ms"], runs))
    return columns(rows, right=(1, 2, 3))


def history(found: list[Json], now: datetime) -> str:
    rows = [("ID", "STATUS", "AGE", "TIME", "TOKENS", "ERROR")]
    for run in found:
        begun, took = run.get("created_at"), run.get("duration_ms")
        rows.append(
            (
                refs.short(run["id"]),
                str(run["status"]).lower(),
                span((now - datetime.fromisoformat(begun)).total_seconds()) if begun else "-",
                span(took / 1000) if took is not None else "-",
                str(int((run.get("llm_usage") or {}).get("total") or 0)),
                str(run.get("error") or "").partition("\n")[0][:60],
            )
        )
    took = sorted(run["duration_ms"] for run in found if run.get("duration_ms") is not None)
    middle = f"\nmedian {span(took[len(took) // 2] / 1000)} of {len(took)} runs" if took else ""
    return columns(rows, right=(2, 3, 4)) + middle


def _by_label(before: Json, after: Json) -> dict[str, tuple[list[float], list[int]]]:
    """label -> ([ms before, ms after], [runs before, runs after]), the largest change first."""
    found: dict[str, tuple[list[float], list[int]]] = {}
    for side, metrics in enumerate((before, after)):
        for run in metrics["node_breakdown"]:
            spent, runs = found.setdefault(run["label"], ([0.0, 0.0], [0, 0]))
            spent[side] += run["duration_ms"] or 0
            runs[side] += 1
    return dict(sorted(found.items(), key=lambda item: -abs(item[1][0][1] - item[1][0][0])))


def _pair(before: float, after: float) -> list[float]:
    """[before, after, change]"""
    return [round(before, 1), round(after, 1), round(after - before, 1)]


def _row(name: str, pair: list[float], more: str = "") -> tuple[str, str, str, str, str]:
    before, after, change = pair
    percent = f" ({100 * change / before:+.0f}%)" if before else ""
    return name, f"{before:.0f}ms", f"{after:.0f}ms", f"{change:+.0f}ms{percent}", more

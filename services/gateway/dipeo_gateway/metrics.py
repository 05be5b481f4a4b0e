"""What a run spent, where, and on what its end waited (spec/cli.md §5.1, §5.2, column T). Pure.

The keys of the original stand as they were; ours follow them.
"""

from collections.abc import Iterable
from typing import Any

from dipeo_gateway import advice
from dipeo_gateway.timeline import Run, Timeline, fold
from dipeo_protos.store.v1 import events_pb2 as ev

Json = dict[str, Any]
BOTTLENECK_MS = 1000.0
MAX_BOTTLENECKS = 5


def of(execution_id: str, events: Iterable[ev.Event], *, threshold_ms: float = BOTTLENECK_MS) -> Json:
    timeline = fold(events)
    leaves = timeline.leaves
    path = critical_path(timeline)
    groups = parallel_groups(timeline)
    timed = [run for run in leaves if (run.duration_ms or 0) > threshold_ms]
    slow = sorted(timed, key=lambda run: -(run.duration_ms or 0))[:MAX_BOTTLENECKS]
    return {
        "execution_id": execution_id,
        "total_duration_ms": rounded(timeline.total_ms),
        "node_count": len(timeline.runs),
        "total_token_usage": total_usage(leaves),
        "bottlenecks": [_named(run) | _share(run, timeline.total_ms) for run in slow],
        "critical_path_length": len(path),
        "parallelizable_groups": len(groups),
        "node_breakdown": [_breakdown(run, execution_id, timeline) for run in timeline.runs],
        "critical_path": [_on_path(run) for run in path],
        "critical_path_ms": rounded(sum(run.duration_ms or 0 for run in path)),
        "parallel_groups": [_group(group) for group in groups],
        "queued_ms": rounded(timeline.queued_ms),
        "waiting_ms": rounded(sum(run.waiting_ms for run in leaves)),
        "paused_ms": rounded(timeline.paused_ms),
        "backoff_ms": rounded(sum(run.backoff_ms for run in leaves)),
        "lost_ms": rounded(timeline.lost_ms),
        "idle_ms": rounded(advice.idle_ms(timeline)),
        "running": not timeline.ended,
        "optimizations": advice.optimizations(timeline, path, groups),
    }


def critical_path(timeline: Timeline) -> list[Run]:
    """From the run that ended last back over the predecessor that ended last, in start order.

    An item of a batch waits for a place as well: where that came later, for the run whose end made room.
    """
    ended = [run for run in timeline.leaves if run.end_ms is not None]
    if not ended:
        return []
    path = [max(ended, key=lambda run: (run.end_ms or 0.0, run.start_seq))]
    while before := [*timeline.predecessors[path[-1].start_seq], *timeline.made_room(path[-1])]:
        path.append(max(before, key=lambda run: (run.end_ms or 0.0, run.start_seq)))
    return path[::-1]


def parallel_groups(timeline: Timeline) -> list[list[Run]]:
    """Runs that could have run at once and did not: no path between them, no overlap, each ready before another ended.

    The last condition is ours: without it a chain beside a shorter one would count, although nothing could be saved.
    """
    runs = [run for run in timeline.leaves if (run.duration_ms or 0) >= advice.WORTH_MS][: advice.MAX_COMPARED]
    ancestors = _ancestors(timeline)
    groups: list[list[Run]] = []
    for run in runs:
        fitting = (group for group in groups if all(_serial(one, run, ancestors, timeline) for one in group))
        group = next(fitting, None)
        groups.append([run]) if group is None else group.append(run)
    return [group for group in groups if len(group) > 1]


def _serial(first: Run, second: Run, ancestors: dict[int, int], timeline: Timeline) -> bool:
    """`second` started later, although it did not need `first`."""
    if first.end_ms is None or second.start_ms < first.end_ms:
        return False
    related = ancestors[second.start_seq] >> first.start_seq & 1
    return not related and timeline.ready_ms(second) + second.backoff_ms < first.end_ms - 1


def _ancestors(timeline: Timeline) -> dict[int, int]:
    """start_seq of a leaf -> bit set of the start_seqs it depends on."""
    found: dict[int, int] = {}
    for run in timeline.leaves:  # in start order, so predecessors come first
        bits = 0
        for before in timeline.predecessors[run.start_seq]:
            bits |= found.get(before.start_seq, 0) | 1 << before.start_seq
        found[run.start_seq] = bits
    return found


# --- shapes ----------------------------------------------------------------------------------------------------------


def usage(tokens: ev.TokenUsage | None) -> Json:
    """{input, output, total}, cached when there is any, and cost_usd unless a price is not known."""
    if tokens is None:
        return {"input": 0, "output": 0, "total": 0}
    shown: Json = {"input": tokens.input, "output": tokens.output, "total": tokens.input + tokens.output}
    if tokens.cached:
        shown["cached"] = tokens.cached
    if not tokens.unpriced and tokens.cost_usd:
        shown["cost_usd"] = tokens.cost_usd
    return shown


def total_usage(runs: Iterable[Run]) -> Json:
    """Of all attempts."""
    total = ev.TokenUsage()
    for run in runs:
        if run.usage is not None:
            total.input += run.usage.input
            total.output += run.usage.output
            total.cached += run.usage.cached
            total.cost_usd += run.usage.cost_usd
            total.unpriced += run.usage.unpriced
    return usage(total)


def rounded(milliseconds: float) -> float:
    return round(milliseconds, 1)


def _named(run: Run) -> Json:
    duration = None if run.duration_ms is None else rounded(run.duration_ms)
    return {"node_id": run.key, "node_type": run.type, "duration_ms": duration, "label": run.label}


def _share(run: Run, total_ms: float) -> Json:
    return {"percentage": round(100 * (run.duration_ms or 0) / total_ms, 1) if total_ms else 0.0}


def _breakdown(run: Run, execution_id: str, timeline: Timeline) -> Json:
    timings = {"waiting_for_answer": rounded(run.waiting_ms)} if run.waiting_ms else {}
    if run.start_seq in timeline.predecessors:
        late = run.start_ms - timeline.ready_ms(run)
        timings |= {"waiting_for_start": rounded(late)} if late >= 1 else {}
    return {
        "node_id": run.key,
        "node_type": run.type,
        "duration_ms": None if run.duration_ms is None else rounded(run.duration_ms),
        "token_usage": usage(run.usage),
        "error": run.error,
        "module_timings": timings,
        "label": run.label,
        "iteration": run.iteration,
        "attempt": run.attempt,
        "execution_id": execution_id,
        "start_offset_ms": rounded(run.start_ms),
    }


def _on_path(run: Run) -> Json:
    return {
        "node_id": run.key,
        "label": run.label,
        "start_offset_ms": rounded(run.start_ms),
        "duration_ms": rounded(run.duration_ms or 0),
    }


def _group(runs: list[Run]) -> Json:
    durations = [run.duration_ms or 0 for run in runs]
    return {
        "node_ids": [run.key for run in runs],
        "labels": [run.label for run in runs],
        "saving_ms": rounded(sum(durations) - max(durations)),
    }

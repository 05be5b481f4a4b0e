"""Figures of real runs: loops, branches, retries, failures, batches and sub-diagrams add up. (spec/cli.md §5.2)"""

import asyncio
from itertools import pairwise
from typing import Any

from exported_diagrams import MANY
from house import House
from lightly import light

from dipeo_gateway import metrics

SLACK_MS = 1.0  # figures are rounded to a tenth
FAILING = light(
    """
    - {label: Start, type: start}
    - {label: Boom, type: code_job, code: "raise ValueError('no')", retry: {attempts: 2, delay_s: 0.2}}
    - {label: Beside, type: code_job, language: bash, code: sleep 0.3}
    - {label: Done, type: endpoint}
    """,
    """
    - {from: Start, to: Boom}
    - {from: Start, to: Beside}
    - {from: Boom, to: Done, label: a}
    - {from: Beside, to: Done, label: b}
    """,
)


async def test_figures_of_real_runs_add_up(home: House) -> None:
    runs = await asyncio.gather(*(home.run(text, non_interactive=True) for text in [*MANY.values(), FAILING]))
    for name, run in zip([*MANY, "failing"], runs, strict=True):
        found = metrics.of(run.execution_id, run.events)
        assert not found["running"] and found["node_count"] == len(found["node_breakdown"]), name
        check_times(found, name)
        check_path(found, name)
        check_sums(found, name)
    assert [run.status for run in runs] == ["completed"] * len(MANY) + ["failed"]


async def test_a_failed_run_shows_its_attempts_and_the_time_between(home: House) -> None:
    run = await home.run(FAILING)
    found = metrics.of(run.execution_id, run.events)
    boom = [it for it in found["node_breakdown"] if it["label"] == "Boom"]
    assert [(it["attempt"], it["error"]) for it in boom] == [(1, "ValueError: no"), (2, "no")]
    assert found["backoff_ms"] == 200
    assert boom[0]["start_offset_ms"] + boom[0]["duration_ms"] + 200 <= boom[1]["start_offset_ms"] + SLACK_MS
    assert all(it["duration_ms"] < 200 for it in boom)


def end_of(run: dict[str, Any]) -> float:
    return float(run["start_offset_ms"] + run["duration_ms"])


def check_times(found: dict[str, Any], name: str) -> None:
    for run in found["node_breakdown"]:
        assert run["duration_ms"] is not None and run["duration_ms"] >= 0, (name, run)
        assert run["start_offset_ms"] >= 0 and end_of(run) <= found["total_duration_ms"] + SLACK_MS, (name, run)
    for slow in found["bottlenecks"]:
        assert slow["percentage"] <= 100, (name, slow)


def check_path(found: dict[str, Any], name: str) -> None:
    path = found["critical_path"]
    assert len(path) == found["critical_path_length"], name
    for before, after in pairwise(path):
        assert end_of(before) <= after["start_offset_ms"] + SLACK_MS, (name, before, after)
    assert abs(found["critical_path_ms"] - sum(run["duration_ms"] for run in path)) <= SLACK_MS, name
    assert found["critical_path_ms"] <= found["total_duration_ms"] + SLACK_MS, name
    assert abs(end_of(path[-1]) - found["total_duration_ms"]) <= 50, "the end waited for the last of the path"


def check_sums(found: dict[str, Any], name: str) -> None:
    """Time in which nodes ran, in which none did, and pauses make up the whole; tokens of runs those of the run."""
    node_of = {run["node_id"]: run["node_id"].rpartition("_iter_")[0] for run in found["node_breakdown"]}
    containers = {node.rpartition("/")[0] for node in node_of.values()}
    leaves = [run for run in found["node_breakdown"] if node_of[run["node_id"]] not in containers]
    covered = until = 0.0
    for run in sorted(leaves, key=lambda it: it["start_offset_ms"]):
        covered += max(end_of(run) - max(run["start_offset_ms"], until), 0)
        until = max(until, end_of(run))
    apart = found["idle_ms"] + found["paused_ms"]
    assert covered + apart <= found["total_duration_ms"] + SLACK_MS, name
    assert covered + apart + found["backoff_ms"] >= found["total_duration_ms"] - SLACK_MS - 0.1 * len(leaves), name
    total = found["total_token_usage"]
    for kind in ("input", "output", "total"):
        assert sum(run["token_usage"][kind] for run in leaves) == total[kind], (name, kind)
    for each in found["optimizations"]:
        saving = each["saving_ms"]
        assert saving is None or 0 < saving <= found["total_duration_ms"] + SLACK_MS, (name, each)
    for group in found["parallel_groups"]:
        spent = [run["duration_ms"] for run in found["node_breakdown"] if run["node_id"] in group["node_ids"]]
        if len(spent) == len(group["node_ids"]):  # a key stands for all attempts
            assert abs(group["saving_ms"] - (sum(spent) - max(spent))) <= SLACK_MS, (name, group)

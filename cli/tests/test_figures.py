"""Text views of metrics keep to the columns of a terminal, whatever nodes are called."""

from typing import Any

import pytest

from dipeo_cli import cells, compare, figures

LABELS = (
    "A label that goes on and on and on, past every column that a terminal may have",
    "取得第一个来源" * 5,
    "a\nb",
)


def run(number: int, label: str) -> dict[str, Any]:
    return {
        "node_id": f"node_{number}_iter_0", "node_type": "code_job", "label": label, "iteration": 0, "attempt": 1,
        "duration_ms": 100.0, "start_offset_ms": 100.0 * number, "error": None, "token_usage": {"total": 0},
    }  # fmt: skip


FOUND: dict[str, Any] = {
    "execution_id": "exec_" + "0" * 32,
    "total_duration_ms": 300.0,
    "critical_path_ms": 300.0,
    "node_count": len(LABELS),
    "total_token_usage": {"total": 0},
    "bottlenecks": [],
    "optimizations": [],
    "node_breakdown": [run(number, label) for number, label in enumerate(LABELS)],
    "critical_path": [run(number, label) for number, label in enumerate(LABELS)],
}


@pytest.mark.parametrize("width", [60, 100])
def test_bars_of_the_critical_path_stand_below_each_other(width: int) -> None:
    lines = figures.gantt(FOUND, width).splitlines()[1:]
    assert len(lines) == len(LABELS)
    assert {cells.width(line) for line in lines} == {width - 2}


def test_long_labels_do_not_widen_a_table() -> None:
    text = figures.text(FOUND, figures.Views(breakdown=True), 100)
    assert all(cells.width(line) <= 90 for line in text.splitlines())
    assert "a b" in text
    assert all(cells.width(line) < 100 for line in compare.text(FOUND, FOUND).splitlines())

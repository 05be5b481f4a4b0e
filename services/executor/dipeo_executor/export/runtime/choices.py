"""Conditions."""

from typing import Any

from dipeo_executor.export.runtime.kinds import Inputs, Output
from dipeo_executor.export.runtime.running import Run


def branch(holds: bool, inputs: Inputs, index: dict[str, Any] | None = None) -> Output:
    """The inputs go on by one of two ways."""
    value = {**inputs, **(index or {})}
    return Output(value, port="condtrue" if holds else "condfalse", variables=index or {})


def all_at_limit(run: Run, *labels: str) -> bool:
    """Every person that has spoken has done so max_iteration times."""
    chosen = [count for label, count in run.counts.items() if label in labels or not labels]
    spoke = [count for count in chosen if count.step.type == "person_job" and count.started]
    return bool(spoke) and all(count.started >= (count.step.max_iteration or 0) for count in spoke)


def all_executed(run: Run, *labels: str) -> bool:
    return all(label in run.counts and run.counts[label].completed for label in labels)

"""Spans and durations of runs and node runs. Model calls: llm/genai.py."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opentelemetry.trace import StatusCode

from dipeo_executor.engine.state import Running, State
from dipeo_executor.program import Node
from dipeo_kit import semconv, telemetry

_runs = telemetry.duration(semconv.RUN_DURATION, "Runs, as long as one executor had them")
_nodes = telemetry.duration(semconv.NODE_DURATION, "Attempts at nodes")
_recoveries = telemetry.counter(semconv.RECOVERIES, "{run}", "Runs taken over from another executor")

held = telemetry.level(semconv.RUNS_HELD, "{run}", "Executions this process runs")
slots = telemetry.level(semconv.SLOTS_FREE, "{run}", "Executions it could run besides")


@contextmanager
def run(execution_id: str, state: State, parent: str) -> Iterator[str]:
    """Around everything this process does for a run; gives its traceparent. The trace is that of whoever asked for it,
    also after another executor was lost.
    """
    started, recovered = time.perf_counter(), state.started
    if recovered:
        _recoveries.add(1)
    attributes: telemetry.Attributes = {semconv.EXECUTION_ID: execution_id, semconv.RECOVERED: recovered}
    with telemetry.span("run", attributes, parent=parent) as span:
        try:
            yield telemetry.traceparent()
        finally:
            outcome = state.ended.status if state.ended else "given_back"
            span.set_attribute(semconv.OUTCOME, outcome)
            if outcome == "failed":
                span.set_status(StatusCode.ERROR)
            _runs.record(time.perf_counter() - started, {semconv.OUTCOME: outcome})


@contextmanager
def node(execution_id: str, path: str, node: Node, run: Running) -> Iterator[Callable[[Exception], None]]:
    """Around one attempt at one node; call what it gives with the error the attempt ended in, if it did."""
    started, outcome = time.perf_counter(), "completed"
    attributes: telemetry.Attributes = {
        semconv.EXECUTION_ID: execution_id,
        semconv.NODE_ID: path,
        semconv.NODE_TYPE: node.type,
        semconv.NODE_ITERATION: run.iteration,
        semconv.ATTEMPT: run.attempt,
    }
    with telemetry.span(f"node {node.label or node.id}", attributes) as span:

        def failed(error: Exception) -> None:
            nonlocal outcome
            outcome = "failed"
            span.set_attribute(semconv.ERROR_TYPE, type(error).__name__)
            span.set_status(StatusCode.ERROR)

        try:
            yield failed
        except BaseException:
            outcome = "aborted"
            raise
        finally:
            span.set_attribute(semconv.OUTCOME, outcome)
            measures = {semconv.NODE_TYPE: node.type, semconv.OUTCOME: outcome}
            _nodes.record(time.perf_counter() - started, measures)

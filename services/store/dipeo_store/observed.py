"""What the store tells about itself beside the spans of its calls."""

import time

from dipeo_kit import semconv, telemetry
from dipeo_protos.store.v1 import store_pb2 as pb

_durations = telemetry.duration(semconv.APPEND_DURATION, "From a batch of appends to its commit")
_events = telemetry.counter(semconv.APPEND_EVENTS, "{event}", "Events made durable")
_refused = telemetry.counter(semconv.APPENDS_REFUSED, "{append}", "Appends that were refused")

sessions = telemetry.level(semconv.SESSIONS, "{session}", "Executors that are connected")
work_ready = telemetry.level(semconv.WORK_READY, "{run}", "Executions that wait for an executor")
work_held = telemetry.level(semconv.WORK_HELD, "{run}", "Executions that an executor holds")
watches = telemetry.level(semconv.WATCHES, "{watch}", "Readers that follow an execution live")


def appended(request: pb.AppendRequest, response: pb.AppendResponse, started_ns: int) -> None:
    """A span in the trace of every run the batch served, and what it measured. `started_ns`: Unix time."""
    _durations.record((time.time_ns() - started_ns) / 1e9)
    for asked, result in zip(request.appends, response.results, strict=True):
        if result.reason:
            _refused.add(1, {semconv.ERROR_TYPE: result.reason})
        else:
            _events.add(len(asked.events))
        if asked.trace_parent:
            attributes: telemetry.Attributes = {
                semconv.EXECUTION_ID: asked.execution_id,
                semconv.EVENT_COUNT: len(asked.events),
                semconv.OUTCOME: result.reason or "appended",
            }
            telemetry.past_span("store.append", attributes, parent=asked.trace_parent, started_ns=started_ns)

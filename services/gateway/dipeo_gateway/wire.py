"""Small conversions between protobuf and what GraphQL prints."""

import json
from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from dipeo_protos.store.v1 import store_pb2 as pb

TERMINAL = frozenset({"completed", "failed", "aborted", "maxiter_reached"})


def json_of(data: bytes) -> Any:
    """Parsed JSON bytes; None when there are none. Not orjson: it makes floats of integers beyond 64 bit."""
    return json.loads(data) if data else None


def time_of(message: Message, field: str) -> str | None:
    """RFC 3339 in UTC with microseconds; None when the field is absent."""
    if not message.HasField(field):
        return None
    moment: datetime = getattr(message, field).ToDatetime(tzinfo=UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def timestamp(moment: datetime | None) -> Timestamp | None:
    """Naive times are taken as UTC."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return stamp


def status_word(status: pb.ExecutionStatus) -> str:
    """EXECUTION_STATUS_MAXITER_REACHED → maxiter_reached."""
    return pb.ExecutionStatus.Name(status).removeprefix("EXECUTION_STATUS_").lower()


def run_status_word(status: pb.NodeRunStatus) -> str:
    return pb.NodeRunStatus.Name(status).removeprefix("NODE_RUN_STATUS_").lower()


def milliseconds(message: Message, start: str, end: str) -> int | None:
    """Time between two timestamp fields, as much as GraphQL's Int holds; None while one is absent."""
    if not (message.HasField(start) and message.HasField(end)):
        return None
    elapsed = getattr(message, end).ToMilliseconds() - getattr(message, start).ToMilliseconds()
    return int(min(max(elapsed, 0), 2**31 - 1))

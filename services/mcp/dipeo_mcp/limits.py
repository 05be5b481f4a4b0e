"""How much anyone may ask for (spec/mcp.md §3.10). One table; counting in this process only."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from dipeo_mcp.errors import Busy

KIB, MIB = 1024, 1024 * 1024
MAX_INPUT_BYTES = 64 * KIB
MAX_INPUT_DEPTH = 20
MAX_VALUE_BYTES = 8 * KIB
MAX_RESULT_BYTES = 64 * KIB
MAX_ERROR_CHARS = 500
PAGE = 50
MAX_URIS_PER_STREAM = 50
MAX_STREAMS_PER_PRINCIPAL = 32
MAX_STREAMS = 256
KEPT_PRINCIPALS = 10_000  # windows kept in memory; the stalest go first


@dataclass(frozen=True, slots=True)
class Limits:
    """Per principal where it says nothing else."""

    calls_per_min: int = 120
    starts_per_min: int = 20
    anonymous_per_min: int = 30  # per address
    bad_credentials: int = 10  # then the address is blocked
    block_s: float = 300.0
    runs: int = 4
    runs_total: int = 8
    sessions_total: int = 200
    sessions: int = 20
    session_idle_s: float = 900.0
    body_bytes: int = MIB
    body_s: float = 20.0


@dataclass(slots=True)
class Window:
    """At most `limit` hits a minute for each key, in a sliding window."""

    limit: int
    seconds: float = 60.0
    clock: Callable[[], float] = time.monotonic
    _hits: dict[str, deque[float]] = field(default_factory=dict)

    def hit(self, key: str, what: str) -> None:
        """Raises Busy when the limit is reached; a refused hit does not count."""
        hits, now = self._recent(key), self.clock()
        if len(hits) >= self.limit:
            raise Busy(f"{what}: at most {self.limit} a minute", retry_after_s=hits[0] + self.seconds - now)
        hits.append(now)

    def count(self, key: str) -> int:
        return len(self._recent(key))

    def _recent(self, key: str) -> deque[float]:
        hits = self._hits.pop(key, None) or deque()
        self._hits[key] = hits  # the last in order is the freshest
        if len(self._hits) > KEPT_PRINCIPALS:
            del self._hits[next(iter(self._hits))]
        since = self.clock() - self.seconds
        while hits and hits[0] <= since:
            hits.popleft()
        return hits
